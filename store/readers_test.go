package store_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"cordon/store"
)

func TestRowsOfOneStatementMayBeReadWithinAnothers(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), tables(things))
	for i := range 3 {
		if err := db.Update(t.Context(), insert(i)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second time with statements that were kept
		for _, in := range []func(context.Context, func(*store.Tx) error) error{db.View, db.Update} {
			seen := 0
			var nest func(tx *store.Tx, depth int) error
			nest = func(tx *store.Tx, depth int) error {
				if depth == 0 {
					var n int
					seen++
					return tx.QueryRow(`SELECT n FROM things ORDER BY n`).Scan(&n)
				}
				rows, err := tx.Query(`SELECT n FROM things ORDER BY n`)
				if err != nil {
					return err
				}
				defer rows.Close()
				for want := 0; rows.Next(); want++ {
					var n int
					if err := rows.Scan(&n); err != nil || n != want {
						return fmt.Errorf("row %d: %d, %v", want, n, err)
					}
					if err := nest(tx, depth-1); err != nil {
						return err
					}
				}
				return rows.Err()
			}
			if err := in(t.Context(), func(tx *store.Tx) error { return nest(tx, 6) }); err != nil || seen != 729 {
				t.Errorf("%d of 729, %v", seen, err)
			}
		}
	}
}

func TestViewSeesOneMomentAndTheNextViewAnother(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), tables(things))
	for i := range 9 { // more often than there are connections
		if err := db.Update(t.Context(), insert(i)); err != nil {
			t.Fatal(err)
		}
		err := db.View(t.Context(), func(tx *store.Tx) error {
			for _, add := range []int{100 + i, 200 + i} {
				var n int
				if err := tx.QueryRow(`SELECT COUNT(*) FROM things WHERE n < 100`).Scan(&n); err != nil || n != i+1 {
					t.Errorf("%d things, want %d, %v", n, i+1, err)
				}
				if err := db.Update(t.Context(), insert(add)); err != nil {
					t.Error(err)
				}
				if err := tx.QueryRow(`SELECT COUNT(*) FROM things WHERE n >= 100`).Scan(&n); err != nil || n != 2*i {
					t.Errorf("a view sees what was written after it began: %d, %v", n, err)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestCancelledViewLeavesItsConnectionUsable(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), tables(things))
	if err := db.Update(t.Context(), insert(1)); err != nil {
		t.Fatal(err)
	}
	const endless = `WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT COUNT(*) FROM c`
	for range 9 {
		ctx, cancel := context.WithCancel(t.Context())
		err := db.View(ctx, func(tx *store.Tx) error {
			var n int
			if err := tx.QueryRow(`SELECT COUNT(*) FROM things`).Scan(&n); err != nil || n != 1 {
				t.Errorf("%d things, %v", n, err)
			}
			go cancel() // ends at once
			return tx.QueryRow(endless).Scan(&n)
		})
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

func TestCloseWaitsForNoView(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), tables(things))
	err := db.View(t.Context(), func(tx *store.Tx) error {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		if err := db.View(t.Context(), func(*store.Tx) error { return nil }); !errors.Is(err, store.ErrClosed) {
			t.Errorf("a view of what is closed: %v", err)
		}
		var n int
		return tx.QueryRow(`SELECT COUNT(*) FROM things`).Scan(&n)
	})
	if err != nil {
		t.Errorf("a view that had begun: %v", err)
	}
}
