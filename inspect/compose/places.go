package compose

import (
	"bytes"
	"encoding/binary"

	"cordon/dicom"
)

// Place is a place where payloads hide.
type Place struct {
	Name string
	// InDataSet: DIMSE carries it. Preambles and trailers travel in files only.
	InDataSet bool
	// Where a finding will say that the payload is.
	Where string
	// Put hides a payload in an image made by CT. Where it changes the object
	// to another kind, identity and patient stay.
	Put func(o *Object, payload []byte)
}

// Places are all places, in the order of an object's bytes.
func Places() []Place {
	return []Place{
		Preamble, PreambleAndPrivate, PrivateOB, PrivateUN, PrivateOWSwapped, PrivateOFSwapped, PrivateLT, PrivateUT,
		PrivateNested, PrivateMiddle, PublicUN, ICCProfile, Palette, EncapsulatedPDF, Curve, Waveform, Overlay,
		ExtendedOffsetTable, OffsetTable, Fragment, SplitFragments, AfterEndOfImage, PixelData, PixelDataBigEndian, AfterLastFrame,
		Deflated, TrailingPadding, Appended,
	}
}

// Tags of a private block that the recipes reserve.
const (
	privateCreator dicom.Tag = 0x00090010
	privateElement dicom.Tag = 0x00091010
	privateText    dicom.Tag = 0x00091011
)

func (o *Object) private(t dicom.Tag, vr dicom.VR, value []byte) {
	o.SetString(privateCreator, dicom.LO, "CORDON DRILL")
	o.Set(t, vr, value)
}

// The places.
var (
	// Preamble holds the payload's first 128 bytes.
	Preamble = Place{"preamble", false, "preamble", func(o *Object, p []byte) { copy(o.Preamble[:], p) }}

	// PreambleAndPrivate makes a file that is an image and a Windows program at
	// once: the MZ header in the preamble points at the PE header in a private
	// element. The payload must begin with an MZ header.
	PreambleAndPrivate = Place{"preamble-and-private", false, "preamble", putDual}

	PrivateOB = Place{"private-ob", true, "(0009,1010)", func(o *Object, p []byte) { o.private(privateElement, dicom.OB, p) }}
	PrivateUN = Place{"private-un", true, "(0009,1010)", func(o *Object, p []byte) { o.private(privateElement, dicom.UN, p) }}

	// PrivateOWSwapped stores the payload as a reader of the other byte order sees it.
	PrivateOWSwapped = Place{"private-ow-swapped", true, "(0009,1010)", func(o *Object, p []byte) { o.private(privateElement, dicom.OW, swapped(p, 2)) }}
	PrivateOFSwapped = Place{"private-of-swapped", true, "(0009,1010)", func(o *Object, p []byte) { o.private(privateElement, dicom.OF, swapped(p, 4)) }}

	PrivateLT = Place{"private-lt", true, "(0009,1011)", func(o *Object, p []byte) { o.private(privateText, dicom.LT, p) }}
	PrivateUT = Place{"private-ut", true, "(0009,1011)", func(o *Object, p []byte) { o.private(privateText, dicom.UT, p) }}

	// PrivateNested hides it two items deep.
	PrivateNested = Place{"private-nested", true, "(0009,1010)[0].(0009,1010)[1].(0009,1011)", putNested}

	// PrivateMiddle hides it at an odd offset in a long value.
	PrivateMiddle = Place{"private-middle", true, "(0009,1010)", func(o *Object, p []byte) {
		o.private(privateElement, dicom.OB, between(70001, p, 4097))
	}}
	PublicUN   = Place{"public-un", true, "(0040,EEEE)", func(o *Object, p []byte) { o.Set(0x0040EEEE, dicom.UN, p) }}
	ICCProfile = Place{"icc-profile", true, "(0028,2000)", func(o *Object, p []byte) { o.Set(0x00282000, dicom.OB, between(128, p, 0)) }}
	Palette    = Place{"palette", true, "(0028,1201)", func(o *Object, p []byte) {
		o.SetUint16(0x00281101, uint16((len(p)+1)/2), 0, 16)
		o.Set(0x00281201, dicom.OW, p)
	}}

	// EncapsulatedPDF labels it as a document.
	EncapsulatedPDF = Place{"encapsulated-pdf", true, "(0042,0011)", func(o *Object, p []byte) {
		o.become(Document())
		o.Set(dicom.TagEncapsulatedDocument, dicom.OB, p)
	}}
	Curve    = Place{"curve", true, "(5000,3000)", func(o *Object, p []byte) { o.Set(0x50003000, dicom.OW, p) }}
	Waveform = Place{"waveform", true, "(5400,0100)[0].(5400,1010)", func(o *Object, p []byte) {
		o.SetFunc(0x54000100, func(w *dicom.Writer) {
			w.BeginSequence(0x54000100, dicom.Undefined)
			w.BeginItem(dicom.Undefined)
			w.Element(0x54001010, dicom.OW, p)
			w.EndItem()
			w.EndSequence()
		})
	}}
	Overlay = Place{"overlay", true, "(6000,3000)", func(o *Object, p []byte) {
		o.SetUint16(0x60000010, uint16(len(p)))
		o.SetUint16(0x60000011, 8)
		o.Set(0x60003000, dicom.OW, p)
	}}
	ExtendedOffsetTable = Place{"extended-offset-table", true, "(7FE0,0001)", func(o *Object, p []byte) {
		o.become(Photo(64, 64))
		o.Set(dicom.TagExtendedOffsetTable, dicom.OV, padTo(p, 8))
	}}
	OffsetTable = Place{"offset-table", true, "(7FE0,0010)[0]", func(o *Object, p []byte) {
		o.become(Photo(64, 64))
		o.SetFragments(padTo(p, 4), JPEG(64, 64))
	}}
	Fragment = Place{"fragment", true, "(7FE0,0010)", func(o *Object, p []byte) {
		o.become(Photo(64, 64))
		o.SetFragments(nil, JPEG(64, 64), p)
	}}

	// SplitFragments cuts it into fragments of 30 bytes, so that no header is whole in any.
	SplitFragments = Place{"split-fragments", true, "(7FE0,0010)", func(o *Object, p []byte) {
		o.become(Photo(64, 64))
		fragments := [][]byte{JPEG(64, 64)}
		for len(p) > 30 {
			fragments = append(fragments, p[:30])
			p = p[30:]
		}
		o.SetFragments(nil, append(fragments, p)...)
	}}

	// AfterEndOfImage appends it to the codestream.
	AfterEndOfImage = Place{"after-end-of-image", true, "(7FE0,0010)", func(o *Object, p []byte) {
		o.become(Photo(64, 64))
		o.SetFragments(nil, append(JPEG(64, 64), p...))
	}}

	// PixelData hides it among pixels; the object's image is replaced by one that is large enough.
	PixelData = Place{"pixel-data", true, "(7FE0,0010)", func(o *Object, p []byte) { o.hideInPixels(p) }}

	PixelDataBigEndian = Place{"pixel-data-big-endian", true, "(7FE0,0010)", func(o *Object, p []byte) {
		o.TransferSyntax = dicom.ExplicitVRBigEndian
		o.hideInPixels(p)
	}}

	// AfterLastFrame makes native pixel data longer than its attributes say.
	AfterLastFrame = Place{"after-last-frame", true, "(7FE0,0010)", func(o *Object, p []byte) {
		o.describe("CT", 64, 64, 16)
		o.Set(dicom.TagPixelData, dicom.OW, append(o.words(body(64, 64)), p...))
	}}

	// Deflated hides it from whoever looks at the file's bytes.
	Deflated = Place{"deflated", true, "(0009,1010)", func(o *Object, p []byte) {
		o.TransferSyntax = dicom.DeflatedExplicitVRLittleEndian
		PrivateOB.Put(o, p)
	}}
	TrailingPadding = Place{"trailing-padding", true, "(FFFC,FFFC)", func(o *Object, p []byte) { o.Set(dicom.TagDataSetTrailingPadding, dicom.OB, p) }}

	// Appended follows the data set.
	Appended = Place{"appended", false, "trailer", func(o *Object, p []byte) { o.Trailer = p }}
)

// become makes o the other object, but for its identity.
func (o *Object) become(other *Object) {
	other.Instance, other.Study, other.Series, other.InstanceNumber = o.Instance, o.Study, o.Series, o.InstanceNumber
	*o = *other
}

// hideInPixels puts p in the middle of an image, as little endian words.
func (o *Object) hideInPixels(p []byte) {
	side := 64
	for side*side < 4*len(p) {
		side *= 2
	}
	o.describe("CT", side, side, 16)
	pixels := body(side, side)
	p = padTo(p, 2)
	for i := range len(p) / 2 {
		pixels[side*side/2+i] = binary.LittleEndian.Uint16(p[2*i:])
	}
	o.SetPixels(pixels)
}

func putNested(o *Object, p []byte) {
	o.SetString(privateCreator, dicom.LO, "CORDON DRILL")
	o.SetFunc(privateElement, func(w *dicom.Writer) {
		w.BeginSequence(privateElement, dicom.Defined)
		w.BeginItem(dicom.Undefined)
		w.String(privateCreator, dicom.LO, "CORDON DRILL")
		w.BeginSequence(privateElement, dicom.Undefined)
		w.BeginItem(dicom.Defined)
		w.EndItem()
		w.BeginItem(dicom.Defined)
		w.String(privateCreator, dicom.LO, "CORDON DRILL")
		w.Element(privateText, dicom.UN, p)
		w.EndItem()
		w.EndSequence()
		w.EndItem()
		w.EndSequence()
	})
}

// dualProgram links the MZ header in a preamble to the PE header in the file.
type dualProgram struct{ body []byte }

func putDual(o *Object, p []byte) {
	at := binary.LittleEndian.Uint32(p[0x3C:])
	copy(o.Preamble[:64], p)
	o.dual = &dualProgram{p[at:]}
	o.private(privateElement, dicom.OB, p[at:])
}

func (d *dualProgram) link(file []byte) {
	at := bytes.Index(file, d.body)
	binary.LittleEndian.PutUint32(file[0x3C:], uint32(at))
}

// swapped reverses the bytes of each word of the given size.
func swapped(p []byte, size int) []byte {
	out := padTo(p, size)
	for i := range out {
		if j := i ^ (size - 1); i < j {
			out[i], out[j] = out[j], out[i]
		}
	}
	return out
}

// padTo returns a copy of p with zeros up to a multiple of size.
func padTo(p []byte, size int) []byte {
	return append(bytes.Clone(p), make([]byte, -len(p)&(size-1))...)
}

// between returns p with bytes that mean nothing before and after it.
func between(before int, p []byte, after int) []byte {
	out := make([]byte, 0, before+len(p)+after)
	for i := range before {
		out = append(out, byte(i*i>>3))
	}
	out = append(out, p...)
	for i := range after {
		out = append(out, byte(i*i>>4))
	}
	return out
}
