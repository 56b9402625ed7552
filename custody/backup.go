package custody

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"cordon/store"

	"filippo.io/age"
)

// pins keep files that are to be deleted, for as long as somebody reads a copy
// of the rows that say that they are here.
type pins struct {
	mu      sync.Mutex
	pinned  int
	waiting []string // ids whose files go when nothing is pinned any more
}

// keeps reports whether a file stays for now.
func (p *pins) keeps(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pinned > 0 {
		p.waiting = append(p.waiting, id)
	}
	return p.pinned > 0
}

// take has a file stay after all, and reports whether it was waiting to go.
func (p *pins) take(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.waiting, id)
	if i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	}
	return i >= 0
}

// Pin has the files of all objects stay until unpin is called, once, so that
// those that a copy of the database names can be read after it was made. What is
// delivered or destroyed meanwhile takes its room until then; a crash in between
// leaves it to the next start.
func (c *Custody) Pin() (unpin func()) {
	c.pins.mu.Lock()
	defer c.pins.mu.Unlock()
	c.pins.pinned++
	return c.unpin
}

func (c *Custody) unpin() {
	c.pins.mu.Lock()
	defer c.pins.mu.Unlock()
	c.pins.pinned--
	if c.pins.pinned > 0 {
		return
	}
	for _, id := range c.pins.waiting {
		c.unlink(id)
	}
	c.pins.waiting = nil
}

// Stored is a file of custody, and what is in it.
type Stored struct {
	ID     string
	Path   string // under the data directory, where the next start looks for it
	Bytes  int64  // decrypted
	SHA256 Digest // decrypted
	Alarm  bool   // it is known to be missing or damaged
}

// AllStored are the objects whose row in db, a database of custody's or a copy of
// one, says that their file is here: the spooled, then the held, as they came. An
// error ends it.
func AllStored(ctx context.Context, db *store.DB) iter.Seq2[Stored, error] {
	return func(yield func(Stored, error) bool) {
		for _, state := range []State{Spooled, Held} {
			for after := int64(-1); ; {
				page, last, err := storedPage(ctx, db, state, after)
				if err != nil {
					yield(Stored{}, err)
					return
				}
				if len(page) == 0 {
					break
				}
				for _, s := range page {
					if !yield(s, nil) {
						return
					}
				}
				after = last
			}
		}
	}
}

// storedPage returns the objects of one state that follow the one numbered
// after, a page of them, and the last one's number.
func storedPage(ctx context.Context, db *store.DB, state State, after int64) (page []Stored, last int64, err error) {
	err = db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT seq, id, bytes, sha256, alarm FROM custody_objects
			WHERE state = ? AND seq > ? ORDER BY seq LIMIT 1000`, string(state), after)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var s Stored
			var sum []byte
			var alarm string
			if err := rows.Scan(&last, &s.ID, &s.Bytes, &sum, &alarm); err != nil {
				return err
			}
			if !validID(s.ID) {
				return fmt.Errorf("object %.40q: not an id", s.ID)
			}
			copy(s.SHA256[:], sum)
			s.Path, s.Alarm = filepath.Join("objects", shard(s.ID), s.ID), alarm != ""
			page = append(page, s)
		}
		return rows.Err()
	})
	return page, last, err
}

// OpenStored opens an object's file as it lies on the disk, encrypted, wherever
// it is. The caller closes it.
func (c *Custody) OpenStored(id string) (*os.File, error) { return c.openFile(id) }

// Opener checks copies of custody's files, away from any data directory.
type Opener struct{ identity *age.X25519Identity }

// NewOpener takes the text of the key's file.
func NewOpener(key []byte) (*Opener, error) {
	for line := range strings.Lines(string(key)) {
		if identity, err := age.ParseX25519Identity(strings.TrimSpace(line)); err == nil {
			return &Opener{identity}, nil
		}
	}
	return nil, errors.New("custody key: damaged")
}

// Check reads a copy of a file to its end; an error means that it is not what
// was kept (ErrDamaged).
func (o *Opener) Check(r io.Reader, s Stored) error {
	plain, err := age.Decrypt(r, o.identity)
	if err != nil {
		return fmt.Errorf("object %s: %w: %w", s.ID, ErrDamaged, err)
	}
	sum := sha256.New()
	n, err := io.Copy(sum, plain)
	switch {
	case err != nil:
		return fmt.Errorf("object %s: %w: %w", s.ID, ErrDamaged, err)
	case n != s.Bytes || Digest(sum.Sum(nil)) != s.SHA256:
		return fmt.Errorf("object %s: %w: it is not what was kept", s.ID, ErrDamaged)
	}
	return nil
}
