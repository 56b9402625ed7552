package custody

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"cordon/store"
)

// pruned bounds one transaction.
const pruned = 500

// Prune deletes the rows of objects that an archive took before the time given,
// and returns how many. What was ever held keeps its row for ever: people decided
// on it, and what they released passes on its way out because of that. So does
// one whose file is still here. An object without a row is as one that was
// delivered at once; the ledger has it.
func (c *Custody) Prune(ctx context.Context, before time.Time) (n int, err error) {
	for after := int64(0); ; {
		var ids []string
		if ids, after, err = c.prunable(ctx, before, after); err != nil || len(ids) == 0 {
			return n, err
		}
		err := c.db.Update(ctx, func(tx *store.Tx) error {
			for _, id := range ids {
				if _, err := tx.Exec(`DELETE FROM custody_requests WHERE object_id = ?`, id); err != nil { // of one person, whom nobody joined
					return err
				}
				if _, err := tx.Exec(`DELETE FROM custody_objects WHERE id = ? AND state = 'delivered'`, id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return n, err
		}
		n += len(ids)
	}
}

// prunable lists some rows that may go, and how far it looked; none are left
// when it lists none.
func (c *Custody) prunable(ctx context.Context, before time.Time, after int64) (ids []string, last int64, err error) {
	last = after
	for len(ids) == 0 && err == nil {
		looked := 0
		err = c.db.View(ctx, func(tx *store.Tx) error {
			rows, err := tx.Query(`SELECT id, delivered_at FROM custody_objects INDEXED BY custody_gone
				WHERE state = 'delivered' AND held_at = 0 AND alarm = '' AND released_at = 0 AND delivered_at > ? AND delivered_at < ?
				ORDER BY delivered_at LIMIT ?`, last, toMicros(before), pruned)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var id string
				if err := rows.Scan(&id, &last); err != nil {
					return err
				}
				looked++
				if c.gone(id) {
					ids = append(ids, id)
				}
			}
			return rows.Err()
		})
		if looked == 0 {
			break
		}
	}
	return ids, last, err
}

// gone reports whether no file of an object is here.
func (c *Custody) gone(id string) bool {
	for _, path := range []string{c.blobPath(id), c.spillPath(id)} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return false
		}
	}
	return true
}
