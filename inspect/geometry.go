package inspect

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"

	"cordon/dicom"
)

// geometry reads the image's size and holds native pixel data against it.
type geometry struct {
	blind
	report *report

	rows, columns, samples, allocated, frames int64 // 0: not given, or not one number
	photometric                               string

	excess   *piece // native pixel data past the last frame
	expected int64  // bytes of native pixel data that are image; negative: not checked
	position int64
}

func (g *geometry) raises() []string {
	return []string{"geometry-vr", "geometry-overflow", "geometry-missing", "pixel-data-short", "pixel-data-long"}
}

// The attributes of an image's size (PS3.3 §C.7.6.3), all US but the last two.
const (
	tagSamplesPerPixel           dicom.Tag = 0x00280002
	tagPlanarConfiguration       dicom.Tag = 0x00280006
	tagRows                      dicom.Tag = 0x00280010
	tagColumns                   dicom.Tag = 0x00280011
	tagBitsAllocated             dicom.Tag = 0x00280100
	tagBitsStored                dicom.Tag = 0x00280101
	tagHighBit                   dicom.Tag = 0x00280102
	tagPixelRepresentation       dicom.Tag = 0x00280103
	tagNumberOfFrames            dicom.Tag = 0x00280008
	tagPhotometricInterpretation dicom.Tag = 0x00280004
)

func (g *geometry) begin(e *dicom.Element) {
	switch e.Tag {
	case tagSamplesPerPixel, tagPlanarConfiguration, tagRows, tagColumns, tagBitsAllocated, tagBitsStored, tagHighBit, tagPixelRepresentation:
		g.checkVR(e, dicom.US)
	case tagNumberOfFrames:
		g.checkVR(e, dicom.IS)
	case dicom.TagPixelData, dicom.TagFloatPixelData, dicom.TagDoubleFloatPixelData:
		if e.Kind == dicom.KindElement && e.Depth == 0 {
			g.beginPixels(e)
		}
	}
}

// checkVR wants the dictionary's VR. UN is how archives store what they do not
// know, and has the same bytes.
func (g *geometry) checkVR(e *dicom.Element, want dicom.VR) {
	if e.Explicit && e.VR != want && e.VR != dicom.UN {
		g.report.add("geometry-vr", e, e.Offset, fmt.Sprintf("VR %v where the dictionary has %v", e.VR, want))
	}
}

func (g *geometry) whole(e *dicom.Element, v []byte) {
	if e.Depth > 0 {
		return
	}
	switch e.Tag {
	case tagRows:
		g.rows = number(e, v)
	case tagColumns:
		g.columns = number(e, v)
	case tagSamplesPerPixel:
		g.samples = number(e, v)
	case tagBitsAllocated:
		g.allocated = number(e, v)
	case tagNumberOfFrames:
		g.frames = number(e, v)
	case tagPhotometricInterpretation:
		g.photometric = strings.TrimRight(string(v), " \x00")
	}
}

// number reads a value that is one unsigned number, binary or in characters; 0
// when it is not.
func number(e *dicom.Element, v []byte) int64 {
	var order binary.ByteOrder = binary.LittleEndian
	if e.BigEndian {
		order = binary.BigEndian
	}
	switch {
	case e.VR == dicom.IS || e.Tag == tagNumberOfFrames:
		n, err := strconv.ParseInt(strings.Trim(string(v), " \x00"), 10, 64)
		if err != nil || n < 0 {
			return 0
		}
		return n
	case len(v) == 2:
		return int64(order.Uint16(v))
	case len(v) == 4:
		return int64(order.Uint32(v))
	}
	return 0
}

// beginPixels computes how long native pixel data must be.
func (g *geometry) beginPixels(e *dicom.Element) {
	g.position, g.expected = 0, -1
	allocated, samples := g.allocated, g.samples
	switch e.Tag {
	case dicom.TagFloatPixelData:
		allocated, samples = 32, max(1, samples)
	case dicom.TagDoubleFloatPixelData:
		allocated, samples = 64, max(1, samples)
	}
	if g.rows == 0 || g.columns == 0 || samples == 0 || allocated == 0 {
		g.report.add("geometry-missing", e, e.Offset, "")
		return
	}
	pixels := product(g.rows, g.columns, max(1, g.frames))
	expected, padded := nativeLength(pixels, samples, allocated, g.photometric)
	if allocated == 1 { // frames are packed without a gap (PS3.5 §8.1.1), which some writers do not know
		padded = product(max(1, g.frames), (product(g.rows, g.columns, samples)+7)/8)
	}
	length := int64(e.Length)
	switch {
	case length >= expected && length <= padded+padded&1:
	case length < expected && expected > math.MaxUint32:
		g.report.add("geometry-overflow", e, e.Offset, g.sizes(length, expected))
	case length < expected:
		g.report.add("pixel-data-short", e, e.Offset, g.sizes(length, expected))
	default:
		g.report.add("pixel-data-long", e, e.Offset, g.sizes(length, expected))
		g.expected = padded
		g.excess.start(e, ordinary, e.ValueOffset+padded, length-padded, allWords)
	}
}

func (g *geometry) sizes(length, expected int64) string {
	return fmt.Sprintf("%d bytes where %d×%d pixels, %d samples of %d bits, %d frames take %d",
		length, g.rows, g.columns, g.samples, g.allocated, max(1, g.frames), expected)
}

// nativeLength returns the bytes that pixels take, and those they take when
// chrominance that is halved is stored in full (PS3.3 §C.7.6.3.1.2).
func nativeLength(pixels, samples, allocated int64, photometric string) (least, most int64) {
	most = ceilBytes(product(pixels, samples, allocated))
	switch {
	case samples != 3:
		return most, most
	case photometric == "YBR_FULL_422" || photometric == "YBR_PARTIAL_422":
		return ceilBytes(product(pixels, 2, allocated)), most
	case photometric == "YBR_PARTIAL_420":
		return ceilBytes(product(pixels, 3, allocated) / 2), most
	}
	return most, most
}

func ceilBytes(bits int64) int64 { return bits/8 + min(1, bits%8) }

// product multiplies numbers that are not negative; what passes 62 bits is 1<<62.
func product(factors ...int64) int64 {
	p := uint64(1)
	for _, f := range factors {
		high, low := bits.Mul64(p, uint64(f))
		if high != 0 || low > 1<<62 {
			return 1 << 62
		}
		p = low
	}
	return int64(p)
}

func (g *geometry) chunk(e *dicom.Element, p []byte) {
	if !g.excess.open {
		return
	}
	if past := g.position + int64(len(p)) - g.expected; past > 0 {
		g.excess.write(p[max(0, int64(len(p))-past):])
	}
	g.position += int64(len(p))
}

func (g *geometry) end(e *dicom.Element) { g.excess.end(e) }
