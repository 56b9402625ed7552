package engine

import (
	"errors"
	"io"
)

// piece reads the bytes that are to be scanned, once, and holds them against their declared size and the limit.
type piece struct {
	r        io.Reader
	declared int64 // bytes; negative if unknown
	limit    int64 // bytes
	taken    int64 // bytes
	ended    bool  // the last byte was taken, and the size was right
}

// fill reads until p is full or the piece ends. It returns errTooLarge, errPartial or errUnreadable as soon as one holds;
// the piece is then of no use. After the end it returns 0.
func (c *piece) fill(p []byte) (int, error) {
	if c.ended {
		return 0, nil
	}
	n, err := io.ReadFull(c.r, p)
	c.taken += int64(n)
	c.ended = errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	switch {
	case err != nil && !c.ended:
		return n, errUnreadable
	case c.taken > c.limit:
		return n, errTooLarge
	case c.declared >= 0 && (c.taken > c.declared || c.ended && c.taken < c.declared):
		return n, errPartial
	}
	return n, nil
}
