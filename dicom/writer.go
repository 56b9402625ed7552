package dicom

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// LengthForm is how the length of a sequence or item is written.
type LengthForm bool

// The two forms of a length (PS3.5 §7.5.1).
const (
	Defined   LengthForm = false // in bytes; the content is buffered until its end
	Undefined LengthForm = true  // FFFFFFFF, and a delimitation item at the end
)

// Writer writes a data set in any transfer syntax. Its first error sticks: it is returned by
// Close, and after it nothing more is written.
//
//	w := dicom.NewWriter(file, ts)
//	w.String(dicom.TagPatientID, dicom.LO, "4711")
//	w.BeginSequence(dicom.TagContentSequence, dicom.Undefined)
//	...
//	w.EndSequence()
//	err := w.Close()
//
// It writes what it is told, in the order it is told, and does not check the content:
// malformed data sets can be written too, by [Writer.Header] and [Writer.Raw].
type Writer struct {
	out     io.Writer
	deflate *flate.Writer // nil unless the transfer syntax is deflated
	raw     *counter      // below deflate
	enc     encoding
	open    []openLength
	err     error
}

// openLength is a sequence, item or Pixel Data that has begun and not ended.
type openLength struct {
	end    Tag // its delimitation item
	form   LengthForm
	buffer *bytes.Buffer // Defined: the content so far
	header func(length uint32)
}

// counter counts the bytes that pass to w.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// NewWriter returns a writer of a data set to w. Close does not close w.
func NewWriter(w io.Writer, ts TransferSyntax) *Writer {
	x := &Writer{out: w, enc: encoding{explicit: ts.Explicit, bigEndian: ts.BigEndian}}
	if ts.Deflated {
		x.raw = &counter{w: w}
		x.deflate, x.err = flate.NewWriter(x.raw, flate.DefaultCompression)
		x.out = x.deflate
	}
	return x
}

// Close ends the deflate stream, if there is one, and answers the first error.
func (w *Writer) Close() error {
	if w.err == nil && len(w.open) > 0 {
		w.err = fmt.Errorf("writing a data set: %d sequences or items are not ended", len(w.open))
	}
	if w.err == nil && w.deflate != nil {
		w.err = w.endDeflate()
	}
	return w.err
}

// endDeflate ends the stream and makes its length even (PS3.5 §A.5).
func (w *Writer) endDeflate() error {
	if err := w.deflate.Close(); err != nil {
		return err
	}
	if w.raw.n%2 == 0 {
		return nil
	}
	_, err := w.raw.Write([]byte{0})
	return err
}

// Raw writes p as it is.
func (w *Writer) Raw(p []byte) {
	if w.err != nil {
		return
	}
	if n := len(w.open); n > 0 && w.open[n-1].buffer != nil {
		w.open[n-1].buffer.Write(p)
		return
	}
	_, w.err = w.out.Write(p)
}

// Header writes the header of an element whatever its value: any VR and length will do.
// Where VRs are explicit, a VR of a 16 bit length keeps the lower 16 bits of length.
func (w *Writer) Header(t Tag, vr VR, length uint32) {
	b := w.enc.appendTag(make([]byte, 0, longHeader), t)
	switch {
	case !w.enc.explicit || t.Group() == TagItem.Group():
		b = w.enc.appendUint32(b, length)
	case vr.HasLongLength():
		b = append(b, byte(vr>>8), byte(vr), 0, 0)
		b = w.enc.appendUint32(b, length)
	default:
		b = append(b, byte(vr>>8), byte(vr))
		b = w.enc.appendUint16(b, uint16(length))
	}
	w.Raw(b)
}

// Element writes an element whose value is given as it is encoded. An odd value is padded as
// its VR demands (PS3.5 §6.2). A value too long for its VR's header is written as UN (PS3.5 §6.2.2).
func (w *Writer) Element(t Tag, vr VR, value []byte) {
	if uint64(len(value)) >= uint64(UndefinedLength)-1 {
		w.fail(fmt.Errorf("writing %v: a value of %d bytes is too long", t, len(value)))
		return
	}
	length := (len(value) + 1) &^ 1
	if w.enc.explicit && !vr.HasLongLength() && length > 0xFFFF {
		vr = UN
	}
	w.Header(t, vr, uint32(length))
	w.Raw(value)
	if length > len(value) {
		w.Raw([]byte{vr.padding()})
	}
}

// String writes an element of characters; several values are separated by backslashes (PS3.5 §6.4).
func (w *Writer) String(t Tag, vr VR, values ...string) {
	w.Element(t, vr, []byte(strings.Join(values, `\`)))
}

// Uint16 writes an element of VR US.
func (w *Writer) Uint16(t Tag, values ...uint16) {
	var b []byte
	for _, v := range values {
		b = w.enc.appendUint16(b, v)
	}
	w.Element(t, US, b)
}

// Uint32 writes an element of VR UL.
func (w *Writer) Uint32(t Tag, values ...uint32) {
	var b []byte
	for _, v := range values {
		b = w.enc.appendUint32(b, v)
	}
	w.Element(t, UL, b)
}

// BeginSequence begins a sequence of items.
func (w *Writer) BeginSequence(t Tag, f LengthForm) {
	w.begin(TagSequenceDelimitationItem, f, func(length uint32) { w.Header(t, SQ, length) })
}

// EndSequence ends the innermost sequence.
func (w *Writer) EndSequence() { w.end(TagSequenceDelimitationItem) }

// BeginItem begins an item of the innermost sequence.
func (w *Writer) BeginItem(f LengthForm) {
	w.begin(TagItemDelimitationItem, f, func(length uint32) { w.Header(TagItem, 0, length) })
}

// EndItem ends the innermost item.
func (w *Writer) EndItem() { w.end(TagItemDelimitationItem) }

// BeginEncapsulated begins an element of VR OB and undefined length: Pixel Data that will hold
// fragments, of which the first is the Basic Offset Table, often empty (PS3.5 §A.4).
func (w *Writer) BeginEncapsulated(t Tag) {
	w.begin(TagSequenceDelimitationItem, Undefined, func(length uint32) { w.Header(t, OB, length) })
}

// Fragment writes a fragment, padded with a null to even length.
func (w *Writer) Fragment(p []byte) { w.Element(TagItem, 0, p) }

// EndEncapsulated ends the Pixel Data.
func (w *Writer) EndEncapsulated() { w.end(TagSequenceDelimitationItem) }

func (w *Writer) begin(end Tag, f LengthForm, header func(length uint32)) {
	o := openLength{end: end, form: f, header: header}
	if f == Undefined {
		header(UndefinedLength)
		if n := len(w.open); n > 0 {
			o.buffer = w.open[n-1].buffer // inside what is buffered, all is
		}
	} else {
		o.buffer = new(bytes.Buffer)
	}
	w.open = append(w.open, o)
}

var errUnbalanced = errors.New("writing a data set: what ends is not what began last")

func (w *Writer) end(t Tag) {
	n := len(w.open) - 1
	if n < 0 || w.open[n].end != t {
		w.fail(errUnbalanced)
		return
	}
	o := w.open[n]
	if o.form == Undefined {
		w.Header(t, 0, 0)
		w.open = w.open[:n]
		return
	}
	w.open = w.open[:n]
	if uint64(o.buffer.Len()) >= uint64(UndefinedLength) {
		w.fail(fmt.Errorf("writing a data set: a sequence or item of %d bytes is too long for a defined length", o.buffer.Len()))
		return
	}
	o.header(uint32(o.buffer.Len()))
	w.Raw(o.buffer.Bytes())
}

func (w *Writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

func (enc encoding) appendUint16(b []byte, v uint16) []byte {
	if enc.bigEndian {
		return binary.BigEndian.AppendUint16(b, v)
	}
	return binary.LittleEndian.AppendUint16(b, v)
}

func (enc encoding) appendUint32(b []byte, v uint32) []byte {
	if enc.bigEndian {
		return binary.BigEndian.AppendUint32(b, v)
	}
	return binary.LittleEndian.AppendUint32(b, v)
}

func (enc encoding) appendTag(b []byte, t Tag) []byte {
	return enc.appendUint16(enc.appendUint16(b, t.Group()), t.Element())
}
