package dicom

import (
	"encoding/binary"
	"strconv"
)

// Sizes of headers in bytes (PS3.5 §7.1).
const (
	shortHeader = 8  // implicit VR; explicit VR with a length of 16 bits; items and delimiters
	longHeader  = 12 // explicit VR with a length of 32 bits
)

// form is how a header is laid out.
type form uint8

const (
	formImplicit form = iota // tag, length of 32 bits; items and delimiters too
	formShort                // tag, VR, length of 16 bits
	formLong                 // tag, VR, 2 reserved bytes, length of 32 bits
)

// header is a decoded header.
type header struct {
	tag      Tag
	vr       VR // as declared; 0 in formImplicit
	length   uint32
	reserved uint16
	form     form
	offset   int64
	size     int
}

// gather collects the bytes of a header and acts on it once they are complete. It returns the rest of p.
func (d *Decoder) gather(p []byte) []byte {
	n := copy(d.head[d.have:d.need], p)
	d.have += n
	d.offset += int64(n)
	if d.have < d.need {
		return nil
	}
	if d.need == shortHeader {
		if !d.classify() {
			return p[n:]
		}
		if d.form == formLong {
			d.need = longHeader
			return p[n:]
		}
	}
	h := d.decodeHeader()
	if h.tag.Group() == TagItem.Group() {
		d.item(h)
	} else {
		d.dataElement(h)
	}
	return p[n:]
}

// decodeHeader decodes the gathered bytes.
func (d *Decoder) decodeHeader() header {
	enc := d.scope().encoding
	h := header{tag: enc.tag(d.head[:]), form: d.form, size: d.have, offset: d.offset - int64(d.have)}
	switch d.form {
	case formImplicit:
		h.length = enc.uint32(d.head[4:])
	case formShort:
		h.vr = vrOf(d.head[4:])
		h.length = uint32(enc.uint16(d.head[6:]))
	case formLong:
		h.vr = vrOf(d.head[4:])
		h.reserved = enc.uint16(d.head[6:])
		h.length = enc.uint32(d.head[8:])
	}
	return h
}

// end is the offset after the value, or noEnd.
func (h *header) end() int64 {
	if h.length == UndefinedLength {
		return noEnd
	}
	return h.offset + int64(h.size) + int64(h.length)
}

func (enc encoding) uint16(p []byte) uint16 {
	if enc.bigEndian {
		return binary.BigEndian.Uint16(p)
	}
	return binary.LittleEndian.Uint16(p)
}

func (enc encoding) uint32(p []byte) uint32 {
	if enc.bigEndian {
		return binary.BigEndian.Uint32(p)
	}
	return binary.LittleEndian.Uint32(p)
}

func (enc encoding) tag(p []byte) Tag { return NewTag(enc.uint16(p), enc.uint16(p[2:])) }

func vrOf(p []byte) VR { return VR(p[0])<<8 | VR(p[1]) }

// isLetters tells whether both bytes are upper case letters, as those of every VR are.
func (v VR) isLetters() bool {
	a, b := byte(v>>8), byte(v)
	return a >= 'A' && a <= 'Z' && b >= 'A' && b <= 'Z'
}

// implicitVR is the VR of an element whose header names none: the dictionary's first (PS3.5 §A.1).
func implicitVR(t Tag) VR {
	switch {
	case t == TagPixelData:
		return OW
	case t.IsGroupLength():
		return UL
	case t.IsPrivateCreator():
		return LO
	}
	if row := lookupRow(t); row != nil && len(vrSets[row.vrs]) > 0 {
		return vrSets[row.vrs][0]
	}
	return UN
}

// mayHaveVR tells whether v is a VR that the element may have: the dictionary's, UL for a
// group length, LO for a private creator.
func mayHaveVR(t Tag, v VR) bool {
	if t.IsGroupLength() || t.IsPrivateCreator() {
		return v == implicitVR(t)
	}
	row := lookupRow(t)
	if row == nil {
		return false
	}
	for _, w := range vrSets[row.vrs] {
		if v == w {
			return true
		}
	}
	return false
}

func count(n int64) string { return strconv.FormatInt(n, 10) }
