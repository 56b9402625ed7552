// Package search finds records on the ledger, and counts them, without reading
// all of it.
//
// Ordinary use:
//
//	x := search.Open(db)
//	go x.Run(ctx, log)                                             // indexes each block of 1024 records once it is full
//	page, err := x.Find(ctx, search.Query{Kinds: []string{"object.*"}, Device: "ct-1"}, search.End, 50)
//	next, err := x.Find(ctx, query, page.Next, 50)                 // older ones
//	counts, err := x.Count(ctx, from, to)                          // by kind
//	err = x.Each(ctx, query, func(r ledger.Record) error { … })    // the oldest first
//
// The index of a block is how many records of each kind it has, between which
// times, and a Bloom filter over the strings in their bodies: some 3 % of the
// ledger's size, written once for 1024 records and by nobody who waits. It is
// made of the ledger and can be lost: what is not indexed is read. A filter may
// name a block in which nothing is found, never leave one out.
//
// Life of a search: from the newest record back, blocks that cannot hold what is
// asked for are passed over, the others are read. It ends with a full page, with
// the beginning of the ledger, or when its time is used up; then the page says how
// far it got, and the next search goes on there.
//
// It sees what records say, and nothing that was sealed. Records whose bodies were
// pruned are found by kind and time alone.
package search

import (
	"context"
	"embed"
	"fmt"
	"math"
	"time"

	"cordon/ledger"
	"cordon/store"
)

// blockSize is how many records an index entry is about.
const blockSize = 1024

// End is the number from which a search begins that leaves nothing out.
const End = math.MaxInt64

// defaultBudget is how long a search reads before it says how far it got.
const defaultBudget = 250 * time.Millisecond

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes this package's tables.
func Migrations() store.Migrations { return store.Embedded("search", migrations) }

// Index is what is known of the ledger in a database. Its methods may be called
// from any goroutine.
type Index struct {
	db     *store.DB
	budget time.Duration
}

// Open returns the index of the ledger in db, which may be open read-only.
func Open(db *store.DB) *Index { return &Index{db, defaultBudget} }

// Query says what is looked for: everything that is given must hold. Names and
// values are compared without regard to case.
type Query struct {
	Kinds  []string  // kinds, or beginnings of kinds with a last "*"; none: all
	Device string    // is the device, peer or archive of the record, by name, AE title or address
	Person string    // is among those who did it
	Value  string    // stands anywhere in the body: a UID, an id, a digest
	Text   string    // occurs in the body's text; every record is read for it
	From   time.Time // zero: from the beginning
	To     time.Time // excluded; zero: to the end
	Alarm  bool      // only records that ask for somebody to look
}

// Page is what a search found, the newest first.
type Page struct {
	Records []ledger.Record
	Next    int64     // goes on before this record; 0: the beginning was reached
	Reached time.Time // of the last record that was looked at; zero if none was
	Read    int64     // records that were read; the others were passed over by the index
	Full    bool      // it ended with as many records as were asked for, and not for want of time
}

// Find returns up to most records that answer q, of those before a number, the
// newest first.
func (x *Index) Find(ctx context.Context, q Query, before int64, most int) (Page, error) {
	f := &finding{Index: x, asked: q.prepare(), most: most, late: time.Now().Add(x.budget)}
	if err := f.run(ctx, before); err != nil {
		return Page{}, fmt.Errorf("searching the ledger: %w", err)
	}
	return f.page, nil
}

// finding is a search under way.
type finding struct {
	*Index
	asked asked
	most  int
	late  time.Time
	page  Page
}

func (f *finding) run(ctx context.Context, before int64) error {
	size, err := ledger.Size(ctx, f.db)
	if err != nil {
		return err
	}
	known := &entries{Index: f.Index}
	next := min(before, size)
	for next > 0 && !f.done() {
		block := (next - 1) / blockSize
		e, indexed, err := known.of(ctx, block)
		if err != nil {
			return err
		}
		pass := indexed && !f.asked.within(e)
		if indexed && !pass {
			if pass, err = f.filtered(ctx, block); err != nil {
				return err
			}
		}
		if pass {
			next, f.page.Reached = block*blockSize, e.first
			continue
		}
		if next, err = f.read(ctx, block, next); err != nil {
			return err
		}
	}
	f.page.Next = next
	return nil
}

// done reports whether the page is full or the time is up. Something is always
// looked at.
func (f *finding) done() bool {
	f.page.Full = len(f.page.Records) >= f.most
	return f.page.Full || !f.page.Reached.IsZero() && time.Now().After(f.late)
}

// filtered reports whether the block's filter says that it holds nothing.
func (f *finding) filtered(ctx context.Context, block int64) (bool, error) {
	wanted := f.asked.tokens()
	if len(wanted) == 0 {
		return false, nil
	}
	b, err := f.filter(ctx, block)
	return err == nil && !b.mayHold(wanted), err
}

// read looks at the records of a block below next, the newest first, and returns
// where to go on.
func (f *finding) read(ctx context.Context, block, next int64) (int64, error) {
	first := block * blockSize
	var records []ledger.Record
	err := ledger.Skim(ctx, f.db, first, next, f.asked.may, func(r ledger.Record) error {
		records = append(records, r)
		return nil
	})
	if err != nil {
		return next, err
	}
	f.page.Read += next - first
	for i := len(records) - 1; i >= 0; i-- {
		if r := records[i]; f.asked.match(r) {
			f.page.Records = append(f.page.Records, r)
			if len(f.page.Records) >= f.most {
				f.page.Reached = r.Time
				return r.Seq, nil
			}
		}
	}
	f.page.Reached, err = f.timeOf(ctx, first)
	return first, err
}

// timeOf is when a record was written.
func (x *Index) timeOf(ctx context.Context, number int64) (at time.Time, err error) {
	err = ledger.Scan(ctx, x.db, number, number+1, func(r ledger.Record) error {
		at = r.Time
		return nil
	})
	return at, err
}
