package interop

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"cordon/dicom"
	"cordon/dicom/web"
	"cordon/inspect/compose"
	"cordon/interop/ports"
)

// brokenWeb is a DICOMweb archive that does wrong, in one way after the other, before it does right.
type brokenWeb struct {
	t  *testing.T
	at string

	mu     sync.Mutex
	stores int                 // so far
	faults []func(brokenStore) // one for each of the first
	has    map[dicom.UID][]byte
}

// brokenStore is a store that a fault answers.
type brokenStore struct {
	w http.ResponseWriter
	r *http.Request
}

func startBrokenWeb(t *testing.T, faults []func(brokenStore)) *brokenWeb {
	t.Helper()
	b := &brokenWeb{t: t, at: fmt.Sprintf("127.0.0.1:%d", ports.Free(t)), faults: faults, has: map[dicom.UID][]byte{}}
	l, err := net.Listen("tcp", b.at)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: b}
	var running sync.WaitGroup
	running.Go(func() { server.Serve(l) })
	t.Cleanup(func() { server.Close(); running.Wait() })
	return b
}

func (b *brokenWeb) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.WriteHeader(http.StatusNoContent) // nothing found
		return
	}
	b.mu.Lock()
	n := b.stores
	b.stores++
	b.mu.Unlock()
	if n < len(b.faults) {
		b.faults[n](brokenStore{w, r})
		return
	}
	m, err := web.NewMultipartReader(r.Body, r.Header.Get("Content-Type"), web.MultipartLimits{})
	if err != nil {
		b.t.Error(err)
		return
	}
	part, err := m.Next()
	if err != nil {
		return
	}
	file, err := io.ReadAll(part)
	if err != nil {
		return
	}
	o, err := dicom.ReadBeginning(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		b.t.Error(err)
		return
	}
	b.mu.Lock()
	b.has[o.SOPInstanceUID] = file[o.DataSet:]
	b.mu.Unlock()
	answerStore(w, http.StatusOK, web.StoreResponse{Stored: []web.StoredInstance{{SOPClassUID: o.SOPClassUID, SOPInstanceUID: o.SOPInstanceUID}}})
}

func answerStore(w http.ResponseWriter, status int, rsp web.StoreResponse) {
	web.WriteDataSet(w, status, web.Single(web.TypeJSON), rsp.DataSet())
}

// storeFaults are what an archive may do to a store that is no fault of the object's.
var storeFaults = []func(brokenStore){
	func(s brokenStore) { panic(http.ErrAbortHandler) }, // before the first byte
	func(s brokenStore) { // in the middle of the object
		io.CopyN(io.Discard, s.r.Body, 1000)
		panic(http.ErrAbortHandler)
	},
	func(s brokenStore) { // after the last byte, without an answer
		io.Copy(io.Discard, s.r.Body)
		panic(http.ErrAbortHandler)
	},
	func(s brokenStore) { s.w.WriteHeader(http.StatusInternalServerError) },
	func(s brokenStore) { s.w.WriteHeader(http.StatusUnauthorized) },
	func(s brokenStore) { http.Redirect(s.w, s.r, "/elsewhere", http.StatusTemporaryRedirect) },
	func(s brokenStore) { // success, without a word about the object
		io.Copy(io.Discard, s.r.Body)
		s.w.WriteHeader(http.StatusOK)
	},
	func(s brokenStore) { // garbage
		io.Copy(io.Discard, s.r.Body)
		s.w.Header().Set("Content-Type", web.TypeJSON)
		io.WriteString(s.w, strings.Repeat(`{"00081199":[`, 1000))
	},
	func(s brokenStore) { // an answer that breaks off
		io.Copy(io.Discard, s.r.Body)
		s.w.Header().Set("Content-Type", web.TypeJSON)
		s.w.Header().Set("Content-Length", "100000")
		io.WriteString(s.w, `{"00081199":{"vr":"SQ","Value":[`)
		panic(http.ErrAbortHandler)
	},
	func(s brokenStore) { // success for another instance
		io.Copy(io.Discard, s.r.Body)
		answerStore(s.w, http.StatusOK, web.StoreResponse{Stored: []web.StoredInstance{{SOPClassUID: dicom.CTImageStorage, SOPInstanceUID: "1.2.3"}}})
	},
	func(s brokenStore) { // accepted, and out of resources
		io.Copy(io.Discard, s.r.Body)
		answerStore(s.w, http.StatusAccepted, web.StoreResponse{Other: []uint16{0xA700}})
	},
	func(s brokenStore) { s.w.WriteHeader(http.StatusServiceUnavailable) },
}

// Whatever an archive that speaks DICOMweb does to an object, it is answered with success only once it is safe, and is
// delivered byte for byte when the archive does right.
func TestBrokenDICOMwebArchiveLosesNothing(t *testing.T) {
	b := startBrokenWeb(t, storeFaults)
	c := newCordon(t, nil)
	c.add(t, fmt.Sprintf("archives: [{name: cloud, dicomweb: 'http://%s/dicom-web'}]\n", b.at))
	s := newCommitter(t)
	c.knowing(t, s)
	c.start(t)
	var sent []*compose.Object
	for range len(storeFaults) + 4 {
		o := compose.CT(64, 64)
		s.store(c, o) // fails the test unless it is answered with success
		sent = append(sent, o)
	}
	st := c.status(t)
	t.Logf("%d stored, %d of them kept for the archive, after %d requests", len(sent), st.Spooled, b.stores)
	if st.Spooled == 0 {
		t.Error("nothing was kept")
	}
	c.process.kill()
	c.start(t)
	c.awaitDrained(t)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, o := range sent {
		if !bytes.Equal(b.has[o.Instance], o.DataSet()) {
			t.Errorf("%s was answered with success, and is not what the archive has", o.Instance)
		}
	}
	c.alive(t)
}
