package custody

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"cordon/store"

	"filippo.io/age"
)

// Paths are made of ids alone.
func (c *Custody) spillPath(id string) string { return filepath.Join(c.spill, id) }

// blobPath spreads blobs over 32 directories, by random bits of the id.
func (c *Custody) blobPath(id string) string {
	return filepath.Join(c.objects, shard(id), id)
}

func shard(id string) string { return id[idLen-1:] }

// makeShards makes the directories of blobs, durably: a blob that moves to one
// whose own name a power loss takes would go with it.
func (c *Custody) makeShards() error {
	made := false
	for i := range len(idAlphabet) {
		err := os.Mkdir(filepath.Join(c.objects, idAlphabet[i:i+1]), 0o700)
		switch {
		case err == nil:
			made = true
		case !errors.Is(err, fs.ErrExist):
			return store.Explain(err)
		}
	}
	if !made {
		return nil
	}
	return store.SyncDir(c.objects)
}

// place moves a file whose row has been committed to where blobs are. The move
// need not be durable: if it is undone, the next start repeats it.
func (c *Custody) place(id string) error {
	return os.Rename(c.spillPath(id), c.blobPath(id))
}

// remove deletes the blob of an object whose row says that it is gone. One that
// is left is deleted at the next start.
func (c *Custody) remove(id string) {
	if !c.pins.keeps(id) {
		c.unlink(id)
	}
}

func (c *Custody) unlink(id string) {
	for _, path := range []string{c.blobPath(id), c.spillPath(id)} {
		if err := os.Remove(path); err == nil {
			return
		}
	}
}

// openFile opens an object's file wherever it is; it may be moving.
func (c *Custody) openFile(id string) (f *os.File, err error) {
	for _, path := range []string{c.blobPath(id), c.spillPath(id), c.blobPath(id)} {
		if f, err = os.Open(path); !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	return nil, err
}

// eachBlob calls fn with the id of every blob.
func (c *Custody) eachBlob(fn func(id string, e fs.DirEntry) error) error {
	shards, err := os.ReadDir(c.objects)
	if err != nil {
		return err
	}
	for _, dir := range shards {
		if !dir.IsDir() {
			continue
		}
		entries, err := os.ReadDir(filepath.Join(c.objects, dir.Name()))
		if err != nil {
			return err
		}
		for _, e := range entries {
			if !validID(e.Name()) || shard(e.Name()) != dir.Name() {
				continue // not ours
			}
			if err := fn(e.Name(), e); err != nil {
				return err
			}
		}
	}
	return nil
}

// OpenBlob returns a reader of an object's bytes, which the caller closes. They
// are verified while they are read: every part before it is returned (age), and
// the whole before its last part is, so that a copy with a wrong byte never
// comes to its end. A blob that is missing or damaged is an alarm on the row and
// in the journal; one that the disk cannot read at the moment is neither, and no
// ErrDamaged.
func (c *Custody) OpenBlob(ctx context.Context, id string) (io.ReadCloser, error) {
	o, err := c.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if !o.State.stored() {
		return nil, fmt.Errorf("%w: object %s is %s, its bytes are not here", ErrState, id, o.State)
	}
	f, err := c.openFile(id)
	if errors.Is(err, fs.ErrNotExist) {
		if again, err := c.Get(ctx, id); err == nil && !again.State.stored() {
			return nil, fmt.Errorf("%w: object %s is %s", ErrState, id, again.State)
		}
		c.raise(id, alarmMissing)
		return nil, fmt.Errorf("object %s: %w: %s", id, ErrDamaged, alarmMissing)
	}
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", id, err)
	}
	b, err := newBlob(f, c.identity, o.Bytes, o.SHA256)
	if err != nil {
		if errors.Is(err, ErrDamaged) {
			c.raise(id, alarmDamaged)
		}
		return nil, fmt.Errorf("object %s: %w", id, err)
	}
	b.damaged = func() { c.raise(id, alarmDamaged) }
	return b, nil
}

// source is a file that remembers that it could not be read. A disk that fails for a
// while says nothing of what is in its files: they are read again later.
type source struct {
	*os.File
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.File.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// damage is ErrDamaged for what was met in the file, if it could be read.
func (s *source) damage(err error) error {
	if s.err != nil {
		return fmt.Errorf("its file cannot be read: %w", s.err)
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// blob decrypts and verifies a file while it is read.
type blob struct {
	file    *source
	plain   io.Reader
	hash    hash.Hash
	left    int64 // bytes still to come
	sum     Digest
	err     error
	damaged func() // told once; nil if nobody needs to know
}

// newBlob takes the file over, and closes it if it returns an error.
func newBlob(f *os.File, identity age.Identity, size int64, sum Digest) (*blob, error) {
	file := &source{File: f}
	plain, err := age.Decrypt(file, identity)
	if err != nil {
		f.Close()
		return nil, file.damage(err)
	}
	b := &blob{file: file, plain: plain, hash: sha256.New(), left: size, sum: sum}
	if size == 0 {
		b.err = b.end()
	}
	return b, nil
}

func (b *blob) Read(p []byte) (int, error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	n, err := b.plain.Read(p)
	b.hash.Write(p[:n])
	b.left -= int64(n)
	switch {
	case b.left < 0:
		b.err = b.damage(errors.New("longer than what was kept"))
		return 0, b.err
	case b.left == 0:
		if b.err = b.end(); b.err != io.EOF {
			return 0, b.err
		}
		return n, nil
	case errors.Is(err, io.EOF):
		b.err = b.damage(errors.New("shorter than what was kept"))
		return 0, b.err
	case err != nil:
		b.err = b.damage(err)
		return 0, b.err
	}
	return n, nil
}

// end is reached before the last bytes are returned: it returns io.EOF if the
// file ends here, authentically, and the bytes are those that were kept.
func (b *blob) end() error {
	var one [1]byte
	if n, err := io.ReadFull(b.plain, one[:]); n != 0 || !errors.Is(err, io.EOF) {
		return b.damage(fmt.Errorf("does not end where it must: %w", err))
	}
	if !bytes.Equal(b.hash.Sum(nil), b.sum[:]) {
		return b.damage(errors.New("SHA-256 differs from that of what was kept"))
	}
	return io.EOF
}

func (b *blob) damage(err error) error {
	err = b.file.damage(err)
	if b.damaged != nil && errors.Is(err, ErrDamaged) {
		b.damaged()
	}
	return err
}

func (b *blob) Close() error { return b.file.Close() }

// What can be wrong with a blob, as rows and journal have it.
const (
	alarmMissing = "blob is missing"
	alarmDamaged = "blob is damaged"
)

// raise puts an alarm on an object, within a second.
func (c *Custody) raise(id, alarm string) {
	c.db.Later(func(tx *store.Tx) error { return c.raiseIn(tx, id, alarm) }, func(error) {}) // met again at the next reading
}

// raiseIn puts an alarm on an object. One that was to be delivered needs a
// person now, and does not hold up its series.
func (c *Custody) raiseIn(tx *store.Tx, id, alarm string) error {
	r, err := tx.Exec(`UPDATE custody_objects SET alarm = ?, needs_attention = needs_attention OR state = 'spooled', last_error = ?
		WHERE id = ? AND alarm <> ? AND state IN ('spooled', 'held')`, alarm, alarm, id, alarm)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); n == 0 || err != nil {
		return err
	}
	o, err := get(tx, id)
	if err != nil {
		return err
	}
	return c.journal.Append(tx, "object.alarm", map[string]any{"id": id, "alarm": alarm, "state": o.State, "sop_instance_uid": o.SOPInstanceUID})
}
