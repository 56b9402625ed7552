package custody

import (
	"os"
	"path/filepath"

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
