package webgate

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"

	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/finding"
	"cordon/inspect/compose"
)

// hostile is an image with a payload.
func hostile() *compose.Object {
	o := compose.CT(64, 64)
	compose.PrivateOB.Put(o, compose.EICAR())
	return o
}

func TestStoredInstancesReachTheArchiveAsJudged(t *testing.T) {
	h := start(t)
	var files [][]byte
	var objects []*compose.Object
	for range 20 { // three batches
		o := compose.CT(64, 64)
		objects, files = append(objects, o), append(files, o.File())
	}
	a := h.stow("/studies", files...)
	rsp := a.store(t)
	if a.status != http.StatusOK || len(rsp.Stored) != 20 || len(rsp.Failed) != 0 {
		t.Fatalf("%d: %s", a.status, a.body)
	}
	for i, o := range objects {
		if !bytes.Equal(h.archive.has(o.Instance), files[i]) {
			t.Errorf("instance %d is not in the archive as it was sent", i)
		}
		if want := h.url + "/studies/" + string(o.Study) + "/series/" + string(o.Series) + "/instances/" + string(o.Instance); rsp.Stored[i].RetrieveURL != want || rsp.Stored[i].SOPInstanceUID != o.Instance {
			t.Errorf("instance %d: %+v", i, rsp.Stored[i])
		}
	}
	if n := len(h.recorded("object.delivered")); n != 20 {
		t.Errorf("%d deliveries on the ledger", n)
	}
	eventually(t, "the end of the visit", func() bool { return len(h.recorded("visit.end")) == 1 })
	if end := h.recorded("visit.end")[0]; end["delivered"] != float64(20) || end["received"] != float64(20) {
		t.Errorf("%v", end)
	}
}

func TestOneHostileInstanceIsHeldOpenlyAndTheOthersAreStored(t *testing.T) {
	h := start(t)
	clean, bad, last := compose.CT(32, 32), hostile(), compose.CT(32, 32)
	a := h.stow("/studies", clean.File(), bad.File(), last.File())
	rsp := a.store(t)
	if a.status != http.StatusAccepted || len(rsp.Stored) != 2 || len(rsp.Failed) != 1 || rsp.Failed[0].SOPInstanceUID != bad.Instance || rsp.Failed[0].FailureReason != uint16(statusHeld) {
		t.Fatalf("%d: %s", a.status, a.body)
	}
	if h.archive.has(bad.Instance) != nil || h.archive.has(clean.Instance) == nil || h.archive.has(last.Instance) == nil {
		t.Error("the archive has what it should not, or not what it should")
	}
	held := h.inState(custody.Held)
	if len(held) != 1 || held[0].SOPInstanceUID != string(bad.Instance) || held[0].Archive != "pacs" {
		t.Errorf("held: %+v", held)
	}
	if a := h.stow("/studies", hostile().File()); a.status != http.StatusConflict {
		t.Errorf("nothing stored: %d", a.status)
	}
}

// Every place where a payload hides: none reaches the archive, none is stored in
// silence.
func TestEveryHostileComposition(t *testing.T) {
	h := start(t)
	for _, p := range compose.Places() {
		o := compose.CT(64, 64)
		p.Put(o, compose.WindowsProgram())
		a := h.stow("/studies", o.File())
		if a.status != http.StatusConflict || len(a.store(t).Stored) != 0 || h.archive.has(o.Instance) != nil {
			t.Errorf("%s: %d %s", p.Name, a.status, a.body)
		}
	}
	for _, c := range compose.Containers() {
		if finding.New(c.ID, "", 0, "").Severity < finding.Suspicious {
			continue
		}
		o := compose.Document()
		o.Set(dicom.TagEncapsulatedDocument, dicom.OB, c.Body)
		a := h.stow("/studies", o.File())
		if a.status != http.StatusConflict || h.archive.has(o.Instance) != nil {
			t.Errorf("%s: %d %s", c.Name, a.status, a.body)
		}
	}
	if len(h.archive.requests()) != 0 {
		t.Errorf("the archive was asked %d times", len(h.archive.requests()))
	}
	if n := len(h.inState(custody.Held)) + len(h.recorded("object.refused")); n < len(compose.Places()) {
		t.Errorf("%d of them are held or refused on the ledger", n)
	}
}

func TestWhatTheArchiveRefusesIsRefused(t *testing.T) {
	h := start(t)
	good, bad := compose.CT(16, 16), compose.CT(16, 16)
	h.archive.refuse[bad.Instance] = 0xA900
	a := h.stow("/studies", good.File(), bad.File())
	rsp := a.store(t)
	if a.status != http.StatusAccepted || len(rsp.Stored) != 1 || len(rsp.Failed) != 1 || rsp.Failed[0].FailureReason != 0xA900 {
		t.Fatalf("%d: %s", a.status, a.body)
	}
	if len(h.recorded("object.refused_by_archive")) != 1 {
		t.Error("not on the ledger")
	}
}

// Success means that the object is in the archive, or durable here.
func TestArchiveAwaySpools(t *testing.T) {
	for name, break_ := range map[string]func(h *house){
		"not listening":        func(h *house) { h.archive.Close() },
		"overloaded":           func(h *house) { h.archive.answer = status(http.StatusServiceUnavailable) },
		"dies in mid batch":    func(h *house) { h.archive.answer = dies },
		"says 200 and nothing": func(h *house) { h.archive.answer = status(http.StatusOK) },
		"garbage": func(h *house) {
			h.archive.answer = says(http.StatusOK, "application/dicom+json", `{"00081199":{"vr":"SQ","Va`)
		},
		"a redirect": func(h *house) { h.archive.answer = elsewhere },
		"success of another": func(h *house) {
			h.archive.answer = says(http.StatusOK, "application/dicom+json", `{"00081199":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.2.3"]}}]}}`)
		},
		"out of resources (A700)": func(h *house) { h.archive.answer = outOfResources },
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t)
			break_(h)
			one, two := compose.CT(16, 16), compose.CT(16, 16)
			a := h.stow("/studies", one.File(), two.File())
			rsp := a.store(t)
			if a.status != http.StatusOK || len(rsp.Stored) != 2 || !strings.Contains(a.header.Get("Warning"), "kept here") {
				t.Fatalf("%d %q: %s", a.status, a.header.Get("Warning"), a.body)
			}
			spooled := h.inState(custody.Spooled)
			if len(spooled) != 2 {
				t.Fatalf("%d spooled", len(spooled))
			}
			for i, o := range []*compose.Object{one, two} {
				r, err := h.custody.OpenBlob(context.Background(), spooled[i].ID)
				if err != nil {
					t.Fatal(err)
				}
				var b bytes.Buffer
				if b.ReadFrom(r); !bytes.Equal(b.Bytes(), o.File()) {
					t.Error("what is spooled is not what was sent")
				}
				r.Close()
			}
		})
	}
}

func status(n int) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		w.WriteHeader(n)
		return true
	}
}

func says(n int, kind, text string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(n)
		w.Write([]byte(text))
		return true
	}
}

func dies(w http.ResponseWriter, r *http.Request) bool {
	r.Body.Read(make([]byte, 100))
	panic(http.ErrAbortHandler)
}

func elsewhere(w http.ResponseWriter, r *http.Request) bool {
	http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
	return true
}

func outOfResources(w http.ResponseWriter, r *http.Request) bool {
	contents := new(bytes.Buffer)
	contents.ReadFrom(r.Body)
	w.WriteHeader(http.StatusServiceUnavailable)
	return true
}

func TestOneInstanceMayBeTheBody(t *testing.T) {
	h := start(t)
	o := compose.CT(16, 16)
	a := h.do(http.MethodPost, "/studies", map[string]string{"Content-Type": "application/dicom"}, bytes.NewReader(o.File()))
	if a.status != http.StatusOK || !bytes.Equal(h.archive.has(o.Instance), o.File()) {
		t.Errorf("%d: %s", a.status, a.body)
	}
}

// One instance that the archive cannot take must not keep back the others.
func TestAnArchiveThatMindsOneOfABatchGetsTheOthers(t *testing.T) {
	h := start(t)
	good, bad := compose.CT(16, 16), compose.CT(16, 16)
	h.archive.answer = func(w http.ResponseWriter, r *http.Request) bool {
		var b bytes.Buffer
		b.ReadFrom(r.Body)
		r.Body = readCloser{bytes.NewReader(b.Bytes())}
		if bytes.Contains(b.Bytes(), []byte(bad.Instance)) {
			w.WriteHeader(http.StatusBadRequest)
			return true
		}
		return false
	}
	a := h.stow("/studies", good.File(), bad.File())
	rsp := a.store(t)
	if a.status != http.StatusAccepted || len(rsp.Stored) != 1 || len(rsp.Failed) != 1 || h.archive.has(good.Instance) == nil {
		t.Fatalf("%d: %s", a.status, a.body)
	}
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }

func TestDeliveryModes(t *testing.T) {
	t.Run("spool first", func(t *testing.T) {
		h := start(t, func(c *Config, _ *Parts) { c.Upstreams[0].SpoolFirst = true })
		if a := h.stow("/studies", compose.CT(16, 16).File()); a.status != http.StatusOK || len(h.inState(custody.Spooled)) != 1 || len(h.archive.requests()) != 0 {
			t.Errorf("%d: %s", a.status, a.body)
		}
	})
	t.Run("refuse when down", func(t *testing.T) {
		h := start(t, func(c *Config, _ *Parts) { c.Upstreams[0].RefuseDown = true })
		h.archive.Close()
		a := h.stow("/studies", compose.CT(16, 16).File())
		if a.status != http.StatusServiceUnavailable || len(h.inState(custody.Spooled)) != 0 || a.store(t).Failed[0].FailureReason != 0xA700 {
			t.Errorf("%d: %s", a.status, a.body)
		}
	})
}

func TestStoreOverDIMSE(t *testing.T) {
	h := startDIMSE(t)
	o := compose.CT(32, 32)
	a := h.stow("/studies/"+string(o.Study), o.File(), hostile().File())
	if a.status != http.StatusAccepted || !bytes.Equal(h.dimse.got[o.Instance], o.DataSet()) || len(h.dimse.got) != 1 {
		t.Fatalf("%d: %s", a.status, a.body)
	}
	h.dimse.status = 0xA900
	if a := h.stow("/studies", compose.CT(32, 32).File()); a.status != http.StatusConflict || a.store(t).Failed[0].FailureReason != 0xA900 {
		t.Errorf("%d: %s", a.status, a.body)
	}
	for n, status := range []dimse.Status{dimse.Cancel, dimse.Pending} { // neither taken nor refused
		h.dimse.status = status
		if a := h.stow("/studies", compose.CT(32, 32).File()); a.status != http.StatusOK || len(h.inState(custody.Spooled)) != n+1 {
			t.Errorf("%v: %d: %s", status, a.status, a.body)
		}
	}
	h.dimse.down = true
	if a := h.stow("/studies", compose.CT(32, 32).File()); a.status != http.StatusOK || len(h.inState(custody.Spooled)) != 3 {
		t.Errorf("%d: %s", a.status, a.body)
	}
}
