package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"cordon/store"

	"golang.org/x/mod/sumdb/tlog"
)

// nextSuffix names the file of a key that is being introduced.
const nextSuffix = ".next"

// RotateKey replaces the key: a new one is made, the old one signs its name
// together with all records so far, and the new one signs from there on. The
// old key is deleted. Who knows any key of the chain can verify all of it.
//
// The life of a rotation: the new key is durable beside the old one; one commit
// holds the introduction, its record and the first checkpoint by the new key;
// the new key's file takes the old one's place. Open finishes or undoes one that
// a crash cut short.
func (l *Ledger) RotateKey(ctx context.Context, by, reason string) (vkey string, err error) {
	l.rotating.Lock()
	defer l.rotating.Unlock()
	old := l.keys.current()
	next, err := newKey(l.keyPath+nextSuffix, old.signer.Name())
	if err != nil {
		return "", err
	}
	l.keys.introduce(next)
	err = l.db.Update(ctx, func(tx *store.Tx) error { return l.introduce(tx, old, next, by, reason) })
	if err != nil {
		l.keys.introduce(nil)
		return "", errors.Join(fmt.Errorf("introducing the new key: %w", err), os.Remove(l.keyPath+nextSuffix))
	}
	l.keys.use(next)
	return next.vkey, replaceKey(l.keyPath)
}

// introduce writes the introduction, its record and the new key's first
// checkpoint.
func (l *Ledger) introduce(tx *store.Tx, old, next *key, by, reason string) error {
	now, err := l.readClock(tx) // its record, if there is one, comes before n is known
	if err != nil {
		return err
	}
	n, err := size(tx)
	if err != nil {
		return err
	}
	c := checkpoint{size: n, time: now, next: next.vkey}
	if c.root, err = tlog.TreeHash(n, hashes(tx)); err != nil {
		return err
	}
	introduction, err := old.sign(c)
	if err != nil {
		return err
	}
	if err := l.appendAt(tx, now, "ledger.key", map[string]any{
		"by": by, "reason": reason, "checkpoint": string(introduction), "key": next.vkey,
	}); err != nil {
		return err
	}
	if _, err := tx.Exec(`INSERT INTO ledger_keys (since, key, introduction) VALUES (?, ?, ?)`, n+1, next.vkey, introduction); err != nil {
		return err
	}
	_, err = signAs(tx, next, n+1)
	return err
}

// replaceKey gives the new key the old one's place, durably.
func replaceKey(path string) error {
	if err := os.Rename(path+nextSuffix, path); err != nil {
		return fmt.Errorf("replacing ledger key: %w", err)
	}
	return store.SyncDir(filepath.Dir(path))
}

// settleKey ends a rotation that a crash cut short, and returns the key in use:
// the new one if the ledger has it, else the old one.
func settleKey(path string, k *key, inUse string) (*key, error) {
	next, err := readKey(path + nextSuffix)
	if errors.Is(err, errNoKey) {
		return k, nil
	}
	if err != nil {
		return nil, err
	}
	if next.vkey != inUse {
		if err := os.Remove(path + nextSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("ledger key: %w", err)
		}
		return k, nil
	}
	return next, replaceKey(path)
}
