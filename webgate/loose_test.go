package webgate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/web"
	"cordon/inspect/compose"
)

// looseItem is the metadata of a document whose bytes are in a part of their own.
func looseItem(instance dicom.UID, bulk string) string {
	return fmt.Sprintf(`{"00080016":{"vr":"UI","Value":["1.2.840.10008.5.1.4.1.1.7"]},"00080018":{"vr":"UI","Value":["%s"]},`+
		`"0020000D":{"vr":"UI","Value":["1.2.3"]},"0020000E":{"vr":"UI","Value":["1.2.4"]},"00420011":{"vr":"OB","BulkDataURI":"%s"}}`, instance, bulk)
}

// A part of bulk data is one value: a few bytes that many instances name would become
// as many as their sender likes.
func TestBulkDataIsOfOneInstance(t *testing.T) {
	h := start(t)
	body := "--b\r\nContent-Type: application/dicom+json\r\n\r\n[" + looseItem("1.2.5.1", "x") + "," + looseItem("1.2.5.2", "x") + "," + looseItem("1.2.5.3", "y") + "]\r\n" +
		"--b\r\nContent-Type: application/octet-stream\r\nContent-Location: x\r\n\r\nabcd\r\n" +
		"--b\r\nContent-Type: application/octet-stream\r\nContent-Location: y\r\n\r\nefgh\r\n--b--\r\n"
	a := h.post(`multipart/related; type="application/dicom+json"; boundary=b`, body)
	rsp := a.store(t)
	if a.status != http.StatusAccepted || len(rsp.Stored) != 2 || len(rsp.Failed) != 1 || rsp.Failed[0].SOPInstanceUID != "1.2.5.2" || rsp.Failed[0].FailureReason != 0xC035 {
		t.Errorf("%d: %s", a.status, a.body)
	}
}

// Metadata stays in memory until its request is at its end: it is bounded in all its
// parts together, and in all requests.
func TestMetadataIsBounded(t *testing.T) {
	h := start(t)
	body := "--b\r\nContent-Type: application/dicom+json\r\n\r\n[" + looseItem("1.2.5.1", "x") + "]\r\n--b--\r\n"
	post := func() answer { return h.post(`multipart/related; type="application/dicom+json"; boundary=b`, body) }
	h.server.loose.Store(maxLooseAll - 100)
	if a := post(); a.status != http.StatusServiceUnavailable {
		t.Errorf("%d: %s", a.status, a.body)
	}
	if n := h.server.loose.Load(); n != maxLooseAll-100 {
		t.Errorf("%d bytes are never given back", n-(maxLooseAll-100))
	}
	h.server.loose.Store(0)
	if a := post(); a.status != http.StatusConflict { // its bulk data is missing
		t.Errorf("%d: %s", a.status, a.body)
	}
	st := &storing{rq: &request{s: h.server}, loose: loose{bytes: maxLooseBytes - 100}}
	err := web.ReadJSON(&metadata{st, strings.NewReader("[" + looseItem("1.2.5.1", "x") + "]")}, web.Limits{}, func(web.DataSet) error { return nil })
	if !errors.Is(st.addMetadata(err), errTooMuch) {
		t.Errorf("the second part: %v", err)
	}
	st.discard()
}

// An archive that ends a retrieve as if it had been cancelled has not given all.
func TestRetrieveThatTheArchiveCancels(t *testing.T) {
	h := startDIMSE(t)
	o := compose.CT(16, 16)
	h.dimse.put(o)
	h.dimse.status = dimse.Cancel
	if a := h.get("/studies/" + string(o.Study)); a.status != http.StatusBadGateway {
		t.Errorf("%d", a.status)
	}
}

// However many instances of a study are held, none of them goes out.
func TestMoreHeldThanOnePage(t *testing.T) {
	h := start(t)
	const n = 1001
	keep := func(i int) error {
		b := h.custody.NewBuffer()
		defer b.Discard()
		if _, err := io.WriteString(b, "held"); err != nil {
			return err
		}
		_, err := h.custody.Keep(context.Background(), b, custody.Object{
			State: custody.Held, Archive: "pacs", Device: "pacs", StudyInstanceUID: "1.2.3", SeriesInstanceUID: "1.2.4", SOPInstanceUID: fmt.Sprintf("1.2.5.%d", i),
		})
		return err
	}
	var all sync.WaitGroup
	for worker := range 50 {
		all.Go(func() {
			for i := worker; i < n-1; i += 50 {
				if err := keep(i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if err := keep(n - 1); err != nil {
		t.Fatal(err)
	}
	last := fmt.Sprintf("1.2.5.%d", n-1)
	h.archive.answer = says(200, web.TypeJSON, `[{"00080018":{"vr":"UI","Value":["`+last+`"]},"0020000D":{"vr":"UI","Value":["1.2.3"]},"0020000E":{"vr":"UI","Value":["1.2.4"]}}]`)
	if a := h.get("/studies/1.2.3/metadata"); a.status != http.StatusForbidden || !strings.Contains(a.header.Get("Warning"), "held") {
		t.Errorf("%d: %s", a.status, a.body)
	}
}
