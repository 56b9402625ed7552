package web

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"

	"cordon/dicom"
)

// Object is a Part 10 file as the retrieve resources see it: its metadata, and where its
// bulk data is (PS3.18 §10.4.1.1). Of the bulk data itself nothing is kept.
type Object struct {
	DataSet        DataSet   // without group 0002; bulk data by address
	TransferSyntax dicom.UID // as the file names it
	bulk           map[string]*Bulk
}

// Bulk is where a value is.
type Bulk struct {
	VR           dicom.VR
	Pieces       []Piece // one, or the fragments of encapsulated Pixel Data
	Encapsulated bool
	offsets      []byte // Basic Offset Table
}

// Piece is a range of a file, in bytes.
type Piece struct{ Offset, Length int64 }

// inlineMax is how long a binary value may be, in bytes, to be in the metadata itself.
const inlineMax = 1 << 10

// ErrNoFrames means that frames cannot be told apart, or are not there.
var ErrNoFrames = errors.New("no such frame")

// ReadObject reads a Part 10 file as a stream. Binary values of more than 1 KiB, and Pixel Data of
// any length, are not in its data set but at the address which bulk gives for their path (PS3.18 §10.4.1.1.2).
// The path is that of [Resource].Bulk after its first word: 7FE00010, or 54000100/1/54001010 for a value
// inside the first item of a sequence. Memory depends on l, and on the number of fragments.
func ReadObject(file io.Reader, l Limits, bulk func(path string) string) (*Object, error) {
	b := newBuilder(l)
	b.bulk, b.pieces = bulk, make(map[string]*Bulk)
	d, err := b.read(file, dicom.Options{})
	if err != nil {
		return nil, err
	}
	return &Object{DataSet: d, TransferSyntax: b.syntax, bulk: b.pieces}, nil
}

// Weight is about how many bytes of memory the object takes.
func (o *Object) Weight() int64 {
	n := o.DataSet.weight()
	for _, b := range o.bulk {
		n += elementWeight + int64(len(b.offsets)) + 16*int64(len(b.Pieces))
	}
	return n
}

// elementWeight is what an element takes without its value, in bytes.
const elementWeight = 96

func (d DataSet) weight() (n int64) {
	for i := range d {
		n += elementWeight + int64(len(d[i].Value)+len(d[i].BulkDataURI))
		for _, item := range d[i].Items {
			n += elementWeight + item.weight()
		}
	}
	return n
}

// bulkOf is where the value is, if it stays there.
func (b *builder) bulkOf(e *dicom.Element) *Bulk {
	big := e.Kind == dicom.KindEncapsulated || e.Tag == dicom.TagPixelData || e.VR.IsBulk() && e.Length > inlineMax
	if b.bulk == nil || !big {
		return nil
	}
	x := &Bulk{VR: b.vr(e), Encapsulated: e.Kind == dicom.KindEncapsulated}
	if !x.Encapsulated && !e.Inflated && !e.BigEndian {
		x.Pieces = []Piece{{e.ValueOffset, int64(e.Length)}}
	}
	return x
}

func (b *builder) fragment(e *dicom.Element) {
	if b.big != nil && e.Index > 0 && !e.Inflated {
		b.big.Pieces = append(b.big.Pieces, Piece{e.ValueOffset, int64(e.Length)})
	}
}

// addBulk adds an element whose value stays where it is.
func (b *builder) addBulk(e *dicom.Element) {
	path := b.path(e.Tag)
	b.pieces[path] = b.big
	b.add(Element{Tag: e.Tag, VR: b.big.VR, BulkDataURI: b.bulk(path)})
	b.big = nil
}

// Bulk finds the value with a path of those that ReadObject named. Of a deflated or big
// endian file there is none, since its bytes are not those that PS3.18 §10.4.3.3.2 wants.
func (o *Object) Bulk(path string) (*Bulk, bool) {
	b, found := o.bulk[path]
	return b, found && len(b.Pieces) > 0
}

// PixelData is the path of the Pixel Data.
func PixelData() string { return tagText(dicom.TagPixelData) }

// Frame is where frame n is, from 1: pieces of the file that make it up. The error is
// [ErrNoFrames], with its reason.
func (o *Object) Frame(n int) ([]Piece, error) {
	b, found := o.Bulk(PixelData())
	count := max(o.DataSet.Int(dicom.TagNumberOfFrames), 1)
	switch {
	case !found:
		return nil, fmt.Errorf("%w: no Pixel Data that can be cut into frames", ErrNoFrames)
	case n < 1 || n > count:
		return nil, fmt.Errorf("%w: the instance has %d", ErrNoFrames, count)
	case b.Encapsulated:
		return b.fragments(n, count, o.DataSet)
	}
	return o.native(b.Pieces[0], n, count)
}

// native cuts Pixel Data by the size of a frame (PS3.5 §8.1.1).
func (o *Object) native(all Piece, n, count int) ([]Piece, error) {
	bits := int64(max(o.DataSet.Int(dicom.TagSamplesPerPixel), 1))
	for _, t := range []dicom.Tag{dicom.TagRows, dicom.TagColumns, dicom.TagBitsAllocated} {
		if bits *= int64(o.DataSet.Int(t)); bits < 0 || bits > 1<<40 {
			return nil, fmt.Errorf("%w: the size of a frame is beyond all measure", ErrNoFrames)
		}
	}
	if o.DataSet.String(dicom.TagPhotometricInterpretation) == "YBR_FULL_422" {
		bits = bits / 3 * 2
	}
	if bits == 0 || bits%8 != 0 && count > 1 {
		return nil, fmt.Errorf("%w: the size of a frame is not a number of bytes", ErrNoFrames)
	}
	size := (bits + 7) / 8
	p := Piece{all.Offset + int64(n-1)*size, size}
	if p.Offset+p.Length > all.Offset+all.Length {
		return nil, fmt.Errorf("%w: the Pixel Data is shorter than its attributes say", ErrNoFrames)
	}
	return []Piece{p}, nil
}

// fragments are those of one frame: one to a frame, all of them, or as an offset table says (PS3.5 §A.4).
func (b *Bulk) fragments(n, count int, d DataSet) ([]Piece, error) {
	switch {
	case len(b.Pieces) == count:
		return b.Pieces[n-1 : n], nil
	case count == 1:
		return b.Pieces, nil
	}
	offset, end, ok := b.offset(n, count, d)
	if !ok {
		return nil, fmt.Errorf("%w: fragments without an offset table", ErrNoFrames)
	}
	const header = 8
	var out []Piece
	first := b.Pieces[0].Offset - header // offsets count from the first fragment's item
	for _, p := range b.Pieces {
		if at := p.Offset - header - first; at >= offset && at < end {
			out = append(out, p)
		}
	}
	if len(out) == 0 || out[0].Offset-header-first != offset {
		return nil, fmt.Errorf("%w: an offset table that does not fit the fragments", ErrNoFrames)
	}
	return out, nil
}

// offset is where frame n begins and ends, by the Extended or the Basic Offset Table.
func (b *Bulk) offset(n, count int, d DataSet) (from, to int64, ok bool) {
	table, size := b.offsets, 4
	if e := d.Find(dicom.TagExtendedOffsetTable); e != nil && len(e.Value) > 0 {
		table, size = e.Value, 8
	}
	if len(table) != count*size {
		return 0, 0, false
	}
	at := func(i int) int64 {
		if size == 4 {
			return int64(binary.LittleEndian.Uint32(table[4*i:]))
		}
		return int64(binary.LittleEndian.Uint64(table[8*i:]))
	}
	to = int64(1) << 62
	if n < count {
		to = at(n)
	}
	from = at(n - 1)
	return from, to, from >= 0 && from < to
}

// CopyPieces copies pieces of a file, which is read from its beginning, in rising order.
func CopyPieces(w io.Writer, file io.Reader, pieces []Piece) error {
	at := int64(0)
	for _, p := range pieces {
		if p.Offset < at {
			return errors.New("copying pieces of a file: they are not in its order")
		}
		if _, err := io.CopyN(io.Discard, file, p.Offset-at); err != nil {
			return fmt.Errorf("copying pieces of a file: %w", noEOF(err))
		}
		if _, err := io.CopyN(w, file, p.Length); err != nil {
			return fmt.Errorf("copying pieces of a file: %w", noEOF(err))
		}
		at = p.Offset + p.Length
	}
	return nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// FrameMedia is the media type of a frame, or of Pixel Data as a whole, in the transfer syntax in which it is
// stored (PS3.18 tables 8.7.3-2, -3 and -5).
func FrameMedia(ts dicom.UID) MediaType {
	m := Single(TypeOctetStream)
	for _, row := range frameTypes {
		if row.ts == ts {
			m.Type = row.kind
		}
	}
	if syntax, known := dicom.LookupTransferSyntax(ts); known && !syntax.Encapsulated {
		ts = dicom.ExplicitVRLittleEndian
	}
	m.Params = map[string]string{"transfer-syntax": string(ts)}
	return m
}

// frameTypes are the media types of compressed pixel data and its transfer syntaxes; the first
// of a type is that which the type alone means.
var frameTypes = []struct {
	kind string
	ts   dicom.UID
}{
	{"image/jpeg", dicom.JPEGLosslessSV1},
	{"image/jpeg", dicom.JPEGBaseline8Bit},
	{"image/jpeg", dicom.JPEGExtended12Bit},
	{"image/jpeg", dicom.JPEGLossless},
	{"image/dicom-rle", dicom.RLELossless},
	{"image/jls", dicom.JPEGLSLossless},
	{"image/jls", dicom.JPEGLSNearLossless},
	{"image/jp2", dicom.JPEG2000Lossless},
	{"image/jp2", dicom.JPEG2000},
	{"image/jpx", dicom.JPEG2000MCLossless},
	{"image/jpx", dicom.JPEG2000MC},
	{"image/jphc", dicom.HTJ2KLossless},
	{"image/jphc", dicom.HTJ2KLosslessRPCL},
	{"image/jphc", dicom.HTJ2K},
	{"image/jxl", "1.2.840.10008.1.2.4.110"},
	{"image/jxl", "1.2.840.10008.1.2.4.111"},
	{"image/jxl", "1.2.840.10008.1.2.4.112"},
	{"video/mpeg2", dicom.MPEG2MPML},
	{"video/mpeg2", dicom.MPEG2MPHL},
	{"video/mp4", dicom.MPEG4HP41},
	{"video/mp4", dicom.MPEG4HP41BD},
	{"video/mp4", dicom.MPEG4HP422D},
	{"video/mp4", dicom.MPEG4HP423D},
	{"video/mp4", dicom.MPEG4HP42STEREO},
}

// itemPath is the path of item i, from 1, of a sequence.
func itemPath(t dicom.Tag, i int) string { return tagText(t) + "/" + strconv.Itoa(i) }
