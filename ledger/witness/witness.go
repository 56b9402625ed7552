// Package witness remembers, for other Cordons, how far their ledgers have
// grown, and cosigns only what continues that: C2SP tlog-witness, over HTTP or
// over a shared folder. Whoever wants to rewrite a ledger needs the witness too.
//
// Ordinary use, as the witness:
//
//	w, err := witness.Open(ctx, db, "DIR/keys/witness.key", "site-b", []string{vkeyOfTheLedger}, journal)
//	go http.Serve(listener, w.Handler())     // POST /add-checkpoint
//	go w.Watch(ctx, "/mnt/share", log)       // or requests left as files
//
// and as the ledger:
//
//	go ledger.Witness(ctx, witness.Client{…}, 15*time.Minute)
//
// The life of a checkpoint here: its signature must be by the key that is
// remembered; its tree must contain the one remembered, by the proof that comes
// with it; then it is remembered, durably, and only after that cosigned. A
// request that is answered twice is answered alike. One that does not continue
// what is remembered is never cosigned, and is recorded: two histories carry the
// signature of one ledger.
//
// A checkpoint that introduces a new key (the line "next KEY") is one like any
// other; the key is remembered from then on.
//
// It does not keep records, does not look into them, and takes no ledger that
// the configuration does not name.
package witness

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"cordon/ledger"
	"cordon/store"

	"golang.org/x/mod/sumdb/tlog"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes this package's table.
func Migrations() store.Migrations { return store.Embedded("witness", migrations) }

// Journal is told of forks and new keys. A ledger is one.
type Journal interface {
	Append(tx *store.Tx, kind string, body any) error
}

// errUnknown means that the configuration does not name the ledger.
var errUnknown = errors.New("ledger is not in the list of this witness (witness.logs)")

// forkEvery bounds how often a fork of one ledger is recorded.
const forkEvery = time.Minute

// Witness is an open witness. Its methods may be called from any goroutine.
type Witness struct {
	db      *store.DB
	signer  *ledger.WitnessSigner
	journal Journal

	mu    sync.Mutex
	forks map[string]time.Time // when one was last recorded, by origin; only configured ones
}

// Open opens a witness for the ledgers with those verifier keys. Its own key is
// in the file at keyPath, made at the first time; name becomes part of it.
func Open(ctx context.Context, db *store.DB, keyPath, name string, logs []string, journal Journal) (*Witness, error) {
	signer, err := openKey(keyPath, name)
	if err != nil {
		return nil, err
	}
	w := &Witness{db: db, signer: signer, journal: journal, forks: map[string]time.Time{}}
	err = db.Update(ctx, func(tx *store.Tx) error { return configure(tx, logs) })
	if err != nil {
		return nil, fmt.Errorf("opening witness: %w", err)
	}
	return w, nil
}

// configure takes over the list of ledgers. What was remembered of one stays,
// whatever its key is now; one that is not in the list is not served.
func configure(tx *store.Tx, logs []string) error {
	if _, err := tx.Exec(`UPDATE witness_logs SET configured = ''`); err != nil {
		return err
	}
	for _, vkey := range logs {
		origin, err := ledger.OriginOf(vkey)
		if err != nil {
			return err
		}
		_, err = tx.Exec(`INSERT INTO witness_logs (origin, configured, key, size, seen_at) VALUES (?1, ?2, ?2, 0, 0)
			ON CONFLICT DO UPDATE SET configured = ?2`, origin, vkey)
		if err != nil {
			return err
		}
	}
	return nil
}

// openKey reads "NAME SEED", or makes it.
func openKey(path, name string) (*ledger.WitnessSigner, error) {
	text, err := store.ReadPrivate(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newKey(path, name)
	}
	if err != nil {
		return nil, fmt.Errorf("witness key: %w", err)
	}
	name, secret, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	seed, err := base64.StdEncoding.DecodeString(secret)
	if err != nil {
		return nil, fmt.Errorf("witness key %s is damaged: restore it from a backup", path)
	}
	signer, err := ledger.NewWitnessSigner(name, seed)
	if err != nil {
		return nil, fmt.Errorf("witness key %s is damaged (%w): restore it from a backup", path, err)
	}
	return signer, nil
}

func newKey(path, name string) (*ledger.WitnessSigner, error) {
	seed := make([]byte, 32)
	rand.Read(seed) // never fails: see crypto/rand
	signer, err := ledger.NewWitnessSigner(name+"/witness", seed)
	if err != nil {
		return nil, err
	}
	if err := store.MakeDir(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("making witness key: %w", err)
	}
	text := signer.Name() + " " + base64.StdEncoding.EncodeToString(seed) + "\n"
	if err := store.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("making witness key: %w", err)
	}
	return signer, nil
}

// Key returns the verifier key of its cosignatures.
func (w *Witness) Key() *ledger.WitnessKey { return w.signer.WitnessKey }

// Add remembers a signed checkpoint, whose tree has grown from the one of old
// records by that proof, and returns its cosignature once that is durable. Its
// errors are those of ledger.Witness, or errUnknown.
func (w *Witness) Add(ctx context.Context, old int64, proof []tlog.Hash, signed []byte) ([]byte, error) {
	var head ledger.TreeHead
	var log remembered
	look := func(tx *store.Tx) (err error) {
		head, log, err = check(tx, old, proof, signed)
		return err
	}
	err := w.db.View(ctx, look) // whoever has no key of a ledger reaches no writer: images wait for that one
	if err == nil && !log.has(head) {
		err = w.db.Update(ctx, func(tx *store.Tx) error {
			if err := look(tx); err != nil {
				return err
			}
			return w.remember(tx, head, signed)
		})
	}
	if errors.Is(err, ledger.ErrFork) {
		err = cmp.Or(w.recordFork(ctx, head, log), err)
	}
	if err != nil {
		return nil, err
	}
	return []byte(w.signer.Cosign(head.Text, time.Now())), nil
}

// remembered is one row.
type remembered struct {
	configured, key string
	size            int64
	root            []byte
}

// has reports whether a head that continues what is remembered adds nothing to it.
func (log remembered) has(head ledger.TreeHead) bool { return head.Size == log.size && head.Next == "" }

// check holds a request against what is remembered of its ledger.
func check(tx *store.Tx, old int64, proof []tlog.Hash, signed []byte) (head ledger.TreeHead, log remembered, err error) {
	origin, _, _ := strings.Cut(string(signed), "\n")
	err = tx.QueryRow(`SELECT configured, key, size, root FROM witness_logs WHERE origin = ?`, origin).
		Scan(&log.configured, &log.key, &log.size, &log.root)
	if errors.Is(err, sql.ErrNoRows) || err == nil && log.configured == "" {
		return head, log, errUnknown
	}
	if err != nil {
		return head, log, err
	}
	if head, err = ledger.OpenHead(signed, log.key); err != nil {
		return head, log, fmt.Errorf("%w (%w)", ledger.ErrWitnessKey, err)
	}
	if old != log.size || head.Size < log.size {
		return head, log, &ledger.Conflict{Size: log.size}
	}
	return head, log, log.continued(head, proof)
}

// continued is ErrFork unless the head's tree contains the one remembered.
func (log remembered) continued(head ledger.TreeHead, proof []tlog.Hash) error {
	if log.size == 0 {
		return nil
	}
	root := tlog.Hash(log.root)
	if head.Size == log.size {
		if head.Root != root {
			return fmt.Errorf("%w: another tree of %d records", ledger.ErrFork, log.size)
		}
		return nil
	}
	if err := tlog.CheckTree(proof, head.Size, head.Root, log.size, root); err != nil {
		return fmt.Errorf("%w: the %d records do not contain the %d remembered", ledger.ErrFork, head.Size, log.size)
	}
	return nil
}

func (w *Witness) remember(tx *store.Tx, head ledger.TreeHead, signed []byte) error {
	_, err := tx.Exec(`UPDATE witness_logs SET size = ?, root = ?, note = ?, seen_at = ? WHERE origin = ?`,
		head.Size, head.Root[:], signed, time.Now().UnixMicro(), head.Origin)
	if err != nil || head.Next == "" {
		return err
	}
	if _, err := tx.Exec(`UPDATE witness_logs SET key = ? WHERE origin = ?`, head.Next, head.Origin); err != nil {
		return err
	}
	return w.journal.Append(tx, "witness.key", map[string]any{"origin": head.Origin, "key": head.Next, "records": head.Size})
}

func (w *Witness) recordFork(ctx context.Context, head ledger.TreeHead, log remembered) error {
	w.mu.Lock()
	again := time.Since(w.forks[head.Origin]) < forkEvery
	if !again {
		w.forks[head.Origin] = time.Now()
	}
	w.mu.Unlock()
	if again {
		return nil
	}
	return w.db.Update(ctx, func(tx *store.Tx) error {
		return w.journal.Append(tx, "witness.fork", map[string]any{
			"origin": head.Origin, "remembered": log.size, "root": base64.StdEncoding.EncodeToString(log.root),
			"shown": head.Size, "shown_root": head.Root.String(),
		})
	})
}
