// Package fresh reads files that make sense together only, such as a certificate
// and its key, and reads them again when they have changed.
//
//	f := fresh.New(parse, fresh.File{What: "certificate", Path: "gw.pem"}, fresh.File{What: "key", Path: "gw.key"})
//	f.Look(time.Now())                // asks the file system; reads only what may have changed
//	if f.News() { log(f.Problem()) }  // something is new since the last time
//	use(f.Value())                    // what they held when they last made sense
//
// Files that do not make sense do not take the place of those that did: these stay
// in use, and Problem says why, until the files are right again.
//
// It will not write files, watch them by itself, or wait for the other end of a
// pipe. It is not safe for concurrent use: the caller has a lock of its own.
package fresh

import (
	"bytes"
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

// File is one of the files.
type File struct {
	What string // it is, in errors
	Path string
}

// Files are some files, and what they held when they last made sense.
type Files[T any] struct {
	files []File
	parse func(texts [][]byte) (T, error)

	value   T
	problem error    // why what is there now is not in use; nil if it is
	texts   [][]byte // last parsed
	stamps  []stamp
	read    time.Time // when stamps were taken
	loaded  bool      // value is of use
	changed bool      // value or problem is new since News
}

// New is for files that parse reads, all at once and in their order. It reads none
// yet.
func New[T any](parse func(texts [][]byte) (T, error), files ...File) *Files[T] {
	return &Files[T]{files: files, parse: parse}
}

// Value is what the files held when they last made sense; zero unless Loaded.
func (f *Files[T]) Value() T { return f.value }

// Loaded reports whether the files ever made sense.
func (f *Files[T]) Loaded() bool { return f.loaded }

// Problem says why what is there now is not in use; nil if it is.
func (f *Files[T]) Problem() error { return f.problem }

// stamp tells a file from what it was.
type stamp struct {
	modified time.Time
	size     int64
	inode    uint64
}

// Look reads the files again if they may have changed. The error is Problem.
func (f *Files[T]) Look(now time.Time) error {
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
	if f.texts != nil && slices.EqualFunc(texts, f.texts, bytes.Equal) {
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

func (f *Files[T]) fail(err error) {
	if f.problem == nil || f.problem.Error() != err.Error() {
		f.changed = true
	}
	f.problem = err
}

// News reports, once, that the value or the problem is new.
func (f *Files[T]) News() bool {
	n := f.changed
	f.changed = false
	return n
}

// stat is nil if a file is not there.
func (f *Files[T]) stat() []stamp {
	var out []stamp
	for _, file := range f.files {
		info, err := os.Stat(file.Path)
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
func (f *Files[T]) unchanged(now []stamp) bool {
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

func (f *Files[T]) readAll() ([][]byte, error) {
	var out [][]byte
	for _, file := range f.files {
		text, err := readFile(file.Path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file.What, err)
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
