package custody

import "cordon/store"

// Misalign makes the next direct write fail, as on a file system that has none.
func (c *Custody) Misalign() {
	for c.blocks.Get() != nil {
	}
	c.giveBlock(store.NewDirectBuffer()[1:])
}

// Buffered reports whether files are written through the page cache.
func (c *Custody) Buffered() bool { return c.buffered.Load() }
