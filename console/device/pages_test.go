package device_test

import (
	"bytes"
	"context"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cordon/asset"
	"cordon/console/device"
	"cordon/console/view"
	"cordon/custody"
	"cordon/dicom"
	"cordon/exception"
	"cordon/ledger"
	"cordon/people"
	"cordon/policy"
	"cordon/store"
)

type house struct {
	mux     *http.ServeMux
	devices *asset.Register
	except  *exception.Exceptions
}

func newHouse(t *testing.T) *house {
	t.Helper()
	dir := t.TempDir()
	db, err := store.OpenDB(t.Context(), filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations(), exception.Migrations(), asset.Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	l, err := ledger.Open(t.Context(), db, filepath.Join(dir, "ledger.key"), "test")
	if err != nil {
		t.Fatal(err)
	}
	h := &house{mux: http.NewServeMux()}
	site := policy.Site{
		Archives: []policy.Archive{{Name: "pacs", AETitle: "PACS"}},
		Devices:  []policy.Device{{Name: "ct-1", AETitle: "CT1", Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}}},
	}
	if h.devices, err = asset.Open(t.Context(), db, l, site); err != nil {
		t.Fatal(err)
	}
	if h.except, err = exception.Open(t.Context(), db, l); err != nil {
		t.Fatal(err)
	}
	for _, r := range device.Spelled(h.devices, device.Routes(device.Parts{
		Devices: h.devices, Exceptions: h.except, View: view.New(view.Config{Site: "Test"}),
		Level: func(name string) string { return map[string]string{"ct-1": "image_only"}[name] },
		Paths: func(context.Context, string) ([]device.Path, error) {
			return []device.Path{{Out: true, Peer: "203.0.113.9", Protocol: "tcp", Port: 445, Last: time.Now(), Times: 7}}, nil
		},
	})) {
		h.mux.HandleFunc(r.Method+" "+r.Pattern, r.Handler)
	}
	return h
}

// meet has the register see an AE title.
func (h *house) meet(title dicom.AETitle) {
	peer := asset.Peer{Calling: title, Called: "CORDON", Address: netip.MustParseAddr("10.0.0.7")}
	h.devices.Observe(asset.Observation{At: time.Now(), Peer: peer})
	h.devices.Observe(asset.Observation{At: time.Now(), Peer: peer, Service: policy.ServiceStore, SOPClass: dicom.CTImageStorage, Archive: "pacs"})
}

var able = people.Identity{Name: "A. Able", Roles: []people.Role{people.Administrator}, How: people.Password}

func (h *house) ask(id people.Identity, method, at, kind, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, at, strings.NewReader(body))
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, r.WithContext(people.With(r.Context(), id)))
	return w
}

func (h *house) get(at string) *httptest.ResponseRecorder { return h.ask(able, "GET", at, "", "") }

func (h *house) post(at string, form url.Values) *httptest.ResponseRecorder {
	return h.ask(able, "POST", at, "application/x-www-form-urlencoded", form.Encode())
}

func (h *house) upload(t *testing.T, csv string) *httptest.ResponseRecorder {
	t.Helper()
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	f, err := m.CreateFormFile("file", "devices.csv")
	if err != nil {
		t.Fatal(err)
	}
	f.Write([]byte(csv))
	m.Close()
	return h.ask(able, "POST", "/register/import", m.FormDataContentType(), body.String())
}

func TestListShowsWhatWantsSomebodyFirst(t *testing.T) {
	h := newHouse(t)
	h.meet("NEWUS")
	body := h.get("/devices").Body.String()
	if at, new := strings.Index(body, `href="/devices/ct-1"`), strings.Index(body, `href="/devices/newus"`); at < 0 || new < 0 || at > new || !strings.Contains(body, "1 waits for somebody") || !strings.Contains(body, "contained") {
		t.Error(body)
	}
	for at, want := range map[string]bool{"/devices?text=NEWUS": true, "/devices?state=learned": true, "/devices?state=denied": false, "/devices?criticality=life": false, "/devices?text=10.0.0.7": true} {
		if got := strings.Contains(h.get(at).Body.String(), `href="/devices/newus"`); got != want {
			t.Errorf("%s: %t", at, got)
		}
	}
}

func TestManyDevicesArePaged(t *testing.T) {
	h := newHouse(t)
	for i := range 60 {
		h.meet(dicom.AETitle(fmt.Sprintf("DEV%03d", i)))
	}
	w := h.get("/devices")
	if w.Code != 200 || w.Body.Len() > 150_000 {
		t.Error(w.Code, w.Body.Len())
	}
}

func TestDeviceIsApprovedWithWhatWasPreviewed(t *testing.T) {
	h := newHouse(t)
	h.meet("NEWUS")
	body := h.get("/devices/newus?hours=yes").Body.String()
	for _, want := range []string{"CT Image Storage", "The least that it needs", `name="hours" value="yes"`, "203.0.113.9", "not declared", "/devices/newus/contain"} {
		if !strings.Contains(body, want) {
			t.Errorf("does not show %q", want)
		}
	}
	w := h.post("/devices/newus/approve", url.Values{"name": {"us-3"}, "port": {"many"}, "reason": {"the new one"}})
	if w.Code != 400 || !strings.Contains(w.Body.String(), "expected a number") || !strings.Contains(w.Body.String(), `value="the new one"`) || !strings.Contains(w.Body.String(), `action="/devices/newus/approve"`) {
		t.Error(w.Code, w.Body)
	}
	if w := h.post("/devices/newus/approve", url.Values{"name": {"us-3"}, "reason": {"the new one"}}); w.Code != 303 || !strings.HasPrefix(w.Header().Get("Location"), "/devices/us-3?") {
		t.Error(w.Code, w.Header(), w.Body)
	}
	if w := h.post("/devices/us-3/deny", url.Values{"reason": {"broken"}}); w.Code != 303 {
		t.Error(w.Code, w.Body)
	}
	if w := h.post("/devices/ct-1/deny", url.Values{"reason": {"x"}}); w.Code != 409 || !strings.Contains(w.Body.String(), "declared in the configuration") {
		t.Error(w.Code)
	}
}

func TestDeviceIsDescribed(t *testing.T) {
	h := newHouse(t)
	if w := h.post("/devices/ct-1/inventory", url.Values{"vendor": {"Acme"}, "model": {"Scan 3"}, "criticality": {"life"}, "software": {"A 1; B 2"}, "reason": {"new"}}); w.Code != 303 {
		t.Fatal(w.Code, w.Body)
	}
	body := h.get("/devices/ct-1").Body.String()
	for _, want := range []string{"Acme", "Scan 3", "vital", "A 1; B 2"} {
		if !strings.Contains(body, want) {
			t.Errorf("does not show %q", want)
		}
	}
	w := h.post("/devices/ct-1/inventory", url.Values{"vendor": {"Other"}, "criticality": {"enormous"}, "reason": {"new"}})
	if w.Code != 400 || !strings.Contains(w.Body.String(), `value="Other"`) {
		t.Error(w.Code, w.Body)
	}
	typed := "dicom tcp 104 10.1.2.3 needed\r\nservice tcp 443-445 203.0.113.0/24,198.51.100.7 inbound # by appointment\r\n"
	if w := h.post("/devices/ct-1/flows", url.Values{"flows": {typed}, "reason": {"list"}}); w.Code != 303 {
		t.Fatal(w.Code, w.Body)
	}
	flows, err := h.devices.Flows(t.Context(), "ct-1")
	if err != nil || len(flows) != 2 || !flows[0].Needed || flows[1].PortTo != 445 || len(flows[1].To) != 2 || flows[1].Note != "by appointment" {
		t.Error(flows, err)
	}
	if body := h.get("/devices/ct-1").Body.String(); !strings.Contains(body, "dicom tcp 104 10.1.2.3/32 needed") {
		t.Error(body)
	}
	for wrong, says := range map[string]string{"dicom\n": "line 1: ", "dicom tcp 104\nfun tcp 1\n": "line 2: ", "dns udp eleven": "expected a port", "dns udp 53 10.1.2": "expected an address"} {
		if w := h.post("/devices/ct-1/flows", url.Values{"flows": {wrong}, "reason": {"list"}}); w.Code != 400 || !strings.Contains(w.Body.String(), says) {
			t.Errorf("%q: %d", wrong, w.Code)
		}
	}
}

func TestTableIsComparedBeforeItIsBroughtIn(t *testing.T) {
	h := newHouse(t)
	csv := "name,vendor,location\nct-1,Acme,\"Room \"\"3\"\", left\"\n"
	w := h.upload(t, csv)
	if w.Code != 200 || !strings.Contains(w.Body.String(), "<ins>Acme</ins>") || !strings.Contains(w.Body.String(), "Nothing is changed yet") {
		t.Fatal(w.Code, w.Body)
	}
	if v, _ := h.devices.Inventory(t.Context(), "ct-1"); v.Vendor != "" {
		t.Error(v)
	}
	if w := h.post("/register/import", url.Values{"apply": {"yes"}, "csv": {csv}, "reason": {""}}); w.Code != 400 || !strings.Contains(w.Body.String(), "a reason is needed") || !strings.Contains(w.Body.String(), "<ins>Acme</ins>") {
		t.Error(w.Code, w.Body)
	}
	if w := h.post("/register/import", url.Values{"apply": {"yes"}, "csv": {csv}, "reason": {"yearly"}}); w.Code != 303 {
		t.Error(w.Code, w.Body)
	}
	if v, _ := h.devices.Inventory(t.Context(), "ct-1"); v.Vendor != "Acme" || v.Location != `Room "3", left` {
		t.Error(v)
	}
	if w := h.upload(t, "name,vendor\nmr-9,<script>alert(1)</script>\n"); w.Code != 200 || !strings.Contains(w.Body.String(), "not in the register") || strings.Contains(w.Body.String(), "<script>alert") {
		t.Error(w.Code, w.Body)
	}
	if w := h.upload(t, "name\n"+strings.Repeat("x", 7<<20)); w.Code != 400 && w.Code != 413 {
		t.Error(w.Code)
	}
	if w := h.get("/register/devices.csv"); !strings.HasPrefix(w.Header().Get("Content-Type"), "text/csv") || !strings.Contains(w.Body.String(), "ct-1,,Acme") {
		t.Error(w.Header(), w.Body)
	}
}

func TestVendorSeesOwnProductsAlone(t *testing.T) {
	h := newHouse(t)
	h.meet("NEWUS")
	rq := custody.Request{By: "A. Able", Reason: "r"}
	if err := h.devices.SetInventory(t.Context(), "newus", asset.Inventory{Vendor: "Acme", Model: "Echo 3"}, rq); err != nil {
		t.Fatal(err)
	}
	if _, err := h.except.Propose(t.Context(), policy.Origin{Device: "ct-1"}, "encrypted-document", "", rq); err != nil {
		t.Fatal(err)
	}
	vendor := people.Identity{Name: "V. End", Roles: []people.Role{people.Vendor}, Products: []string{"acme/echo 3"}, How: people.Password}
	for at, sees := range map[string]bool{
		"/devices": true, "/devices/newus": true, "/api/v1/devices": true, "/api/v1/devices/newus": true, "/register/devices.csv": true, "/api/v1/register": true,
		"/devices/ct-1": false, "/api/v1/devices/ct-1": false, "/api/v1/devices/ct-1/flows": false, "/api/v1/devices/ct-1/inventory": false,
	} {
		w := h.ask(vendor, "GET", at, "", "")
		if sees != (w.Code == 200) || strings.Contains(w.Body.String(), "ct-1") && sees {
			t.Errorf("%s: %d %s", at, w.Code, w.Body)
		}
	}
	if w := h.ask(vendor, "GET", "/exceptions", "", ""); w.Code != 200 || strings.Contains(w.Body.String(), "ct-1") {
		t.Error(w.Code, w.Body)
	}
	if body := h.ask(vendor, "GET", "/devices/newus", "", "").Body.String(); strings.Contains(body, "<form method=\"post\" action=\"/devices") {
		t.Error("a vendor is offered a decision")
	}
}

func TestExceptionsAreDecidedOn(t *testing.T) {
	h := newHouse(t)
	e, err := h.except.Propose(t.Context(), policy.Origin{Device: "ct-1"}, "encrypted-document", "(0042,0011)", custody.Request{By: "B. Best", Reason: "vendor"})
	if err != nil {
		t.Fatal(err)
	}
	if body := h.get("/exceptions").Body.String(); !strings.Contains(body, "(0042,0011)") || !strings.Contains(body, "Proposed by B. Best") {
		t.Error(body)
	}
	if w := h.post("/exceptions/"+e.ID+"/approve", url.Values{"reason": {"agreed"}, "days": {"9999"}}); w.Code != 400 || !strings.Contains(w.Body.String(), `value="agreed"`) {
		t.Error(w.Code, w.Body)
	}
	if w := h.post("/exceptions/"+e.ID+"/approve", url.Values{"reason": {"agreed"}, "days": {"30"}, "device": {"ct-1"}}); w.Code != 303 || !strings.HasPrefix(w.Header().Get("Location"), "/devices/ct-1?") {
		t.Error(w.Code, w.Header())
	}
	if body := h.get("/devices/ct-1").Body.String(); !strings.Contains(body, "in force until "+time.Now().AddDate(0, 0, 30).Format(time.DateOnly)) {
		t.Error(body)
	}
	if w := h.post("/exceptions/"+e.ID+"/revoke", url.Values{"reason": {"gone"}}); w.Code != 303 {
		t.Error(w.Code, w.Body)
	}
	if w := h.post("/exceptions/nosuch/revoke", url.Values{"reason": {"gone"}}); w.Code != 404 {
		t.Error(w.Code)
	}
}

// What a device calls itself is text.
func TestHostileTitlesAreText(t *testing.T) {
	h := newHouse(t)
	for _, evil := range []dicom.AETitle{"<script>x", `"><img src=x`, "'-alert(1)-'", "=1+1"} {
		h.meet(evil)
	}
	pages := []string{"/devices", "/devices?text=%3Cscript%3E"}
	all, err := h.devices.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		pages = append(pages, "/devices/"+url.PathEscape(d.Name))
	}
	for _, at := range pages {
		w := h.get(at)
		if w.Code != 200 || strings.Contains(w.Body.String(), "<script>x") || strings.Contains(w.Body.String(), "<img src=x") {
			t.Errorf("%s: %d", at, w.Code)
		}
	}
}

// TestEverySpellingLeadsToTheOnePage: a learned device is listed under the name that
// the register made; its AE title and its address are what people read elsewhere.
func TestEverySpellingLeadsToTheOnePage(t *testing.T) {
	h := newHouse(t)
	h.meet("US3")
	for at, want := range map[string]string{
		"/devices/US3": "/devices/us3", "/devices/US3@10.0.0.7?hours=yes": "/devices/us3?hours=yes", "/devices/CT1": "/devices/ct-1", "/devices/CT-1": "/devices/ct-1",
	} {
		if w := h.get(at); w.Code != 302 || w.Header().Get("Location") != want {
			t.Errorf("%s: %d to %q, want %q", at, w.Code, w.Header().Get("Location"), want)
		}
	}
	for at, want := range map[string]int{"/devices/us3": 200, "/devices/ct-1": 200, "/devices/US4": 404, "/api/v1/devices/US3": 200, "/api/v1/devices/CT1": 200} {
		if w := h.get(at); w.Code != want {
			t.Errorf("%s: %d, want %d", at, w.Code, want)
		}
	}
	if body := h.get("/devices/us3").Body.String(); !strings.Contains(body, "/held?from=US3") || !strings.Contains(body, "/studies?device=US3") {
		t.Error("what came from it is looked for under a name that it did not have")
	}
	if w := h.ask(people.Identity{Name: "V", Roles: []people.Role{people.Vendor}, Products: []string{"Acme"}}, "GET", "/devices/US3", "", ""); w.Code != 404 {
		t.Errorf("a vendor learns of a device that is not its own: %d", w.Code)
	}
	if w := h.post("/devices/US3/deny", url.Values{"by": {"A. Able"}, "reason": {"nobody knows it"}}); w.Header().Get("Location") != "/devices/us3?done=device.said.by.deny" {
		t.Errorf("denied under another name: %d %s", w.Code, w.Header().Get("Location"))
	}
}
