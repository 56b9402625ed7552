package dicom

import (
	"bytes"
	"encoding/binary"
)

// The start of a Part 10 file (PS3.10 §7.1): a preamble, DICM, then group 0002 in explicit
// VR little endian.
const (
	preambleSize = 128
	magic        = "DICM"
	prefixSize   = preambleSize + len(magic)
	metaGroup    = 0x0002
)

// begin looks at the first bytes of the input and decides what it is.
func (d *Decoder) begin() {
	p := d.prefix[:d.have]
	d.state, d.have, d.need = stateHeader, 0, shortHeader
	switch {
	case d.options.TransferSyntax != "":
		d.resolve(d.options.TransferSyntax)
	case len(p) == prefixSize && string(p[preambleSize:]) == magic:
		d.preamble(p[:preambleSize])
		p = nil
	case bytes.HasPrefix(p, []byte(magic)):
		d.preamble(nil)
		p = p[len(magic):]
	case len(p) >= shortHeader && binary.LittleEndian.Uint16(p) == metaGroup && vrOf(p[4:]).isLetters():
		d.note(nil, AnomalyNoPreamble, "the first bytes are meta information")
		d.beginMeta()
	default:
		d.beginBare(p)
	}
	d.receive(p)
}

// preamble passes on the preamble and DICM, whose place is the end of the preamble.
func (d *Decoder) preamble(p []byte) {
	d.element = Element{Kind: KindPreamble, Length: uint32(len(p))}
	d.visitor.Begin(&d.element)
	if len(p) == 0 {
		d.note(&d.element, AnomalyNoPreamble, "the first bytes are DICM")
	} else {
		d.visitor.Value(&d.element, p)
	}
	d.element.Header = []byte(magic)
	d.visitor.End(&d.element)
	d.offset = int64(len(p) + len(magic))
	d.beginMeta()
}

func (d *Decoder) beginMeta() {
	d.meta = true
	d.root.encoding = encoding{explicit: true}
}

// beginBare begins a data set that nothing precedes, or gives up if p is not one.
func (d *Decoder) beginBare(p []byte) {
	ts, ok := guessSyntax(p, d.options.Size)
	if !ok {
		d.lose(AnomalyNotDICOM, "no DICM at offset 128, no known element at offset 0")
		return
	}
	d.note(nil, AnomalyNoPreamble, "the first bytes are a data set")
	d.note(nil, AnomalyNoMeta, "")
	d.use(ts)
}

// leaveMeta goes on to the data set, at the first header that is not of group 0002.
func (d *Decoder) leaveMeta() {
	switch {
	case d.root.fresh:
		d.note(nil, AnomalyNoMeta, "")
	case d.group.group != metaGroup:
		d.note(nil, AnomalyMetaLength, "no group length")
	default:
		d.checkGroup(0)
	}
	d.meta = false
	d.root.last, d.root.fresh = 0, true
	d.resolve(d.metaUID)
}

// resolve makes the named transfer syntax that of the data set, which starts here.
func (d *Decoder) resolve(u UID) {
	ts, ok := LookupTransferSyntax(u)
	switch {
	case ok:
		d.use(ts)
	case u == "":
		d.note(nil, AnomalyNoTransferSyntax, "")
		d.guess = true
	default:
		d.note(nil, AnomalyUnknownTransferSyntax, "")
		d.guess = true
	}
	if ts.Deflated {
		d.inflater = newInflater()
	}
}

func (d *Decoder) use(ts TransferSyntax) {
	d.syntax = ts
	d.root.encoding = encoding{explicit: ts.Explicit, bigEndian: ts.BigEndian}
}

// groupLength is what a group length element promises (PS3.5 §7.2).
type groupLength struct {
	group uint16
	end   int64 // where the group ends, or 0 if none is promised
}

// checkGroup holds a promised group length against where the group really ends: before a header of group next.
func (d *Decoder) checkGroup(next uint16) {
	g, at := d.group, d.offset-int64(d.have)
	if g.end == 0 || next == g.group {
		return
	}
	d.group = groupLength{}
	if g.end == at {
		return
	}
	code := AnomalyGroupLength
	if g.group == metaGroup {
		code = AnomalyMetaLength
	}
	d.note(nil, code, NewTag(g.group, 0).String()+" promises an end at "+count(g.end)+", not at "+count(at))
}

// capture keeps the value of an element that the decoder itself needs.
type capture struct {
	what captureKind
	n    int
	buf  [maxUID + 8]byte
}

type captureKind uint8

const (
	captureNone captureKind = iota
	captureGroupLength
	captureTransferSyntax
)

func (c *capture) begin(k captureKind) { c.what, c.n = k, 0 }

func (c *capture) add(p []byte) {
	if c.what != captureNone {
		c.n += copy(c.buf[c.n:], p)
	}
}

// wanted tells whether the decoder needs the value of e.
func (d *Decoder) wanted(e *Element) captureKind {
	switch {
	case len(d.stack) > 0 || e.Kind != KindElement:
		return captureNone
	case e.Tag.IsGroupLength() && e.Length == 4:
		return captureGroupLength
	case d.meta && e.Tag == TagTransferSyntaxUID:
		return captureTransferSyntax
	}
	return captureNone
}

// useCaptured acts on the value that has just ended.
func (d *Decoder) useCaptured() {
	c := &d.captured
	switch c.what {
	case captureGroupLength:
		length := d.root.encoding.uint32(c.buf[:])
		d.group = groupLength{group: d.element.Tag.Group(), end: d.offset + int64(length)}
	case captureTransferSyntax:
		d.metaUID = TrimUID(c.buf[:c.n])
		d.syntax, _ = LookupTransferSyntax(d.metaUID)
	}
	c.begin(captureNone)
}
