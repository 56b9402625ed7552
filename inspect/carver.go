package inspect

import (
	"strings"

	"cordon/dicom"
	"cordon/inspect/container"
)

// carver cuts an object into pieces and searches each for payloads: at its start
// and at any offset, in every byte order that its VR may have been written in.
type carver struct {
	blind
	report *report
	cut    cutter
	sweep  sweep
	syntax func() dicom.TransferSyntax

	value, joined *piece         // a value or fragment; all fragments of one Pixel Data
	element       *dicom.Element // the one under way, for what the sweep finds
	joining       bool           // the sweep runs over all fragments
	segments      [32]segment    // where the last fragments lie in the object
	segment       int            // number of fragments begun
	sized         bool           // Rows have been met: Pixel Data are pixels
	joinedLength  int64
	tail          *piece // the fragments from the first one on that begins a container behind an image
	tailSegment   int    // its number
	tailAt        int64  // its place among all fragments
	inner         *piece // what follows the beginning of a container in the middle of a value
}

// segment says that the joined fragments' byte at is the object's byte offset.
type segment struct{ at, offset int64 }

func (c *carver) raises() []string {
	return []string{
		"executable", "shortcut", "script", "eicar", "hash-listed", "executable-magic",
		"preamble-executable", "preamble-script", "preamble-executable-magic",
	}
}

// preambleID is the id of a finding in the preamble, where it means more.
func preambleID(id string) string {
	switch id {
	case "executable", "shortcut":
		return "preamble-executable"
	case "script":
		return "preamble-script"
	case "executable-magic":
		return "preamble-executable-magic"
	}
	return id
}

func (c *carver) begin(e *dicom.Element) {
	c.element = e
	if c.value == nil {
		c.value, c.joined = c.cut.piece(), c.cut.piece()
		c.tail, c.inner = c.cut.piece(), c.cut.piece()
		c.joined.locate = c.fragmentOffset
		c.tail.locate = func(at int64) int64 { return c.fragmentOffset(c.tailAt + at) }
	}
	switch e.Kind {
	case dicom.KindPreamble:
		c.start(e, inPreamble, 128, asIs)
	case dicom.KindElement:
		c.sized = c.sized || e.Tag == dicom.TagRows
		if carved(e) {
			c.start(e, c.kindOf(e), int64(e.Length), ordersOf(e.VR))
		}
	case dicom.KindEncapsulated:
		c.segment, c.joinedLength, c.joining, c.tailSegment = 0, 0, false, 0
	case dicom.KindFragment:
		c.beginFragment(e)
	case dicom.KindTrailer, dicom.KindUnparsed:
		c.start(e, ordinary, -1, allWords)
	}
}

func (c *carver) start(e *dicom.Element, kind pieceKind, length int64, orders []int) {
	c.value.start(e, kind, e.ValueOffset, length, orders)
	c.inner.kept.forget()
	c.sweep.start(orders)
}

// beginFragment starts a piece for the fragment, and one for all fragments with
// the first that holds image data. The offset table is a piece of its own.
func (c *carver) beginFragment(e *dicom.Element) {
	if e.Index == 0 {
		c.start(e, ordinary, int64(e.Length), allWords)
		return
	}
	if !c.joining {
		c.joining = true
		c.joined.start(e, ordinary, e.ValueOffset, -1, asIs)
		c.sweep.start(allWords)
	}
	kind := ordinary
	if c.syntax().UID == dicom.DeflatedImageFrameCompression {
		kind = deflatedFrame
	}
	c.value.start(e, kind, e.ValueOffset, int64(e.Length), allWords)
	c.segments[c.segment%len(c.segments)] = segment{c.joinedLength, e.ValueOffset}
	c.segment++
}

// doubtful begins the piece again with its header: what looks like an element may
// be the first bytes of something appended.
func (c *carver) doubtful(e *dicom.Element) {
	c.start(e, c.kindOf(e), int64(e.Length)+int64(len(e.Header)), ordersOf(e.VR))
	c.value.offset = e.Offset
	c.value.write(e.Header)
	c.sweep.write(e.Header)
}

func (c *carver) chunk(e *dicom.Element, p []byte) {
	if !c.value.open {
		return
	}
	c.element = e
	c.value.write(p)
	c.sweep.write(p)
	if c.joining {
		c.joined.write(p)
		if c.tail.open {
			c.tail.write(p)
		}
		c.joinedLength += int64(len(p))
	}
}

func (c *carver) end(e *dicom.Element) {
	c.element = e
	if e.Kind == dicom.KindEncapsulated && c.joining {
		c.sweep.finish()
		if c.segment < 2 {
			c.joined.kept.forget() // the one fragment was opened
		}
		c.joined.end(e)
		if c.segment == c.tailSegment {
			c.tail.kept.forget() // so was the last one
		}
		c.tail.end(e)
		c.joining = false
		return
	}
	if !c.value.open {
		return
	}
	if !c.joining {
		c.sweep.finish()
	} else if c.segment > 1 && !c.tail.open {
		c.beginTail(e)
	}
	c.value.end(e)
	c.inner.kept.end(e, c.inner)
}

// beginInner begins to keep a container that begins at byte at of a value. One at
// its beginning is the value's own, and so is one in a short value.
func (c *carver) beginInner(at int64) {
	v := c.value
	if c.joining || v.kind != ordinary || v.n < container.Window || v.kept.format.IsContainer() || c.sweep.follow != nil {
		return
	}
	c.inner.offset = v.offset + at
	c.inner.kept.begin(c.sweep.from(at), asIs)
	c.sweep.follow = c.inner.kept.write
}

// beginTail begins a piece with the fragment that ends, if a container begins in it. It
// may go on in the fragments that follow.
func (c *carver) beginTail(e *dicom.Element) {
	begun := c.value.begun()
	if !container.Recognise(begun[:min(len(begun), container.Window)]).IsContainer() {
		return
	}
	c.tailSegment, c.tailAt = c.segment, c.joinedLength-int64(len(begun))
	c.tail.start(e, ordinary, c.value.offset, -1, asIs)
	c.tail.write(begun)
}

// found takes what the sweep finds.
func (c *carver) found(p *pattern, at int64, detail string) {
	if p.id == containerBegins {
		if detail == "" { // in the piece's own byte order
			c.beginInner(at)
		}
		return
	}
	e, id, offset := c.element, p.id, c.value.offset+at
	c.value.known = true
	if c.value.kind == inPreamble {
		id = preambleID(id)
	}
	if !c.joining {
		c.report.add(id, e, offset, detail)
		return
	}
	c.joined.known = true
	where := e.Path()
	if e.Kind == dicom.KindFragment {
		where = where[:strings.LastIndexByte(where, '[')]
	}
	c.report.addAt(id, where, c.fragmentOffset(at), detail)
}

// fragmentOffset is where the joined fragments' byte at lies in the object. When
// that fragment is longer ago than the last ones kept, it is the oldest kept one's start.
func (c *carver) fragmentOffset(at int64) int64 {
	first := max(0, c.segment-len(c.segments))
	for i := c.segment - 1; i > first; i-- {
		if s := c.segments[i%len(c.segments)]; s.at <= at {
			return s.offset + at - s.at
		}
	}
	s := c.segments[first%len(c.segments)]
	return s.offset + max(0, at-s.at)
}

// shortestPiece is the length below which no value is carved: less than the
// shortest script that does anything.
const shortestPiece = 12

// carved reports whether the element's value is a piece of its own: all private
// ones, all binary ones, and every other one that is long enough for a payload.
func carved(e *dicom.Element) bool {
	return e.Length >= shortestPiece && (e.Tag.IsPrivate() || e.VR.IsBulk() || e.Length > shortValue)
}

// kindOf tells pixels from the rest. Pixel Data of an image that has no size are
// anything.
func (c *carver) kindOf(e *dicom.Element) pieceKind {
	if !c.sized {
		return ordinary
	}
	if e.Tag == dicom.TagPixelData || e.Tag == dicom.TagFloatPixelData || e.Tag == dicom.TagDoubleFloatPixelData {
		return native
	}
	return ordinary
}

// ordersOf returns the byte orders to read values of a VR in. Text has one.
func ordersOf(vr dicom.VR) []int {
	if vr.IsString() {
		return asIs
	}
	return allWords
}
