package custody

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// scratch is a file for the time that an object is received and judged. It is
// AES-256-GCM (NIST SP 800-38D) in blocks, under a key that was made for it and
// is in memory only; a block's nonce is its number, so that none can stand in
// another's place, and their number is in memory. What is read is thus what was
// written, or ErrDamaged. It has no name in its directory: it goes with the
// process.
type scratch struct {
	file *os.File
	aead cipher.AEAD
	size int64 // bytes written, all blocks but the last full
}

const (
	scratchBlock = 128 << 10 // bytes of a block as written
	scratchTag   = 16
)

// newScratch makes a file of that name, and takes the name away.
func newScratch(path string) (*scratch, error) {
	var key [32]byte
	if _, err := rand.Read(key[:]); err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &scratch{file: f, aead: aead}, nil
}

// takeScratch returns room for one block and its tag.
func (c *Custody) takeScratch() []byte {
	if p, ok := c.scratches.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 0, scratchBlock+scratchTag)
}

// giveScratch takes back what takeScratch returned, or nil.
func (c *Custody) giveScratch(p []byte) {
	if p != nil {
		p = p[:0]
		c.scratches.Put(&p)
	}
}

func nonce(block int64) []byte {
	var n [12]byte
	binary.BigEndian.PutUint64(n[4:], uint64(block))
	return n[:]
}

// add encrypts a block where it is, and writes it. Only the last may be short.
func (s *scratch) add(block []byte) error {
	if s.size%scratchBlock != 0 {
		return errors.New("a block after the last one")
	}
	n := s.size / scratchBlock
	s.size += int64(len(block))
	_, err := s.file.WriteAt(s.aead.Seal(block[:0], nonce(n), block, nil), n*(scratchBlock+scratchTag))
	return err
}

// read returns a block, in p, or io.EOF behind the last.
func (s *scratch) read(n int64, p []byte) ([]byte, error) {
	left := s.size - n*scratchBlock
	if left <= 0 {
		return nil, io.EOF
	}
	p = p[:min(left, scratchBlock)+scratchTag]
	if _, err := s.file.ReadAt(p, n*(scratchBlock+scratchTag)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	plain, err := s.aead.Open(p[:0], nonce(n), p, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return plain, nil
}
