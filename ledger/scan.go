package ledger

import (
	"context"
	"fmt"
	"time"

	"cordon/store"
)

// Size returns how many records there are, for a database that may be open
// read-only.
func Size(ctx context.Context, db *store.DB) (n int64, err error) {
	err = db.View(ctx, func(tx *store.Tx) error {
		n, err = size(tx)
		return err
	})
	return n, err
}

// Scan calls fn with the records from (included) to (excluded), in order, in
// memory that does not depend on how many there are. An error of fn ends it and
// is returned.
func Scan(ctx context.Context, db *store.DB, from, to int64, fn func(Record) error) error {
	return scan(ctx, db, from, to, func(seq int64, data []byte) error {
		r, err := decode(data)
		if err != nil {
			return fmt.Errorf("ledger record %d: %w", seq, err)
		}
		return fn(r)
	})
}

// First returns the time of the first record; false if there is none.
func First(tx *store.Tx) (time.Time, bool, error) {
	n, err := size(tx)
	if err != nil || n == 0 {
		return time.Time{}, false, err
	}
	lines, err := records(tx, 0, 1)
	if err != nil {
		return time.Time{}, false, err
	}
	r, err := decode(lines[0])
	return r.Time, err == nil, err
}
