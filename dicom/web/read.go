package web

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"cordon/dicom"
	"cordon/dicom/charset"
)

// ReadDataSet reads a data set that is in memory, such as an identifier, in the
// transfer syntax ts. Text becomes UTF-8. Anything after which its structure is not
// certain is an error.
func ReadDataSet(p []byte, ts dicom.UID, l Limits) (DataSet, error) {
	if _, known := dicom.LookupTransferSyntax(ts); !known {
		return nil, fmt.Errorf("reading a data set: transfer syntax %.64q is not known", string(ts))
	}
	b := newBuilder(l)
	return b.read(bytes.NewReader(p), dicom.Options{TransferSyntax: ts, Size: int64(len(p))})
}

// builder makes a DataSet of what a decoder tells it.
type builder struct {
	limits   Limits
	syntax   dicom.UID
	bulk     func(path string) string // nil: every value is kept
	pieces   map[string]*Bulk         // of the values that are not, by path
	stack    []level                  // the open data sets, the root first
	elements int
	size     int64
	value    []byte
	big      *Bulk // the value under way, if it is not kept
	err      error
}

// level is a data set under way.
type level struct {
	set     DataSet
	charset charset.Set
	open    Element // its sequence that is open, if there is one
}

func newBuilder(l Limits) *builder {
	return &builder{limits: l.withDefaults(), stack: []level{{}}}
}

func (b *builder) read(r io.Reader, o dicom.Options) (DataSet, error) {
	o.Limits = dicom.Limits{Depth: b.limits.Depth}
	if b.bulk == nil { // all of it is kept
		o.Limits.InflateBytes, o.Limits.Elements = b.limits.Bytes, int64(b.limits.Elements)+1
	}
	d := dicom.NewDecoder(b, o)
	defer d.Close()
	block := make([]byte, 64<<10)
	for b.err == nil {
		n, err := r.Read(block)
		d.Write(block[:n])
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading a data set: %w", err)
		}
	}
	d.Close()
	b.syntax = d.TransferSyntax().UID
	if b.err != nil {
		return nil, fmt.Errorf("reading a data set: %w", b.err)
	}
	return b.stack[0].utf8(), nil
}

func (b *builder) top() *level { return &b.stack[len(b.stack)-1] }

func (b *builder) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// Begin implements dicom.Visitor.
func (b *builder) Begin(e *dicom.Element) {
	if b.err != nil || e.Meta || e.Kind == dicom.KindPreamble {
		return
	}
	if e.Kind != dicom.KindFragment { // those have their limit in the decoder
		b.elements++
	}
	if b.elements > b.limits.Elements {
		b.fail(fmt.Errorf("more than %d elements", b.limits.Elements))
		return
	}
	b.value = nil
	switch e.Kind {
	case dicom.KindElement:
		b.big = b.bulkOf(e)
	case dicom.KindSequence:
		b.top().open = Element{Tag: e.Tag, VR: dicom.SQ}
	case dicom.KindItem:
		b.stack = append(b.stack, level{charset: b.top().charset})
	case dicom.KindEncapsulated:
		if b.big = b.bulkOf(e); b.big == nil {
			b.fail(fmt.Errorf("%v: encapsulated, which a data set of this kind never is", e.Tag))
		}
	case dicom.KindFragment:
		b.fragment(e)
	}
}

// Value implements dicom.Visitor.
func (b *builder) Value(e *dicom.Element, p []byte) {
	offsets := e.Kind == dicom.KindFragment && e.Index == 0
	if b.err != nil || e.Meta || !offsets && (b.big != nil || e.Kind != dicom.KindElement) {
		return
	}
	if b.size += int64(len(p)); b.size > b.limits.Bytes {
		b.fail(fmt.Errorf("more than %d bytes", b.limits.Bytes))
		return
	}
	b.value = append(b.value, p...)
}

// End implements dicom.Visitor.
func (b *builder) End(e *dicom.Element) {
	if b.err != nil || e.Meta {
		return
	}
	switch e.Kind {
	case dicom.KindItem:
		item := b.top().utf8()
		b.stack = b.stack[:len(b.stack)-1]
		b.top().open.Items = append(b.top().open.Items, item)
	case dicom.KindSequence:
		b.add(b.top().open)
	case dicom.KindEncapsulated:
		b.addBulk(e)
	case dicom.KindFragment:
		if e.Index == 0 {
			b.big.offsets = b.value
		}
	case dicom.KindElement:
		b.element(e)
	}
}

func (b *builder) element(e *dicom.Element) {
	if b.big != nil {
		b.addBulk(e)
		return
	}
	x := Element{Tag: e.Tag, VR: b.vr(e), Value: b.value}
	if e.BigEndian {
		swap(x.VR, x.Value)
	}
	if e.Tag == dicom.TagSpecificCharacterSet {
		b.top().charset = charset.Parse(string(x.Value))
	}
	b.add(x)
}

// vr is the VR of e. Where it is implicit and the dictionary has two, Pixel Representation
// decides between numbers, and bytes are words (PS3.5 §A.1).
func (b *builder) vr(e *dicom.Element) dicom.VR {
	if !e.VR.IsKnown() {
		return dicom.UN
	}
	if e.Explicit {
		return e.VR
	}
	a, _ := dicom.LookupAttribute(e.Tag)
	switch {
	case slices.Contains(a.VRs, dicom.SS) && slices.Contains(a.VRs, dicom.US):
		if b.signed() {
			return dicom.SS
		}
		return dicom.US
	case slices.Contains(a.VRs, dicom.OW):
		return dicom.OW
	}
	return e.VR
}

// signed tells whether pixels are, by the innermost data set that says so.
func (b *builder) signed() bool {
	for _, l := range slices.Backward(b.stack) {
		if n, found := l.set.Uint16(dicom.TagPixelRepresentation); found {
			return n == 1
		}
	}
	return false
}

func (b *builder) add(e Element) {
	if e.Tag.IsGroupLength() || e.Tag.Group() == dicom.TagTransferSyntaxUID.Group() {
		return // of the encoding, not of the content (PS3.18 §F.2.1)
	}
	set := &b.top().set
	if n := len(*set); n > 0 && (*set)[n-1].Tag >= e.Tag {
		b.fail(fmt.Errorf("%v: out of order, or twice", e.Tag))
		return
	}
	*set = append(*set, e)
}

// path is where an element of the innermost data set is: tags and numbers of items, from 1.
func (b *builder) path(t dicom.Tag) string {
	var s []string
	for _, l := range b.stack[:len(b.stack)-1] {
		s = append(s, itemPath(l.open.Tag, len(l.open.Items)+1))
	}
	return strings.Join(append(s, tagText(t)), "/")
}

// Anomaly implements dicom.Visitor: what leaves the structure certain is let pass.
func (b *builder) Anomaly(_ *dicom.Element, a dicom.Anomaly) {
	switch {
	case a.Fatal, a.Code == dicom.AnomalyTrailingBytes:
		b.fail(errors.New(string(a.Code) + " at offset " + strconv.FormatInt(a.Offset, 10)))
	}
}

// swap turns big endian words into little endian ones (PS3.5 §7.3).
func swap(vr dicom.VR, p []byte) {
	size := numberSize(vr)
	switch vr {
	case dicom.AT, dicom.OW:
		size = 2
	case dicom.OF, dicom.OL:
		size = 4
	case dicom.OD, dicom.OV:
		size = 8
	}
	for ; size > 1 && len(p) >= size; p = p[size:] {
		slices.Reverse(p[:size])
	}
}

// utf8 is the data set with its text in UTF-8 and its Specific Character Set saying so.
func (l *level) utf8() DataSet {
	for i := range l.set {
		e := &l.set[i]
		switch {
		case e.Tag == dicom.TagSpecificCharacterSet:
			*e = Element{Tag: e.Tag, VR: dicom.CS, Value: []byte(UTF8)} // whatever it came as
		case e.VR.IsString():
			e.Value = text(e.VR, l.charset, e.Value)
		}
	}
	return l.set
}

// text is a value of characters in UTF-8, without padding. What is not in the default
// repertoire where nothing else is allowed (PS3.5 table 6.2-1) becomes a question mark.
func text(vr dicom.VR, set charset.Set, value []byte) []byte {
	if !isText(vr) {
		set = charset.Set{}
		value = bytes.Map(ascii, value)
	}
	if isSingle(vr) {
		return []byte(set.DecodeText(value))
	}
	return []byte(strings.Join(set.DecodeValues(value), `\`))
}

func ascii(r rune) rune {
	if r >= 0x80 {
		return '?'
	}
	return r
}
