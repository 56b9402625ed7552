package reconcile

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"cordon/ledger"
	"cordon/store"
)

// firstLook is how far back the first accounting looks: what was delivered long
// before may have been deleted on purpose.
const firstLook = 7 * 24 * time.Hour

// cursor is the number of the record that is read next on behalf of an archive,
// or of custody: "".
func (w *work) cursor(ctx context.Context, name string) (next int64, err error) {
	err = w.parts.DB.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT next FROM reconcile_cursor WHERE name = ?`, name).Scan(&next)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return ledger.Before(ctx, w.parts.DB, time.Now().Add(-firstLook))
	}
	return next, err
}

// advance moves a cursor; what lies before it is accounted for.
func (w *work) advance(ctx context.Context, name string, next int64) error {
	return w.parts.DB.Update(ctx, func(tx *store.Tx) error { return advance(tx, name, next) })
}

func advance(tx *store.Tx, name string, next int64) error {
	_, err := tx.Exec(`INSERT INTO reconcile_cursor (name, next) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET next = ?2`, name, next)
	return err
}
