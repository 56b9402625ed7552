package custody

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
)

// content is what a Buffer holds until it is discarded: its first bytes in memory
// of its own, the next ones in memory that all share, as far as there is some,
// and the rest in a scratch file. One goroutine writes it and seals it, before
// any reads it.
type content struct {
	c      *Custody
	spill  bool // all of it goes to the scratch file
	quiet  bool // no digest while it is written
	size   int64
	memory [][]byte // all but the last full; the first is from the pool
	file   *scratch // nil while all is in memory
	block  []byte   // of file, being filled
	rear   *rear    // nil while own memory does
	sum    Digest
	summed bool

	mu      sync.Mutex // of what follows
	readers int        // not yet closed
	over    bool       // nobody else will read it
}

// mostShared is how much of the shared memory one Buffer may take, in bytes: one
// long object leaves some to others.
const mostShared = 40 << 20

// write adds to the content.
func (t *content) write(p []byte) error {
	for len(p) > 0 {
		to, err := t.space()
		if err != nil {
			return err
		}
		n := min(len(p), t.most(*to)-len(*to))
		*to = append(*to, p[:n]...)
		p = p[n:]
		t.size += int64(n)
	}
	return nil
}

// most is how much goes into a piece of memory.
func (t *content) most(p []byte) int {
	if t.file != nil {
		return scratchBlock
	}
	return cap(p)
}

// space is where the next byte goes: there is room for it.
func (t *content) space() (*[]byte, error) {
	switch {
	case t.file != nil:
		return t.nextBlock()
	case t.spill:
		return t.beginFile()
	case len(t.memory) == 0:
		t.memory = append(t.memory, t.c.takeMemory())
	}
	last := &t.memory[len(t.memory)-1]
	if len(*last) < cap(*last) {
		return last, nil
	}
	if t.rear == nil {
		t.begin()
	}
	t.rear.work <- rearWork{data: *last}
	if len(t.memory)*segment <= mostShared {
		if p := t.c.shared.take(); p != nil {
			t.memory = append(t.memory, p)
			return &t.memory[len(t.memory)-1], nil
		}
	}
	return t.beginFile()
}

// begin begins the work behind the writer.
func (t *content) begin() {
	var h hash.Hash
	if !t.quiet {
		h = sha256.New()
	}
	t.rear = newRear(h)
}

// beginFile has what follows go to a file.
func (t *content) beginFile() (*[]byte, error) {
	err := t.c.room(Receiving)
	if err != nil {
		return nil, err
	}
	if t.file, err = newScratch(t.c.spillPath(newID())); err != nil {
		return nil, err
	}
	if t.rear == nil {
		t.begin()
	}
	for range rearBlocks - 1 {
		t.rear.blocks <- t.c.takeScratch()
	}
	t.block = t.c.takeScratch()
	return &t.block, nil
}

// nextBlock is the block that is being filled, or the next.
func (t *content) nextBlock() (*[]byte, error) {
	if len(t.block) == scratchBlock {
		t.rear.work <- rearWork{t.block, t.file}
		t.block = <-t.rear.blocks
		if err := t.rear.err(); err != nil {
			return nil, err
		}
	}
	return &t.block, nil
}

// seal ends writing: all of it is where it belongs.
func (t *content) seal() error {
	if t.rear == nil || t.rear.ended {
		return nil
	}
	if t.file != nil {
		t.rear.work <- rearWork{t.block, t.file}
	} else {
		t.rear.work <- rearWork{data: t.memory[len(t.memory)-1]}
	}
	t.block = nil
	return t.endRear()
}

func (t *content) endRear() error {
	err := t.rear.end()
	for range len(t.rear.blocks) {
		t.c.giveScratch(<-t.rear.blocks)
	}
	return err
}

// digest is the SHA-256 of what was sealed. If nobody made it while the content
// arrived, it is made now: of one in memory that is delivered at once nobody may
// ever need it.
func (t *content) digest() (Digest, error) {
	if t.summed {
		return t.sum, nil
	}
	if t.rear != nil && t.rear.hash != nil {
		t.rear.hash.Sum(t.sum[:0])
		t.summed = true
		return t.sum, nil
	}
	h := sha256.New()
	if err := t.copyTo(h); err != nil {
		return Digest{}, err
	}
	h.Sum(t.sum[:0])
	t.summed = true
	return t.sum, nil
}

// copyTo writes all of it.
func (t *content) copyTo(w io.Writer) error {
	r := t.open()
	n, err := io.Copy(w, r)
	if err == nil && n != t.size {
		err = fmt.Errorf("%w: %d bytes of %d", ErrDamaged, n, t.size)
	}
	return errors.Join(err, r.Close())
}

// discard frees it, unless somebody still reads it: then that does.
func (t *content) discard() {
	if t.rear != nil && !t.rear.ended {
		t.c.giveScratch(t.block)
		t.block = nil
		_ = t.endRear() // what is thrown away need not be written
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	t.free()
}

// free frees it once nobody needs it. It needs mu.
func (t *content) free() {
	if !t.over || t.readers > 0 {
		return
	}
	if len(t.memory) > 0 {
		t.c.giveMemory(t.memory[0])
		t.c.shared.give(t.memory[1:])
		t.memory = nil
	}
	if t.file != nil {
		t.file.file.Close() // nobody will read it
		t.file = nil
	}
}
