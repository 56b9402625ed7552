package custody

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"

	"cordon/store"
)

// Found is what Open had to put right.
type Found struct {
	InFlight  int // attempts to deliver that the end of the process cut off
	Orphans   int // files of objects that were never acknowledged: deleted
	Leftovers int // blobs of objects delivered or destroyed: deleted
	Unclaimed int // blobs that the database knows nothing of: kept, an alarm
	Missing   int // objects whose blob is not there: an alarm on each
}

// sweep makes files and rows agree, after whatever end the last process had.
func (c *Custody) sweep(ctx context.Context) error {
	stored, err := c.stored(ctx)
	if err != nil {
		return err
	}
	if err := c.sweepSpill(stored); err != nil {
		return err
	}
	if err := c.sweepBlobs(ctx, stored); err != nil {
		return err
	}
	missing := stored // what is left has not been seen
	c.found.Missing = len(missing)
	return c.db.Update(ctx, func(tx *store.Tx) error { return c.recordSweep(tx, missing) })
}

// stored returns the ids of all objects whose row says that their blob is here.
func (c *Custody) stored(ctx context.Context) (map[string]bool, error) {
	ids := map[string]bool{}
	err := c.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT id FROM custody_objects WHERE state IN ('spooled', 'held')`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				return err
			}
			ids[id] = true
		}
		return rows.Err()
	})
	return ids, err
}

// sweepSpill moves the files of stored objects to their place and deletes the
// others.
func (c *Custody) sweepSpill(stored map[string]bool) error {
	entries, err := os.ReadDir(c.spill)
	if err != nil {
		return err
	}
	for _, e := range entries {
		id := e.Name()
		switch {
		case !validID(id): // not ours
		case stored[id]:
			if err := c.place(id); err != nil {
				return err
			}
		default:
			if err := os.Remove(c.spillPath(id)); err != nil {
				return err
			}
			c.found.Orphans++
		}
	}
	return nil
}

// sweepBlobs takes those that are there out of stored, and deletes those whose
// row says that they are gone.
func (c *Custody) sweepBlobs(ctx context.Context, stored map[string]bool) error {
	var others []string
	err := c.eachBlob(func(id string, _ fs.DirEntry) error {
		if stored[id] {
			delete(stored, id)
		} else {
			others = append(others, id)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.db.View(ctx, func(tx *store.Tx) error {
		for _, id := range others {
			var known int
			if err := tx.QueryRow(`SELECT COUNT(*) FROM custody_objects WHERE id = ?`, id).Scan(&known); err != nil {
				return err
			}
			if known == 0 {
				c.found.Unclaimed++
				continue
			}
			if err := os.Remove(c.blobPath(id)); err != nil {
				return err
			}
			c.found.Leftovers++
		}
		return nil
	})
}

// recordSweep journals what was found, and corrects the rows.
func (c *Custody) recordSweep(tx *store.Tx, missing map[string]bool) error {
	if err := c.recordBack(tx, missing); err != nil {
		return err
	}
	r, err := tx.Exec(`UPDATE custody_objects SET in_flight = 0 WHERE in_flight = 1`)
	if err != nil {
		return err
	}
	n, err := r.RowsAffected()
	if err != nil {
		return err
	}
	c.found.InFlight = int(n)
	for _, id := range slices.Sorted(maps.Keys(missing)) {
		if err := c.raiseIn(tx, id, alarmMissing); err != nil {
			return fmt.Errorf("object %s: %w", id, err)
		}
	}
	if c.found == (Found{}) {
		return nil
	}
	return c.journal.Append(tx, "custody.found", map[string]any{
		"in_flight": c.found.InFlight, "orphans": c.found.Orphans, "leftovers": c.found.Leftovers,
		"unclaimed": c.found.Unclaimed, "missing": c.found.Missing,
	})
}

// recordBack takes the alarm off objects whose blob has been put back.
func (c *Custody) recordBack(tx *store.Tx, missing map[string]bool) error {
	alarmed, err := query(tx, `SELECT `+columns+` FROM custody_objects WHERE alarm <> '' AND alarm = ?`, alarmMissing)
	if err != nil {
		return err
	}
	for _, o := range alarmed {
		if missing[o.ID] {
			continue
		}
		if _, err := tx.Exec(`UPDATE custody_objects SET alarm = '' WHERE id = ?`, o.ID); err != nil {
			return err
		}
		if err := c.journal.Append(tx, "object.back", map[string]any{"id": o.ID}); err != nil {
			return err
		}
	}
	return nil
}
