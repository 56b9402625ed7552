package secure

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"time"
)

// maxFile bounds a file, in bytes. Revocation lists of large authorities have
// some megabytes.
const maxFile = 16 << 20

// settled is the age from which a file's time says that it has not changed since:
// file systems round it, and two writes within a moment may have the same.
const settled = 2 * time.Second

// files are some files that make sense together only, and what they held when they
// last did.
type files[T any] struct {
	names []string // what each is, in errors
	paths []string
	parse func(texts [][]byte) (T, error)

	value   T
	problem error    // why what is there now is not in use; nil if it is
	texts   [][]byte // last parsed
	stamps  []stamp
	read    time.Time // when stamps were taken
	loaded  bool      // value is of use
	changed bool      // value or problem is new since news
}

// stamp tells a file from what it was.
type stamp struct {
	modified time.Time
	size     int64
	inode    uint64
}

// look reads the files again if they may have changed. The error is problem.
func (f *files[T]) look(now time.Time) error {
	stamps := f.stat()
	if f.unchanged(stamps) {
		return f.problem
	}
	f.stamps, f.read = stamps, now
	texts, err := f.readAll()
	if err != nil {
		f.texts = nil
		f.fail(err)
		return err
	}
	if f.texts != nil && same(texts, f.texts) {
		return f.problem
	}
	f.texts = texts
	value, err := f.parse(texts)
	if err != nil {
		f.fail(err)
		return err
	}
	if f.loaded || f.problem != nil {
		f.changed = true
	}
	f.value, f.loaded, f.problem = value, true, nil
	return nil
}

func (f *files[T]) fail(err error) {
	if f.problem == nil || f.problem.Error() != err.Error() {
		f.changed = true
	}
	f.problem = err
}

// news reports, once, that the value or the problem is new.
func (f *files[T]) news() bool {
	n := f.changed
	f.changed = false
	return n
}

// stat is nil if a file is not there.
func (f *files[T]) stat() []stamp {
	var out []stamp
	for _, path := range f.paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil
		}
		s := stamp{modified: info.ModTime(), size: info.Size()}
		if sys, ok := info.Sys().(*syscall.Stat_t); ok {
			s.inode = sys.Ino
		}
		out = append(out, s)
	}
	return out
}

// unchanged reports whether the files are surely those that were read last.
func (f *files[T]) unchanged(now []stamp) bool {
	if f.stamps == nil || !slices.Equal(now, f.stamps) {
		return false
	}
	for _, s := range now {
		if f.read.Sub(s.modified) < settled {
			return false
		}
	}
	return true
}

func (f *files[T]) readAll() ([][]byte, error) {
	var out [][]byte
	for i, path := range f.paths {
		text, err := readFile(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.names[i], err)
		}
		out = append(out, text)
	}
	return out, nil
}

// readFile reads a regular file. It never waits for the other end of a pipe.
func readFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%w (give the user that Cordon runs as the right to read it)", err)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	case info.Size() > maxFile:
		return nil, fmt.Errorf("%s has %d bytes, %d are allowed", path, info.Size(), maxFile)
	}
	return io.ReadAll(io.LimitReader(f, maxFile))
}
