package custody

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"
	"time"

	"cordon/store"

	"filippo.io/age"
)

// Buffer holds one object while it is received and judged: in memory up to a
// bound, from there on in an encrypted file, whatever its size. Write until the
// object is complete; then Open it as often as needed, perhaps Keep it, and
// Discard it. It may be used by one goroutine at a time, what Open returns by
// another.
type Buffer struct {
	c     *Custody
	id    string
	began time.Time

	mu        sync.Mutex
	content   *content       // unless it is early
	early     bool           // see Expect
	hash      hash.Hash      // of an early one
	sum       Digest         // of an early one, once summed
	summed    bool           //
	size      int64          //
	unchecked int            // bytes since the disk's room was looked at
	file      *os.File       // what is kept, or will most likely be
	direct    *store.Direct  // writes file; nil if that goes through the page cache
	block     []byte         // of direct
	age       io.WriteCloser // encrypts to file; nil once sealed
	phase     phase
	err       error // of a write: nothing may follow
}

// roomEvery is how many bytes are written between two looks at the disk's room.
const roomEvery = 256 << 10

type phase uint8

const (
	open      phase = iota // takes writes
	sealed                 // complete
	kept                   // its file is an object's
	discarded              //
)

// NewBuffer begins an object.
func (c *Custody) NewBuffer() *Buffer {
	return &Buffer{c: c, id: newID(), began: now(), content: &content{c: c}}
}

// NewSpill begins an object that goes to its file with its first byte: for whoever
// keeps many at a time, and has no memory for each.
func (c *Custody) NewSpill() *Buffer {
	b := c.NewBuffer()
	b.content.spill, b.content.quiet = true, true
	return b
}

// NewPile begins what is no object of its own, but many, or parts of one: nobody
// will most likely ask for its digest.
func (c *Custody) NewPile() *Buffer {
	b := c.NewBuffer()
	b.content.quiet = true
	return b
}

// Expect says, before the first byte, that the object will most likely be kept: it
// is encrypted and written as it arrives, so that Keep has little more to do
// than to sync, and takes less memory.
func (b *Buffer) Expect() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.early, b.hash = true, sha256.New()
}

// ID is what the object's id will be, if it is kept.
func (b *Buffer) ID() string { return b.id }

// Len is the number of bytes written.
func (b *Buffer) Len() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.size
}

// Write adds to the object. An error is for good: the object cannot be kept.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.phase != open {
		return 0, errors.New("object buffer is complete")
	}
	if b.err != nil {
		return 0, b.err
	}
	if b.err = b.write(p); b.err != nil {
		b.c.notDirect(b.err)
		b.err = fmt.Errorf("buffering object: %w", store.Explain(b.err))
		return 0, b.err
	}
	b.size += int64(len(p))
	return len(p), nil
}

func (b *Buffer) write(p []byte) error {
	if b.early && b.file == nil {
		if err := b.earlyFile(); err != nil {
			return err
		}
	}
	if b.unchecked += len(p); b.unchecked > roomEvery && (b.early || b.content.file != nil) {
		b.unchecked = 0
		if err := b.c.room(Receiving); err != nil {
			return err
		}
	}
	if !b.early {
		return b.content.write(p)
	}
	b.hash.Write(p)
	_, err := b.age.Write(p)
	return err
}

// newFile begins the encrypted file that is to be kept.
func (b *Buffer) newFile() (err error) {
	b.file, err = os.OpenFile(b.c.spillPath(b.id), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	b.age, err = age.Encrypt(b.file, b.c.identity.Recipient())
	return err
}

// seal ends writing.
func (b *Buffer) seal() error {
	switch {
	case b.phase == discarded:
		return errors.New("object buffer was discarded")
	case b.err != nil:
		return b.err
	case b.phase != open:
		return nil
	}
	if err := errors.Join(b.content.seal(), b.closeFile()); err != nil {
		b.err = fmt.Errorf("buffering object: %w", store.Explain(err))
		return b.err
	}
	b.phase = sealed
	return nil
}

// digest seals the object and makes its digest.
func (b *Buffer) digest() error {
	if err := b.seal(); err != nil || b.summed {
		return err
	}
	if b.file != nil && b.early {
		b.hash.Sum(b.sum[:0])
	} else {
		var err error
		if b.sum, err = b.content.digest(); err != nil {
			return fmt.Errorf("reading object buffer: %w", err)
		}
	}
	b.summed = true
	return nil
}

// closeFile writes the encrypted file's end, if there is one.
func (b *Buffer) closeFile() error {
	if b.age == nil {
		return nil
	}
	err := b.age.Close()
	b.age = nil
	if b.direct != nil {
		err = errors.Join(err, b.direct.Finish())
		b.giveBlock()
	}
	return err
}

func (b *Buffer) giveBlock() {
	if b.direct != nil {
		b.c.giveBlock(b.block)
		b.direct, b.block = nil, nil
	}
}

// SHA256 completes the object and returns its digest.
func (b *Buffer) SHA256() (Digest, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	err := b.digest()
	return b.sum, err
}

// Open completes the object and returns a reader of all of it, from its
// beginning: what was written, or an error. The caller closes it; it stays valid
// when the buffer is discarded.
func (b *Buffer) Open() (io.ReadCloser, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.seal(); err != nil {
		return nil, err
	}
	if !b.isEarly() {
		return b.content.open(), nil
	}
	if err := b.digest(); err != nil {
		return nil, err
	}
	f, err := b.c.openFile(b.id)
	if err != nil {
		return nil, fmt.Errorf("reading object buffer: %w", err)
	}
	return newBlob(f, b.c.identity, b.size, b.sum)
}

// isEarly reports whether the object is in its file alone.
func (b *Buffer) isEarly() bool { return b.early && b.size > 0 }

// unfiled is how many bytes sync has yet to write.
func (b *Buffer) unfiled() int64 {
	if b.file != nil {
		return 0
	}
	return b.size
}

// sync makes the object's file, complete and durable, its name included. After
// an error of the disk a file is not trusted again: one made from the content is
// made anew by the next call, any other is lost.
func (b *Buffer) sync() error {
	if b.file == nil {
		if err := b.fileFromContent(); err != nil {
			b.dropFile()
			return err
		}
	}
	err := b.syncBoth()
	switch {
	case err == nil:
		return nil
	case !b.isEarly():
		b.dropFile()
	default:
		b.err = err
	}
	return err
}

// syncBoth makes the file and its name durable, both at once.
func (b *Buffer) syncBoth() error {
	named := make(chan error, 1)
	go func() { named <- b.c.names.Sync() }() // ends with the directory's sync, which is awaited here
	return errors.Join(b.file.Sync(), <-named)
}

// earlyFile begins the encrypted file of an object that is being received.
func (b *Buffer) earlyFile() error {
	if err := b.c.room(Receiving); err != nil {
		return err
	}
	if b.c.buffered.Load() {
		return b.newFile()
	}
	return b.directFile()
}

// fileFromContent writes the content to a new encrypted file, past the page cache
// where that can be done: it is synced at once.
func (b *Buffer) fileFromContent() error {
	if b.c.buffered.Load() {
		return b.newWhole()
	}
	err := b.directFile()
	if err == nil {
		err = b.fill()
	}
	if !b.c.notDirect(err) {
		return err
	}
	b.dropFile()
	return b.newWhole()
}

func (b *Buffer) newWhole() error {
	if err := b.newFile(); err != nil {
		return err
	}
	return b.fill()
}

// fill writes the content to the file that was begun.
func (b *Buffer) fill() error {
	if err := b.content.copyTo(&rationed{w: b.age, c: b.c}); err != nil {
		return err
	}
	return b.closeFile()
}

// directFile begins an encrypted file that is written past the page cache.
func (b *Buffer) directFile() error {
	block := b.c.takeBlock()
	d, err := store.CreateDirect(b.c.spillPath(b.id), 0o600, block)
	if err != nil {
		b.c.giveBlock(block)
		return err
	}
	b.file, b.direct, b.block = d.File(), d, block
	b.age, err = age.Encrypt(d, b.c.identity.Recipient())
	return err
}

// dropFile deletes the buffer's file; if that fails, the next start does it.
func (b *Buffer) dropFile() {
	if b.file != nil {
		b.file.Close()
		os.Remove(b.file.Name())
	}
	b.file, b.age = nil, nil
	b.giveBlock()
}

// Discard frees what the buffer holds; a kept object stays. It may be called
// more than once, and at any time.
func (b *Buffer) Discard() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.phase == discarded {
		return
	}
	if b.phase == kept && b.file != nil {
		b.file.Close() // it was synced
		b.file = nil
	}
	b.dropFile()
	b.content.discard()
	b.phase = discarded
}
