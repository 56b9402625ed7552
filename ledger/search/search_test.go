package search

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"cordon/ledger"
	"cordon/store"
)

// newLedger is a ledger of n deliveries by ten devices, with a few other records
// among them, in a database of its own.
func newLedger(t *testing.T, n int) (*store.DB, *ledger.Ledger) {
	t.Helper()
	ctx, dir := t.Context(), t.TempDir()
	db, err := store.OpenDB(ctx, filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations(), Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	l, err := ledger.Open(ctx, db, filepath.Join(dir, "ledger.key"), "test")
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(ctx, func(tx *store.Tx) error {
		for i := range n {
			kind, body := "object.delivered", map[string]any{"device": fmt.Sprintf("ct-%d", i%10), "sop_instance_uid": fmt.Sprintf("1.2.840.%d", i), "alarm": i%700 == 3}
			switch {
			case i == n/2:
				kind, body = "bypass.started", map[string]any{"by": []string{"A. Able"}, "reason": "the archive's own check fails", "device": "MR-1"}
			case i%900 == 1:
				kind = "object.held"
			}
			if err := l.Append(tx, kind, body); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return db, l
}

func grown(t *testing.T, db *store.DB) *Index {
	t.Helper()
	x := Open(db)
	x.budget = time.Minute
	for {
		more, err := x.Grow(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			return x
		}
	}
}

// TestIndexLeavesNothingOut holds every search with the index against the same
// search that reads all records.
func TestIndexLeavesNothingOut(t *testing.T) {
	db, l := newLedger(t, 4000)
	x, bare := grown(t, db), &Index{db: db, budget: time.Minute}
	var half time.Time
	l.Scan(t.Context(), 2000, 2001, func(r ledger.Record) error { half = r.Time; return nil })
	for _, q := range []Query{
		{}, {Kinds: []string{"object.held"}}, {Kinds: []string{"object.*"}, Device: "CT-3"}, {Person: "a. able"}, {Device: "mr-1"},
		{Value: "1.2.840.77"}, {Value: "1.2.840.3999"}, {Value: "nothing"}, {Text: "OWN CHECK"}, {Alarm: true}, {From: half}, {To: half},
		{Kinds: []string{"object.held"}, From: half}, {Kinds: []string{"ledger.start"}},
	} {
		with, err := x.Find(t.Context(), q, End, 5000)
		if err != nil {
			t.Fatal(err)
		}
		db.Update(t.Context(), func(tx *store.Tx) error {
			tx.Exec(`ALTER TABLE ledger_search_blocks RENAME TO away`)
			tx.Exec(`CREATE TABLE ledger_search_blocks (block INTEGER, first_at INTEGER, last_at INTEGER, kinds TEXT)`)
			return nil
		})
		without, err := bare.Find(t.Context(), q, End, 5000)
		if err != nil {
			t.Fatal(err)
		}
		db.Update(t.Context(), func(tx *store.Tx) error {
			tx.Exec(`DROP TABLE ledger_search_blocks`)
			tx.Exec(`ALTER TABLE away RENAME TO ledger_search_blocks`)
			return nil
		})
		if a, b := numbers(with.Records), numbers(without.Records); fmt.Sprint(a) != fmt.Sprint(b) {
			t.Errorf("%+v: %d records with the index, %d without", q, len(a), len(b))
		}
		if with.Next != 0 || with.Read > without.Read {
			t.Errorf("%+v: next %d, read %d of %d", q, with.Next, with.Read, without.Read)
		}
		n := 0
		if err := x.Each(t.Context(), q, func(ledger.Record) error { n++; return nil }); err != nil || n != len(without.Records) {
			t.Errorf("%+v: Each saw %d of %d: %v", q, n, len(without.Records), err)
		}
	}
}

func numbers(rs []ledger.Record) (out []int64) {
	for _, r := range rs {
		out = append(out, r.Seq)
	}
	return out
}

func TestPagesFollowOneAnother(t *testing.T) {
	db, _ := newLedger(t, 3000)
	x := grown(t, db)
	var all []int64
	for next := int64(End); next > 0; {
		p, err := x.Find(t.Context(), Query{Kinds: []string{"object.*"}, Device: "ct-3"}, next, 37)
		if err != nil {
			t.Fatal(err)
		}
		all, next = append(all, numbers(p.Records)...), p.Next
	}
	for i := 1; i < len(all); i++ {
		if all[i] >= all[i-1] {
			t.Fatalf("record %d after %d", all[i], all[i-1])
		}
	}
	if len(all) != 300 {
		t.Fatalf("%d records", len(all))
	}
}

// TestSearchSaysHowFarItGot has no time at all: each page must still go on.
func TestSearchSaysHowFarItGot(t *testing.T) {
	db, _ := newLedger(t, 5000)
	x := &Index{db: db}
	next, pages := int64(End), 0
	for ; next > 0; pages++ {
		p, err := x.Find(t.Context(), Query{Text: "no such text"}, next, 10)
		if err != nil {
			t.Fatal(err)
		}
		if p.Next >= next || p.Reached.IsZero() || p.Full {
			t.Fatalf("page %+v after %d", p, next)
		}
		next = p.Next
	}
	if pages < 4 {
		t.Errorf("%d pages", pages)
	}
}

func TestCountIsThatOfTheRecords(t *testing.T) {
	db, l := newLedger(t, 4000)
	x := grown(t, db)
	var from, to time.Time
	l.Scan(t.Context(), 500, 3501, func(r ledger.Record) error {
		if r.Seq == 500 {
			from = r.Time
		}
		to = r.Time
		return nil
	})
	got, err := x.Count(t.Context(), from, to)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{}
	l.Scan(t.Context(), 0, 4000, func(r ledger.Record) error {
		if !r.Time.Before(from) && r.Time.Before(to) {
			want[r.Kind]++
		}
		return nil
	})
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestRunIndexesWhatIsThere(t *testing.T) {
	db, _ := newLedger(t, 2500)
	x := Open(db)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- x.Run(ctx, slog.New(slog.DiscardHandler)) }()
	for range 200 {
		if b, err := x.filter(t.Context(), 1); err != nil || b != nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if b, err := x.filter(t.Context(), 1); err != nil || b == nil {
		t.Fatalf("block 1 is not indexed: %v", err)
	}
}

// While an old ledger is indexed, whoever needs all of it is told how far that is, and
// does not wait.
func TestIndexSaysHowFarItIs(t *testing.T) {
	n := readAtOnce + 2*blockSize
	db, _ := newLedger(t, 4*blockSize)
	err := db.Update(t.Context(), func(tx *store.Tx) error { // what the later ones say is not read
		_, err := tx.Exec(`WITH RECURSIVE n(i) AS (SELECT MAX(seq) + 1 FROM ledger_records UNION ALL SELECT i + 1 FROM n WHERE i <= ?)
			INSERT INTO ledger_records (seq, data) SELECT i, data FROM n, (SELECT data FROM ledger_records WHERE seq = 0)`, n)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	x := Open(db)
	if indexed, of, err := x.Progress(t.Context()); err != nil || indexed != 0 || of < int64(n) || !errors.Is(x.Ready(t.Context()), ErrIndexing) {
		t.Errorf("%d of %d, %v", indexed, of, err)
	}
	for range 3 {
		if more, err := x.Grow(t.Context()); err != nil || !more {
			t.Fatal(more, err)
		}
	}
	if indexed, of, err := x.Progress(t.Context()); err != nil || indexed != of || x.Ready(t.Context()) != nil {
		t.Errorf("%d of %d, and the rest is read at once: %v", indexed, of, err)
	}
}

// BenchmarkRareKind looks through the entries of ten million records for a kind that
// none of them has.
func BenchmarkRareKind(b *testing.B) {
	db, err := store.OpenDB(b.Context(), filepath.Join(b.TempDir(), "cordon.db"), []store.Migrations{ledger.Migrations(), Migrations()})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	kinds := map[string]int64{}
	for _, k := range ledger.Kinds()[:40] {
		kinds[k.Name] = 25
	}
	text, err := json.Marshal(kinds)
	if err != nil {
		b.Fatal(err)
	}
	err = db.Update(b.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`WITH RECURSIVE n(b) AS (SELECT 0 UNION ALL SELECT b + 1 FROM n WHERE b < 9999)
			INSERT INTO ledger_search_blocks (block, first_at, last_at, kinds) SELECT b, b, b + 1, ? FROM n`, string(text))
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	x := Open(db)
	a := Query{Kinds: []string{"object.recalled_by_nobody"}}.prepare()
	for b.Loop() {
		known := entries{Index: x}
		for block := int64(9999); block >= 0; block-- {
			if e, ok, err := known.of(b.Context(), block); err != nil || !ok || a.within(e) {
				b.Fatal(block, ok, err)
			}
		}
	}
}
