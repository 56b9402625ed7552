package gateway

import (
	"sync"
	"testing"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
)

// BenchmarkThrough sends CT images of 525 kB through the gateway to an archive
// in this process, one association, one after the other.
func BenchmarkThrough(b *testing.B) { through(b, 1, 523<<10) }

// BenchmarkThroughMany does so on 16 associations at a time.
func BenchmarkThroughMany(b *testing.B) { through(b, 16, 523<<10) }

// BenchmarkThroughLarge sends objects of 50 MB, which are kept in a file
// meanwhile.
func BenchmarkThroughLarge(b *testing.B) { through(b, 1, 50<<20) }

// through sends the same image again and again on n associations.
func through(b *testing.B, n, bytes int) {
	a := newScriptedArchive(b)
	a.forget = true
	h := open(b, b.TempDir(), config(a.address))
	im := newImage(b, make([]byte, bytes))
	var conns []*dimse.Conn
	for range n {
		conns = append(conns, h.modality())
	}
	b.SetBytes(int64(len(im.data)))
	images := make(chan struct{})
	var senders sync.WaitGroup
	for _, c := range conns {
		senders.Go(func() { // ends with the images
			for range images {
				if rsp, err := trySend(c, im); err != nil || rsp.Status != dimse.Success {
					b.Errorf("status %04X, %v", uint16(rsp.Status), err)
				}
			}
		})
	}
	for b.Loop() {
		images <- struct{}{}
	}
	close(images)
	senders.Wait()
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
