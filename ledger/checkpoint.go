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
// (origin, size, root), with the time of signing as its one extension line.
type checkpoint struct {
	origin string
	size   int64
	root   tlog.Hash
	time   time.Time
}

func (c checkpoint) text() string {
	return fmt.Sprintf("%s\n%d\n%s\ntime %s\n", c.origin, c.size, c.root, c.time.UTC().Format(timeFormat))
}

func parseCheckpoint(text string) (c checkpoint, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 5 {
		return c, fmt.Errorf("checkpoint: %d lines, expected 4", len(lines)-1)
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
	if c.text() != text {
		return c, fmt.Errorf("checkpoint: %w", errNotCanonical)
	}
	return c, nil
}

// openCheckpoint verifies a signed note of one checkpoint and one signature.
func openCheckpoint(signed []byte, v *verifier) (checkpoint, error) {
	n, err := note.Open(signed, note.VerifierList(v))
	if err != nil {
		return checkpoint{}, fmt.Errorf("checkpoint: %w", err)
	}
	if len(n.Sigs) != 1 { // one of another key is found below
		return checkpoint{}, errors.New("checkpoint: expected one signature")
	}
	signature, err := base64.StdEncoding.DecodeString(n.Sigs[0].Base64)
	if err != nil {
		return checkpoint{}, fmt.Errorf("checkpoint: signature: %w", err)
	}
	again := fmt.Sprintf("%s\n— %s %s\n", n.Text, v.Name(), base64.StdEncoding.EncodeToString(signature))
	if again != string(signed) {
		return checkpoint{}, fmt.Errorf("checkpoint: signature: %w", errNotCanonical)
	}
	c, err := parseCheckpoint(n.Text)
	if err == nil && c.origin != v.Name() {
		err = fmt.Errorf("checkpoint: origin %q, key of %q", c.origin, v.Name())
	}
	return c, err
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
	if err != nil {
		return "", fmt.Errorf("ledger checkpoint: %w", err)
	}
	return string(signed), nil
}

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
	root, err := tlog.TreeHash(n, hashes(tx))
	if err != nil {
		return nil, err
	}
	c := checkpoint{origin: l.key.signer.Name(), size: n, root: root, time: time.Now()}
	signed, err := note.Sign(&note.Note{Text: c.text()}, l.key.signer)
	if err != nil {
		return nil, err
	}
	_, err = tx.Exec(`INSERT INTO ledger_checkpoints (size, note, key) VALUES (?, ?, ?)`, n, signed, l.key.vkey)
	return signed, err
}
