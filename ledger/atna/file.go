package atna

import (
	"context"
	"time"

	"cordon/store"
)

// file is a carrier to a file of lines on this machine: what is flushed is on
// disk.
type file struct {
	lines   *store.Lines
	pending []byte
	written int64
	never   chan struct{}
}

func openFile(path string, most int64, keep int) (*file, error) {
	lines, err := store.OpenLines(path, most, keep)
	if err != nil {
		return nil, err
	}
	return &file{lines: lines, never: make(chan struct{})}, nil
}

func (f *file) send(frame []byte) error {
	f.pending = append(f.pending, frame...)
	if len(f.pending) < chunk {
		return nil
	}
	return f.append()
}

func (f *file) append() error {
	err := f.lines.Append(f.pending)
	f.written += int64(len(f.pending))
	f.pending = f.pending[:0]
	return err
}

func (f *file) flush() (int64, error) {
	if len(f.pending) > 0 {
		if err := f.append(); err != nil {
			return f.written, err
		}
	}
	return f.written, f.lines.Sync()
}

func (f *file) arrived() (int64, error)                     { return f.written, nil }
func (f *file) finish(context.Context, time.Duration) error { return nil }
func (f *file) gone() <-chan struct{}                       { return f.never }
func (f *file) why() error                                  { return nil }
func (f *file) close()                                      { f.lines.Close() }
