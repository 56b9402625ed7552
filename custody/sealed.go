package custody

import (
	"errors"
	"fmt"
	"io"
	"os"

	"cordon/store"

	"filippo.io/age"
)

// A sealed copy is an object's bytes in a file of somebody else's directory,
// encrypted to custody's key. It is not in custody: it has no row here, it is
// not synced, and its owner deletes it.

// SealTo completes the object and writes a sealed copy to a new file at path, on
// the same disk as custody. What is in a file already only gets another name
// where the file system allows that. It may be called after Keep. After an error
// there is no file.
func (b *Buffer) SealTo(path string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.seal(); err != nil {
		return err
	}
	if b.file != nil && (os.Link(b.c.spillPath(b.id), path) == nil || os.Link(b.c.blobPath(b.id), path) == nil) {
		return nil
	}
	if err := b.c.room(Spooled); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("sealing a copy: %w", store.Explain(err))
	}
	if err := errors.Join(b.copyTo(f), f.Close()); err != nil {
		os.Remove(path)
		return fmt.Errorf("sealing a copy: %w", store.Explain(err))
	}
	return nil
}

// copyTo writes the object encrypted, as it is in its file if it has one: the
// file may have been moved or even deleted by now, and is still open.
func (b *Buffer) copyTo(w io.Writer) error {
	if b.file != nil {
		_, err := io.Copy(w, io.NewSectionReader(b.file, 0, 1<<62))
		return err
	}
	sealed, err := age.Encrypt(w, b.c.identity.Recipient())
	if err != nil {
		return err
	}
	return errors.Join(b.content.copyTo(sealed), sealed.Close())
}

// OpenSealed reads what SealTo wrote, of an object of that size and digest, and
// verifies it as OpenBlob does: ErrDamaged comes before the last byte. The caller
// closes it.
func (c *Custody) OpenSealed(path string, size int64, sum Digest) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("sealed copy: %w", err)
	}
	return newBlob(f, c.identity, size, sum)
}
