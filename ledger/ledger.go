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
// seq, time and v; docs/ledger.md lists the kinds. Canonical means: keys in the
// order of their UTF-8 bytes; no white space; numbers are integers of at most 53
// bits, without exponent or superfluous zero; strings are UTF-8, in which only
// the quotation mark and the backslash are escaped by a backslash, control
// characters below U+0020 as \u00xx in lower case, and nothing else; time is UTC
// with six decimals, 2006-01-02T15:04:05.000000Z; seq counts from 0 without a
// gap; v is 2. In the Merkle tree stands the line with
// "body_sha256":"HEX" in the place of "body":…, which is also what is left of a
// record whose body was pruned. (Records of v 1, which older versions wrote,
// stand there whole and are kept whole.)
//
// An export is a header line, the records, and a signed note:
//
//	{"cordon-ledger":2,"cosigned":[NOTE…],"key":"NAME+HASH+KEY","records":N,"witnesses":["NAME+HASH+KEY"…]}
//	{"body":…,"kind":…,"seq":0,"time":…,"v":2}
//	…
//	NAME
//	N
//	ROOT
//	time 2006-01-02T15:04:05.000000Z
//
//	— NAME SIGNATURE
//	— WITNESS COSIGNATURE
//
// key is the first that signed; records of kind ledger.key introduce the later
// ones. A proof is a smaller file, for some records alone:
//
//	{"cordon-proof":1,"introductions":[NOTE…],"key":"NAME+HASH+KEY","records":M,"witnesses":[…]}
//	{"body":…,"kind":…,"seq":S,"time":…,"v":2}
//	["HASH"…]                                  the audit path, RFC 6962 §2.1.1
//	…                                          and the signed note, as above
//
// Verify and VerifyProof re-encode what they read and compare, so that each bit
// of a file is either signed or decides what is.
//
// The life of a record: Append gives it the next number and adds its hash to
// the tree, inside the caller's transaction; if that comes to nothing, so does
// the record, and the number is given to the next. A checkpoint signs it within
// a minute, and witnesses cosign that. Open begins each run with a record that
// names the last checkpoint and says whether the run before ended in order.
// Years later Prune takes its body; patient data in it, sealed, may be erased at
// any time.
//
// It proves that records were not changed, taken out or put in between after
// they were signed. It cannot prove that what it was told is true, nor, without
// a witness or a checkpoint kept elsewhere, show that a thief of the whole
// machine with its keys wrote another history.
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
)

// Ledger is an open log. Its methods may be called from any goroutine.
type Ledger struct {
	db      *store.DB
	keyPath string
	keys    keys
	seal    *sealKey
	start   Start
	now     func() time.Time
	clock   clock // of the last record; the database's writer alone touches it

	bell     bell         // rings for followers
	signed   bell         // rings for witnesses
	pruning  sync.RWMutex // held for reading by exports
	rotating sync.Mutex

	mu        sync.Mutex
	lost      int64 // records that could not be written, since the last that said so
	lostSince time.Time
	err       error // of the last work that nobody waited for
	witnesses []*witnessing
}

// Start is what Open found.
type Start struct {
	Records    int64 // before this run
	Clean      bool  // the last run ended in order, or there was none
	Intact     bool  // the tree still has the root that the last checkpoint signed
	RolledBack bool  // more records were signed than are here: an older copy was put back
}

// Open opens the ledger in db, whose key is in the file at keyPath, and records
// the start. At the first start ever it makes the key; origin, a name for this
// site, becomes part of it. Later an absent or another key is an error: a new
// one would end the proof. Beside the key are the seal key (ledger.seal) and the
// last checkpoint (ledger.last), from which an older database is known.
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
		k, err = newKey(keyPath, newOrigin(origin))
	case errors.Is(err, errNoKey):
		err = fmt.Errorf("ledger key %s is missing, and %d records are signed with it: restore it from a backup", keyPath, records)
	}
	if err != nil {
		return nil, err
	}
	if k, err = settleKey(keyPath, k, last.vkey); err != nil {
		return nil, err
	}
	if last.vkey != "" && last.vkey != k.vkey {
		return nil, fmt.Errorf("ledger key %s (%s) is not the one that signed the ledger (%s): restore that one from a backup", keyPath, k.vkey, last.vkey)
	}
	seal, err := openSealKey(ctx, db, filepath.Join(filepath.Dir(keyPath), "ledger.seal"))
	if err != nil {
		return nil, err
	}
	l := &Ledger{db: db, keyPath: keyPath, keys: keys{now: k}, seal: seal, now: time.Now}
	if err := db.Update(ctx, func(tx *store.Tx) error { return l.begin(tx, first) }); err != nil {
		return nil, fmt.Errorf("opening ledger: %w", err)
	}
	if _, err := l.Checkpoint(ctx); err != nil {
		return nil, err
	}
	return l, nil
}

// Start returns what Open found. A start that is not intact is an alarm.
func (l *Ledger) Start() Start { return l.start }

// Fingerprint returns "SHA256:…" of the public key, for people to compare.
func (l *Ledger) Fingerprint() string { return l.keys.current().fingerprint() }

// Key returns the verifier key, "name+hash+base64", to be kept where the ledger
// is not.
func (l *Ledger) Key() string { return l.keys.current().vkey }

// Append adds a record in the caller's transaction. kind is lower case with
// dots, and has a row in Kinds; body is anything that encoding/json can marshal
// whose numbers are integers. An error means that nothing was added; the caller
// gives the transaction up.
func (l *Ledger) Append(tx *store.Tx, kind string, body any) error {
	now, err := l.readClock(tx)
	if err != nil {
		return err
	}
	return l.appendAt(tx, now, kind, body)
}

// readClock returns the time of the next record. If the clock was set since the
// one before, that is a record of its own, which comes first.
func (l *Ledger) readClock(tx *store.Tx) (time.Time, error) {
	now := l.now()
	if jump, ok := l.clock.jump(now); ok {
		if err := l.appendAt(tx, now, "ledger.clock", jump); err != nil {
			return now, err
		}
	}
	l.clock.set(now)
	return now, nil
}

func (l *Ledger) appendAt(tx *store.Tx, now time.Time, kind string, body any) error {
	text, err := canonical(body)
	if err != nil {
		return fmt.Errorf("ledger record of kind %s: %w", kind, err)
	}
	n, err := size(tx)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	r := Record{Seq: n, Time: now, Kind: kind, Body: text, Version: version}
	line, err := r.encode()
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	if _, err := tx.Exec(`INSERT INTO ledger_records (seq, data) VALUES (?, ?)`, n, line); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	if err := grow(tx, n, r.leaf(line)); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	if latest(kind) {
		_, err := tx.Exec(`INSERT INTO ledger_latest (kind, seq) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET seq = ?2`, kind, n)
		if err != nil {
			return fmt.Errorf("ledger: %w", err)
		}
	}
	tx.OnCommit(l.bell.ring)
	return nil
}

// Record adds a record and returns when it is on disk.
func (l *Ledger) Record(ctx context.Context, kind string, body any) error {
	return l.db.Update(ctx, func(tx *store.Tx) error { return l.Append(tx, kind, body) })
}
