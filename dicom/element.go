package dicom

import "strconv"

// Kind tells what a piece of the input is.
type Kind uint8

// The kinds of piece, in the order in which they can come.
const (
	KindPreamble     Kind = iota + 1 // the 128 bytes before DICM (PS3.10 §7.1); DICM itself is the Header at its End
	KindElement                      // a Data Element with a value
	KindSequence                     // a sequence of items: VR SQ, or UN of undefined length
	KindItem                         // an item of a sequence
	KindEncapsulated                 // Pixel Data of undefined length, holding fragments (PS3.5 §A.4)
	KindFragment                     // an item of encapsulated Pixel Data; Index 0 is the Basic Offset Table
	KindTrailer                      // bytes after the end of the data set
	KindUnparsed                     // all that follows once the structure is lost or a limit met
)

var kindNames = [...]string{"none", "preamble", "element", "sequence", "item", "encapsulated", "fragment", "trailer", "unparsed"}

// String is the kind in one word.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "kind " + strconv.Itoa(int(k))
}

// UndefinedLength is the length of what is ended by a delimitation item (PS3.5 §7.1.3).
const UndefinedLength uint32 = 0xFFFFFFFF

// Element is one piece of the input. It is valid only during the call it is passed to.
type Element struct {
	Kind Kind
	Tag  Tag
	// VR as declared, or from the dictionary where VRs are implicit: the first of several
	// possible, UN when there is none. Zero for items, fragments, delimiters and pieces without a tag.
	VR VR
	// Length is the declared length of the value in bytes, or UndefinedLength.
	// It is zero for trailers and unparsed pieces, whose end is the input's.
	Length uint32
	// Offset is where the header starts, in bytes of the input; inside deflated data, of the inflated stream.
	Offset int64
	// ValueOffset is where the value starts, counted like Offset.
	ValueOffset int64
	// Depth is how many sequences enclose the element; 0 at the root.
	Depth int
	// Index counts items and fragments from 0.
	Index int
	// Meta: the element belongs to the File Meta Information.
	Meta bool
	// Explicit: the header names the VR. False for implicit VRs, items and delimiters.
	Explicit bool
	// BigEndian: numbers in header and value are in big endian byte order.
	BigEndian bool
	// Inflated: Offset and ValueOffset count bytes of the inflated stream.
	Inflated bool
	// Header is, at Begin, the raw bytes before the value. At End it is the raw bytes after the value:
	// the delimitation item that ended a sequence, an item or encapsulated Pixel Data, DICM after
	// a preamble, else nothing.
	Header []byte

	parents []frame
}

// Path says where the piece is: (0040,A730)[2].(0009,1001), (7FE0,0010)[3], preamble, trailer.
// Items count from 0.
func (e *Element) Path() string {
	var b []byte
	for i := range e.parents {
		b = e.parents[i].element.appendStep(b)
	}
	return string(e.appendStep(b))
}

func (e *Element) appendStep(b []byte) []byte {
	if e.Kind == KindItem || e.Kind == KindFragment {
		b = append(b, '[')
		b = strconv.AppendInt(b, int64(e.Index), 10)
		return append(b, ']')
	}
	if len(b) > 0 {
		b = append(b, '.')
	}
	switch e.Kind {
	case KindPreamble, KindTrailer, KindUnparsed:
		return append(b, e.Kind.String()...)
	}
	return e.Tag.appendTo(b)
}
