package search

import (
	"context"
	"fmt"
	"math"
	"time"

	"cordon/ledger"
)

// Count returns how many records of each kind were written from one time
// (included) to another (excluded). It reads the blocks at both ends and what is
// not indexed; of the others, the index.
func (x *Index) Count(ctx context.Context, from, to time.Time) (map[string]int64, error) {
	out := map[string]int64{}
	var failed error
	err := x.blocks(ctx, from, to, func(e entry) (read bool) {
		if e.first.Before(from) || !e.last.Before(to) {
			return true
		}
		counts, err := e.counts()
		if err != nil {
			failed = err
		}
		for kind, n := range counts {
			out[kind] += n
		}
		return false
	}, func([]byte) bool { return true }, func(r ledger.Record) error {
		if !r.Time.Before(from) && r.Time.Before(to) {
			out[r.Kind]++
		}
		return nil
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return nil, fmt.Errorf("counting records: %w", err)
	}
	return out, nil
}

// Each calls fn with every record that answers q, the oldest first. An error of
// fn ends it and is returned.
func (x *Index) Each(ctx context.Context, q Query, fn func(ledger.Record) error) error {
	a := q.prepare()
	wanted := a.tokens()
	var failed error
	err := x.blocks(ctx, q.From, q.To, func(e entry) bool {
		if !a.within(e) || failed != nil {
			return false
		}
		if len(wanted) == 0 {
			return true
		}
		b, err := x.filter(ctx, e.block)
		failed = err
		return err == nil && b.mayHold(wanted)
	}, a.may, func(r ledger.Record) error {
		if !a.match(r) {
			return nil
		}
		return fn(r)
	})
	if err == nil {
		err = failed
	}
	return err
}

// blocks goes through the ledger in order: it asks look about each block that is
// indexed and may have records of that time, and reads those for which it says so
// and what is not indexed.
func (x *Index) blocks(ctx context.Context, from, to time.Time, look func(entry) bool, may func([]byte) bool, fn func(ledger.Record) error) error {
	size, err := ledger.Size(ctx, x.db)
	if err != nil {
		return err
	}
	next := int64(0) // the first record of what is not yet looked at
	var known []entry
	if err := x.span(ctx, 0, math.MaxInt64, `ASC`, func(e entry) { known = append(known, e) }); err != nil {
		return err
	}
	for _, e := range known {
		begin, end := e.block*blockSize, (e.block+1)*blockSize
		if end > size {
			break
		}
		if err := ledger.Skim(ctx, x.db, next, begin, may, fn); err != nil {
			return err
		}
		next = end
		outside := !from.IsZero() && e.last.Before(from) || !to.IsZero() && !e.first.Before(to)
		if outside || !look(e) {
			continue
		}
		if err := ledger.Skim(ctx, x.db, begin, end, may, fn); err != nil {
			return err
		}
	}
	return ledger.Skim(ctx, x.db, next, size, may, fn)
}
