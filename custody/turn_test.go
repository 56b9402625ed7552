package custody_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"cordon/custody"
	"cordon/store"
)

func prioritised(series string, priority uint16) custody.Object {
	o := spooled(series)
	o.Priority = priority
	return o
}

// An urgent object overtakes other series, takes along what its own series must
// send before it, and stays behind it.
func TestUrgentObjectsGoFirst(t *testing.T) {
	s := open(t, t.TempDir())
	const medium, high, low = 0, 1, 2
	l := s.keep(t, noise(1), prioritised("l", low))
	m := s.keep(t, noise(2), prioritised("m", medium))
	h := s.keep(t, noise(3), prioritised("h", high))
	same(t, s.due(t, "pacs", time.Now()), h.ID, m.ID, l.ID)

	behind := s.keep(t, noise(4), prioritised("l", high)) // waits behind the low one
	same(t, s.due(t, "pacs", time.Now()), l.ID, h.ID, m.ID)
	if err := s.c.Delivered(t.Context(), l.ID, 0); err != nil {
		t.Fatal(err)
	}
	same(t, s.due(t, "pacs", time.Now()), h.ID, behind.ID, m.ID)
}

// Whatever happens to objects, in whatever order, the turn is always the first's
// of each series that waits.
func TestTurnIsAlwaysTheFirstOnes(t *testing.T) {
	s := open(t, t.TempDir())
	ctx, r := t.Context(), rand.New(rand.NewPCG(1, 2))
	var ids []string
	steps := []func(id string) error{
		func(id string) error { return s.c.InFlight(ctx, id) },
		func(id string) error { return s.c.Delivered(ctx, id, 0) },
		func(id string) error {
			return s.c.Failed(ctx, id, custody.Failure{Err: errors.New("no"), Permanent: r.IntN(2) == 0})
		},
		func(id string) error { return s.c.Retry(ctx, id, by("Ann")) },
		func(id string) error { return s.c.Stop(ctx, id, nil, nil) },
		func(id string) error { _, err := s.c.Release(ctx, id, by("Ann")); return err },
		func(id string) error { _, err := s.c.Release(ctx, id, by("Bob")); return err },
		func(id string) error { return s.c.Land(ctx, "pacs") },
	}
	for n := range 400 {
		if n%3 == 0 {
			o := prioritised(fmt.Sprint(r.IntN(4)), uint16(r.IntN(3)))
			if r.IntN(4) == 0 {
				o.State = custody.Held
			}
			ids = append(ids, s.keep(t, noise(n+1), o).ID)
		} else {
			_ = steps[r.IntN(len(steps))](ids[r.IntN(len(ids))]) // many are not possible just now
		}
		var wrong int
		err := s.db.View(ctx, func(tx *store.Tx) error {
			return tx.QueryRow(`SELECT COUNT(*) FROM custody_objects WHERE turn <> (seq IN (SELECT MIN(seq) FROM custody_objects
				WHERE state = 'spooled' AND needs_attention = 0 GROUP BY archive, lane))`).Scan(&wrong)
		})
		if err != nil || wrong != 0 {
			t.Fatalf("after %d steps %d rows have a turn that is not theirs, or lack theirs: %v", n, wrong, err)
		}
	}
}

// A database of an older version gets its turns.
func TestTurnsOfWhatWaitedBefore(t *testing.T) {
	dir := t.TempDir()
	root, err := custody.Migrations().FS.(fs.ReadDirFS).ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	older := fstest.MapFS{}
	for _, e := range root[:2] {
		text, err := fs.ReadFile(custody.Migrations().FS, e.Name())
		if err != nil {
			t.Fatal(err)
		}
		older[e.Name()] = &fstest.MapFile{Data: text}
	}
	db, err := store.OpenDB(t.Context(), filepath.Join(dir, "cordon.db"), []store.Migrations{{Package: "custody", FS: older}})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(t.Context(), func(tx *store.Tx) error {
		for i, lane := range []string{"a", "a", "b"} {
			_, err := tx.Exec(`INSERT INTO custody_objects (id, state, received_at, bytes, sha256, device, calling_ae, called_ae, archive, lane,
				sop_class_uid, sop_instance_uid, study_instance_uid, series_instance_uid, transfer_syntax_uid, findings, engines,
				priority, move_originator_ae, move_originator_id)
				VALUES (?, 'spooled', 1, 1, zeroblob(32), '', '', '', 'pacs', ?, '', '', '', '', '', '[]', '[]', ?, '', 0)`, fmt.Sprint("id", i), lane, i%2)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	var turns string
	err = openDB(t, dir).View(t.Context(), func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT group_concat(id || ' ' || urgency, ', ' ORDER BY seq) FROM custody_objects WHERE turn = 1`).Scan(&turns)
	})
	if want := "id0 1, id2 1"; err != nil || turns != want {
		t.Errorf("%s, %v; want %s", turns, err, want)
	}
}
