package inspect

import "bytes"

const (
	sweepBlock  = 32 << 10 // bytes looked at in one go
	sweepWindow = 256      // bytes from a magic number on that a judge may see
	blockEnd    = sweepBlock + sweepWindow + sweepBehind
	sweepSlack  = 16 // bytes behind what there is that may be looked at
	sweepFirst  = 512
	sweepBehind = 32 // bytes before an anchor that a pattern may reach back, and a word
)

// anchor is a byte by which patterns are found. It is rare in images, and
// bytes.IndexByte finds it at memory speed; only where it stands, and one of
// the bytes that may follow it does follow, are the patterns compared. A pattern
// may begin up to sweepBehind-8 bytes before it, and does not end with it.
type anchor struct {
	b        byte
	follows  [256]bool
	patterns []pattern
}

func newAnchor(b byte, patterns ...pattern) anchor {
	a := anchor{b: b, patterns: patterns}
	for _, p := range patterns {
		a.follows[p.magic[p.back+1]] = true
	}
	return a
}

// pattern is a magic number with the judge of what follows it.
type pattern struct {
	magic string
	back  int // of the anchor in magic
	id    string
	judge func(w []byte) (detail string, ok bool)
}

var anchors = []anchor{
	newAnchor('P',
		pattern{"PE\x00\x00", 0, "executable", portableExecutable},
		pattern{"PK\x03\x04", 0, containerBegins, beginsContainer},
		pattern{"%PDF-", 1, containerBegins, beginsContainer}),
	newAnchor(0x7F, pattern{"\x7FELF", 0, "executable", elf}),
	newAnchor(0xED,
		pattern{"\xFE\xED\xFA\xCE", 1, "executable", machO},
		pattern{"\xFE\xED\xFA\xCF", 1, "executable", machO},
		pattern{"\xCE\xFA\xED\xFE", 2, "executable", machO},
		pattern{"\xCF\xFA\xED\xFE", 2, "executable", machO}),
	newAnchor(0xBA,
		pattern{"\xCA\xFE\xBA\xBE", 2, "executable", cafeBabe},
		pattern{"\xCA\xFE\xBA\xBF", 2, "executable", cafeBabe}),
	newAnchor(0x14, pattern{"\x4C\x00\x00\x00\x01\x14\x02\x00", 5, "shortcut", shellLink}),
	newAnchor('^', pattern{`X5O!P%@AP[4\PZX54(P^)`, 19, "eicar", eicar}),
}

// Byte orders in which a piece is read. A mask m stands for "byte q of the
// order is byte q^m of the piece": 0 as it stands, 1 with the bytes of each
// 16-bit word exchanged, 3 of each 32-bit word, 7 of each 64-bit word.
var (
	asIs     = []int{0}
	allWords = []int{0, 1, 3, 7}
)

// sweep searches one piece, given in chunks of any size, for headers at any
// offset and in several byte orders. Memory: one block and one window. What it
// finds does not depend on how the piece was cut into chunks.
type sweep struct {
	orders []int
	found  func(p *pattern, at int64, detail string)
	follow func(p []byte) // when set, is shown what comes

	buf  []byte // as long as the longest piece so far needs, blockEnd at the most; and a word
	n    int    // bytes in buf
	done int    // bytes of buf whose anchors have been judged
	base int64  // offset in the piece of buf[0]; a multiple of 8
}

// start begins a new piece.
func (s *sweep) start(orders []int) {
	s.orders, s.n, s.done, s.base, s.follow = orders, 0, 0, 0, nil
}

func (s *sweep) write(p []byte) {
	for len(p) > 0 {
		s.grow(s.n + len(p))
		c := copy(s.buf[s.n:len(s.buf)-sweepSlack], p)
		if s.n += c; s.follow != nil {
			s.follow(p[:c])
		}
		p = p[c:]
		if s.n == blockEnd {
			s.judge(s.n - sweepWindow)
			s.slide()
		}
	}
}

// grow makes room for need bytes, as far as a block has them.
func (s *sweep) grow(need int) {
	if need = min(need, blockEnd); len(s.buf)-sweepSlack < need {
		buf := make([]byte, min(blockEnd, max(2*need, sweepFirst))+sweepSlack)
		copy(buf, s.buf[:s.n])
		s.buf = buf
	}
}

// finish judges what is left at the piece's end.
func (s *sweep) finish() {
	s.judge(s.n)
	s.n, s.done = 0, 0
}

// from returns the piece's bytes from at on, as far as they have come. It is for
// found: at is where that found something.
func (s *sweep) from(at int64) []byte { return s.buf[at-s.base : s.n] }

// slide keeps what later patterns may reach back to.
func (s *sweep) slide() {
	keep := (s.done - sweepBehind) &^ 7
	copy(s.buf[:], s.buf[keep:s.n])
	s.n -= keep
	s.done -= keep
	s.base += int64(keep)
}

// judge looks at every anchor before limit that has not been looked at.
func (s *sweep) judge(limit int) {
	for a := range anchors {
		a := &anchors[a]
		for i := s.done; i < limit; i++ {
			if s.buf[i] != a.b { // in flat images it often is
				j := bytes.IndexByte(s.buf[i:limit], a.b)
				if j < 0 {
					break
				}
				i += j
			}
			for _, mask := range s.orders {
				if a.follows[s.buf[((i^mask)+1)^mask]] { // past n it is an old byte, which matches looks at
					s.compare(a, i, mask)
				}
			}
		}
	}
	s.done = max(s.done, limit)
}

// compare looks for a's patterns around the anchor at buf[i].
func (s *sweep) compare(a *anchor, i, mask int) {
	for p := range a.patterns {
		at := (i ^ mask) - a.patterns[p].back
		if s.matches(a.patterns[p].magic, at, mask) {
			s.weigh(&a.patterns[p], at, mask)
		}
	}
}

func (s *sweep) matches(magic string, at, mask int) bool {
	if at < 0 {
		return false
	}
	for k := range len(magic) {
		if q := (at + k) ^ mask; q >= s.n || s.buf[q] != magic[k] {
			return false
		}
	}
	return true
}

// weigh shows the judge what follows the magic number.
func (s *sweep) weigh(p *pattern, at, mask int) {
	var window [sweepWindow]byte
	n := 0
	for ; n < len(window) && (at+n)^mask < s.n; n++ {
		window[n] = s.buf[(at+n)^mask]
	}
	if detail, ok := p.judge(window[:n]); ok {
		s.found(p, s.base+int64(at), detail+orderNames[mask])
	}
}

var orderNames = map[int]string{0: "", 1: ", bytes of 16-bit words exchanged", 3: ", bytes of 32-bit words reversed", 7: ", bytes of 64-bit words reversed"}
