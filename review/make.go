package review

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"cordon/ledger"
	"cordon/store"
)

// lookEvery is how often Run looks whether a period is over.
const lookEvery = time.Minute

// Run makes each review when its period is over, and those that were due before,
// until ctx ends.
func (r *Reviews) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		_, err := r.Make(ctx, time.Now())
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			r.parts.Log.Error("the activity review could not be made", "error", err)
		}
		r.mu.Lock()
		r.err = err
		r.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Make makes every review whose period is over at now, the first one first, and
// returns how many.
func (r *Reviews) Make(ctx context.Context, now time.Time) (n int, err error) {
	r.making.Lock()
	defer r.making.Unlock()
	for {
		made, err := r.makeNext(ctx, now)
		if err != nil {
			return n, fmt.Errorf("making an activity review: %w", err)
		}
		if !made {
			return n, nil
		}
		n++
	}
}

// period is what the next review is about.
type period struct {
	from, to time.Time
	first    int64
}

// next returns the period that follows the last review. The first one begins with
// the day of the ledger's first record, or its Monday if periods are weeks. It is
// the zero period if there is no record yet.
func (r *Reviews) next(tx *store.Tx) (p period, err error) {
	first, ends, ok, err := last(tx)
	if err != nil {
		return p, err
	}
	if !ok {
		begin, ok, err := ledger.First(tx)
		if err != nil || !ok {
			return p, err
		}
		ends = r.dayOf(begin)
	}
	return period{from: ends, to: ends.In(r.config.Zone).AddDate(0, 0, r.days()), first: first}, nil
}

// dayOf is the beginning of the day of t, or of its week.
func (r *Reviews) dayOf(t time.Time) time.Time {
	t = t.In(r.config.Zone)
	t = time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, r.config.Zone)
	if r.days()%7 == 0 {
		t = t.AddDate(0, 0, -(int(t.Weekday())+6)%7)
	}
	return t
}

// makeNext makes the next review if its period is over.
func (r *Reviews) makeNext(ctx context.Context, now time.Time) (bool, error) {
	var p period
	var history [][2]int64
	err := r.parts.DB.View(ctx, func(tx *store.Tx) (err error) {
		if p, err = r.next(tx); err != nil {
			return err
		}
		history, err = bounds(tx, History)
		return err
	})
	if err != nil || p.to.IsZero() || now.Before(p.to) {
		return false, err
	}
	c, err := r.compute(ctx, p, history)
	if err != nil {
		return false, err
	}
	return true, r.keep(ctx, c, now)
}

// errEnd ends a scan with the first record that belongs to the next period.
var errEnd = errors.New("the period is over")

// compute reads the history and the period.
func (r *Reviews) compute(ctx context.Context, p period, history [][2]int64) (Content, error) {
	begin := p.first
	if len(history) > 0 {
		begin = history[0][0]
	}
	a := newAnalysis(r.config.Zone, begin == 0)
	take := func(rec ledger.Record) error {
		a.add(rec)
		return nil
	}
	for _, h := range history {
		if err := ledger.Scan(ctx, r.parts.DB, h[0], h[1], take); err != nil {
			return Content{}, err
		}
		a.turn()
	}
	size, err := ledger.Size(ctx, r.parts.DB)
	if err != nil {
		return Content{}, err
	}
	end := p.first
	err = ledger.Scan(ctx, r.parts.DB, p.first, size, func(rec ledger.Record) error {
		if !rec.Time.Before(p.to) {
			return errEnd
		}
		end = rec.Seq + 1
		return take(rec)
	})
	if err != nil && !errors.Is(err, errEnd) {
		return Content{}, err
	}
	c := Content{From: p.from.UTC(), To: p.to.UTC(), First: p.first, End: end, Compare: len(history), Items: a.items(p.to)}
	c.Devices, c.People = a.summary()
	return c, nil
}

// keep makes a review durable, with its record.
func (r *Reviews) keep(ctx context.Context, c Content, now time.Time) error {
	text, err := c.marshal()
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	digest := hex.EncodeToString(sum[:])
	id := c.From.In(r.config.Zone).Format(time.DateOnly)
	due := now.In(r.config.Zone).AddDate(0, 0, r.days())
	return r.parts.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO review (id, first_record, end_record, ends_at, made_at, due_at, content, sha256) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			id, c.First, c.End, c.To.UnixMicro(), now.UnixMicro(), due.UnixMicro(), string(text), digest)
		if err != nil {
			return err
		}
		return r.parts.Ledger.Append(tx, "review.made", map[string]any{
			"id": id, "first_record": c.First, "end_record": c.End, "items": len(c.Items), "sha256": digest,
			"due": due.UTC().Format(time.RFC3339),
		})
	})
}
