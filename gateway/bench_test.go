package gateway

import (
	"testing"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
)

// BenchmarkThrough sends CT images of 525 kB through the gateway to an archive
// in this process, one association, one after the other.
func BenchmarkThrough(b *testing.B) {
	a := newScriptedArchive(b)
	a.forget = true
	h := open(b, b.TempDir(), config(a.address))
	c := h.modality()
	im := newImage(b, make([]byte, 523<<10))
	b.SetBytes(int64(len(im.data)))
	for b.Loop() {
		if rsp := send(b, c, im); rsp.Status != dimse.Success {
			b.Fatalf("status %04X", uint16(rsp.Status))
		}
	}
}

// BenchmarkDirect is BenchmarkThrough without the gateway.
func BenchmarkDirect(b *testing.B) {
	a := newScriptedArchive(b)
	a.forget = true
	h := &house{t: b, address: a.address}
	c := h.modality(ul.ProposedContext{ID: 3, AbstractSyntax: dicom.CTImageStorage, TransferSyntaxes: []dicom.UID{dicom.ExplicitVRLittleEndian}})
	im := newImage(b, make([]byte, 523<<10))
	b.SetBytes(int64(len(im.data)))
	for b.Loop() {
		if rsp := send(b, c, im); rsp.Status != dimse.Success {
			b.Fatalf("status %04X", uint16(rsp.Status))
		}
	}
}
