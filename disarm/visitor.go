package disarm

import (
	"bytes"
	"crypto/sha256"
	"hash"

	"cordon/dicom"
)

// visitor notes where a file has what may be removed, and digests the rest.
type visitor struct {
	preamble  []byte
	inPadding bool
	nonZero   bool    // the padding under way is not what it should be
	padding   Removal // under way
	paddings  []Removal
	trailer   Removal
	trailing  bool // it is more than what may end a deflate stream
	odd       bool // it follows a deflate stream of odd length
	inflated  bool // the data set is a deflate stream
	afterMeta int64
	inPixels  int // how many pieces are open in Pixel Data, itself included
	dataSet   digester
	pixelData digester
}

// digester digests what is added to it.
type digester struct {
	hash  hash.Hash
	bytes int64
}

func newDigester() digester { return digester{hash: sha256.New()} }

func (d *digester) add(p []byte) {
	d.hash.Write(p) // never fails
	d.bytes += int64(len(p))
}

func (d *digester) digest() Digest {
	out := Digest{Bytes: d.bytes}
	d.hash.Sum(out.SHA256[:0])
	return out
}

// Begin opens what may be removed, which is at the root. Inside a deflate stream
// nothing can be without writing the stream anew, so all of it counts as data set.
func (v *visitor) Begin(e *dicom.Element) {
	v.inflated = v.inflated || e.Inflated
	switch {
	case v.inPixels > 0:
		v.inPixels++
	case e.Meta || e.Depth > 0:
	case isTrailer(e):
		v.trailer = Removal{What: Trailer, Offset: e.Offset}
		v.odd = v.inflated && (e.Offset-v.afterMeta)%2 == 1
	case e.Kind == dicom.KindElement && e.Tag == dicom.TagDataSetTrailingPadding && !e.Inflated:
		v.padding = Removal{What: TrailingPadding, Offset: e.Offset}
		v.inPadding, v.nonZero = true, false
	case isPixelData(e):
		v.inPixels = 1
	}
	v.add(e, e.Header)
}

func isTrailer(e *dicom.Element) bool { return e.Kind == dicom.KindTrailer && !e.Inflated }

func isPixelData(e *dicom.Element) bool {
	switch e.Tag {
	case dicom.TagPixelData, dicom.TagFloatPixelData, dicom.TagDoubleFloatPixelData:
		return true
	}
	return false
}

// Value is told of every byte that is in no header.
func (v *visitor) Value(e *dicom.Element, p []byte) {
	switch {
	case e.Kind == dicom.KindPreamble:
		v.preamble = append(v.preamble, p...)
	case v.inPixels > 0:
		v.pixelData.add(p)
	case v.inPadding:
		v.nonZero = v.nonZero || len(bytes.Trim(p, "\x00")) > 0
	}
	v.add(e, p)
}

// End closes what Begin opened. One padding too many is kept, to be told apart
// from as many as there may be.
func (v *visitor) End(e *dicom.Element) {
	v.add(e, e.Header)
	if e.Meta {
		v.afterMeta = e.ValueOffset + int64(e.Length)
	}
	if v.inPixels > 0 {
		v.inPixels--
	}
	if v.inPadding && v.nonZero && len(v.paddings) <= maxPaddings {
		v.paddings = append(v.paddings, v.padding)
	}
	v.inPadding = false
}

// add counts bytes where they belong.
func (v *visitor) add(e *dicom.Element, p []byte) {
	switch {
	case v.inPadding:
		v.padding.Bytes += int64(len(p))
	case isTrailer(e):
		v.follow(p)
	case e.Kind == dicom.KindPreamble, e.Meta && e.Kind != dicom.KindUnparsed:
	default:
		v.dataSet.add(p)
	}
}

// follow counts bytes of the trailer. A null that makes the length of a deflate
// stream even is not one of them (PS3.5 §A.5).
func (v *visitor) follow(p []byte) {
	if v.odd && v.trailer.Bytes == 0 && len(p) > 0 && p[0] == 0 {
		v.odd = false
		v.trailer.Offset++
		p = p[1:]
	}
	v.trailer.Bytes += int64(len(p))
}

// Anomaly notes that there is a trailer to speak of: a null or a checksum after a
// deflate stream is no anomaly.
func (v *visitor) Anomaly(e *dicom.Element, a dicom.Anomaly) {
	if a.Code == dicom.AnomalyTrailingBytes && e != nil && isTrailer(e) {
		v.trailing = true
	}
}
