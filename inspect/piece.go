package inspect

import (
	"io"

	"cordon/dicom"
	"cordon/inspect/container"
)

// Piece names a part carved from an object, to be judged from its own offset zero.
type Piece struct {
	Where  string // as in a finding
	Offset int64  // of its first byte, as in a finding
	Length int64  // as declared; -1 when its end is not known beforehand
	// Native: uncompressed pixel data, the bulk of most objects.
	Native bool
}

// cutter makes pieces. All its pieces share one sink for findings.
type cutter struct {
	hashes     HashList
	pieces     func(Piece) io.WriteCloser
	report     *report
	containers *containers // that opens them; nil for members of containers, which are opened already
}

// piece is a part under way: its first bytes, its digest, its copy. It is used
// again for the next part of its sort.
type piece struct {
	cutter *cutter
	open   bool
	orders []int
	kind   pieceKind
	length int64  // declared; -1 when not known
	offset int64  // of the first byte
	path   string // below the element: "" or the member of a container
	head   []byte // Window bytes, made with the first
	n      int    // bytes in head
	known  bool   // an executable was found in it, so its magic number is no news
	digest pieceDigest
	copy   io.WriteCloser
	kept   keeping
	locate func(at int64) int64 // where byte at lies in the object; nil: offset + at
}

type pieceKind uint8

const (
	ordinary pieceKind = iota
	native
	inPreamble
	deflatedFrame
)

func (c *cutter) piece() *piece { return &piece{cutter: c, kept: keeping{containers: c.containers}} }

// start begins a part of e.
func (p *piece) start(e *dicom.Element, kind pieceKind, offset, length int64, orders []int) {
	p.open, p.kind, p.offset, p.length, p.orders = true, kind, offset, length, orders
	p.n, p.known, p.copy, p.path = 0, false, nil, ""
	p.kept.forget()
	if p.cutter.hashes.Len() > 0 {
		p.digest.start(p.cutter.hashes)
	}
	if p.cutter.pieces != nil {
		p.copy = p.cutter.pieces(Piece{Where: p.cutter.report.where(e), Offset: offset, Length: length, Native: kind == native})
	}
}

func (p *piece) write(b []byte) {
	p.digest.write(b)
	p.look(b)
	if p.copy != nil {
		if _, err := p.copy.Write(b); err != nil {
			p.finishCopy()
		}
	}
}

// look keeps the first bytes, and the rest of what is to be opened.
func (p *piece) look(b []byte) {
	if p.head == nil {
		p.head = make([]byte, container.Window)
	}
	if p.n < len(p.head) {
		c := copy(p.head[p.n:], b)
		p.n += c
		b = b[c:]
		if p.n == len(p.head) {
			p.keep()
		}
	}
	p.kept.write(b)
}

// begun returns what is known of the piece so far: all of it, or what is kept.
func (p *piece) begun() []byte {
	if p.kept.format != container.None {
		return p.kept.data
	}
	return p.head[:p.n]
}

// keep decides by the first bytes whether the piece is to be opened. Pixels are not.
func (p *piece) keep() {
	switch p.kind {
	case native:
	case deflatedFrame:
		p.kept.take(container.Deflate, 0, p.head[:p.n])
	default:
		p.kept.begin(p.head[:p.n], p.orders)
	}
}

func (p *piece) finishCopy() {
	if p.copy != nil {
		p.copy.Close() // its owner's business
		p.copy = nil
	}
}

// end judges how the part starts, and its digest.
func (p *piece) end(e *dicom.Element) {
	if !p.open {
		return
	}
	p.open = false
	p.finishCopy()
	if detail, listed := p.digest.lookup(p.cutter.hashes); listed {
		p.raise("hash-listed", e, detail)
	}
	for _, mask := range p.orders {
		if p.judgeStart(e, mask) {
			break
		}
	}
	if p.n < container.Window {
		p.keep()
	}
	p.kept.end(e, p)
}

// at returns where byte i of the piece lies in the object.
func (p *piece) at(i int64) int64 {
	if p.locate != nil {
		return p.locate(i)
	}
	return p.offset + i
}

// judgeStart judges the part's first bytes in one byte order: what counts only there.
func (p *piece) judgeStart(e *dicom.Element, mask int) bool {
	w := p.head[:min(p.n, sweepWindow)]
	if mask != 0 {
		if len(w) <= mask || w[mask] != 'M' && w[mask] != '#' {
			return false // neither a DOS program nor an interpreter line
		}
		w = reorder(w, mask)
	}
	detail, ok := dosExecutable(w, p.length)
	if ok && !p.known {
		return p.raise("executable", e, detail+orderNames[mask])
	}
	if detail, ok = script(w); ok {
		return p.raise("script", e, detail+orderNames[mask])
	}
	if detail, ok = bareMagic(w); ok && !p.known && mask == 0 {
		return p.raise("executable-magic", e, detail)
	}
	return false
}

func (p *piece) raise(id string, e *dicom.Element, detail string) bool {
	if p.kind == inPreamble {
		id = preambleID(id)
	}
	r := p.cutter.report
	if t := r.tally(id); r.admits(t) {
		r.addAt(id, r.where(e)+p.path, p.offset, detail)
	}
	return true
}

// reorder returns whole words of w in the order that mask stands for.
func reorder(w []byte, mask int) []byte {
	out := make([]byte, len(w)&^mask)
	for q := range out {
		out[q] = w[q^mask]
	}
	return out
}
