package custody

import (
	"hash"
	"sync/atomic"
)

// rear works behind a Buffer that is being written, in a goroutine of its own:
// it digests what is complete and takes it to the scratch file, while the next
// bytes arrive.
type rear struct {
	hash   hash.Hash // nil: no digest
	work   chan rearWork
	blocks chan []byte // of the scratch file, to be filled again
	done   chan struct{}
	failed atomic.Pointer[error]
	ended  bool
}

type rearWork struct {
	data []byte
	to   *scratch // nil: it stays where it is
}

// rearBlocks is how many blocks of the scratch file a Buffer has: one is filled
// while the other is written.
const rearBlocks = 2

// newRear begins it; end ends it.
func newRear(h hash.Hash) *rear {
	r := &rear{hash: h, work: make(chan rearWork, rearBlocks), blocks: make(chan []byte, rearBlocks), done: make(chan struct{})}
	go r.run()
	return r
}

func (r *rear) run() {
	defer close(r.done)
	for w := range r.work {
		if r.hash != nil {
			r.hash.Write(w.data)
		}
		if w.to == nil {
			continue
		}
		if r.failed.Load() == nil {
			if err := w.to.add(w.data); err != nil {
				r.failed.Store(&err)
			}
		}
		r.blocks <- w.data[:0]
	}
}

// err is why something did not get into the scratch file, or nil.
func (r *rear) err() error {
	if p := r.failed.Load(); p != nil {
		return *p
	}
	return nil
}

// end waits until all is done.
func (r *rear) end() error {
	if !r.ended {
		close(r.work)
		<-r.done
		r.ended = true
	}
	return r.err()
}
