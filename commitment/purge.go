package commitment

import (
	"context"
	"time"

	"cordon/store"
)

// keepEnded is how long a request that has ended is known: an archive that
// answers late is not told that there was no such transaction.
const keepEnded = 30 * 24 * time.Hour

// purge deletes the references of requests that have ended, and old requests.
// What was given up keeps its references until a person decides.
func (w *work) purge(ctx context.Context) error {
	ended, err := w.ids(ctx, `cleared = 0 AND state IN ('reported', 'dropped') LIMIT 16`)
	if err != nil {
		return err
	}
	for _, id := range ended {
		if err := w.clear(ctx, id); err != nil {
			return err
		}
	}
	old, err := w.ids(ctx, `ended_at > 0 AND ended_at < ? AND cleared = 1 LIMIT 16`, micros(time.Now().Add(-keepEnded)))
	if err != nil {
		return err
	}
	for _, id := range old {
		if err := w.forget(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

func (c *Commitment) ids(ctx context.Context, where string, args ...any) (all []int64, err error) {
	err = c.parts.DB.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT id FROM commitment_requests WHERE `+where, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id int64
			if err := rows.Scan(&id); err != nil {
				return err
			}
			all = append(all, id)
		}
		return rows.Err()
	})
	return all, err
}

// clear deletes the references of a request.
func (c *Commitment) clear(ctx context.Context, id int64) error {
	err := c.inChunks(ctx, func(tx *store.Tx) (int64, error) {
		return affected(tx.Exec(`DELETE FROM commitment_references WHERE (request, sop_instance_uid, sop_class_uid, archive) IN (
			SELECT request, sop_instance_uid, sop_class_uid, archive FROM commitment_references WHERE request = ? LIMIT ?)`, id, chunk))
	})
	if err != nil {
		return err
	}
	return c.parts.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE commitment_requests SET cleared = 1 WHERE id = ?`, id)
		return err
	})
}

// forget deletes a request, which has no references any more.
func (c *Commitment) forget(ctx context.Context, id int64) error {
	return c.parts.DB.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(`DELETE FROM commitment_questions WHERE request = ?`, id); err != nil {
			return err
		}
		_, err := tx.Exec(`DELETE FROM commitment_requests WHERE id = ?`, id)
		return err
	})
}
