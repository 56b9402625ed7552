package ledger

import (
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"cordon/store"

	"golang.org/x/mod/sumdb/tlog"
)

// begin records the start of a run and what the one before left. Where it is not
// the first ever, a ledger without a record has lost them all.
func (l *Ledger) begin(tx *store.Tx, first bool) error {
	n, err := size(tx)
	if err != nil {
		return err
	}
	l.start = Start{Records: n, Clean: true, Intact: true}
	var stop sql.NullInt64
	err = tx.QueryRow(`SELECT stop FROM ledger_runs ORDER BY start DESC LIMIT 1`).Scan(&stop)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	l.start.Clean = err != nil || stop.Valid
	if err := l.resumeClock(tx, n); err != nil {
		return err
	}
	k := l.keys.current()
	body := map[string]any{"clean": l.start.Clean, "key": k.fingerprint(), "records": n}
	last, err := lastCheckpoint(tx)
	switch {
	case err == nil:
		body["checkpoint"] = string(last.note)
		l.start.Intact = stillSigned(tx, last, k)
	case !errors.Is(err, sql.ErrNoRows):
		return err
	default:
		l.start.Intact = first
	}
	if kept := l.keptElsewhere(); kept.size > n || kept.size > 0 && !grownFrom(tx, kept) {
		l.start.RolledBack, l.start.Intact = true, false
		body["rolled_back_from"] = kept.size
	}
	body["intact"] = l.start.Intact
	if err := l.Append(tx, "ledger.start", body); err != nil {
		return err
	}
	if _, err := tx.Exec(`INSERT INTO ledger_keys (since, key) VALUES (0, ?) ON CONFLICT DO NOTHING`, k.vkey); err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO ledger_runs (start) VALUES (?)`, n)
	return err
}

// resumeClock takes the time from the last of n records.
func (l *Ledger) resumeClock(tx *store.Tx, n int64) error {
	if n == 0 {
		return nil
	}
	lines, err := records(tx, n-1, n)
	if err != nil {
		return err
	}
	if r, err := decode(lines[0]); err == nil { // one that is not a record is found by Verify
		l.clock.set(r.Time)
	}
	return nil
}

// stillSigned reports whether the tree has the root that the checkpoint signed.
func stillSigned(tx *store.Tx, last signedCheckpoint, k *key) bool {
	v, err := parseVerifier(k.vkey)
	if err != nil {
		return false
	}
	c, _, err := openCheckpoint(last.note, v, nil)
	return err == nil && c.size == last.size && grownFrom(tx, c)
}

// grownFrom reports whether the tree has that checkpoint's root at its size.
func grownFrom(tx *store.Tx, c checkpoint) bool {
	root, err := tlog.TreeHash(c.size, hashes(tx))
	return err == nil && root == c.root
}

// lastName is the file beside the key with the last checkpoint, so that a
// database put back from an older copy is noticed.
const lastName = "ledger.last"

// keptElsewhere is the checkpoint in that file; zero if there is none to be
// read. Its signature does not matter: whoever can write it only raises an
// alarm.
func (l *Ledger) keptElsewhere() checkpoint {
	signed, err := os.ReadFile(filepath.Join(filepath.Dir(l.keyPath), lastName))
	if err != nil {
		return checkpoint{}
	}
	c, err := unverified(signed)
	if err != nil {
		return checkpoint{}
	}
	return c
}

// keepElsewhere writes that file, after the commit.
func (l *Ledger) keepElsewhere(signed []byte) error {
	path := filepath.Join(filepath.Dir(l.keyPath), lastName)
	err := store.WriteFile(path, signed, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the folder was removed: the next start makes it known
	}
	return err
}
