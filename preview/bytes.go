package preview

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"strings"

	"cordon/dicom"
)

// Place is where a finding is, in its own words.
type Place struct {
	Where  string // a tag path, perhaps with members of containers behind a "!"; "preamble", "trailer"
	Offset int64  // bytes from the object's start; inside deflated data, of the inflated stream
}

// Window is a part of an object's bytes, and what it is a part of.
type Window struct {
	Path   string // of the piece that holds the place, or "" if there is none
	Name   string // of its attribute, if the dictionary has it
	VR     string
	Start  int64 // of the piece's value
	Length int64 // of the piece's value as declared; -1: to the end
	At     int64 // the place

	From int64  // of the first byte of Data
	Data []byte // at most WindowBytes
	More bool   // the object goes on behind it

	Inflated bool // offsets count the inflated stream
}

// WindowBytes is how many bytes a Window has at most.
const WindowBytes = 2048

// lead is how many bytes are shown before a place: what a finding points at, such as
// the signature of a program, is behind its beginning.
const lead = 256

// Bytes reads the bytes around a place, or those from an offset on if from is not
// negative; offsets are multiples of 16.
func (p *Previewer) Bytes(ctx context.Context, r io.Reader, o Object, at Place, from int64) (Window, error) {
	if from < 0 {
		from = max(0, at.Offset-lead)
	}
	w := &window{place: at, stream: at.stream(), out: Window{At: at.Offset, From: from &^ 15, Length: -1}}
	err := p.pass(ctx, r, o, w, func(context.Context) error { return nil })
	if err != nil {
		return Window{}, err
	}
	if len(w.out.Data) == 0 {
		return w.out, none("the object ends before byte %d", w.out.From)
	}
	return w.out, nil
}

// stream is which of the two streams of a deflated object offsets count: that of
// the file, or the inflated one.
type stream bool

const (
	ofFile     stream = false
	ofInflated stream = true
)

// stream says which stream a place is in: what lies before a data set is never
// deflated. For an object that is not deflated it makes no difference.
func (at Place) stream() stream {
	if at.Where == "preamble" || at.Where == "file" || strings.HasPrefix(at.Where, "(0002,") {
		return ofFile
	}
	return ofInflated
}

// in reports whether an element counts its offsets in the stream. Where nothing
// is deflated both are one; the meta information of a deflated object is in the
// file's alone, and is told by its flags.
func (s stream) in(e *dicom.Element, deflated bool) bool {
	return !deflated || e.Inflated == bool(s)
}

// window gathers the bytes from out.From on.
type window struct {
	place    Place
	stream   stream
	out      Window
	deflated bool
	begun    bool  // the data set
	at       int64 // in the stream, behind what was seen
	found    bool  // the piece that holds the place
}

func (w *window) Begin(e *dicom.Element) {
	w.notice(e)
	if !w.stream.in(e, w.deflated) {
		return
	}
	w.take(e.Offset, e.Header)
	w.hold(e)
}

// notice starts again with the first element of an inflated stream.
func (w *window) notice(e *dicom.Element) {
	w.begun = w.begun || !e.Meta && e.Kind != dicom.KindPreamble
	if e.Inflated && !w.deflated {
		w.deflated = true
		if w.stream == ofInflated {
			w.at, w.found = 0, false
			w.out.Data = nil
		}
	}
}

// hold notes the piece if the place is in it: the innermost one, which begins
// last.
func (w *window) hold(e *dicom.Element) {
	switch e.Kind {
	case dicom.KindSequence, dicom.KindItem, dicom.KindEncapsulated:
		return
	}
	length := int64(e.Length)
	if e.Kind == dicom.KindTrailer || e.Kind == dicom.KindUnparsed || e.Length == dicom.UndefinedLength {
		length = -1
	}
	if e.Kind == dicom.KindPreamble {
		length = 128
	}
	if w.place.Offset < e.Offset || length >= 0 && w.place.Offset >= e.ValueOffset+max(1, length) {
		return
	}
	w.found = true
	w.out.Path, w.out.VR, w.out.Start, w.out.Length, w.out.Inflated = e.Path(), vrOf(e), e.ValueOffset, length, e.Inflated
	w.out.Name = ""
	if a, ok := dicom.LookupAttribute(e.Tag); ok && e.Kind != dicom.KindTrailer && e.Kind != dicom.KindUnparsed {
		w.out.Name = a.Name
	}
}

func vrOf(e *dicom.Element) string {
	if e.Kind != dicom.KindElement {
		return ""
	}
	return e.VR.String()
}

func (w *window) Value(e *dicom.Element, p []byte) {
	if w.stream.in(e, w.deflated) {
		w.take(max(w.at, e.ValueOffset), p)
	}
}

func (w *window) End(e *dicom.Element) {
	if w.stream.in(e, w.deflated) {
		w.take(w.at, e.Header)
	}
}

func (w *window) Anomaly(*dicom.Element, dicom.Anomaly) {}

// take sees the bytes that are at an offset.
func (w *window) take(at int64, p []byte) {
	end := at + int64(len(p))
	next := w.out.From + int64(len(w.out.Data)) // wanted
	if len(p) > 0 && end > next && at <= next {
		p = p[next-at:]
		room := WindowBytes - len(w.out.Data)
		w.out.More = len(p) > room
		w.out.Data = append(w.out.Data, p[:min(len(p), room)]...)
	}
	w.at = max(w.at, end)
}

func (w *window) enough() bool {
	full := len(w.out.Data) == WindowBytes && w.out.More
	return full && (w.found || w.at > w.place.Offset+chunk) && (w.begun || w.stream == ofFile)
}

// Digest is the SHA-256 of a carved piece.
type Digest [32]byte

func (d Digest) String() string { return fmt.Sprintf("%x", d[:]) }

// Pieces digests the values that hold the places, so that the same payload is
// known again in another object. The digest of a place that is in no value is the
// zero Digest.
func (p *Previewer) Pieces(ctx context.Context, r io.Reader, o Object, at []Place) ([]Digest, error) {
	d := &digester{places: at, sums: make([]Digest, len(at)), left: len(at)}
	err := p.pass(ctx, r, o, d, func(context.Context) error { return nil })
	return d.sums, err
}

// digester digests the values that hold places.
type digester struct {
	places   []Place
	sums     []Digest
	left     int
	deflated bool
	holds    []int // places in the value under way
	hash     hash.Hash
}

func (d *digester) Begin(e *dicom.Element) {
	d.holds = d.holds[:0]
	d.deflated = d.deflated || e.Inflated
	switch e.Kind {
	case dicom.KindSequence, dicom.KindItem, dicom.KindEncapsulated:
		return
	}
	for i, at := range d.places {
		if d.sums[i] == (Digest{}) && at.stream().in(e, d.deflated) && holds(e, at.Offset) {
			d.holds = append(d.holds, i)
		}
	}
	if len(d.holds) > 0 {
		d.hash = sha256.New()
	}
}

// holds reports whether an offset is in an element's header or value.
func holds(e *dicom.Element, at int64) bool {
	if at < e.Offset {
		return false
	}
	switch {
	case e.Kind == dicom.KindTrailer, e.Kind == dicom.KindUnparsed:
		return true
	case e.Kind == dicom.KindPreamble:
		return at < 128
	}
	return at < e.ValueOffset+int64(e.Length)
}

func (d *digester) Value(e *dicom.Element, p []byte) {
	if len(d.holds) > 0 {
		d.hash.Write(p)
	}
}

func (d *digester) End(e *dicom.Element) {
	for _, i := range d.holds {
		d.hash.Sum(d.sums[i][:0])
		d.left--
	}
	d.holds = d.holds[:0]
}

func (d *digester) Anomaly(*dicom.Element, dicom.Anomaly) {}
func (d *digester) enough() bool                          { return d.left <= 0 }
