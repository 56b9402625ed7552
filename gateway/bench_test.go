package gateway

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/store"
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

// BenchmarkSpoolFirst has 16 associations store CT images of 525 kB that are
// spooled first, beside as many writers that make the same bytes durable on the
// same disk; in turns, since nobody has the disk alone.
func BenchmarkSpoolFirst(b *testing.B) {
	const associations = 16
	h := open(b, b.TempDir(), config("127.0.0.1:1", delivered(SpoolFirst)))
	im := newImage(b, make([]byte, 523<<10))
	senders := make(chan *dimse.Conn, associations)
	for range associations {
		senders <- h.modality()
	}
	dir := b.TempDir()
	var files atomic.Int64
	var stored, written float64
	for b.Loop() {
		stored += perSecond(associations, func() {
			c := <-senders
			defer func() { senders <- c }()
			if rsp := send(b, c, im); rsp.Status != dimse.Success {
				b.Errorf("status %04X", uint16(rsp.Status))
			}
		})
		written += perSecond(associations, func() {
			if err := writeSynced(filepath.Join(dir, fmt.Sprint(files.Add(1))), im.data); err != nil {
				b.Error(err)
			}
		})
	}
	b.ReportMetric(stored/float64(b.N), "stored/s")
	b.ReportMetric(written/float64(b.N), "written/s")
	b.ReportMetric(stored/written, "stored/written")
}

// perSecond is how often fn runs in a second of so many callers.
func perSecond(callers int, fn func()) float64 {
	var n atomic.Int64
	var running sync.WaitGroup
	began := time.Now()
	for range callers {
		running.Go(func() {
			for time.Since(began) < time.Second {
				fn()
				n.Add(1)
			}
		})
	}
	running.Wait()
	return float64(n.Load()) / time.Since(began).Seconds()
}

// writeSynced makes bytes durable as a careful program does: a file, its sync,
// its directory's.
func writeSynced(path string, data []byte) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	return errors.Join(err, store.SyncDir(filepath.Dir(path)))
}
