package store

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// SyncTree makes durable everything on the file system that holds dir, names
// included: for many new files at once, each of which would else be synced alone.
func SyncTree(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = errors.Join(unix.Syncfs(int(d.Fd())), d.Close())
	if err != nil {
		return fmt.Errorf("syncing %s: %w", dir, Explain(err))
	}
	return nil
}
