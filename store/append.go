package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
)

// Lines is a file of lines that grows at its end. When it would be longer than
// its limit, it becomes PATH.1, what was PATH.1 becomes PATH.2 and so on, and
// the oldest goes. Its methods belong to one goroutine.
type Lines struct {
	path string
	most int64 // bytes of one file
	keep int   // how many older files are kept
	file *os.File
	size int64
}

// OpenLines opens or makes the file. A last line that a crash cut short is taken
// out.
func OpenLines(path string, most int64, keep int) (*Lines, error) {
	l := &Lines{path: path, most: most, keep: keep}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, Explain(err))
	}
	return l, nil
}

func (l *Lines) open() error {
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	size, err := wholeLines(f)
	if err == nil {
		err = f.Truncate(size)
	}
	if err == nil {
		_, err = f.Seek(size, io.SeekStart)
	}
	if err == nil {
		err = SyncDir(filepath.Dir(l.path))
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.file, l.size = f, size
	return nil
}

// wholeLines is where the last line that has an end ends.
func wholeLines(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	buf := make([]byte, 64<<10)
	for end := info.Size(); end > 0; {
		from := max(0, end-int64(len(buf)))
		n, err := f.ReadAt(buf[:end-from], from)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			return from + int64(i) + 1, nil
		}
		end = from
	}
	return 0, nil
}

// Append adds lines, which end in a line feed. They survive a power failure
// once Sync has returned nil.
func (l *Lines) Append(lines []byte) error {
	if l.size > 0 && l.size+int64(len(lines)) > l.most {
		if err := l.rotate(); err != nil {
			return fmt.Errorf("rotating %s: %w", l.path, Explain(err))
		}
	}
	n, err := l.file.Write(lines)
	l.size += int64(n)
	if err != nil {
		return fmt.Errorf("writing %s: %w", l.path, Explain(err))
	}
	return nil
}

// Sync makes durable what was appended.
func (l *Lines) Sync() error {
	if err := l.file.Sync(); err != nil {
		return fmt.Errorf("writing %s: %w", l.path, Explain(err))
	}
	return nil
}

// Close closes the file; what was not synced may be lost.
func (l *Lines) Close() error { return l.file.Close() }

// rotate gives every file its next number and begins a new one.
func (l *Lines) rotate() error {
	if err := errors.Join(l.file.Sync(), l.file.Close()); err != nil {
		return err
	}
	if l.keep == 0 {
		if err := os.Remove(l.path); err != nil {
			return err
		}
	}
	for i := l.keep; i > 0; i-- {
		from := l.path
		if i > 1 {
			from += "." + strconv.Itoa(i-1)
		}
		err := os.Rename(from, l.path+"."+strconv.Itoa(i))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return l.open()
}
