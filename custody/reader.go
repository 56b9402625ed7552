package custody

import (
	"io"
	"os"
	"sync"
)

// contentReader reads a content from its beginning. While one block of the
// scratch file is read, the next is decrypted.
type contentReader struct {
	t *content

	mu     sync.Mutex
	part   int    // of memory, the next
	left   []byte // of what is at hand
	block  int64  // of the scratch file, the next to be asked for
	ahead  chan readAhead
	inUse  []byte // what left is of, in the file
	spare  []byte // for the block after the next
	err    error
	closed bool
}

type readAhead struct {
	room, plain []byte
	err         error
}

// open begins to read what was sealed. It stays valid until it is closed.
func (t *content) open() *contentReader {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.readers++
	r := &contentReader{t: t}
	if t.file != nil {
		r.spare = t.c.takeScratch()
		r.fetch(t.c.takeScratch())
	}
	return r
}

// fetch has the next block read; next or Close awaits it.
func (r *contentReader) fetch(room []byte) {
	ahead, file, n := make(chan readAhead, 1), r.t.file, r.block
	r.ahead = ahead
	r.block++
	go func() { // ends with the read of one block
		plain, err := file.read(n, room[:0])
		ahead <- readAhead{room, plain, err}
	}()
}

func (r *contentReader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0, os.ErrClosed
	}
	if !r.more() {
		return 0, r.err
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

// WriteTo writes what is left, without a copy of it.
func (r *contentReader) WriteTo(w io.Writer) (written int64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0, os.ErrClosed
	}
	for r.more() {
		n, err := w.Write(r.left)
		written += int64(n)
		r.left = r.left[n:]
		if err != nil {
			return written, err
		}
	}
	if r.err != io.EOF {
		return written, r.err
	}
	return written, nil
}

// more reports whether there is something at hand, or gets it.
func (r *contentReader) more() bool {
	for len(r.left) == 0 && r.err == nil {
		r.next()
	}
	return len(r.left) > 0
}

// next gets the next piece, or the error.
func (r *contentReader) next() {
	switch {
	case r.part < len(r.t.memory):
		r.left = r.t.memory[r.part]
		r.part++
	case r.ahead == nil:
		r.err = io.EOF
	default:
		got := <-r.ahead
		r.ahead = nil
		if r.inUse != nil {
			r.spare = r.inUse
		}
		r.inUse, r.left, r.err = got.room, got.plain, got.err
		if r.err == nil {
			r.fetch(r.spare)
			r.spare = nil
		}
	}
}

// Close ends reading: what was read is somebody else's then.
func (r *contentReader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed, r.left = true, nil
	if r.ahead != nil {
		r.t.c.giveScratch((<-r.ahead).room)
	}
	r.t.c.giveScratch(r.inUse)
	r.t.c.giveScratch(r.spare)
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	r.t.readers--
	r.t.free()
	return nil
}
