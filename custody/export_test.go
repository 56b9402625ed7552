package custody

import (
	"os"

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

// Misalign makes the next direct write fail, as on a file system that has none.
func (c *Custody) Misalign() {
	for c.blocks.Get() != nil {
	}
	for range 3 { // a pool does not find the first of another processor's
		c.giveBlock(store.NewDirectBuffer()[1:])
	}
}

// Buffered reports whether files are written through the page cache.
func (c *Custody) Buffered() bool { return c.buffered.Load() }
