package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"cordon/store"

	"golang.org/x/mod/sumdb/tlog"
)

// VerifyLive verifies the log in a database, which may be in use and may be
// open read-only: every record, every hash of the tree, every checkpoint that
// is kept. Records after the last checkpoint are counted in Result.Records but
// not in TreeSize; they have no signature yet.
func VerifyLive(ctx context.Context, db *store.DB, o VerifyOptions) (Result, error) {
	for {
		before, err := prunedTo(ctx, db)
		if err != nil {
			return Result{}, fmt.Errorf("verifying ledger: %w", err)
		}
		r, err := verifyLive(ctx, db, o)
		if err == nil {
			return r, nil
		}
		if now, _ := prunedTo(ctx, db); now == before { // else bodies went meanwhile
			return Result{}, fmt.Errorf("verifying ledger: %w", err)
		}
	}
}

func prunedTo(ctx context.Context, db *store.DB) (to int64, err error) {
	err = db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT COALESCE(MAX(upto), 0) FROM ledger_prunings`).Scan(&to)
	})
	return to, err
}

func verifyLive(ctx context.Context, db *store.DB, o VerifyOptions) (Result, error) {
	var end int64
	var h header
	var last []byte
	err := db.View(ctx, func(tx *store.Tx) (err error) {
		if end, err = size(tx); err != nil {
			return err
		}
		if err := noMoreHashes(tx, end); err != nil {
			return err
		}
		h, last, err = newHeader(tx)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return Result{}, errors.New("nothing has been signed")
	}
	if err != nil {
		return Result{}, err
	}
	if h.Records > end {
		return Result{}, fmt.Errorf("records were cut off: %d are here, %d were signed", end, h.Records)
	}
	t, err := h.tally(o)
	if err != nil {
		return Result{}, err
	}
	var c checkpoint
	cosigned := append(h.Cosigned, string(last))
	for t.tree.size < end {
		err := db.View(ctx, func(tx *store.Tx) error { return t.page(tx, min(end, t.tree.size+page), &c, &cosigned) })
		if err != nil {
			return Result{}, err
		}
	}
	if c.size != h.Records {
		return Result{}, errors.New("the last checkpoint has changed")
	}
	return t.result(c, last)
}

// noMoreHashes is an error if the tree has hashes of more than so many records.
func noMoreHashes(tx *store.Tx, records int64) error {
	var hashes int64
	if err := tx.QueryRow(`SELECT COALESCE(MAX(idx) + 1, 0) FROM ledger_hashes`).Scan(&hashes); err != nil {
		return err
	}
	if hashes > tlog.StoredHashCount(records) {
		return fmt.Errorf("records were cut off: %d are here, and the tree has hashes of more", records)
	}
	return nil
}

// page verifies the records up to end, with what is stored about them; c is set
// to the last checkpoint among them.
func (t *tally) page(tx *store.Tx, end int64, c *checkpoint, cosigned *[]string) error {
	from := t.tree.size
	lines, err := records(tx, from, end)
	if err != nil {
		return err
	}
	signed, err := checkpoints(tx, from, end)
	if err != nil {
		return err
	}
	var stored []tlog.Hash
	for i, line := range lines {
		added, err := t.add(line)
		if err != nil {
			return fmt.Errorf("record %d: %w", from+int64(i), err)
		}
		stored = append(stored, added...)
		s, ok := signed[t.tree.size]
		if !ok {
			continue
		}
		if s.vkey != t.verifier.vkey {
			return fmt.Errorf("checkpoint of %d records: by another key", t.tree.size)
		}
		if *c, _, err = t.open(s.note); err != nil {
			return fmt.Errorf("checkpoint of %d records: %w", t.tree.size, err)
		}
		if *cosigned, err = t.openCosigned(*cosigned); err != nil {
			return fmt.Errorf("cosigned checkpoint of %d records: %w", t.tree.size, err)
		}
	}
	return compareHashes(tx, tlog.StoredHashCount(from), stored)
}

// checkpoints returns those that sign more than from and at most end records.
func checkpoints(tx *store.Tx, from, end int64) (map[int64]signedCheckpoint, error) {
	rows, err := tx.Query(`SELECT size, note, key FROM ledger_checkpoints WHERE size > ? AND size <= ?`, from, end)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := map[int64]signedCheckpoint{}
	for rows.Next() {
		var s signedCheckpoint
		if err := rows.Scan(&s.size, &s.note, &s.vkey); err != nil {
			return nil, err
		}
		found[s.size] = s
	}
	return found, rows.Err()
}

// compareHashes holds the stored hashes from index first against what they
// must be.
func compareHashes(tx *store.Tx, first int64, want []tlog.Hash) error {
	rows, err := tx.Query(`SELECT idx, hash FROM ledger_hashes WHERE idx >= ? AND idx < ? ORDER BY idx`, first, first+int64(len(want)))
	if err != nil {
		return err
	}
	defer rows.Close()
	next := 0
	for rows.Next() {
		var index int64
		var hash []byte
		if err := rows.Scan(&index, &hash); err != nil {
			return err
		}
		if index != first+int64(next) || !bytes.Equal(hash, want[next][:]) {
			return fmt.Errorf("tree hash %d is not that of its records", first+int64(next))
		}
		next++
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if next != len(want) {
		return fmt.Errorf("tree hash %d is missing", first+int64(next))
	}
	return nil
}
