package search

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"cordon/ledger"
	"cordon/store"
)

// entry is the index of one block.
type entry struct {
	block       int64
	first, last time.Time // the earliest and the latest time in it
	kinds       []byte    // how many records of each kind, as JSON: a search looks for names in it
}

// counts are the records of each kind.
func (e entry) counts() (out map[string]int64, err error) {
	if err := json.Unmarshal(e.kinds, &out); err != nil {
		return nil, fmt.Errorf("index of block %d: %w", e.block, err)
	}
	return out, nil
}

const (
	lookEvery = 5 * time.Second       // how often Run looks for full blocks
	breath    = 20 * time.Millisecond // between two, so that a long ledger is indexed beside the traffic
)

// Run indexes each block once it is full, until ctx ends.
func (x *Index) Run(ctx context.Context, log *slog.Logger) error {
	for {
		more, err := x.Grow(ctx)
		pause := lookEvery
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			log.Error("the ledger's index is not kept: searches take longer", "error", err)
		case more:
			pause = breath
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// Grow indexes the next full block, and reports whether there was one.
func (x *Index) Grow(ctx context.Context) (bool, error) {
	block, size := int64(0), int64(0)
	err := x.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT COALESCE(MAX(block) + 1, 0) FROM ledger_search_blocks`).Scan(&block)
	})
	if err == nil {
		size, err = ledger.Size(ctx, x.db)
	}
	if err != nil || (block+1)*blockSize > size {
		return false, err
	}
	e, b, err := x.make(ctx, block)
	if err != nil {
		return false, fmt.Errorf("indexing the ledger from record %d: %w", block*blockSize, err)
	}
	return true, x.put(ctx, e, b)
}

// make reads a block.
func (x *Index) make(ctx context.Context, block int64) (entry, bloom, error) {
	e, kinds := entry{block: block}, map[string]int64{}
	tokens := map[uint64]bool{}
	err := ledger.Scan(ctx, x.db, block*blockSize, (block+1)*blockSize, func(r ledger.Record) error {
		e.add(r)
		kinds[r.Kind]++
		for _, s := range stringsOf(r) {
			if len(s) <= longestToken {
				tokens[token(s)] = true
			}
		}
		return nil
	})
	if err == nil {
		e.kinds, err = json.Marshal(kinds)
	}
	return e, newBloom(tokens), err
}

func (e *entry) add(r ledger.Record) {
	if e.first.IsZero() || r.Time.Before(e.first) {
		e.first = r.Time
	}
	if r.Time.After(e.last) {
		e.last = r.Time
	}
}

func (x *Index) put(ctx context.Context, e entry, b bloom) error {
	return x.db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT OR REPLACE INTO ledger_search_blocks (block, first_at, last_at, kinds) VALUES (?, ?, ?, ?)`,
			e.block, e.first.UnixMicro(), e.last.UnixMicro(), string(e.kinds))
		if err == nil {
			_, err = tx.Exec(`INSERT OR REPLACE INTO ledger_search_filters (block, filter) VALUES (?, ?)`, e.block, []byte(b))
		}
		return err
	})
}

// filter reads a block's filter; one that is not there holds everything.
func (x *Index) filter(ctx context.Context, block int64) (b bloom, err error) {
	err = x.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT filter FROM ledger_search_filters WHERE block = ?`, block).Scan((*[]byte)(&b))
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return b, err
}

// chunk is how many entries are read at a time.
const chunk = 256

// entries reads entries from one block down, in chunks.
type entries struct {
	*Index
	read   []entry // the highest block first
	bottom int64   // below it nothing has been read
	begun  bool
}

// of returns a block's entry, if it has one. Blocks are asked for from the highest
// down.
func (l *entries) of(ctx context.Context, block int64) (entry, bool, error) {
	for !l.begun || block < l.bottom {
		if err := l.more(ctx, block); err != nil {
			return entry{}, false, err
		}
	}
	for len(l.read) > 0 && l.read[0].block > block {
		l.read = l.read[1:]
	}
	if len(l.read) > 0 && l.read[0].block == block {
		return l.read[0], true, nil
	}
	return entry{}, false, nil
}

func (l *entries) more(ctx context.Context, from int64) error {
	l.begun, l.bottom, l.read = true, max(0, from-chunk+1), nil
	return l.span(ctx, l.bottom, from, `DESC`, func(e entry) { l.read = append(l.read, e) })
}

// span reads the entries of blocks from one to another, both included.
func (x *Index) span(ctx context.Context, from, to int64, order string, fn func(entry)) error {
	return x.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT block, first_at, last_at, kinds FROM ledger_search_blocks WHERE block BETWEEN ? AND ? ORDER BY block `+order, from, to)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			e, err := scanEntry(rows)
			if err != nil {
				return err
			}
			fn(e)
		}
		return rows.Err()
	})
}

func scanEntry(rows *sql.Rows) (e entry, err error) {
	var first, last int64
	if err := rows.Scan(&e.block, &first, &last, &e.kinds); err != nil {
		return e, err
	}
	e.first, e.last = time.UnixMicro(first).UTC(), time.UnixMicro(last).UTC()
	return e, nil
}

// ErrIndexing means that too much of the ledger is not indexed yet: what needs the
// index would be slow.
var ErrIndexing = errors.New("the ledger is being indexed")

// readAtOnce is how many records that are not indexed are read without a word.
const readAtOnce = 64 * blockSize

// Progress is how many records are indexed, or need no index yet, of how many.
func (x *Index) Progress(ctx context.Context) (indexed, of int64, err error) {
	if of, err = ledger.Size(ctx, x.db); err != nil {
		return 0, 0, err
	}
	err = x.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT COALESCE(MAX(block) + 1, 0) FROM ledger_search_blocks`).Scan(&indexed)
	})
	if indexed *= blockSize; of-indexed <= readAtOnce {
		indexed = of
	}
	return indexed, of, err
}

// Ready is ErrIndexing, with how far that is, while much is not indexed.
func (x *Index) Ready(ctx context.Context) error {
	indexed, of, err := x.Progress(ctx)
	if err == nil && indexed < of {
		err = fmt.Errorf("%w, %d of %d records so far: look again in a minute", ErrIndexing, indexed, of)
	}
	return err
}
