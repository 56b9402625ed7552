package custody

import (
	"context"
	"fmt"
	"os"

	"cordon/store"
)

// Requeue makes an instance due for an archive that answered success for it and
// has lost it, if the same bytes are still here: as an object that was delivered
// and whose blob stays for a backup (see Pin), or as one that waits for another
// archive. It returns the object's id, or ErrNotFound.
func (c *Custody) Requeue(ctx context.Context, archive, instance string, sum Digest) (id string, err error) {
	var all []Object
	err = c.db.View(ctx, func(tx *store.Tx) error {
		all, err = query(tx, `SELECT `+columns+` FROM custody_objects
			WHERE sop_instance_uid = ? AND sha256 = ? AND alarm = '' AND (state = 'spooled' OR state = 'delivered' AND archive = ?) ORDER BY state = 'delivered', archive <> ?, seq`,
			instance, sum[:], archive, archive)
		return err
	})
	if err != nil {
		return "", err
	}
	for _, o := range all {
		switch {
		case o.State == Spooled && o.Archive == archive:
			return o.ID, nil // it is due already
		case o.State == Delivered && c.pins.take(o.ID): // any other is about to be deleted
			return o.ID, c.undeliver(ctx, o.ID)
		case o.State == Spooled:
			return c.copyTo(ctx, o, archive)
		}
	}
	return "", fmt.Errorf("%w: no blob of instance %.64q is here", ErrNotFound, instance)
}

// undeliver makes a delivered object due again, whose file is the caller's.
func (c *Custody) undeliver(ctx context.Context, id string) error {
	err := c.db.Update(ctx, func(tx *store.Tx) error {
		if _, err := c.move(tx, id, Spooled, reconciler, nil); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE custody_objects SET delivered_at = 0, status = 0, attempts = 0, next_attempt = 0 WHERE id = ?`, id)
		return err
	})
	if err != nil {
		c.remove(id)
	}
	return err
}

// copyTo makes the bytes of a spooled object due for another archive too.
func (c *Custody) copyTo(ctx context.Context, o Object, archive string) (string, error) {
	copies, err := c.copies(o, []string{archive})
	if err != nil {
		if os.IsNotExist(err) { // delivered meanwhile
			return "", fmt.Errorf("%w: %w", ErrNotFound, err)
		}
		return "", err
	}
	if err := c.db.Update(ctx, func(tx *store.Tx) error { return c.insertCopies(tx, copies, o.ID) }); err != nil {
		c.dropCopies(copies)
		return "", err
	}
	c.placeCopies(copies)
	return copies[0].ID, nil
}
