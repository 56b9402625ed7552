package custody

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"cordon/store"
)

// Release makes a held object due for delivery, once two different people have
// asked for it: the first is recorded and waited for. In an emergency one is
// enough for an object that is not malicious, and the release is flagged for
// review.
func (c *Custody) Release(ctx context.Context, id string, r Request) (d Decision, err error) {
	if r, err = r.Check(); err != nil {
		return d, err
	}
	for {
		if d, err = c.releaseOnce(ctx, id, r); !errors.Is(err, errUncopied) {
			return d, err
		}
	}
}

// errUncopied means that an object must be copied first, for the further
// archives that it goes to.
var errUncopied = errors.New("object is not copied yet")

// releaseOnce makes the files of an object for the further archives that it
// goes to, then all their rows. Nobody waits for the files: they are made before
// the database is written.
func (c *Custody) releaseOnce(ctx context.Context, id string, r Request) (d Decision, err error) {
	var o Object
	var further []string
	err = c.db.View(ctx, func(tx *store.Tx) error {
		o, further, err = goesAlso(tx, id, r)
		return err
	})
	if err != nil {
		return d, err
	}
	copies, err := c.copies(o, further)
	if err != nil {
		return d, err
	}
	err = c.db.Update(ctx, func(tx *store.Tx) error {
		if _, further, err := goesAlso(tx, id, r); err != nil || len(further) != len(copies) {
			return cmp.Or(err, errUncopied) // somebody else has asked meanwhile
		}
		if d, err = c.release(tx, id, r); err != nil || !d.Done {
			return err
		}
		return c.releaseAlso(tx, id, copies)
	})
	if err != nil || !d.Done {
		c.dropCopies(copies)
		return d, err
	}
	c.placeCopies(copies)
	return d, nil
}

// goesAlso names the further archives that an object goes to, if the request may
// release it.
func goesAlso(tx *store.Tx, id string, r Request) (Object, []string, error) {
	o, err := get(tx, id)
	if err != nil || o.State != Held || o.Alarm != "" || len(o.Also) == 0 {
		return o, nil, err
	}
	var asked int
	err = tx.QueryRow(`SELECT COUNT(*) FROM custody_requests WHERE object_id = ? AND action = ?`, id, string(release)).Scan(&asked)
	if err != nil || asked == 0 && !r.Emergency {
		return o, nil, err
	}
	return o, o.Also, nil
}

// releaseAlso makes a released object due for the further archives that it
// goes to, whose files are there.
func (c *Custody) releaseAlso(tx *store.Tx, id string, copies []Object) error {
	o, err := get(tx, id)
	if err != nil || len(copies) == 0 {
		return err
	}
	for i, to := range copies {
		copies[i] = o.copyFor(to.Archive, to.ID)
	}
	if err := c.insertCopies(tx, copies, id); err != nil {
		return err
	}
	for _, to := range copies {
		if _, err := tx.Exec(`UPDATE custody_objects SET (released_at, decided_by) = (SELECT released_at, decided_by FROM custody_objects WHERE id = ?) WHERE id = ?`, id, to.ID); err != nil {
			return err
		}
	}
	_, err = tx.Exec(`UPDATE custody_objects SET also = '[]' WHERE id = ?`, id)
	return err
}

func (c *Custody) release(tx *store.Tx, id string, r Request) (Decision, error) {
	o, err := get(tx, id)
	if err != nil {
		return Decision{}, err
	}
	if _, err := change(o.State, Spooled, people); err != nil {
		return Decision{}, err
	}
	if o.Alarm != "" {
		return Decision{}, fmt.Errorf("%w: %s, nothing could be delivered", ErrDamaged, o.Alarm)
	}
	d, err := c.second(tx, o, release, r)
	if err != nil || !d.Done && !r.Emergency {
		return d, err
	}
	more := map[string]any{"by": d.By, "reason": r.Reason}
	if !d.Done {
		if malicious(o) {
			return Decision{}, ErrNotEmergency
		}
		d = Decision{Done: true, By: d.By, ReviewDue: now().Add(reviewWithin)}
		more["emergency"], more["review_due"] = true, d.ReviewDue.Format(time.RFC3339)
	}
	if err := c.decide(tx, id, Spooled, d, more); err != nil {
		return Decision{}, err
	}
	_, err = tx.Exec(`UPDATE custody_objects SET released_at = ?, review_due = ? WHERE id = ?`, toMicros(now()), toMicros(d.ReviewDue), id)
	if err == nil && r.Then != nil {
		err = r.Then(tx, o, d.By)
	}
	return d, err
}
