package preview

import (
	"bytes"
	"context"
	"encoding/binary"
	"image/png"
	"io"
	"strconv"
	"strings"

	"cordon/dicom"
)

// Frame is a picture of one frame.
type Frame struct {
	PNG           []byte
	Width, Height int // of the picture
	Columns, Rows int // of the frame
	Number        int // from 0
	Of            int // frames in the object, as it says
}

// Frame renders one frame, counted from 0, reduced to a small picture. The error
// is a None if it has no preview.
func (p *Previewer) Frame(ctx context.Context, r io.Reader, o Object, n int) (Frame, error) {
	f := &frames{limits: p.limits, number: n, facts: facts{values: map[dicom.Tag][]byte{}}}
	var out Frame
	err := p.pass(ctx, r, o, f, func(ctx context.Context) (err error) {
		out, err = f.render(ctx)
		return err
	})
	return out, err
}

// facts are what an object says about its pixels, as encoded.
type facts struct {
	values map[dicom.Tag][]byte
	big    bool
	open   dicom.Tag // the one under way; 0: none
}

// Tags of package preview alone (PS3.6).
const (
	tagWindowCenter     dicom.Tag = 0x00281050
	tagWindowWidth      dicom.Tag = 0x00281051
	tagRescaleIntercept dicom.Tag = 0x00281052
	tagRescaleSlope     dicom.Tag = 0x00281053
	tagRedDescriptor    dicom.Tag = 0x00281101
	tagRedData          dicom.Tag = 0x00281201
)

// wanted says how many bytes of an element are kept; 0: none.
func wanted(e *dicom.Element) int {
	const number, table = 64, 128 << 10 // a table has at most 65,536 entries of 16 bits
	if e.Kind != dicom.KindElement || e.Meta {
		return 0
	}
	if e.Depth == 1 && (e.Tag == dicom.TagLUTDescriptor || e.Tag == dicom.TagLUTData) && strings.HasPrefix(e.Path(), "(0028,3000)[0].") {
		return table
	}
	if e.Depth > 0 {
		return 0
	}
	switch e.Tag {
	case dicom.TagSamplesPerPixel, dicom.TagPhotometricInterpretation, dicom.TagPlanarConfiguration, dicom.TagNumberOfFrames,
		dicom.TagRows, dicom.TagColumns, dicom.TagBitsAllocated, dicom.TagBitsStored, dicom.TagHighBit, dicom.TagPixelRepresentation,
		tagWindowCenter, tagWindowWidth, tagRescaleIntercept, tagRescaleSlope,
		tagRedDescriptor, tagRedDescriptor + 1, tagRedDescriptor + 2:
		return number
	case tagRedData, tagRedData + 1, tagRedData + 2:
		return table
	}
	return 0
}

func (f *facts) begin(e *dicom.Element) {
	f.open = 0
	if _, met := f.values[e.Tag]; !met && wanted(e) > 0 {
		f.open, f.big = e.Tag, e.BigEndian
		f.values[e.Tag] = nil
	}
}

func (f *facts) value(e *dicom.Element, p []byte) {
	if f.open == e.Tag && f.open != 0 {
		v := f.values[e.Tag]
		f.values[e.Tag] = append(v, p[:min(len(p), max(0, wanted(e)-len(v)))]...)
	}
}

func (f *facts) order() binary.ByteOrder {
	if f.big {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// number is the first value of VR US; false if there is none.
func (f *facts) number(t dicom.Tag) (int, bool) {
	v := f.values[t]
	if len(v) < 2 {
		return 0, false
	}
	return int(f.order().Uint16(v)), true
}

// text is the first value of a string.
func (f *facts) text(t dicom.Tag) string {
	first, _, _ := strings.Cut(string(f.values[t]), `\`)
	return strings.Trim(first, " \x00")
}

// decimal is the first value of VR DS; false if there is none that is a number.
func (f *facts) decimal(t dicom.Tag) (float64, bool) {
	x, err := strconv.ParseFloat(f.text(t), 64)
	return x, err == nil && x == x && x > -1e15 && x < 1e15
}

// frames gathers one frame.
type frames struct {
	limits Limits
	number int
	facts  facts

	form   form   // once Pixel Data have begun
	source source // takes their bytes
	why    error  // there is none
	pixels bool   // Pixel Data are under way
	over   bool   // nothing more is needed
	joined []byte // compressed
	begun  bool   // the fragment under way, which frame it is of is known
	frame  int    // that it is of, counted from 1
	jpeg   bool   // which began as a JPEG image
}

// soi begins a JPEG image.
var soi = []byte{0xFF, markSOI}

// source takes the bytes of native pixel data.
type source interface {
	write(p []byte) (enough bool)
}

func (f *frames) Begin(e *dicom.Element) {
	switch {
	case e.Kind == dicom.KindTrailer || e.Kind == dicom.KindUnparsed:
		f.over = true
	case e.Depth == 0 && e.Tag == dicom.TagPixelData && e.Kind == dicom.KindElement:
		f.native(e)
	case e.Depth == 0 && e.Kind == dicom.KindEncapsulated && !f.pixels:
		f.pixels = true
		f.form, f.why = f.facts.form()
		f.over = f.why != nil
	case e.Kind == dicom.KindFragment && f.pixels:
		f.begun = e.Index == 0 // the offset table
	case !f.pixels:
		f.facts.begin(e)
	}
}

// native begins to take the pixels of the frame.
func (f *frames) native(e *dicom.Element) {
	if f.pixels {
		return
	}
	f.pixels = true
	if f.form, f.why = f.facts.form(); f.why == nil {
		f.source, f.why = newNative(f.form, f.limits, f.number, e)
	}
	f.over = f.why != nil
}

func (f *frames) Value(e *dicom.Element, p []byte) {
	switch {
	case f.over:
	case f.source != nil && e.Tag == dicom.TagPixelData:
		f.over = f.source.write(p)
	case e.Kind == dicom.KindFragment && f.pixels && e.Index > 0 && f.ofFrame(p):
		if len(f.joined)+len(p) > f.limits.Frame {
			f.why, f.over = none("its compressed frame is longer than %d bytes", f.limits.Frame), true
			return
		}
		f.joined = append(f.joined, p...)
	case !f.pixels:
		f.facts.value(e, p)
	}
}

// ofFrame reports whether the fragment whose value this is a part of is of the frame.
// A frame has one fragment; that of a JPEG image may have more, of which the first
// begins the image (PS3.5 §A.4).
func (f *frames) ofFrame(p []byte) bool {
	if !f.begun {
		f.begun = true
		goesOn := f.frame > 0 && (f.form.frames == 1 || f.jpeg && !bytes.HasPrefix(p, soi))
		if !goesOn {
			f.frame++
			f.jpeg = bytes.HasPrefix(p, soi)
		}
		f.over = f.frame > f.number+1
	}
	return f.frame == f.number+1
}

func (f *frames) End(e *dicom.Element) {
	if e.Kind == dicom.KindEncapsulated && e.Depth == 0 || e.Kind == dicom.KindElement && e.Depth == 0 && e.Tag == dicom.TagPixelData {
		f.over = true
	}
	f.facts.open = 0
}

func (f *frames) Anomaly(*dicom.Element, dicom.Anomaly) {}
func (f *frames) enough() bool                          { return f.over }

// render makes the picture of what was gathered.
func (f *frames) render(ctx context.Context) (Frame, error) {
	switch {
	case f.why != nil:
		return Frame{}, f.why
	case !f.pixels:
		return Frame{}, none("it has no pixel data")
	case f.number < 0 || f.number >= f.form.frames:
		return Frame{}, none("it has %d frames, counted from 0: there is no frame %d", f.form.frames, f.number)
	}
	g, err := f.raster(ctx)
	if err != nil {
		return Frame{}, err
	}
	picture := g.picture(&f.facts)
	var out bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestSpeed}
	if err := encoder.Encode(&out, picture); err != nil {
		return Frame{}, err
	}
	return Frame{
		PNG: out.Bytes(), Width: g.width, Height: g.height, Columns: f.form.columns, Rows: f.form.rows,
		Number: f.number, Of: f.form.frames,
	}, nil
}

// raster is what the frame's pixels add up to.
func (f *frames) raster(ctx context.Context) (*raster, error) {
	if n, ok := f.source.(*native); ok {
		return n.end()
	}
	if len(f.joined) == 0 {
		return nil, none("its pixel data have no fragment for this frame")
	}
	if looksLikeRLE(f.joined, f.form) {
		return decodeRLE(ctx, f.joined, f.form, f.limits)
	}
	if bytes.HasPrefix(f.joined, soi) {
		return decodeJPEG(ctx, f.joined, f.form, f.limits)
	}
	return nil, none("its compression is neither RLE nor baseline JPEG")
}
