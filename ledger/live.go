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
// open read-only: every record, every hash of the tree, every checkpoint ever
// signed. Records after the last checkpoint are counted in Result.Records but
// not in TreeSize; they have no signature yet.
func VerifyLive(ctx context.Context, db *store.DB, o VerifyOptions) (Result, error) {
	var end int64
	var last signedCheckpoint
	err := db.View(ctx, func(tx *store.Tx) (err error) {
		if end, err = size(tx); err != nil {
			return err
		}
		last, err = lastCheckpoint(tx)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return Result{}, errors.New("verifying ledger: nothing has been signed")
	}
	if err != nil {
		return Result{}, fmt.Errorf("verifying ledger: %w", err)
	}
	if last.size > end {
		return Result{}, fmt.Errorf("verifying ledger: records were cut off: %d are here, %d were signed", end, last.size)
	}
	v, err := parseVerifier(last.vkey)
	if err != nil {
		return Result{}, fmt.Errorf("verifying ledger: %w", err)
	}
	t := newTally(v, o)
	var c checkpoint
	for t.tree.size < end {
		err := db.View(ctx, func(tx *store.Tx) error { return t.page(tx, min(end, t.tree.size+page), &c) })
		if err != nil {
			return Result{}, fmt.Errorf("verifying ledger: %w", err)
		}
	}
	if c.size != last.size {
		return Result{}, errors.New("verifying ledger: the last checkpoint has changed")
	}
	return t.result(c)
}

// page verifies the records up to end, with what is stored about them; c is set
// to the last checkpoint among them.
func (t *tally) page(tx *store.Tx, end int64, c *checkpoint) error {
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
		if *c, err = openCheckpoint(s.note, t.verifier); err != nil {
			return fmt.Errorf("checkpoint of %d records: %w", t.tree.size, err)
		}
		if err := t.check(*c); err != nil {
			return err
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
