package webgate

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/inspect/compose"
)

// large is a STOW-RS body with one image of so many bytes of pixels, which is made as
// it is read.
func large(pixels int64) (o *compose.Object, contentType string, body io.Reader) {
	o = compose.CT(16, 16)
	o.Remove(dicom.TagPixelData)
	const rows, columns = 512, 512
	o.SetUint16(dicom.TagRows, rows)
	o.SetUint16(dicom.TagColumns, columns)
	o.SetString(dicom.TagNumberOfFrames, dicom.IS, fmt.Sprint(pixels/rows/columns/2))
	head := append(o.File(), 0xE0, 0x7F, 0x10, 0x00, 'O', 'W', 0, 0)
	head = append(head, byte(pixels), byte(pixels>>8), byte(pixels>>16), byte(pixels>>24))
	return o, `multipart/related; type="application/dicom"; boundary=b`, io.MultiReader(
		bytes.NewReader([]byte("--b\r\nContent-Type: application/dicom\r\n\r\n")), bytes.NewReader(head),
		io.LimitReader(zeros{}, pixels), bytes.NewReader([]byte("\r\n--b--\r\n")),
	)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// What a request holds in memory does not depend on how long its object is: a part
// sixteen times as long takes no more.
func TestMemoryDoesNotGrowWithThePart(t *testing.T) {
	h := start(t)
	var took atomic.Int64
	h.archive.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		n, _ := io.Copy(io.Discard, r.Body)
		took.Store(n)
		return says(200, "application/dicom+json", "{}")(w, r)
	}
	peak := func(pixels int64) uint64 {
		defer debug.SetGCPercent(debug.SetGCPercent(20))
		runtime.GC()
		var most atomic.Uint64
		stop, done := make(chan struct{}), make(chan struct{})
		go func() { // ends with stop
			defer close(done)
			for {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most.Store(max(most.Load(), m.HeapAlloc))
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
				}
			}
		}()
		_, contentType, body := large(pixels)
		a := h.do(http.MethodPost, "/studies", map[string]string{"Content-Type": contentType}, body)
		close(stop)
		<-done
		if a.status != http.StatusOK || took.Load() < pixels {
			t.Fatalf("%d, %d bytes reached the archive: %s %v", a.status, took.Load(), a.body, a.err)
		}
		return most.Load()
	}
	peak(8 << 20) // buffers that stay
	short, long := peak(8<<20), peak(128<<20)
	t.Logf("peak of the heap: %d MiB for 8 MiB, %d MiB for 128 MiB", short>>20, long>>20)
	if long > short+16<<20 {
		t.Errorf("%d MiB for 8 MiB, %d MiB for 128 MiB", short>>20, long>>20)
	}
}
