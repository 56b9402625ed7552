package notice

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"cordon/alarm"
	"cordon/store"
)

const (
	look     = time.Second      // how often what nobody acknowledged is looked for
	sendTime = 45 * time.Second // that one attempt may take
	maxRetry = 5 * time.Minute  // between two attempts
)

// Run tells every recipient, until ctx ends.
func (n *Notices) Run(ctx context.Context, a *alarm.Alarms, log *slog.Logger) error {
	if err := n.db.Update(ctx, n.forget); err != nil {
		return err
	}
	var wg sync.WaitGroup
	for i, r := range n.config.Recipients {
		wg.Go(func() { n.serve(ctx, r, n.wake[i], a, log) }) // ends with ctx
	}
	tick := time.NewTicker(look)
	defer tick.Stop()
	var pruned, beat time.Time
	done := map[escalation]bool{}
	for ctx.Err() == nil {
		now := time.Now()
		err := n.escalate(ctx, a, done)
		if n.config.Heartbeat > 0 && now.After(beat) {
			var failed error
			beat, failed = n.beat(ctx, a)
			err = errors.Join(err, failed)
		}
		if now.Sub(pruned) > time.Minute {
			pruned = now
			err = errors.Join(err, n.db.Update(ctx, prune))
		}
		if err != nil && ctx.Err() == nil {
			log.Error("notices cannot be written", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	wg.Wait()
	return nil
}

// serve tells one recipient.
func (n *Notices) serve(ctx context.Context, r Recipient, wake <-chan struct{}, a *alarm.Alarms, log *slog.Logger) {
	var last time.Time
	for ctx.Err() == nil {
		sent, pause, err := n.tellNext(ctx, r, last, a)
		switch {
		case err != nil && ctx.Err() == nil:
			log.Warn("a notice could not be delivered; it is tried again", "recipient", r.Name, "error", err)
			wait(ctx, pause, nil)
		case sent:
			last = time.Now()
		case pause > 0:
			wait(ctx, pause, nil)
		default:
			wait(ctx, 30*time.Second, wake)
		}
	}
}

func wait(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-timer.C:
	}
}

// tellNext tells a recipient what there is to tell: whether there was a message, or
// how long to wait before the next call; 0 means until something happens.
func (n *Notices) tellNext(ctx context.Context, r Recipient, last time.Time, a *alarm.Alarms) (sent bool, pause time.Duration, err error) {
	b, err := n.next(ctx, r)
	switch {
	case err != nil:
		return false, n.config.Retry, err
	case b.skipped > 0:
		a.Raise(ctx, alarm.Alarm{Kind: "notice.skipped", Subject: r.Name, Text: fmt.Sprintf("%d notices for %s were dropped because they waited too long.", b.skipped, r.Name)})
	}
	if len(b.events) == 0 {
		if b.upto > b.from {
			err = n.moved(ctx, r, b)
		}
		return false, 0, err
	}
	if soon := max(r.Gather-time.Since(b.oldest), r.Pace-time.Since(last)); soon > 0 && !b.fixed {
		return false, soon, nil
	}
	if err := n.fix(ctx, r, b); err != nil {
		return false, n.config.Retry, err
	}
	if err = n.send(ctx, r, b); err == nil {
		a.Clear(ctx, "notice.undelivered", r.Name)
		return true, 0, n.moved(ctx, r, b)
	}
	if ctx.Err() != nil {
		return false, 0, err
	}
	attempts, since, failed := n.failed(ctx, r, err)
	if failed == nil && time.Since(since) >= n.config.Alarm {
		a.Raise(ctx, alarm.Alarm{Kind: "notice.undelivered", Subject: r.Name, Text: fmt.Sprintf("Notices for %s cannot be delivered since %s: %s.", r.Name, since.Local().Format("15:04"), clip(err.Error()))})
	}
	return false, backoff(n.config.Retry, attempts), err
}

func (n *Notices) send(ctx context.Context, r Recipient, b batch) error {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	return r.Way.Send(ctx, n.message(r, b))
}

// backoff is the pause after so many failures: twice as long each time, and some
// chance, so that many do not come back together.
func backoff(first time.Duration, attempts int) time.Duration {
	d := min(first<<min(max(attempts-1, 0), 10), maxRetry)
	return d + time.Duration(rand.Int64N(int64(d)/4+1))
}

// escalation is one recipient's hearing of one alarm, since it last became open.
type escalation struct {
	alarm, raised int64
	recipient     string
}

// escalate tells further recipients of what nobody has acknowledged. done are
// those that this run has seen to.
func (n *Notices) escalate(ctx context.Context, a *alarm.Alarms, done map[escalation]bool) error {
	for _, r := range n.config.Recipients {
		if r.After == 0 {
			continue
		}
		var due []alarm.Item
		for _, i := range a.Unseen(time.Now().Add(-r.After)) {
			if i.Severity >= r.Severity && r.likes(i.Kind) && !done[escalation{i.ID, i.Raised.UnixMicro(), r.Name}] {
				due = append(due, i)
			}
		}
		if len(due) == 0 {
			continue
		}
		if err := n.db.Update(ctx, func(tx *store.Tx) error { return n.unacknowledged(tx, r, due) }); err != nil {
			return err
		}
		if len(done) > 2*alarm.MaxOpen {
			clear(done) // the table knows too
		}
		for _, i := range due {
			done[escalation{i.ID, i.Raised.UnixMicro(), r.Name}] = true
		}
	}
	return nil
}

// unacknowledged writes an event for each alarm that a recipient was not told of
// since it last became open.
func (n *Notices) unacknowledged(tx *store.Tx, r Recipient, due []alarm.Item) error {
	for _, i := range due {
		done, err := tx.Exec(`INSERT OR IGNORE INTO notice_escalated (alarm, raised_at, recipient) VALUES (?, ?, ?)`, i.ID, i.Raised.UnixMicro(), r.Name)
		if err != nil {
			return err
		}
		rows, err := done.RowsAffected()
		if err == nil && rows > 0 {
			err = put(tx, r.Name, n.event(Unacknowledged, i))
		}
		if err != nil {
			return err
		}
	}
	tx.OnCommit(n.rouse)
	_, err := tx.Exec(`DELETE FROM notice_escalated WHERE raised_at < ?`, time.Now().Add(-forgotten).UnixMicro())
	return err
}

// forgotten is how long it is remembered who was told of what.
const forgotten = 90 * 24 * time.Hour

// beat sends a sign of life when it is due, and returns when the next one is.
func (n *Notices) beat(ctx context.Context, a *alarm.Alarms) (next time.Time, err error) {
	var last int64
	err = n.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT coalesce(max(at), 0) FROM notice_heartbeat`).Scan(&last)
	})
	now := time.Now()
	if ago := now.Sub(time.UnixMicro(last)); err != nil || ago >= 0 && ago < n.config.Heartbeat {
		return time.UnixMicro(last).Add(n.config.Heartbeat), err
	}
	c := a.Counts()
	e := Event{What: Alive, At: now.UTC().Truncate(time.Second), Severity: alarm.Info,
		Means: fmt.Sprintf("Cordon is alive. Open alarms: %d critical, %d warnings; %d that nobody has acknowledged.", c.Critical, c.Warning, c.Unseen)}
	err = n.db.Update(ctx, func(tx *store.Tx) error {
		for _, name := range n.config.Beats {
			if err := put(tx, name, e); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(`DELETE FROM notice_heartbeat`); err != nil {
			return err
		}
		tx.OnCommit(n.rouse)
		_, err := tx.Exec(`INSERT INTO notice_heartbeat VALUES (?)`, now.UnixMicro())
		return err
	})
	return now.Add(n.config.Heartbeat), err
}

// Result is what became of a trial.
type Result struct {
	Name  string `json:"name"`
	Way   string `json:"way"`
	Error string `json:"error,omitempty"` // "" means that it arrived
}

// Test sends a message that says that it is a test to one recipient, or with "" to
// all, past the queue, and says what became of it.
func (n *Notices) Test(ctx context.Context, name string) ([]Result, error) {
	var results []Result
	var to []Recipient
	for _, r := range n.config.Recipients {
		if name == "" || r.Name == name {
			to = append(to, r)
			results = append(results, Result{Name: r.Name, Way: r.Way.Name()})
		}
	}
	if name != "" && len(to) == 0 {
		return nil, fmt.Errorf("%w: %.80q (alarms.notify has their names)", ErrUnknown, name)
	}
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	var wg sync.WaitGroup
	for i, r := range to {
		wg.Go(func() { // ends with its attempt
			e := Event{What: Trial, At: time.Now().UTC().Truncate(time.Second), Severity: alarm.Info, Means: "This is a test: notices of alarms arrive here."}
			m := n.message(r, batch{from: time.Now().UnixNano(), events: []Event{e}})
			if err := r.Way.Send(ctx, m); err != nil {
				results[i].Error = clip(err.Error())
			}
		})
	}
	wg.Wait()
	return results, nil
}
