package custody

import (
	"os"
	"sync"

	"cordon/store"
)

// What a Buffer may take of the memory that all share, and in which pieces; and
// what a block of a scratch file has.
const (
	MostShared   = mostShared
	Segment      = segment
	ScratchBlock = scratchBlock
)

// Scratch is the file of what is not in memory, or nil.
func (b *Buffer) Scratch() *os.File {
	if b.content.file == nil {
		return nil
	}
	return b.content.file.file
}

// SharedLeft is how much of the shared memory is free, in bytes.
func (c *Custody) SharedLeft() int {
	c.shared.mu.Lock()
	defer c.shared.mu.Unlock()
	return len(c.shared.free) * segment
}

// GiveBack lets the system have the shared memory that nobody uses.
func (c *Custody) GiveBack() { c.shared.giveBack() }

// Misalign makes every direct write from here on fail, as on a file system that
// has none.
func (c *Custody) Misalign() {
	c.blocks = sync.Pool{New: func() any {
		p := store.NewDirectBuffer()[1:]
		return &p
	}}
}

// Buffered reports whether files are written through the page cache.
func (c *Custody) Buffered() bool { return c.buffered.Load() }
