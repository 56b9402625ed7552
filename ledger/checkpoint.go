package ledger

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"cordon/store"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// maxNote bounds a signed checkpoint.
const maxNote = 4 << 10

// A checkpoint is what is signed: a tree head, as C2SP tlog-checkpoint has it
// (origin, size, root), with the time of signing as an extension line, and
// where a key introduces its successor, that verifier key as another.
type checkpoint struct {
	origin string
	size   int64
	root   tlog.Hash
	time   time.Time
	next   string // verifier key; "" unless the key is about to change
}

func (c checkpoint) text() string {
	s := fmt.Sprintf("%s\n%d\n%s\ntime %s\n", c.origin, c.size, c.root, c.time.UTC().Format(timeFormat))
	if c.next != "" {
		s += "next " + c.next + "\n"
	}
	return s
}

func parseCheckpoint(text string) (c checkpoint, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 5 && len(lines) != 6 {
		return c, fmt.Errorf("checkpoint: %d lines, expected 4 or 5", len(lines)-1)
	}
	c.origin = lines[0]
	if c.size, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return c, fmt.Errorf("checkpoint: size: %w", err)
	}
	if c.root, err = tlog.ParseHash(lines[2]); err != nil {
		return c, fmt.Errorf("checkpoint: root: %w", err)
	}
	stamp, _ := strings.CutPrefix(lines[3], "time ")
	if c.time, err = time.Parse(timeFormat, stamp); err != nil {
		return c, fmt.Errorf("checkpoint: %w", err)
	}
	if len(lines) == 6 {
		c.next, _ = strings.CutPrefix(lines[4], "next ")
	}
	if c.size < 0 || c.text() != text {
		return c, fmt.Errorf("checkpoint: %w", errNotCanonical)
	}
	return c, nil
}

// openCheckpoint verifies a signed note of one checkpoint: the ledger's
// signature, then those of some of the witnesses, in their order, and nothing
// else.
func openCheckpoint(signed []byte, v *verifier, witnesses []*WitnessKey) (checkpoint, []Cosignature, error) {
	known := []note.Verifier{v}
	for _, w := range witnesses {
		known = append(known, w)
	}
	n, err := note.Open(signed, note.VerifierList(known...))
	if err != nil {
		return checkpoint{}, nil, fmt.Errorf("checkpoint: %w", err)
	}
	if len(n.UnverifiedSigs) > 0 || n.Sigs[0].Name != v.Name() || n.Sigs[0].Hash != v.KeyHash() {
		return checkpoint{}, nil, errors.New("checkpoint: expected the signature of the ledger, then those of its witnesses")
	}
	again := n.Text + "\n"
	var cosigned []Cosignature
	for i, sig := range n.Sigs {
		raw, err := base64.StdEncoding.DecodeString(sig.Base64)
		if err != nil {
			return checkpoint{}, nil, fmt.Errorf("checkpoint: signature: %w", err)
		}
		again += signatureLine(sig.Name, raw)
		if i == 0 {
			continue
		}
		var w *WitnessKey
		if w, witnesses = after(witnesses, sig); w == nil {
			return checkpoint{}, nil, fmt.Errorf("checkpoint: signatures of witnesses: %w", errNotCanonical)
		}
		cosigned = append(cosigned, Cosignature{Witness: w.text, Time: cosignedAt(raw)})
	}
	if again != string(signed) {
		return checkpoint{}, nil, fmt.Errorf("checkpoint: signature: %w", errNotCanonical)
	}
	c, err := parseCheckpoint(n.Text)
	if err == nil && c.origin != v.Name() {
		err = fmt.Errorf("checkpoint: origin %q, key of %q", c.origin, v.Name())
	}
	return c, cosigned, err
}

// after finds the witness that signed, and returns those that follow it.
func after(witnesses []*WitnessKey, sig note.Signature) (*WitnessKey, []*WitnessKey) {
	for i, w := range witnesses {
		if w.Name() == sig.Name && w.KeyHash() == sig.Hash {
			return w, witnesses[i+1:]
		}
	}
	return nil, nil
}

// signatureLine is one of a note; raw begins with the key's hash.
func signatureLine(name string, raw []byte) string {
	return "— " + name + " " + base64.StdEncoding.EncodeToString(raw) + "\n"
}

// A signed checkpoint, as it is stored.
type signedCheckpoint struct {
	size int64
	note []byte
	vkey string
}

// lastCheckpoint returns sql.ErrNoRows if there is none.
func lastCheckpoint(tx *store.Tx) (s signedCheckpoint, err error) {
	err = tx.QueryRow(`SELECT size, note, key FROM ledger_checkpoints ORDER BY size DESC LIMIT 1`).
		Scan(&s.size, &s.note, &s.vkey)
	return s, err
}

// Checkpoint signs all records so far and returns the signed note. If nothing
// has been added since the last one, it returns that.
func (l *Ledger) Checkpoint(ctx context.Context) (string, error) {
	var signed []byte
	err := l.db.Update(ctx, func(tx *store.Tx) (err error) {
		signed, err = l.sign(tx)
		return err
	})
	if err == nil {
		err = l.keepElsewhere(signed)
	}
	if err != nil {
		return "", fmt.Errorf("ledger checkpoint: %w", err)
	}
	l.signed.ring()
	return string(signed), nil
}

// sign signs with the key that signed last: during a rotation there are two.
func (l *Ledger) sign(tx *store.Tx) ([]byte, error) {
	n, err := size(tx)
	if err != nil {
		return nil, err
	}
	last, err := lastCheckpoint(tx)
	if err == nil && last.size == n {
		return last.note, nil
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	k, err := l.keys.of(last.vkey)
	if err != nil {
		return nil, err
	}
	return signAs(tx, k, n)
}

// signAs signs the tree of n records and stores the checkpoint.
func signAs(tx *store.Tx, k *key, n int64) ([]byte, error) {
	c := checkpoint{size: n, time: time.Now()}
	var err error
	if c.root, err = tlog.TreeHash(n, hashes(tx)); err != nil {
		return nil, err
	}
	signed, err := k.sign(c)
	if err != nil {
		return nil, err
	}
	_, err = tx.Exec(`INSERT INTO ledger_checkpoints (size, note, key) VALUES (?, ?, ?)`, n, signed, k.vkey)
	return signed, err
}
