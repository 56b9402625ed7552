package alarm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"cordon/store"
)

// MaxSnooze is how long an alarm may be snoozed at the most.
const MaxSnooze = 31 * 24 * time.Hour

// The longest texts of a request, in bytes.
const (
	maxName = 200
	maxNote = 2000
)

// Request is who asks for something to be done about an alarm, and why.
type Request struct {
	By   string
	Note string // no patient data; needed to close one, and may be left out otherwise
}

// Step is what was done about an alarm.
type Step struct {
	At   time.Time `json:"at"`
	By   string    `json:"by,omitempty"` // "" means Cordon
	What string    `json:"what"`         // acknowledged, assigned to …, snoozed until …, closed; worse, back
	Note string    `json:"note,omitempty"`
}

// Acknowledge says that somebody looks at an alarm: nobody else is called.
func (a *Alarms) Acknowledge(ctx context.Context, id int64, r Request) (Item, error) {
	return a.handle(ctx, id, r, "acknowledged", func(i *Item, r Request) error {
		i.State, i.AcknowledgedBy = Acknowledged, r.By
		return nil
	})
}

// Assign says who is to see to an alarm; "" takes it from whoever had it.
func (a *Alarms) Assign(ctx context.Context, id int64, to string, r Request) (Item, error) {
	to, err := name(to)
	if err != nil {
		return Item{}, err
	}
	what := "assigned to " + to
	if to == "" {
		what = "assigned to nobody"
	}
	return a.handle(ctx, id, r, what, func(i *Item, _ Request) error {
		i.AssignedTo = to
		return nil
	})
}

// Snooze has an alarm be quiet until a time, at which it is open again. One that
// becomes worse is so at once.
func (a *Alarms) Snooze(ctx context.Context, id int64, until time.Time, r Request) (Item, error) {
	now := time.Now()
	if !until.After(now) || until.After(now.Add(MaxSnooze)) {
		return Item{}, fmt.Errorf("%w: until when? a time within the next %d days", ErrRequest, MaxSnooze/(24*time.Hour))
	}
	until = until.UTC().Truncate(time.Second)
	return a.handle(ctx, id, r, "snoozed until "+until.Format(time.RFC3339), func(i *Item, r Request) error {
		i.State, i.AcknowledgedBy = Acknowledged, r.By
		i.SnoozedUntil, i.SnoozedBy = until, r.By
		return nil
	})
}

// Close says that an alarm is done, and why. One that ends by itself cannot be
// closed before it has.
func (a *Alarms) Close(ctx context.Context, id int64, r Request) (Item, error) {
	if strings.TrimSpace(r.Note) == "" {
		return Item{}, fmt.Errorf("%w: why is it done? a note is needed (--note TEXT)", ErrRequest)
	}
	return a.handle(ctx, id, r, "closed", func(i *Item, _ Request) error {
		if i.Lasting {
			return fmt.Errorf("%w: its cause is still there, and it ends by itself with that; acknowledge or snooze it until then", ErrState)
		}
		i.State, i.Ended = Closed, time.Now().UTC()
		return nil
	})
}

// handle does what a person asks for: the row and its record are durable before
// it takes effect.
func (a *Alarms) handle(ctx context.Context, id int64, r Request, what string, act func(*Item, Request) error) (Item, error) {
	r, err := r.check()
	if err != nil {
		return Item{}, err
	}
	if err := a.flush(ctx); err != nil { // so that the record follows that of the alarm
		return Item{}, err
	}
	a.writing.Lock()
	defer a.writing.Unlock()
	item, err := a.item(id)
	if err == nil {
		err = act(&item, r)
	}
	if err != nil {
		return Item{}, err
	}
	did := Step{At: time.Now().UTC(), By: r.By, What: what, Note: r.Note}
	err = a.db.Update(ctx, func(tx *store.Tx) error {
		body := map[string]any{"alarm": id, "alarm_kind": item.Kind, "subject": item.Subject, "what": what, "by": r.By, "note": r.Note}
		if err := a.journal.Append(tx, "alarm.handled", body); err != nil {
			return err
		}
		if err := step(tx, id, did); err != nil {
			return err
		}
		return put(tx, item)
	})
	if err != nil {
		return Item{}, fmt.Errorf("not recorded, so not done: %w", err)
	}
	return a.takeEffect(item), nil
}

// item is an open alarm.
func (a *Alarms) item(id int64) (Item, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e, ok := a.byID[id]
	if !ok || e.Over() {
		return Item{}, fmt.Errorf("%w that is open: %d (cordon alarm list)", ErrNotFound, id)
	}
	return e.Item, nil
}

// takeEffect puts what a person decided into memory. Meanwhile the alarm may have
// been met again, or have ended.
func (a *Alarms) takeEffect(i Item) Item {
	a.mu.Lock()
	defer a.mu.Unlock()
	e, ok := a.byID[i.ID]
	if !ok {
		return i
	}
	worse := e.Severity > i.Severity || e.Over()
	e.AssignedTo = i.AssignedTo
	if !worse {
		e.State, e.Ended, e.AcknowledgedBy = i.State, i.Ended, i.AcknowledgedBy
		e.SnoozedUntil, e.SnoozedBy = i.SnoozedUntil, i.SnoozedBy
		delete(a.changes, i.ID)
	}
	e.dirty = true
	if e.State == Closed {
		delete(a.open, cause{e.Kind, e.Subject})
	}
	return e.Item
}

func (r Request) check() (Request, error) {
	by, err := name(r.By)
	if err != nil {
		return r, err
	}
	r.By, r.Note = by, strings.TrimSpace(r.Note)
	switch {
	case r.By == "":
		return r, fmt.Errorf("%w: who asks? a name is needed (--as NAME)", ErrRequest)
	case len(r.Note) > maxNote:
		return r, fmt.Errorf("%w: a note has at most %d bytes", ErrRequest, maxNote)
	}
	return r, nil
}

// name cleans a person's name up.
func name(text string) (string, error) {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxName || strings.ContainsFunc(text, unicode.IsControl) {
		return "", fmt.Errorf("%w: a name has at most %d bytes, and no control characters", ErrRequest, maxName)
	}
	return text, nil
}

// Get is one alarm, and what was done about it, the latest first.
func (a *Alarms) Get(ctx context.Context, id int64) (Item, []Step, error) {
	if err := a.flush(ctx); err != nil {
		return Item{}, nil, err
	}
	var found Item
	var steps []Step
	err := a.db.View(ctx, func(tx *store.Tx) error {
		all, err := query(tx, `WHERE id = ?`, id)
		switch {
		case err != nil:
			return err
		case len(all) == 0:
			return fmt.Errorf("%w: %d (cordon alarm list)", ErrNotFound, id)
		}
		found = all[0]
		steps, err = stepsOf(tx, id)
		return err
	})
	return found, steps, err
}

func stepsOf(tx *store.Tx, id int64) (steps []Step, err error) {
	rows, err := tx.Query(`SELECT at, by, what, note FROM alarm_step WHERE alarm = ? ORDER BY id DESC`, id)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var s Step
		var at int64
		if err := rows.Scan(&at, &s.By, &s.What, &s.Note); err != nil {
			return nil, err
		}
		s.At = moment(at)
		steps = append(steps, s)
	}
	return steps, rows.Err()
}
