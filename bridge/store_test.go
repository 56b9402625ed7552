package bridge

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"runtime"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/web"
)

func TestStoredByteForByte(t *testing.T) {
	h := start(t)
	im := series(t, 1, "4711", "Doe^Jane")[0]
	if rsp := h.peer().send(im); rsp.Status != dimse.Success {
		t.Fatalf("%+v", rsp)
	}
	k := h.archive.has()[im.uid]
	b, err := dicom.ReadBeginning(bytes.NewReader(k.file), int64(len(k.file)))
	if err != nil || b.TransferSyntaxUID != im.ts || !bytes.Equal(k.file[b.DataSet:], im.data) {
		t.Errorf("%+v, %v", b, err)
	}
}

// A status is the archive's own word about this very instance.
func TestStatusesOfAStore(t *testing.T) {
	im := series(t, 1, "4711", "Doe^Jane")[0]
	mine := web.StoredInstance{SOPClassUID: im.class, SOPInstanceUID: im.uid}
	warned := func(reason uint16) web.StoreResponse {
		s := mine
		s.WarningReason = reason
		return web.StoreResponse{Stored: []web.StoredInstance{s}}
	}
	failed := func(reason uint16) web.StoreResponse {
		return web.StoreResponse{Failed: []web.FailedInstance{{SOPClassUID: im.class, SOPInstanceUID: im.uid, FailureReason: reason}}}
	}
	other := web.StoredInstance{SOPClassUID: im.class, SOPInstanceUID: "1.2.3"}
	for name, c := range map[string]struct {
		http   int
		answer web.StoreResponse
		want   dimse.Status
	}{
		"stored":                      {200, web.StoreResponse{Stored: []web.StoredInstance{mine}}, dimse.Success},
		"coercion":                    {202, warned(0xB000), dimse.WarningCoercion},
		"elements discarded":          {202, warned(0xB006), dimse.WarningElementsDiscarded},
		"a warning that is none":      {202, warned(0x4711), dimse.WarningCoercion},
		"out of resources":            {409, failed(0xA700), dimse.OutOfResources},
		"out of resources, 202":       {202, failed(0xA701), 0xA701},
		"data set and class":          {409, failed(0xA900), dimse.DataSetDoesNotMatchSOPClass},
		"cannot understand":           {409, failed(0xC123), 0xC123},
		"processing failure":          {409, failed(0x0110), dimse.ProcessingFailure},
		"class not supported":         {409, failed(0x0122), dimse.SOPClassNotSupported},
		"transfer syntax":             {409, failed(0xC122), statusSyntax},
		"not authorised":              {409, failed(0x0124), dimse.NotAuthorized},
		"a failure that is none":      {409, failed(0xB000), dimse.ProcessingFailure},
		"stored and failed":           {202, web.StoreResponse{Stored: []web.StoredInstance{mine}, Failed: failed(0xA900).Failed}, dimse.DataSetDoesNotMatchSOPClass},
		"another instance":            {200, web.StoreResponse{Stored: []web.StoredInstance{other}}, dimse.OutOfResources},
		"another class":               {200, web.StoreResponse{Stored: []web.StoredInstance{{SOPClassUID: "1.2.3", SOPInstanceUID: im.uid}}}, dimse.OutOfResources},
		"failure of another":          {202, web.StoreResponse{Stored: []web.StoredInstance{mine}, Failed: []web.FailedInstance{{SOPInstanceUID: "1.2.3", FailureReason: 0xA900}}}, dimse.Success},
		"nothing":                     {200, web.StoreResponse{}, dimse.OutOfResources},
		"failure that names nothing":  {409, web.StoreResponse{Other: []uint16{0xC000}}, dimse.CannotUnderstand},
		"failure without an instance": {409, web.StoreResponse{Failed: []web.FailedInstance{{FailureReason: 0xA900}}}, dimse.DataSetDoesNotMatchSOPClass},
	} {
		h := start(t, func(a *webArchive) {
			a.onStore = func(w http.ResponseWriter, r *http.Request) bool {
				io.Copy(io.Discard, r.Body)
				web.WriteDataSet(w, c.http, web.Single(web.TypeJSON), c.answer.DataSet())
				return true
			}
		})
		if rsp := h.peer().send(im); rsp.Status != c.want {
			t.Errorf("%s: %04X, want %04X", name, uint16(rsp.Status), uint16(c.want))
		}
	}
}

// What is no answer to a store never becomes success, and what may pass is asked
// for again.
func TestAnswersOfHTTPWithoutAResponse(t *testing.T) {
	im := series(t, 1, "4711", "Doe^Jane")[0]
	for status, want := range map[int]dimse.Status{
		200: dimse.OutOfResources, 202: dimse.OutOfResources, 204: dimse.OutOfResources, 301: dimse.OutOfResources,
		400: statusBadInstance, 401: dimse.OutOfResources, 403: dimse.OutOfResources, 404: dimse.OutOfResources, 405: dimse.OutOfResources,
		409: dimse.ProcessingFailure, 413: dimse.ProcessingFailure, 415: statusSyntax, 418: dimse.OutOfResources, 422: statusBadInstance,
		429: dimse.OutOfResources, 500: dimse.OutOfResources, 503: dimse.OutOfResources, 507: dimse.OutOfResources,
	} {
		for _, body := range []string{"", "garbage", `{"00081199":`} {
			h := start(t, func(a *webArchive) {
				a.onStore = func(w http.ResponseWriter, r *http.Request) bool {
					w.Header().Set("Content-Type", web.TypeJSON)
					w.WriteHeader(status) // before the body is read
					if status != http.StatusNoContent {
						io.WriteString(w, body)
					}
					return true
				}
			})
			if rsp := h.peer().send(im); rsp.Status != want {
				t.Errorf("%d %q: %04X, want %04X", status, body, uint16(rsp.Status), uint16(want))
			}
		}
	}
}

// zeros is an endless data set's value.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestStoreInConstantMemory(t *testing.T) {
	const size = 256 << 20
	var got int64
	h := start(t, func(a *webArchive) {
		a.onStore = func(w http.ResponseWriter, r *http.Request) bool {
			got, _ = io.Copy(io.Discard, r.Body)
			web.WriteDataSet(w, 200, web.Single(web.TypeJSON), web.StoreResponse{Stored: []web.StoredInstance{{SOPClassUID: dicom.CTImageStorage, SOPInstanceUID: "1.2.3"}}}.DataSet())
			return true
		}
	})
	p := h.peer()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	rsp, err := p.Store(t.Context(), 3, dimse.StoreRequest{SOPClassUID: dicom.CTImageStorage, SOPInstanceUID: "1.2.3"}, io.LimitReader(zeros{}, size))
	runtime.ReadMemStats(&after)
	if err != nil || rsp.Status != dimse.Success || got < size {
		t.Fatalf("%+v, %v, %d bytes", rsp, err, got)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 16<<20 {
		t.Errorf("%d bytes allocated for an object of %d", grown, int64(size))
	}
}

// An object that breaks off is not stored, whoever is to blame.
func TestNothingHalfIsStored(t *testing.T) {
	ended := make(chan error, 1)
	h := start(t, func(a *webArchive) {
		a.onStore = func(w http.ResponseWriter, r *http.Request) bool {
			_, err := io.Copy(io.Discard, r.Body)
			ended <- err
			return true
		}
	})
	p := h.peer()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	if _, err := p.Store(ctx, 3, dimse.StoreRequest{SOPClassUID: dicom.CTImageStorage, SOPInstanceUID: "1.2.3"}, zeros{}); err == nil {
		t.Error("an endless object was stored")
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the archive takes a part of an object for the whole")
		}
	case <-time.After(10 * time.Second):
		t.Error("the archive still waits")
	}
}

// While an archive is away, nobody is let in; when it is back, they are.
func TestAssociationsAreRejectedWhileTheArchiveIsAway(t *testing.T) {
	h := start(t)
	im := series(t, 1, "4711", "Doe^Jane")[0]
	p := h.peer()
	h.archive.mu.Lock()
	h.archive.onStore = func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
	h.archive.onFind = func(w http.ResponseWriter, _ web.Query) bool { w.WriteHeader(http.StatusBadGateway); return true }
	h.archive.mu.Unlock()
	if rsp := p.send(im); rsp.Status != dimse.OutOfResources {
		t.Errorf("%+v", rsp)
	}
	if _, err := h.associate(); err == nil {
		t.Error("an association with an archive that is away")
	}
	h.archive.mu.Lock()
	h.archive.onStore, h.archive.onFind = nil, nil
	h.archive.mu.Unlock()
	eventually(t, "an association", func() bool {
		as, err := h.associate()
		if err == nil {
			as.Close()
		}
		return err == nil
	})
}

// An archive that says that it has stored an instance of which it has a part has
// not: it may keep what it has as the whole.
func TestSuccessBeforeTheLastByteIsNone(t *testing.T) {
	h := start(t, func(a *webArchive) {
		a.onStore = func(w http.ResponseWriter, r *http.Request) bool {
			io.CopyN(io.Discard, r.Body, 64<<10)
			web.WriteDataSet(w, 200, web.Single(web.TypeJSON), web.StoreResponse{Stored: []web.StoredInstance{{SOPClassUID: dicom.CTImageStorage, SOPInstanceUID: "1.2.3"}}}.DataSet())
			return true
		}
	})
	rsp, err := h.peer().Store(t.Context(), 3, dimse.StoreRequest{SOPClassUID: dicom.CTImageStorage, SOPInstanceUID: "1.2.3"}, io.LimitReader(zeros{}, 64<<20))
	if err != nil || rsp.Status != dimse.OutOfResources {
		t.Errorf("%+v, %v", rsp, err)
	}
}
