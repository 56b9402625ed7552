package dicom_test

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	"cordon/dicom"
)

// ct is a file like those of a CT scanner: 525 kB, about 150 elements, 512 × 512 pixels of 16 bits.
func ct(tb testing.TB, u dicom.UID) []byte {
	return file(tb, u, build(tb, u, func(w *dicom.Writer) {
		w.String(dicom.TagSOPClassUID, dicom.UI, string(dicom.CTImageStorage))
		w.String(dicom.TagSOPInstanceUID, dicom.UI, "1.2.3")
		w.BeginSequence(dicom.NewTag(0x0008, 0x1140), dicom.Undefined)
		for i := range 10 {
			w.BeginItem(dicom.Undefined)
			w.String(dicom.TagReferencedSOPClassUID, dicom.UI, string(dicom.CTImageStorage))
			w.String(dicom.TagReferencedSOPInstanceUID, dicom.UI, fmt.Sprintf("1.2.3.%d", i))
			w.EndItem()
		}
		w.EndSequence()
		w.String(dicom.NewTag(0x0009, 0x0010), dicom.LO, "CORDON TEST")
		for i := range uint16(40) {
			w.Element(dicom.NewTag(0x0009, 0x1000+i), dicom.UN, []byte("private value"))
		}
		for i := range uint16(60) {
			w.String(dicom.NewTag(0x0018, 0x1150+i), dicom.DS, "1.25") // none is a sequence
		}
		w.Uint16(dicom.TagRows, 512)
		w.Uint16(dicom.TagColumns, 512)
		w.Element(dicom.TagPixelData, dicom.OW, make([]byte, 512*512*2))
	}))
}

// BenchmarkDecodeCT decodes CT images written in pieces of 16 kB, as they come in PDUs, and reports
// how many times longer that takes than SHA-256 over the same pieces.
func BenchmarkDecodeCT(b *testing.B) {
	for _, u := range []dicom.UID{explicit, implicit, big} {
		ts := syntax(b, u)
		b.Run(ts.Name, func(b *testing.B) {
			p := ct(b, u)
			b.SetBytes(int64(len(p)))
			b.ReportAllocs()
			v := new(tally)
			for b.Loop() {
				d := dicom.NewDecoder(v, dicom.Options{})
				inPieces(p, func(piece []byte) { write(b, d, piece) })
				d.Close()
			}
			decoding := b.Elapsed()
			start := time.Now()
			for range b.N {
				h := sha256.New()
				inPieces(p, func(piece []byte) { h.Write(piece) })
				h.Sum(nil)
			}
			b.ReportMetric(float64(decoding)/float64(time.Since(start)), "×sha256")
			if len(v.codes) > 0 {
				b.Errorf("%v", v.codes)
			}
		})
	}
}

// BenchmarkDecodeDeflated inflates and decodes the same images.
func BenchmarkDecodeDeflated(b *testing.B) {
	p := ct(b, deflated)
	b.SetBytes(int64(len(ct(b, explicit))))
	for b.Loop() {
		d := dicom.NewDecoder(new(tally), dicom.Options{})
		inPieces(p, func(piece []byte) { write(b, d, piece) })
		d.Close()
	}
}

func inPieces(p []byte, use func(piece []byte)) {
	for piece := range slices.Chunk(p, 16<<10) {
		use(piece)
	}
}
