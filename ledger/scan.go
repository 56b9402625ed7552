package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
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
	return Skim(ctx, db, from, to, func([]byte) bool { return true }, fn)
}

// Skim is Scan for the records whose lines, as an export has them, may says yes to;
// the others are passed over without being read.
func Skim(ctx context.Context, db *store.DB, from, to int64, may func(line []byte) bool, fn func(Record) error) error {
	return scan(ctx, db, from, to, func(seq int64, data []byte) error {
		if !may(data) {
			return nil
		}
		r, err := decode(data)
		if err != nil {
			return fmt.Errorf("ledger record %d: %w", seq, err)
		}
		return fn(r)
	})
}

// Before returns how many records were written before t, found by halving. Where
// the clock was set back, records of that while may be on either side.
func Before(ctx context.Context, db *store.DB, t time.Time) (int64, error) {
	low := int64(0)
	high, err := Size(ctx, db)
	for err == nil && low < high {
		middle := low + (high-low)/2
		err = Scan(ctx, db, middle, middle+1, func(r Record) error {
			if r.Time.Before(t) {
				low = middle + 1
			} else {
				high = middle
			}
			return nil
		})
	}
	return low, err
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

// Size returns how many records there are.
func (l *Ledger) Size(ctx context.Context) (int64, error) { return Size(ctx, l.db) }

// Scan is the function Scan on this ledger.
func (l *Ledger) Scan(ctx context.Context, from, to int64, fn func(Record) error) error {
	return Scan(ctx, l.db, from, to, fn)
}

// Line returns one record, and its line as an export has it.
func (l *Ledger) Line(ctx context.Context, number int64) (r Record, line []byte, err error) {
	err = Skim(ctx, l.db, number, number+1, func(text []byte) bool {
		line = bytes.Clone(text)
		return true
	}, func(found Record) error {
		r = found
		return nil
	})
	return r, line, err
}

// Latest returns the last record of a kind that Kinds marks as looked up; false
// if there is none.
func (l *Ledger) Latest(ctx context.Context, kind string) (r Record, ok bool, err error) {
	err = l.db.View(ctx, func(tx *store.Tx) error {
		var seq int64
		err := tx.QueryRow(`SELECT seq FROM ledger_latest WHERE kind = ?`, kind).Scan(&seq)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		lines, err := records(tx, seq, seq+1)
		if err != nil {
			return err
		}
		r, err = decode(lines[0])
		ok = err == nil
		return err
	})
	return r, ok, err
}
