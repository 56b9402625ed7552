package custody

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"cordon/store"
)

// oldShard is the length of a directory's name in the layout of the first
// version, which spread blobs over 1,024 directories.
const oldShard = 2

// regroup moves what the first version has left to where blobs are now. Cut off
// anywhere, the next start goes on with it.
func (c *Custody) regroup() error {
	dirs, err := os.ReadDir(c.objects)
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if !dir.IsDir() || len(dir.Name()) != oldShard {
			continue
		}
		if err := c.regroupOne(filepath.Join(c.objects, dir.Name()), dir.Name()); err != nil {
			return err
		}
	}
	return nil
}

func (c *Custody) regroupOne(from, shardName string) error {
	files, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, f := range files {
		id := f.Name()
		if !validID(id) || id[idLen-oldShard:] != shardName {
			return nil // not ours
		}
		to := c.blobPath(id)
		if err := store.MakeDir(filepath.Dir(to)); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(from, id), to); err != nil {
			return err
		}
		if err := store.SyncDir(filepath.Dir(to)); err != nil {
			return err
		}
	}
	return os.Remove(from)
}

// tryMove is an error if files cannot move from spill to objects in one step: what
// is kept would stay where objects are received, which may be no place that lasts
// (a disk of memory, say), and the next start could not move it either.
func (c *Custody) tryMove() error {
	const name = ".move" // nobody's id
	from, to := filepath.Join(c.spill, name), filepath.Join(c.objects, name)
	f, err := os.OpenFile(from, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil // that it is full, say, is said when an object comes
	}
	f.Close()
	defer os.Remove(from)
	defer os.Remove(to)
	if err := os.Rename(from, to); errors.Is(err, syscall.EXDEV) {
		return fmt.Errorf("%s and %s are on different file systems: let both be on that of the data directory, or mount that on a disk of its own", c.spill, c.objects)
	}
	return nil
}
