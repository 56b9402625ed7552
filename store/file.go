package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteFile replaces the file at path with data. Whatever happens, the path
// holds all of the old content or all of the new; after it returns nil, the new
// content survives a power failure.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	f, err := NewFile(path, perm)
	if err != nil {
		return err
	}
	defer f.Discard()
	if _, err := f.Write(data); err != nil {
		return Explain(err)
	}
	return f.Commit()
}

// File is a file that is not at its path until Commit.
type File struct {
	*os.File
	path string
	done bool
}

// NewFile begins a file in the directory of path, under a name that begins with
// a dot. The caller ends it with Commit, and defers Discard.
func NewFile(path string, perm fs.FileMode) (*File, error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return nil, fmt.Errorf("writing %s: %w", path, Explain(err))
	}
	file := &File{File: f, path: path}
	if err := f.Chmod(perm); err != nil {
		file.Discard()
		return nil, fmt.Errorf("writing %s: %w", path, err)
	}
	return file, nil
}

// Commit syncs the file, gives it its name and syncs the directory.
func (f *File) Commit() error {
	if f.done {
		return fs.ErrClosed
	}
	err := errors.Join(f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), f.path)
	}
	if err != nil {
		f.Discard()
		return fmt.Errorf("writing %s: %w", f.path, Explain(err))
	}
	f.done = true
	return SyncDir(filepath.Dir(f.path))
}

// Discard removes the file unless it has been committed.
func (f *File) Discard() {
	if f.done {
		return
	}
	f.done = true
	f.Close() // may be closed already
	os.Remove(f.Name())
}

// SyncDir makes the names in a directory durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	return Explain(errors.Join(err, d.Close()))
}

// MakeDir makes a directory that its owner alone can enter, parents included,
// and makes their names durable. A directory that is there already is kept.
func MakeDir(dir string) error {
	if info, err := os.Stat(dir); err == nil {
		if !info.IsDir() {
			return fmt.Errorf("%s is not a directory", dir)
		}
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := MakeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return Explain(err)
	}
	return SyncDir(parent)
}
