package held_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/png"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/console/held"
	"cordon/console/view"
	"cordon/custody"
	"cordon/dicom"
	"cordon/exception"
	"cordon/finding"
	"cordon/inspect"
	"cordon/inspect/compose"
	"cordon/ledger"
	"cordon/ledger/search"
	"cordon/people"
	"cordon/preview"
	"cordon/store"
	"cordon/whereabouts"
)

// house is a vault with its pages, and nobody at the door: who asks is said by each
// test.
type house struct {
	mux     *http.ServeMux
	db      *store.DB
	ledger  *ledger.Ledger
	custody *custody.Custody
	except  *exception.Exceptions
	pieces  *held.Pieces
	woken   int
}

func newHouse(t testing.TB) *house {
	t.Helper()
	dir := t.TempDir()
	db, err := store.OpenDB(t.Context(), filepath.Join(dir, "cordon.db"), []store.Migrations{
		ledger.Migrations(), search.Migrations(), custody.Migrations(), exception.Migrations(), whereabouts.Migrations(), held.Migrations(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	h := &house{mux: http.NewServeMux(), db: db}
	if h.ledger, err = ledger.Open(t.Context(), db, filepath.Join(dir, "ledger.key"), "test"); err != nil {
		t.Fatal(err)
	}
	if h.custody, err = custody.Open(t.Context(), db, dir, h.ledger, custody.Options{}); err != nil {
		t.Fatal(err)
	}
	if h.except, err = exception.Open(t.Context(), db, h.ledger); err != nil {
		t.Fatal(err)
	}
	previews := preview.New(preview.Limits{})
	h.pieces = held.NewPieces(db, h.ledger, h.custody, previews)
	for _, r := range held.Routes(held.Parts{
		Custody: h.custody, Ledger: h.ledger, Search: search.Open(db), Exceptions: h.except, Studies: whereabouts.New(db, h.ledger),
		Previews: previews, Pieces: h.pieces, View: view.New(view.Config{Site: "Test", Version: "1"}), Wake: func() { h.woken++ },
	}) {
		h.mux.HandleFunc(r.Method+" "+r.Pattern, r.Handler)
	}
	return h
}

// able is somebody who may decide.
func able(name string) people.Identity {
	return people.Identity{Name: name, Roles: []people.Role{people.Administrator}, How: people.Password, SignedIn: time.Now()}
}

func (h *house) ask(id people.Identity, method, at string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, at, strings.NewReader(form.Encode()))
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, r.WithContext(people.With(r.Context(), id)))
	return w
}

func (h *house) get(at string) *httptest.ResponseRecorder {
	return h.ask(able("A. Able"), "GET", at, nil)
}

// hold keeps an object with what an inspection finds in it.
func (h *house) hold(t testing.TB, o *compose.Object) custody.Object {
	t.Helper()
	body := o.DataSet()
	in := inspect.New(inspect.Options{Decoder: dicom.Options{TransferSyntax: o.TransferSyntax}})
	in.Write(body)
	return h.keep(t, o, in.Close().Findings)
}

// keep keeps an object with findings.
func (h *house) keep(t testing.TB, o *compose.Object, findings []finding.Finding) custody.Object {
	t.Helper()
	row := custody.Object{
		State: custody.Held, Device: "ct-1", CallingAE: "CT1", CalledAE: "CORDON", Archive: "pacs",
		SOPClassUID: string(o.SOPClass), SOPInstanceUID: string(o.Instance), StudyInstanceUID: string(o.Study), SeriesInstanceUID: string(o.Series),
		TransferSyntaxUID: string(o.TransferSyntax), Findings: findings,
	}
	b := h.custody.NewBuffer()
	defer b.Discard()
	if _, err := b.Write(o.DataSet()); err != nil {
		t.Fatal(err)
	}
	row, err := h.custody.Keep(t.Context(), b, row)
	if err != nil {
		t.Fatal(err)
	}
	return row
}

func hostile(place compose.Place, payload []byte) *compose.Object {
	o := compose.CT(64, 64)
	place.Put(o, payload)
	return o
}

func TestListSaysWhichStudyIsIncomplete(t *testing.T) {
	h := newHouse(t)
	o := hostile(compose.PrivateOB, compose.EICAR())
	h.hold(t, o)
	w := h.get("/held")
	if w.Code != 200 || !strings.Contains(w.Body.String(), "1 object is held:") || !strings.Contains(w.Body.String(), "1 of 1 held") || !strings.Contains(w.Body.String(), "malicious") || !strings.Contains(w.Body.String(), "ct-1") {
		t.Error(w.Code, w.Body)
	}
	for at, want := range map[string]bool{"/held?from=ct-1": true, "/held?from=ct-2": false, "/held?finding=eicar": true, "/held?severity=suspicious": false, "/held?severity=malicious&archive=pacs": true, "/held?since=2999-01-01": false} {
		w := h.get(at)
		if got := strings.Contains(w.Body.String(), "1 of 1 held"); w.Code != 200 || got != want {
			t.Errorf("%s: %d, shown: %t", at, w.Code, got)
		}
	}
}

func TestItemShowsWhatItIs(t *testing.T) {
	h := newHouse(t)
	o := h.hold(t, hostile(compose.PrivateOB, compose.EICAR()))
	w := h.get("/held/" + o.ID)
	for _, want := range []string{"(0009,1010)", "EICAR", "<mark>", "/held/" + o.ID + "/frame.png", "of 64 by 64 pixels", "Patient&#39;s Name", "SHA-256", o.SHA256.String(), "An object is held"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("does not show %q", want)
		}
	}
	if t.Failed() {
		t.Log(w.Body)
	}
	w = h.get("/held/" + o.ID + "/frame.png")
	if m, err := png.Decode(w.Body); err != nil || m.Bounds().Dx() != 64 || w.Header().Get("Content-Type") != "image/png" || !strings.Contains(w.Header().Get("Content-Security-Policy"), "sandbox") || w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Error(err, w.Header())
	}
	if w := h.get("/held/" + o.ID + "/bytes?finding=0&from=0"); w.Code != 200 || !strings.Contains(w.Body.String(), "00000000") || strings.Contains(w.Body.String(), "<html") {
		t.Error(w.Code, w.Body)
	}
	if w := h.get("/held/nosuch"); w.Code != 404 {
		t.Error(w.Code)
	}
	if w := h.get("/api/v1/vault/" + o.ID + "/bytes"); w.Code != 200 || !strings.Contains(w.Body.String(), `"path":"(0009,1010)"`) {
		t.Error(w.Code, w.Body)
	}
}

// Each look at an object is on the ledger, with what was seen.
func TestWhoLooksIsRecorded(t *testing.T) {
	h := newHouse(t)
	o := h.hold(t, hostile(compose.PrivateOB, compose.EICAR()))
	for _, at := range []string{"", "/frame.png", "/bytes"} {
		h.get("/held/" + o.ID + at)
	}
	h.get("/api/v1/vault/" + o.ID + "/frame?frame=0")
	var seen []string
	n, err := h.ledger.Size(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h.ledger.Scan(t.Context(), 0, n, func(r ledger.Record) error {
		if r.Kind == "object.shown" {
			seen = append(seen, string(r.Body))
			return ledger.Listed(r)
		}
		return nil
	})
	if len(seen) != 4 || !strings.Contains(seen[0], `"by":"A. Able"`) || !strings.Contains(seen[0], `"what":"page"`) || !strings.Contains(seen[2], `"what":"bytes"`) {
		t.Error(seen)
	}
}

// vectors are what somebody could put into a name.
var vectors = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `'><svg/onload=alert(1)>`, `javascript:alert(1)`, `{{.D}}`, `]]><!--`, `</title><script>alert(1)</script>`,
	`"onmouseover="alert(1)`, `<iframe srcdoc="x">`, "\x1b[2J", `\u003cscript>`, `=cmd|'/c calc'!A1`,
}

func TestHostileTextsAreText(t *testing.T) {
	h := newHouse(t)
	for i, evil := range vectors {
		o := hostile(compose.PrivateOB, compose.EICAR())
		for _, tag := range []dicom.Tag{dicom.TagPatientName, dicom.TagPatientID, dicom.TagStudyDescription, dicom.TagSeriesDescription, dicom.TagManufacturer, dicom.TagModality, dicom.TagAccessionNumber, dicom.TagStudyID, dicom.TagReferringPhysicianName} {
			o.SetString(tag, dicom.LO, evil)
		}
		o.Study = dicom.UID(evil)
		row := h.hold(t, o)
		for _, at := range []string{"/held", "/held/" + row.ID, "/held?study=" + url.QueryEscape(evil), "/held?from=" + url.QueryEscape(evil), "/held?finding=" + url.QueryEscape(evil), "/held/" + row.ID + "/bytes?from=" + url.QueryEscape(evil)} {
			w := h.get(at)
			if w.Code != 200 {
				t.Errorf("%d %s: %d", i, at, w.Code)
			}
			for _, bad := range []string{"<script>alert", "<img src=x", "<svg/onload", "<iframe", `href="javascript:`, `"onmouseover="`} {
				if strings.Contains(w.Body.String(), bad) {
					t.Errorf("%s: %s is not escaped", at, bad)
				}
			}
		}
	}
}

func reason(text string, more ...string) url.Values {
	v := url.Values{"reason": {text}}
	for _, name := range more {
		v.Set(name, "yes")
	}
	return v
}

func TestReleaseTakesTwoAndSaysWhoDidWhat(t *testing.T) {
	h := newHouse(t)
	o := h.hold(t, hostile(compose.PrivateOB, compose.EICAR()))
	release := "/held/" + o.ID + "/release"
	if w := h.ask(able("A. Able"), "POST", release, reason("the vendor says so")); w.Code != 303 || !strings.Contains(w.Header().Get("Location"), "held.said.by.asked") {
		t.Fatal(w.Code, w.Body)
	}
	if w := h.get("/held/" + o.ID); !strings.Contains(w.Body.String(), "A. Able asked for its release") || !strings.Contains(w.Body.String(), "the vendor says so") {
		t.Error(w.Body)
	}
	w := h.ask(able("A. Able"), "POST", release, reason("once more"))
	if w.Code != 409 || !strings.Contains(w.Body.String(), "a second person must agree") || !strings.Contains(w.Body.String(), ">once more</textarea>") {
		t.Error(w.Code, w.Body)
	}
	if w := h.ask(able("B. Best"), "POST", release, reason("agreed")); w.Code != 303 || h.woken != 1 {
		t.Error(w.Code, h.woken)
	}
	w = h.ask(able("C. Cole"), "POST", release, reason("I as well"))
	if w.Code != 409 || !strings.Contains(w.Body.String(), "Somebody else has decided meanwhile") || !strings.Contains(w.Body.String(), "A. Able, B. Best decided") {
		t.Error(w.Code, w.Body)
	}
	if w := h.ask(able("A. Able"), "POST", release, url.Values{}); w.Code != 400 || !strings.Contains(w.Body.String(), "reason is needed") {
		t.Error(w.Code, w.Body)
	}
}

// Two people press the button at the same moment: both have a part in it or the
// second is told, and it is released once.
func TestTwoPeopleAtTheSameMoment(t *testing.T) {
	h := newHouse(t)
	o := h.hold(t, hostile(compose.PrivateOB, compose.EICAR()))
	var wg sync.WaitGroup
	codes := make([]int, 4)
	for i := range codes {
		wg.Add(1)
		go func() { // ends with the answer
			defer wg.Done()
			codes[i] = h.ask(able(fmt.Sprint("Person ", string(rune('A'+i)))), "POST", "/held/"+o.ID+"/release", reason("now")).Code
		}()
	}
	wg.Wait()
	count := map[int]int{}
	for _, c := range codes {
		count[c]++
	}
	if count[303] != 2 || count[409] != 2 {
		t.Error(codes)
	}
	now, err := h.custody.Get(t.Context(), o.ID)
	if err != nil || now.State != custody.Spooled || len(now.DecidedBy) != 2 {
		t.Error(now.State, now.DecidedBy, err)
	}
}

func TestEmergencyIsForWhatIsSuspicious(t *testing.T) {
	h := newHouse(t)
	bad := h.hold(t, hostile(compose.PrivateOB, compose.EICAR()))
	w := h.ask(able("A. Able"), "POST", "/held/"+bad.ID+"/release", reason("theatre waits", "emergency"))
	if w.Code != 409 || !strings.Contains(w.Body.String(), "never released by one person") {
		t.Error(w.Code)
	}
	odd := h.keep(t, compose.CT(16, 16), []finding.Finding{finding.New("encrypted-document", "(0042,0011)", 300, "PDF")})
	if w := h.ask(able("A. Able"), "POST", "/held/"+odd.ID+"/release", reason("theatre waits", "emergency")); w.Code != 303 {
		t.Fatal(w.Code, w.Body)
	}
	if w := h.get("/held/" + odd.ID); !strings.Contains(w.Body.String(), "must review that until") || strings.Contains(w.Body.String(), odd.ID+"/review") {
		t.Error(w.Body)
	}
	if w := h.ask(able("B. Best"), "GET", "/held/"+odd.ID, nil); !strings.Contains(w.Body.String(), odd.ID+"/review") {
		t.Error(w.Body)
	}
	if w := h.ask(able("A. Able"), "POST", "/held/"+odd.ID+"/review", reason("mine")); w.Code != 409 {
		t.Error(w.Code)
	}
	if w := h.ask(able("B. Best"), "POST", "/held/"+odd.ID+"/review", reason("seen")); w.Code != 303 {
		t.Error(w.Code, w.Body)
	}
}

// What waits for a person is on the first page, also where it is held no more: half
// decided, released by one alone, refused by its archive. When that is done it is gone.
func TestWhatWaitsForAPersonIsListed(t *testing.T) {
	h := newHouse(t)
	asked := h.hold(t, hostile(compose.PrivateOB, compose.EICAR()))
	odd := []finding.Finding{finding.New("encrypted-document", "(0042,0011)", 300, "PDF")}
	alone, back := h.keep(t, compose.CT(16, 16), odd), h.keep(t, compose.CT(16, 16), odd)
	h.ask(able("A. Able"), "POST", "/held/"+asked.ID+"/destroy", reason("not ours"))
	h.ask(able("A. Able"), "POST", "/held/"+alone.ID+"/release", reason("theatre waits", "emergency"))
	for _, name := range []string{"A. Able", "B. Best"} {
		h.ask(able(name), "POST", "/held/"+back.ID+"/release", reason("harmless"))
	}
	if err := h.custody.InFlight(t.Context(), back.ID); err != nil {
		t.Fatal(err)
	}
	if err := h.custody.Failed(t.Context(), back.ID, custody.Failure{Err: errors.New("no such class"), Status: 0x0122, Permanent: true}); err != nil {
		t.Fatal(err)
	}
	listed := func(want bool, texts ...string) {
		t.Helper()
		page := h.get("/held").Body.String()
		for _, text := range texts {
			if strings.Contains(page, text) != want {
				t.Errorf("%q: %v, want %v\n%s", text, !want, want, page)
			}
		}
	}
	listed(true, "somebody else must agree", asked.ID, "somebody else must review it", alone.ID, "by A. Able", "Refused by their archive", back.ID, "no such class")
	if page := h.get("/held?from=ct-1").Body.String(); strings.Contains(page, alone.ID) {
		t.Error("on a page that is narrowed")
	}
	h.ask(able("B. Best"), "POST", "/held/"+asked.ID+"/destroy", reason("nobody's"))
	h.ask(able("B. Best"), "POST", "/held/"+alone.ID+"/review", reason("seen"))
	for _, name := range []string{"A. Able", "B. Best"} {
		if page := h.get("/held/" + back.ID).Body.String(); !strings.Contains(page, "/retry") || !strings.Contains(page, "/destroy") || !strings.Contains(page, "/export") {
			t.Error(page)
		}
		h.ask(able(name), "POST", "/held/"+back.ID+"/destroy", reason("the archive will never take it"))
	}
	listed(false, "somebody else must", asked.ID, alone.ID, "Refused by", back.ID)
}

func TestExportIsAFileToBeSaved(t *testing.T) {
	h := newHouse(t)
	o := h.hold(t, hostile(compose.PrivateOB, compose.EICAR()))
	if w := h.ask(able("A. Able"), "POST", "/held/"+o.ID+"/export", url.Values{}); w.Code != 400 || strings.Contains(w.Body.String(), "DICM") {
		t.Error(w.Code)
	}
	w := h.ask(able("A. Able"), "POST", "/held/"+o.ID+"/export", reason("laboratory"))
	if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Disposition"), "attachment") || w.Header().Get("Content-Type") != "application/octet-stream" || !bytes.Equal(w.Body.Bytes()[128:132], []byte("DICM")) {
		t.Error(w.Code, w.Header())
	}
}

func TestSamePayloadIsKnownAgain(t *testing.T) {
	h := newHouse(t)
	one := h.hold(t, hostile(compose.PrivateOB, compose.EICAR()))
	two := h.hold(t, hostile(compose.PrivateOB, compose.EICAR()))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.pieces.Run(ctx, slog.New(slog.NewTextHandler(io.Discard, nil))) }() // ends with cancel
	deadline := time.Now().Add(20 * time.Second)
	for {
		ids, err := h.pieces.Alike(t.Context(), two.ID, 5)
		if err != nil {
			t.Fatal(err)
		}
		if len(ids) == 1 && ids[0] == one.ID {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(ids)
		}
		time.Sleep(20 * time.Millisecond)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if w := h.get("/held/" + two.ID); !strings.Contains(w.Body.String(), "The same piece in another object") {
		t.Error(w.Body)
	}
}
