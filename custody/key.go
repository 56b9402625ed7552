package custody

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"cordon/store"

	"filippo.io/age"
)

// openKey reads the age identity, or makes it if nothing depends on one yet.
// The file is as age-keygen writes it: whoever can read it can read the blobs.
func (c *Custody) openKey(ctx context.Context, path string) error {
	recipient, depend, err := c.dependents(ctx)
	if err != nil {
		return err
	}
	identity, err := readIdentity(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && depend > 0:
		return fmt.Errorf("key %s is missing, and %d objects are encrypted to it: restore it from a backup", path, depend)
	case errors.Is(err, fs.ErrNotExist):
		identity, err = makeIdentity(path)
	}
	if err != nil {
		return err
	}
	c.identity = identity
	ours := identity.Recipient().String()
	if recipient == ours {
		return nil
	}
	if recipient != "" && depend > 0 {
		return fmt.Errorf("key %s (%s) is not the one that %d objects are encrypted to (%s): restore that one from a backup", path, ours, depend, recipient)
	}
	return c.db.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(`INSERT INTO custody_key (made_at, recipient) VALUES (?, ?)`, toMicros(now()), ours); err != nil {
			return err
		}
		return c.journal.Append(tx, "custody.key", map[string]any{"recipient": ours})
	})
}

// dependents returns the recipient in use, "" before the first start, and how
// many objects and sealed texts cannot be read without its identity: those with a
// row that says that they are here, or failing those, the blobs.
func (c *Custody) dependents(ctx context.Context) (recipient string, n int, err error) {
	err = c.db.View(ctx, func(tx *store.Tx) error {
		err := tx.QueryRow(`SELECT recipient FROM custody_key ORDER BY made_at DESC LIMIT 1`).Scan(&recipient)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		return tx.QueryRow(`SELECT COUNT(*) FROM custody_objects WHERE state IN ('spooled', 'held')`).Scan(&n)
	})
	if n += c.sealed; err != nil || n > 0 {
		return recipient, n, err
	}
	err = c.eachBlob(func(string, fs.DirEntry) error { n++; return nil })
	return recipient, n, err
}

func readIdentity(path string) (*age.X25519Identity, error) {
	text, err := store.ReadPrivate(path)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if identity, err := age.ParseX25519Identity(line); err == nil {
			return identity, nil
		}
		break
	}
	return nil, fmt.Errorf("key %s is damaged: restore it from a backup", path)
}

// makeIdentity makes an identity and its file, durably.
func makeIdentity(path string) (*age.X25519Identity, error) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, err
	}
	if err := store.MakeDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	text := fmt.Sprintf("# created: %s\n# public key: %s\n%s\n", time.Now().UTC().Format(time.RFC3339), identity.Recipient(), identity)
	return identity, store.WriteFile(path, []byte(text), 0o600)
}
