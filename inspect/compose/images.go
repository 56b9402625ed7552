package compose

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"

	"cordon/dicom"
)

// Attributes of an image (PS3.3 §C.7.6.3) for which package dicom has no name.
const (
	samplesPerPixel           dicom.Tag = 0x00280002
	photometricInterpretation dicom.Tag = 0x00280004
	rows                      dicom.Tag = 0x00280010
	columns                   dicom.Tag = 0x00280011
	bitsAllocated             dicom.Tag = 0x00280100
	bitsStored                dicom.Tag = 0x00280101
	highBit                   dicom.Tag = 0x00280102
	pixelRepresentation       dicom.Tag = 0x00280103
)

// CT returns a clean CT image of the given size: 16 bits, a round body in air, noise.
func CT(height, width int) *Object {
	o := New(dicom.CTImageStorage)
	o.describe("CT", height, width, 16)
	o.SetPixels(body(height, width))
	return o
}

// Photo returns a clean JPEG image of the given size: 8 bits, one frame, one fragment.
func Photo(height, width int) *Object {
	o := New(dicom.SecondaryCaptureImageStorage)
	o.TransferSyntax = dicom.JPEGBaseline8Bit
	o.describe("OT", height, width, 8)
	o.SetFragments(nil, JPEG(height, width))
	return o
}

// Document returns a clean Encapsulated PDF object.
func Document() *Object {
	o := New(dicom.EncapsulatedPDFStorage)
	o.person("DOC")
	o.SetString(dicom.TagMIMETypeOfEncapsulatedDoc, dicom.LO, "application/pdf")
	o.Set(dicom.TagEncapsulatedDocument, dicom.OB, []byte("%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"))
	return o
}

func (o *Object) person(modality string) {
	o.SetString(dicom.TagModality, dicom.CS, modality)
	o.SetString(dicom.TagPatientName, dicom.PN, "Drill^Harmless")
	o.SetString(dicom.TagPatientID, dicom.LO, "DRILL-1")
	o.SetString(dicom.TagPatientBirthDate, dicom.DA, "")
	o.SetString(dicom.TagPatientSex, dicom.CS, "O")
	o.SetString(dicom.TagStudyDate, dicom.DA, "20260101")
	o.SetString(dicom.TagStudyTime, dicom.TM, "120000")
	o.SetString(dicom.TagAccessionNumber, dicom.SH, "")
	o.SetString(dicom.TagReferringPhysicianName, dicom.PN, "")
	o.SetString(dicom.TagStudyID, dicom.SH, "1")
	o.SetString(dicom.TagStudyDescription, dicom.LO, "Made for a drill")
}

func (o *Object) describe(modality string, height, width, bits int) {
	o.person(modality)
	o.SetUint16(samplesPerPixel, 1)
	o.SetString(photometricInterpretation, dicom.CS, "MONOCHROME2")
	o.SetUint16(rows, uint16(height))
	o.SetUint16(columns, uint16(width))
	o.SetUint16(bitsAllocated, uint16(bits))
	o.SetUint16(bitsStored, uint16(bits))
	o.SetUint16(highBit, uint16(bits-1))
	o.SetUint16(pixelRepresentation, 0)
}

// SetPixels sets native pixel data of 16 bits, in the transfer syntax's byte order.
func (o *Object) SetPixels(pixels []uint16) {
	o.SetFunc(dicom.TagPixelData, func(w *dicom.Writer) {
		w.Element(dicom.TagPixelData, dicom.OW, o.words(pixels))
	})
}

func (o *Object) words(v []uint16) []byte {
	var order binary.AppendByteOrder = binary.LittleEndian
	if o.Syntax().BigEndian {
		order = binary.BigEndian
	}
	b := make([]byte, 0, 2*len(v))
	for _, word := range v {
		b = order.AppendUint16(b, word)
	}
	return b
}

// SetFragments sets encapsulated pixel data: the Basic Offset Table, then fragments.
func (o *Object) SetFragments(offsetTable []byte, fragments ...[]byte) {
	o.SetFunc(dicom.TagPixelData, func(w *dicom.Writer) {
		w.BeginEncapsulated(dicom.TagPixelData)
		w.Fragment(offsetTable)
		for _, f := range fragments {
			w.Fragment(f)
		}
		w.EndEncapsulated()
	})
}

// body draws a disc with noise, the same for the same size.
func body(height, width int) []uint16 {
	noise := rand.New(rand.NewPCG(uint64(height), uint64(width)))
	pixels := make([]uint16, height*width)
	for y := range height {
		for x := range width {
			dy, dx := 2*y-height, 2*x-width
			level := uint16(24)
			if dy*dy*9+dx*dx*4 < 7*height*width {
				level = uint16(1024 + (dy*dx)%160)
			}
			pixels[y*width+x] = level + uint16(noise.Uint32()%32)
		}
	}
	return pixels
}

// JPEG returns a baseline JPEG codestream of the given size, 8 bits, one component.
func JPEG(height, width int) []byte {
	m := image.NewGray(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			m.SetGray(x, y, color.Gray{Y: uint8(x*y + 3*y)})
		}
	}
	var b bytes.Buffer
	jpeg.Encode(&b, m, nil) // neither a buffer nor an image of this size fails
	return b.Bytes()
}
