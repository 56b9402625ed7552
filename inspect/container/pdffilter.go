package container

import (
	"bufio"
	"io"
)

// lzwReader decodes the LZW of PDF and TIFF, whose codes grow one entry early
// unless /EarlyChange is 0 (ISO 32000-1 §7.4.4). Package compress/lzw knows the other kind only.
type lzwReader struct {
	r      io.ByteReader
	early  int
	bits   uint32
	n      uint // bits that are there
	width  uint
	next   int // code to be given away
	prefix [lzwCodes]uint16
	suffix [lzwCodes]byte
	last   int            // code before; -1 after a clear
	buf    [lzwCodes]byte // of one code, filled from its end
	out    []byte
	done   bool
}

const (
	lzwClear, lzwEnd, lzwFirst = 256, 257, 258
	lzwCodes                   = 1 << 12
)

func newLZW(r io.Reader, early int) *lzwReader {
	return &lzwReader{r: bufio.NewReader(r), early: early, width: 9, next: lzwFirst, last: -1}
}

func (l *lzwReader) Read(p []byte) (int, error) {
	for len(l.out) == 0 {
		if l.done {
			return 0, io.EOF
		}
		l.step()
	}
	n := copy(p, l.out)
	l.out = l.out[n:]
	return n, nil
}

// step decodes one code.
func (l *lzwReader) step() {
	for l.n < l.width {
		b, err := l.r.ReadByte()
		if err != nil {
			l.done = true
			return
		}
		l.bits = l.bits<<8 | uint32(b)
		l.n += 8
	}
	l.n -= l.width
	code := int(l.bits >> l.n & (1<<l.width - 1))
	switch {
	case code == lzwClear:
		l.width, l.next, l.last = 9, lzwFirst, -1
		return
	case code == lzwEnd, code > l.next, code == l.next && l.last < 0:
		l.done = true
		return
	}
	l.emit(code)
}

// emit writes out what the code stands for, and gives the next code away.
func (l *lzwReader) emit(code int) {
	at := len(l.buf)
	walk := code
	if code == l.next { // what stood before, and its first byte again
		at--
		walk = l.last
	}
	for ; walk >= lzwFirst; walk = int(l.prefix[walk]) {
		at--
		l.buf[at] = l.suffix[walk]
	}
	at--
	l.buf[at] = byte(walk)
	if code == l.next {
		l.buf[len(l.buf)-1] = l.buf[at]
	}
	if l.last >= 0 && l.next < lzwCodes {
		l.prefix[l.next], l.suffix[l.next] = uint16(l.last), l.buf[at]
		if l.next++; l.next+l.early >= 1<<l.width && l.width < 12 {
			l.width++
		}
	}
	l.last = code
	l.out = l.buf[at:]
}

// runLength decodes ISO 32000-1 §7.4.5.
type runLength struct {
	r     io.ByteReader
	left  int  // bytes of the run under way
	same  bool // they are all one
	value byte
}

func (u *runLength) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if u.left == 0 {
			length, err := u.r.ReadByte()
			if err != nil || length == 128 {
				return n, io.EOF
			}
			if u.left, u.same = int(length)+1, false; length > 128 {
				u.left, u.same = 257-int(length), true
				if u.value, err = u.r.ReadByte(); err != nil {
					return n, io.EOF
				}
			}
		}
		if !u.same {
			if u.value, err = u.r.ReadByte(); err != nil {
				return n, io.EOF
			}
		}
		p[n] = u.value
		n++
		u.left--
	}
	return n, nil
}
