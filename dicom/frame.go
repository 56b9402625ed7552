package dicom

import "math"

// encoding is how headers and values are encoded.
type encoding struct{ explicit, bigEndian bool }

// noEnd is the end of what has none.
const noEnd = math.MaxInt64

// frame is an open sequence, item or encapsulated Pixel Data; or the root data set.
type frame struct {
	element  Element
	encoding encoding // of what is inside
	end      int64    // the offset where it ends as declared, or noEnd
	limit    int64    // end, or where there is none the limit of what encloses it
	last     Tag      // root, items: the tag read last
	items    int      // sequences, encapsulated: how many items have begun
	fresh    bool     // root, items: no header read yet
}

// scope is the innermost open frame.
func (d *Decoder) scope() *frame {
	if n := len(d.stack); n > 0 {
		return &d.stack[n-1]
	}
	return &d.root
}

// open pushes a frame for e, whose content is encoded as enc.
func (d *Decoder) open(e Element, enc encoding) {
	f := frame{element: e, encoding: enc, end: noEnd, limit: d.scope().limit, fresh: true}
	if e.Length != UndefinedLength {
		f.end = e.ValueOffset + int64(e.Length)
		f.limit = f.end
	}
	if e.Kind != KindItem {
		d.depth++
	}
	f.element.parents = d.stack
	f.element.Header = nil
	d.stack = append(d.stack, f)
}

// closeFrame pops the innermost frame; delimiter is the header that ended it, or nil.
func (d *Decoder) closeFrame(delimiter []byte) {
	n := len(d.stack) - 1
	e := &d.stack[n].element
	e.parents = d.stack[:n]
	e.Header = delimiter
	d.visitor.End(e)
	if e.Kind != KindItem {
		d.depth--
	}
	d.stack = d.stack[:n]
}

// boundary is between an element's end and the next header: frames that end here are popped.
func (d *Decoder) boundary() {
	d.state, d.have, d.need = stateHeader, 0, shortHeader
	for n := len(d.stack); n > 0 && d.stack[n-1].limit <= d.offset; n = len(d.stack) {
		if d.stack[n-1].end == noEnd {
			d.noteFrame(AnomalyMissingDelimiter, "ended by the end of what encloses it")
		}
		d.closeFrame(nil)
	}
	if d.meta && len(d.stack) == 0 && d.syntax.Deflated && d.group.end == d.offset {
		d.leaveMeta()
	}
}

// noteFrame reports an anomaly of the innermost frame, which is about to end.
func (d *Decoder) noteFrame(code AnomalyCode, detail string) {
	n := len(d.stack) - 1
	e := &d.stack[n].element
	e.parents = d.stack[:n]
	d.visitor.Anomaly(e, Anomaly{Code: code, Offset: d.offset - int64(d.have), Detail: detail})
}

// innermost is the element whose content is being read, or nil at the root.
func (d *Decoder) innermost() *Element {
	if d.state == stateValue || d.state == stateRest {
		return &d.element
	}
	n := len(d.stack)
	if n == 0 {
		return nil
	}
	e := &d.stack[n-1].element
	e.parents = d.stack[:n-1]
	return e
}
