package custody

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"cordon/store"
)

// copies makes, for each archive, an object with the bytes of o and an id of
// its own: another name of the same file, since none is ever changed. Its names
// are durable when it returns; without a row the next start deletes them.
func (c *Custody) copies(o Object, archives []string) ([]Object, error) {
	if len(archives) == 0 {
		return nil, nil
	}
	var all []Object
	for _, archive := range archives {
		to := o.copyFor(archive, newID())
		if err := c.linkBlob(o.ID, to.ID); err != nil {
			c.dropCopies(all)
			return nil, fmt.Errorf("copy for archive %s: %w", archive, store.Explain(err))
		}
		all = append(all, to)
	}
	if err := c.names.Sync(); err != nil {
		c.dropCopies(all)
		return nil, err
	}
	return all, nil
}

// copyFor is the object as it goes to a further archive.
func (o Object) copyFor(archive, id string) Object {
	o.ID, o.Archive, o.Also = id, archive, nil
	return o
}

// dropCopies deletes copies that got no row.
func (c *Custody) dropCopies(all []Object) {
	for _, o := range all {
		os.Remove(c.spillPath(o.ID))
	}
}

// placeCopies moves copies that have a row to where blobs are.
func (c *Custody) placeCopies(all []Object) {
	for _, o := range all {
		_ = c.place(o.ID) // it is found where it is; the next start moves it
	}
}

// linkBlob gives the file of an object a second name among those being
// received. Where the file system has no such names it is copied.
func (c *Custody) linkBlob(id, as string) error {
	for _, path := range []string{c.blobPath(id), c.spillPath(id), c.blobPath(id)} { // it may be moving
		err := os.Link(path, c.spillPath(as))
		switch {
		case err == nil:
			return nil
		case errors.Is(err, fs.ErrNotExist):
			continue
		}
		return copyFile(path, c.spillPath(as))
	}
	return fs.ErrNotExist
}

// copyFile copies a file and syncs the copy.
func copyFile(from, to string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	err = errors.Join(err, w.Sync(), w.Close())
	if err != nil {
		os.Remove(to)
	}
	return err
}

// insertCopies writes the rows of copies of an object that goes to several
// archives, each with its journal record.
func (c *Custody) insertCopies(tx *store.Tx, all []Object, of string) error {
	t, err := change(Receiving, Spooled, gateway)
	if err != nil {
		return err
	}
	for _, o := range all {
		if err := insert(tx, o); err != nil {
			return err
		}
		if err := c.journal.Append(tx, t.kind, o.entry(t, map[string]any{"copy_of": of})); err != nil {
			return err
		}
	}
	return nil
}
