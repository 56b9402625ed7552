package notice

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"cordon/alarm"
	"cordon/store"
)

// put appends an event.
func put(tx *store.Tx, recipient string, e Event) error {
	body, err := json.Marshal(e)
	if err == nil {
		_, err = tx.Exec(`INSERT INTO notice_event (at, recipient, body) VALUES (?, ?, ?)`, time.Now().UnixMicro(), recipient, string(body))
	}
	return err
}

// batch is what a recipient is to be told next.
type batch struct {
	from, upto int64 // events behind from, up to upto
	events     []Event
	oldest     time.Time // of these
	fixed      bool      // it was sent before
	skipped    int64     // events that were dropped before it had them
}

// next reads what a recipient is to be told.
func (n *Notices) next(ctx context.Context, r Recipient) (b batch, err error) {
	err = n.db.View(ctx, func(tx *store.Tx) error {
		var upto, first int64
		if err := tx.QueryRow(`SELECT sent, upto FROM notice_recipient WHERE name = ?`, r.Name).Scan(&b.from, &upto); err != nil {
			return err
		}
		if err := tx.QueryRow(`SELECT coalesce(min(id), 0) FROM notice_event`).Scan(&first); err != nil {
			return err
		}
		if first > b.from+1 && b.from > 0 {
			b.skipped = first - b.from - 1
		}
		last := upto
		if b.fixed = upto > 0; !b.fixed {
			last = 1 << 62
		}
		return b.read(tx, r, last)
	})
	return b, err
}

func (b *batch) read(tx *store.Tx, r Recipient, last int64) error {
	rows, err := tx.Query(`SELECT id, at, recipient, body FROM notice_event WHERE id > ? AND id <= ? ORDER BY id LIMIT ?`, b.from, last, perBatch)
	if err != nil {
		return err
	}
	defer rows.Close()
	for b.upto = b.from; rows.Next(); {
		var at int64
		var to, body string
		var e Event
		if err := rows.Scan(&b.upto, &at, &to, &body); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			return fmt.Errorf("event %d: %w", b.upto, err)
		}
		if to != r.Name && (to != "" || !r.wants(e)) {
			continue
		}
		if len(b.events) == 0 {
			b.oldest = time.UnixMicro(at)
		}
		b.events = append(b.events, e)
	}
	return rows.Err()
}

// message makes one message of a batch: of each alarm the last event, the worst
// first.
func (n *Notices) message(r Recipient, b batch) Message {
	id := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d\x00%d", n.config.Site, r.Name, b.from, b.upto))
	m := Message{ID: hex.EncodeToString(id[:16]), Site: n.config.Site, URL: n.url(), Counts: map[string]int{}}
	at := map[int64]int{}
	for _, e := range b.events {
		i, again := at[e.Alarm]
		switch {
		case again && e.Alarm != 0:
			m.Events[i] = e
		default:
			at[e.Alarm] = len(m.Events)
			m.Events = append(m.Events, e)
		}
	}
	for _, e := range m.Events {
		if e.Severity != 0 && e.What != alarm.Over {
			m.Counts[e.Severity.String()]++
		}
	}
	slices.SortStableFunc(m.Events, func(x, y Event) int {
		if over := b2i(x.What == alarm.Over) - b2i(y.What == alarm.Over); over != 0 {
			return over
		}
		return int(y.Severity - x.Severity)
	})
	if len(m.Events) > MaxListed {
		m.More = len(m.Events) - MaxListed
		m.Events = m.Events[:MaxListed]
	}
	return m
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (n *Notices) url() string {
	if n.config.URL == "" {
		return ""
	}
	return n.config.URL + "/alarms"
}

// fix makes durable where a message ends.
func (n *Notices) fix(ctx context.Context, r Recipient, b batch) error {
	return n.db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE notice_recipient SET upto = ? WHERE name = ?`, b.upto, r.Name)
		return err
	})
}

// moved says that a recipient has been told everything up to the batch's end.
func (n *Notices) moved(ctx context.Context, r Recipient, b batch) error {
	return n.db.Update(ctx, func(tx *store.Tx) error {
		at := int64(0)
		if len(b.events) > 0 {
			at = time.Now().UnixMicro()
		}
		_, err := tx.Exec(`UPDATE notice_recipient SET sent = ?, upto = 0, sent_at = max(sent_at, ?), failing = 0, attempts = 0, error = '' WHERE name = ?`, b.upto, at, r.Name)
		return err
	})
}

// failed says that a recipient could not be told, and since when.
func (n *Notices) failed(ctx context.Context, r Recipient, why error) (attempts int, since time.Time, err error) {
	err = n.db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE notice_recipient SET attempts = attempts + 1, failing = CASE failing WHEN 0 THEN ? ELSE failing END, error = ? WHERE name = ?`,
			time.Now().UnixMicro(), clip(why.Error()), r.Name)
		if err != nil {
			return err
		}
		var at int64
		err = tx.QueryRow(`SELECT attempts, failing FROM notice_recipient WHERE name = ?`, r.Name).Scan(&attempts, &at)
		since = time.UnixMicro(at)
		return err
	})
	return attempts, since, err
}

// forget drops the cursors of who is no recipient any more, so that what waits for
// them goes too.
func (n *Notices) forget(tx *store.Tx) error {
	names := []string{}
	for _, r := range n.config.Recipients {
		names = append(names, r.Name)
	}
	all, err := json.Marshal(names)
	if err == nil {
		_, err = tx.Exec(`DELETE FROM notice_recipient WHERE name NOT IN (SELECT value FROM json_each(?))`, string(all))
	}
	return err
}

// clip bounds what is kept of an error.
func clip(s string) string {
	const most = 300
	if len(s) > most {
		s = s[:most]
	}
	return s
}

// prune drops what everybody has been told, and what is too much.
func prune(tx *store.Tx) error {
	_, err := tx.Exec(`DELETE FROM notice_event WHERE id <= (SELECT coalesce(min(sent), 0) FROM notice_recipient)
		OR id <= (SELECT max(id) FROM notice_event) - ?`, MaxEvents)
	return err
}

// State is how things stand with one recipient.
type State struct {
	Name    string    `json:"name"`
	Way     string    `json:"way"`
	Waiting int       `json:"waiting"` // events that it has not been told, or need not be
	Sent    time.Time `json:"sent,omitzero"`
	Failing time.Time `json:"failing,omitzero"` // since
	Error   string    `json:"error,omitempty"`
}

// States says how things stand with each recipient.
func (n *Notices) States(ctx context.Context) (all []State, err error) {
	err = n.db.View(ctx, func(tx *store.Tx) error {
		for _, r := range n.config.Recipients {
			s := State{Name: r.Name, Way: r.Way.Name()}
			var sent, failing int64
			err := tx.QueryRow(`SELECT (SELECT count(*) FROM notice_event WHERE id > r.sent), sent_at, failing, error FROM notice_recipient r WHERE name = ?`, r.Name).
				Scan(&s.Waiting, &sent, &failing, &s.Error)
			if err != nil {
				return err
			}
			s.Sent, s.Failing = moment(sent), moment(failing)
			all = append(all, s)
		}
		return nil
	})
	return all, err
}

func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
