package custody

import (
	"context"
	"fmt"
	"strings"
	"time"

	"cordon/store"
)

// due finds, of one archive and urgency, the objects whose turn and time it is.
// It reads as many entries of the index custody_turn as it returns. To SQLite the
// limit is a sum, since a statement whose limit is a parameter alone is parsed
// again for each value of it.
const due = `SELECT ` + columns + ` FROM custody_objects INDEXED BY custody_turn
	WHERE archive = ? AND urgency = ? AND next_attempt <= ? AND turn = 1 AND in_flight = 0 AND awaits_scan = 0
	ORDER BY next_attempt, seq LIMIT ? + 0`

// Due returns the objects that may be delivered to an archive at the time given,
// urgent ones first, then by when they are due and by age (so that what has failed
// comes after what was never tried), at most one of each series: one that
// follows becomes due when those before it have been delivered or refused for
// good. Objects whose series is unknown wait for nobody. One that awaits its
// scan is not due, and neither is what follows it. It costs the same however many
// wait.
func (c *Custody) Due(ctx context.Context, archive string, at time.Time, limit int) (all []Object, err error) {
	err = c.db.View(ctx, func(tx *store.Tx) error {
		for urgency := range urgencies {
			some, err := query(tx, due, archive, urgency, toMicros(at), limit-len(all))
			if err != nil {
				return err
			}
			all = append(all, some...)
		}
		return nil
	})
	return all, err
}

// Following returns what waits behind o in its series, in order, so that a series
// can go over one association: each is due once the one before it has been
// delivered. It ends at the first that awaits its scan or has another calling AE
// title, and reads no further.
func (c *Custody) Following(ctx context.Context, o Object, limit int) (all []Object, err error) {
	err = c.db.View(ctx, func(tx *store.Tx) error {
		goesToo := func(next Object) bool { return next.CallingAE == o.CallingAE && !next.AwaitsScan }
		all, err = queryWhile(tx, goesToo, `SELECT `+columns+` FROM custody_objects
			WHERE archive = ?1 AND lane = ?2 AND state = 'spooled' AND needs_attention = 0
			AND seq > (SELECT seq FROM custody_objects WHERE id = ?3)
			ORDER BY seq LIMIT ?4 + 0`,
			o.Archive, o.SeriesInstanceUID, o.ID, limit)
		return err
	})
	return all, err
}

// InFlight begins an attempt to deliver an object, and counts it. It is ErrState
// if the object is not the one of its series whose turn it is, or is in flight
// already. The attempt ends with Delivered, Failed or the end of the process.
func (c *Custody) InFlight(ctx context.Context, id string) error {
	return c.db.Update(ctx, func(tx *store.Tx) error {
		r, err := tx.Exec(`UPDATE custody_objects SET in_flight = 1, attempts = attempts + 1 WHERE id = ? AND turn = 1 AND in_flight = 0 AND awaits_scan = 0`, id)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 1 {
			return err
		}
		o, err := get(tx, id)
		if err != nil {
			return err
		}
		return fmt.Errorf("%w: object %s is %s and not due", ErrState, id, o.State)
	})
}

// Land ends the attempts to deliver to an archive whose outcome could not be
// recorded, so that the objects are due again. Only the archive's one deliverer
// calls it, while none of its attempts is under way.
func (c *Custody) Land(ctx context.Context, archive string) error {
	flying := 0
	err := c.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT COUNT(*) FROM custody_objects WHERE in_flight = 1 AND archive = ?`, archive).Scan(&flying)
	})
	if err != nil || flying == 0 {
		return err
	}
	return c.db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE custody_objects SET in_flight = 0 WHERE in_flight = 1 AND archive = ?`, archive)
		return err
	})
}

// Delivered says that the archive has answered success, or a warning, with the
// status given (PS3.4 §B.2.3). Our copy is deleted once that is on disk.
func (c *Custody) Delivered(ctx context.Context, id string, status uint16) error {
	err := c.db.Update(ctx, func(tx *store.Tx) error {
		if _, err := c.move(tx, id, Delivered, deliverer, map[string]any{"status": status}); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE custody_objects SET delivered_at = ?, status = ?, last_error = '', needs_attention = 0 WHERE id = ?`,
			toMicros(now()), status, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("object delivered: %w", err)
	}
	c.remove(id)
	return nil
}

// Failure is how an attempt to deliver ended.
type Failure struct {
	Err       error     // what to show; it must hold no patient data
	Status    uint16    // of the archive's response, if there was one
	RetryAt   time.Time // when the object is due again; there is no limit to attempts
	Permanent bool      // the archive will never take it: a person must see to it
}

// maxError bounds an error kept with an object, in bytes.
const maxError = 500

// Failed ends an attempt that did not deliver the object. It is never dropped: a
// permanent failure needs attention, is journalled, and no longer holds up its
// series; Retry or Destroy end that.
func (c *Custody) Failed(ctx context.Context, id string, f Failure) error {
	text := "unknown error"
	if f.Err != nil {
		text = strings.ToValidUTF8(f.Err.Error()[:min(maxError, len(f.Err.Error()))], "")
	}
	err := c.db.Update(ctx, func(tx *store.Tx) error {
		o, err := get(tx, id)
		if err != nil {
			return err
		}
		if o.State != Spooled {
			return fmt.Errorf("%w: object %s is %s", ErrState, id, o.State)
		}
		_, err = tx.Exec(`UPDATE custody_objects SET in_flight = 0, last_error = ?, status = ?, next_attempt = ?, needs_attention = ? WHERE id = ?`,
			text, f.Status, toMicros(f.RetryAt), f.Permanent || o.NeedsAttention, id)
		if err != nil || !f.Permanent {
			return err
		}
		return c.journal.Append(tx, "object.refused", map[string]any{
			"id": id, "archive": o.Archive, "sop_instance_uid": o.SOPInstanceUID, "error": text, "status": f.Status, "attempts": o.Attempts,
		})
	})
	if err != nil {
		return fmt.Errorf("object not delivered: %w", err)
	}
	return nil
}
