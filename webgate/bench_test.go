package webgate

import (
	"io"
	"net/http"
	"testing"

	"cordon/dicom/web"
	"cordon/inspect/compose"
)

// BenchmarkStoreLarge stores an object of 50 MB by STOW-RS, through to an archive in
// this process that drops it.
func BenchmarkStoreLarge(b *testing.B) {
	h := start(b)
	var o *compose.Object
	h.archive.answer = func(w http.ResponseWriter, r *http.Request) bool {
		_, _ = io.Copy(io.Discard, r.Body)
		rsp := web.StoreResponse{Stored: []web.StoredInstance{{SOPClassUID: o.SOPClass, SOPInstanceUID: o.Instance}}}
		return web.WriteDataSet(w, http.StatusOK, web.Single(web.TypeJSON), rsp.DataSet()) == nil
	}
	const pixels = 100 * 512 * 512 * 2
	b.SetBytes(pixels)
	for b.Loop() {
		var contentType string
		var body io.Reader
		o, contentType, body = large(pixels)
		if a := h.do(http.MethodPost, "/studies", map[string]string{"Content-Type": contentType}, body); a.status != http.StatusOK {
			b.Fatalf("%d: %s", a.status, a.body)
		}
	}
}

// BenchmarkRetrieveStudy retrieves a study of 200 images of 512 KiB by WADO-RS.
func BenchmarkRetrieveStudy(b *testing.B) {
	h := start(b)
	o := compose.CT(512, 512)
	file := o.File()
	h.archive.answer = func(w http.ResponseWriter, _ *http.Request) bool {
		m := web.NewMultipartWriter(w, web.Related(web.TypeDICOM, ""))
		w.Header().Set("Content-Type", m.ContentType())
		for range 200 {
			p, err := m.Part(web.Single(web.TypeDICOM), "")
			if err == nil {
				_, err = p.Write(file)
			}
			if err != nil {
				return true
			}
		}
		_ = m.Close()
		return true
	}
	b.SetBytes(int64(200 * len(file)))
	for b.Loop() {
		rq, err := http.NewRequest(http.MethodGet, h.url+"/studies/"+string(o.Study), nil)
		if err != nil {
			b.Fatal(err)
		}
		rq.Header.Set("Accept", `multipart/related; type="application/dicom"`)
		rsp, err := http.DefaultClient.Do(rq)
		if err != nil {
			b.Fatal(err)
		}
		n, err := io.Copy(io.Discard, rsp.Body)
		rsp.Body.Close()
		if err != nil || rsp.StatusCode != http.StatusOK || n < int64(200*len(file)) {
			b.Fatalf("%d, %d bytes, %v", rsp.StatusCode, n, err)
		}
	}
}
