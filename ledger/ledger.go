// Package ledger keeps the record of what happened: an append-only Merkle log
// (RFC 6962, golang.org/x/mod/sumdb/tlog) with signed checkpoints, in the same
// database as what it tells about, so that a fact and its record are one
// commit. Anyone can verify an export of it offline.
//
// Ordinary use:
//
//	l, err := ledger.Open(ctx, db, filepath.Join(dir, "keys/ledger.key"), "example-hospital")
//	go l.Run(ctx)                                                       // signs every minute, and at the end
//	err = db.Update(ctx, func(tx *store.Tx) error { return l.Append(tx, "object.held", body) })
//	err = l.Record(ctx, "config.changed", body)                         // durable when it returns
//	l.Note("object.delivered", body)                                    // durable within a second
//
// A record is one line of canonical JSON: an object with the keys body, kind,
// seq, time and v. Canonical means: keys in the order of their UTF-8 bytes; no
// white space; numbers are integers of at most 53 bits, without exponent or
// superfluous zero; strings are UTF-8, in which only the quotation mark and the
// backslash are escaped by a backslash, control characters below U+0020 as
// \u00xx in lower case, and nothing else; time is UTC with six decimals,
// 2006-01-02T15:04:05.000000Z; seq counts from 0 without a gap; v is 1.
//
// An export is a header line, the records, and a signed note:
//
//	{"cordon-ledger":1,"key":"NAME+HASH+KEY","records":N}
//	{"body":…,"kind":…,"seq":0,"time":…,"v":1}
//	…
//	NAME
//	N
//	ROOT
//	time 2006-01-02T15:04:05.000000Z
//
//	— NAME SIGNATURE
//
// Verify re-encodes what it reads and compares, so that each bit of the file is
// either signed or decides what is.
//
// The life of a record: Append gives it the next number and adds its hash to
// the tree, inside the caller's transaction; if that comes to nothing, so does
// the record, and the number is given to the next. A checkpoint signs it within
// a minute. Open begins each run with a record that names the last checkpoint
// and says whether the run before ended in order.
//
// It proves that records were not changed, taken out or put in between after
// they were signed. It cannot prove that what it was told is true, nor show
// records that a thief of the whole machine cut off together with their
// checkpoints: keep exports, or checkpoints, elsewhere.
package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"cordon/store"

	"golang.org/x/mod/sumdb/tlog"
)

// signEvery is the longest that a record stays unsigned while Run runs.
const signEvery = time.Minute

// Ledger is an open log. Its methods may be called from any goroutine.
type Ledger struct {
	db    *store.DB
	key   *key
	print string // the key's fingerprint
	seal  *sealKey
	start Start
	bell  bell // rings for followers

	mu   sync.Mutex
	lost int64 // notes that could not be written, since the last that said so
	err  error // of the last work that nobody waited for
}

// Start is what Open found.
type Start struct {
	Records int64 // before this run
	Clean   bool  // the last run ended in order, or there was none
	Intact  bool  // the tree still has the root that the last checkpoint signed
}

// Open opens the ledger in db, whose key is in the file at keyPath, and records
// the start. At the first start ever it makes the key; origin, a name for this
// site, becomes part of it. Later an absent or another key is an error: a new
// one would end the proof.
func Open(ctx context.Context, db *store.DB, keyPath, origin string) (*Ledger, error) {
	var records int64
	var last signedCheckpoint
	err := db.View(ctx, func(tx *store.Tx) (err error) {
		if records, err = size(tx); err != nil {
			return err
		}
		last, err = lastCheckpoint(tx)
		return err
	})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("opening ledger: %w", err)
	}
	k, err := readKey(keyPath)
	first := errors.Is(err, errNoKey) && records == 0
	switch {
	case first:
		k, err = newKey(keyPath, origin)
	case errors.Is(err, errNoKey):
		err = fmt.Errorf("ledger key %s is missing, and %d records are signed with it: restore it from a backup", keyPath, records)
	}
	if err != nil {
		return nil, err
	}
	v, err := parseVerifier(k.vkey)
	if err != nil {
		return nil, err
	}
	if last.vkey != "" && last.vkey != k.vkey {
		return nil, fmt.Errorf("ledger key %s (%s) is not the one that signed the ledger (%s): restore that one from a backup", keyPath, k.vkey, last.vkey)
	}
	seal, err := openSealKey(ctx, db, filepath.Join(filepath.Dir(keyPath), "ledger.seal"))
	if err != nil {
		return nil, err
	}
	l := &Ledger{db: db, key: k, print: v.fingerprint, seal: seal}
	if err := db.Update(ctx, func(tx *store.Tx) error { return l.begin(tx, v, first) }); err != nil {
		return nil, fmt.Errorf("opening ledger: %w", err)
	}
	if _, err := l.Checkpoint(ctx); err != nil {
		return nil, err
	}
	return l, nil
}

// begin records the start of a run and what the one before left. Where it is not
// the first ever, a ledger without a record has lost them all.
func (l *Ledger) begin(tx *store.Tx, v *verifier, first bool) error {
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

	body := map[string]any{"clean": l.start.Clean, "key": l.print, "records": n}
	last, err := lastCheckpoint(tx)
	switch {
	case err == nil:
		body["checkpoint"] = string(last.note)
		l.start.Intact = stillSigned(tx, last, v)
	case !errors.Is(err, sql.ErrNoRows):
		return err
	default:
		l.start.Intact = first
	}
	body["intact"] = l.start.Intact
	if err := l.Append(tx, "ledger.start", body); err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO ledger_runs (start) VALUES (?)`, n)
	return err
}

// stillSigned reports whether the tree has the root that the checkpoint signed.
func stillSigned(tx *store.Tx, last signedCheckpoint, v *verifier) bool {
	c, err := openCheckpoint(last.note, v)
	if err != nil {
		return false
	}
	root, err := tlog.TreeHash(c.size, hashes(tx))
	return err == nil && c.size == last.size && root == c.root
}

// Start returns what Open found. A start that is not intact is an alarm.
func (l *Ledger) Start() Start { return l.start }

// Fingerprint returns "SHA256:…" of the public key, for people to compare.
func (l *Ledger) Fingerprint() string { return l.print }

// Key returns the verifier key, "name+hash+base64", to be kept where the ledger
// is not.
func (l *Ledger) Key() string { return l.key.vkey }

// Append adds a record in the caller's transaction. kind is lower case with
// dots; body is anything that encoding/json can marshal whose numbers are
// integers. An error means that nothing was added; the caller gives the
// transaction up.
func (l *Ledger) Append(tx *store.Tx, kind string, body any) error {
	text, err := canonical(body)
	if err != nil {
		return fmt.Errorf("ledger record of kind %s: %w", kind, err)
	}
	n, err := size(tx)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	line, err := Record{Seq: n, Time: time.Now(), Kind: kind, Body: text, Version: version}.encode()
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	if _, err := tx.Exec(`INSERT INTO ledger_records (seq, data) VALUES (?, ?)`, n, line); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	if err := grow(tx, n, line); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	tx.OnCommit(l.bell.ring)
	return nil
}

// Record adds a record and returns when it is on disk.
func (l *Ledger) Record(ctx context.Context, kind string, body any) error {
	return l.db.Update(ctx, func(tx *store.Tx) error { return l.Append(tx, kind, body) })
}

// Note adds a record that is on disk within a second; nobody waits for it. The
// body must not change after the call. One that cannot be written is counted,
// and the count is recorded as soon as something can be: see Err.
func (l *Ledger) Note(kind string, body any) {
	l.db.Later(func(tx *store.Tx) error { return l.Append(tx, kind, body) }, func(err error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.lost++
		l.err = err
	})
}

// Err returns the last error of the work that nobody waited for, notes and the
// checkpoints of Run; nil once it works again.
func (l *Ledger) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Run signs a checkpoint every minute until ctx ends, then records the stop,
// signs once more and returns. An error in between is kept for Err, and the
// next minute tries again.
func (l *Ledger) Run(ctx context.Context) error {
	tick := time.NewTicker(signEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.upkeep(ctx)
		case <-ctx.Done():
			return l.stop(context.WithoutCancel(ctx))
		}
	}
}

// upkeep records what was lost, if anything, and signs.
func (l *Ledger) upkeep(ctx context.Context) {
	err := l.recordLost(ctx)
	if err == nil {
		_, err = l.Checkpoint(ctx)
	}
	if ctx.Err() != nil {
		return // stop does it
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

// recordLost says how many notes could not be written.
func (l *Ledger) recordLost(ctx context.Context) error {
	l.mu.Lock()
	lost := l.lost
	l.mu.Unlock()
	if lost == 0 {
		return nil
	}
	if err := l.Record(ctx, "ledger.lost", map[string]any{"records": lost}); err != nil {
		return err
	}
	l.mu.Lock()
	l.lost -= lost
	l.mu.Unlock()
	return nil
}

func (l *Ledger) stop(ctx context.Context) error {
	if err := l.recordLost(ctx); err != nil {
		return fmt.Errorf("recording the stop: %w", err)
	}
	err := l.db.Update(ctx, func(tx *store.Tx) error {
		n, err := size(tx)
		if err != nil {
			return err
		}
		if err := l.Append(tx, "ledger.stop", map[string]any{"records": n}); err != nil {
			return err
		}
		_, err = tx.Exec(`UPDATE ledger_runs SET stop = ? WHERE start = ?`, n, l.start.Records)
		return err
	})
	if err != nil {
		return fmt.Errorf("recording the stop: %w", err)
	}
	_, err = l.Checkpoint(ctx)
	return err
}
