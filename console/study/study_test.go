package study_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cordon/console/study"
	"cordon/console/view"
	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/exception"
	"cordon/ledger"
	"cordon/people"
	"cordon/store"
	"cordon/whereabouts"
)

// archive is one that answers a C-FIND from a list, and notes what it was asked.
type archive struct {
	asked   [][]byte
	matches []map[dicom.Tag]string
	silent  bool
	status  dimse.Status
}

func (a *archive) Find(ctx context.Context, _ string, _ dicom.AETitle, _ dicom.UID, identifier []byte, match func([]byte, dicom.UID) error) (dimse.Command, error) {
	a.asked = append(a.asked, identifier)
	if a.silent {
		<-ctx.Done()
		return dimse.Command{}, ctx.Err()
	}
	ts, _ := dicom.LookupTransferSyntax(dicom.ExplicitVRLittleEndian)
	for _, m := range a.matches {
		var out bytes.Buffer
		w := dicom.NewWriter(&out, ts)
		for _, tag := range []dicom.Tag{dicom.TagStudyDate, dicom.TagStudyDescription, dicom.TagPatientName, dicom.TagPatientID, dicom.TagStudyInstanceUID, 0x00201206, 0x00201208, 0x00201209} {
			if v, ok := m[tag]; ok {
				w.String(tag, dicom.LO, v)
			}
		}
		w.Close()
		if err := match(out.Bytes(), dicom.ExplicitVRLittleEndian); err != nil {
			return dimse.Command{}, err
		}
	}
	return dimse.Command{Status: a.status}, nil
}

type house struct {
	mux     *http.ServeMux
	db      *store.DB
	ledger  *ledger.Ledger
	archive *archive
}

func newHouse(t *testing.T) *house {
	t.Helper()
	dir := t.TempDir()
	db, err := store.OpenDB(t.Context(), filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations(), custody.Migrations(), exception.Migrations(), whereabouts.Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	h := &house{mux: http.NewServeMux(), db: db, archive: &archive{}}
	if h.ledger, err = ledger.Open(t.Context(), db, filepath.Join(dir, "ledger.key"), "test"); err != nil {
		t.Fatal(err)
	}
	c, err := custody.Open(t.Context(), db, dir, h.ledger, custody.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		h.delivered(t, "1.2", fmt.Sprint("1.2.1.", i))
	}
	err = db.Update(t.Context(), func(tx *store.Tx) error {
		sealed, err := h.ledger.Seal(tx, ledger.Subject("P^1", "", "1.2"), map[string]string{"id": "P^1", "name": "Able^<b>Anna", "accession": "A1"})
		if err != nil {
			return err
		}
		return h.ledger.Append(tx, "transfer.end", map[string]any{"study": "1.2", "direction": "received", "peer": "ct-1", "patient": sealed})
	})
	if err != nil {
		t.Fatal(err)
	}
	x := whereabouts.New(db, h.ledger)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- x.Run(ctx, nil) }() // ends with the test
	t.Cleanup(func() { cancel(); <-done })
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if s, err := x.Find(t.Context(), whereabouts.Query{PatientID: "P^1"}); err == nil && len(s) == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("not learned")
		}
	}
	for _, r := range study.Routes(study.Parts{
		DB: db, Ledger: h.ledger, Custody: c, Studies: x, View: view.New(view.Config{Site: "Test"}), Archives: []string{"pacs"}, Calling: "CORDON", Find: h.archive, Patience: 300 * time.Millisecond,
	}) {
		h.mux.HandleFunc(r.Method+" "+r.Pattern, r.Handler)
	}
	return h
}

func (h *house) delivered(t *testing.T, uid, instance string) {
	t.Helper()
	err := h.ledger.Record(t.Context(), "object.delivered", map[string]any{
		"study_instance_uid": uid, "series_instance_uid": uid + ".1", "sop_instance_uid": instance, "archive": "pacs",
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (h *house) ask(method, at, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, at, strings.NewReader(body))
	if method == "POST" && !strings.HasPrefix(at, "/api/") {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	id := people.Identity{Name: "A. Able", Roles: []people.Role{people.PACS}, How: people.Password}
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, r.WithContext(people.With(r.Context(), id)))
	return w
}

func (h *house) records(t *testing.T, kind string) (bodies []string) {
	t.Helper()
	n, err := h.ledger.Size(t.Context())
	if err == nil {
		err = h.ledger.Scan(t.Context(), 0, n, func(r ledger.Record) error {
			if r.Kind == kind {
				bodies = append(bodies, string(r.Body))
				return ledger.Listed(r)
			}
			return nil
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return bodies
}

func TestStudyIsFoundByPatientAndNothingOfItIsWritten(t *testing.T) {
	h := newHouse(t)
	w := h.ask("POST", "/studies", url.Values{"patient_id": {"P^1"}}.Encode())
	if w.Code != 200 || !strings.Contains(w.Body.String(), `href="/studies/1.2"`) || !strings.Contains(w.Body.String(), "3 delivered to pacs") {
		t.Error(w.Code, w.Body)
	}
	if got := h.records(t, "study.searched"); len(got) != 1 || strings.Contains(got[0], "P^1") || !strings.Contains(got[0], `"identifier":"sealed:`) || !strings.Contains(got[0], `"by":"A. Able"`) {
		t.Error(got)
	}
	if w := h.ask("POST", "/studies", url.Values{"patient_id": {"P2"}}.Encode()); !strings.Contains(w.Body.String(), "heard of no such study") {
		t.Error(w.Body)
	}
	for _, wrong := range []url.Values{{}, {"from": {"yesterday"}}, {"patient_id": {"*"}, "archives": {"yes"}}, {"study": {strings.Repeat("1", 300)}}} {
		w := h.ask("POST", "/studies", wrong.Encode())
		if w.Code != 400 || !strings.Contains(w.Body.String(), `role="alert"`) {
			t.Errorf("%v: %d %s", wrong, w.Code, w.Body)
		}
	}
}

func TestArchiveIsAskedForWhatAPersonAsked(t *testing.T) {
	h := newHouse(t)
	h.archive.matches = []map[dicom.Tag]string{{dicom.TagStudyInstanceUID: "1.2", dicom.TagPatientName: "<script>alert(1)</script>", 0x00201206: "1", 0x00201208: "2"}}
	w := h.ask("POST", "/studies", url.Values{"accession": {"A1"}, "archives": {"yes"}}.Encode())
	body := w.Body.String()
	if w.Code != 200 || !strings.Contains(body, "has it") || strings.Contains(body, "<script>alert") || !strings.Contains(body, "&lt;script&gt;") {
		t.Error(w.Code, body)
	}
	if w := h.ask("POST", "/studies", url.Values{"device": {"ct-1"}, "archives": {"yes"}}.Encode()); w.Code != 200 || len(h.archive.asked) != 1 {
		t.Error("asked for all of a device:", w.Code, len(h.archive.asked))
	}
	if len(h.archive.asked) != 1 || !bytes.Contains(h.archive.asked[0], []byte("A1")) || !bytes.Contains(h.archive.asked[0], []byte("STUDY")) {
		t.Errorf("%q", h.archive.asked)
	}
}

func TestSilentArchiveIsSaidToBeSilent(t *testing.T) {
	h := newHouse(t)
	h.archive.silent = true
	if w := h.ask("GET", "/studies/1.2/archives", ""); w.Code != 200 || !strings.Contains(w.Body.String(), "no answer in time") {
		t.Error(w.Code, w.Body)
	}
	h.archive.silent, h.archive.status = false, 0xA700
	if w := h.ask("GET", "/studies/1.2?ask", ""); w.Code != 200 || !strings.Contains(w.Body.String(), "status A700") || !strings.Contains(w.Body.String(), "3 delivered to pacs") {
		t.Error(w.Code, w.Body)
	}
}

func TestStudyIsToldSeriesBySeries(t *testing.T) {
	h := newHouse(t)
	w := h.ask("GET", "/studies/1.2", "")
	for _, want := range []string{"1.2.1", "3 delivered to pacs", "Able^&lt;b&gt;Anna", "A1", "ct-1", `hx-get="/studies/1.2/archives"`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("does not show %q", want)
		}
	}
	if got := h.records(t, "study.shown"); len(got) != 1 || !strings.Contains(got[0], `"by":"A. Able"`) {
		t.Error(got)
	}
	if w := h.ask("GET", "/studies/9.9", ""); w.Code != 200 || !strings.Contains(w.Body.String(), "never heard") {
		t.Error(w.Code, w.Body)
	}
	h.archive.matches = []map[dicom.Tag]string{{dicom.TagStudyInstanceUID: "1.2", 0x00201209: "3"}}
	if w := h.ask("GET", "/api/v1/studies/1.2?archives=true", ""); w.Code != 200 || !strings.Contains(w.Body.String(), `"series":1,"instances":3`) {
		t.Error(w.Code, w.Body)
	}
	if w := h.ask("POST", "/api/v1/studies", `{"accession":"A1"}`); w.Code != 200 || !strings.Contains(w.Body.String(), `"study_instance_uid":"1.2"`) {
		t.Error(w.Code, w.Body)
	}
}
