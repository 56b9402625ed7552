package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cordon/bypass"
	"cordon/console/answer"
	"cordon/custody"
	"cordon/exception"
	"cordon/finding"
	"cordon/ledger"
	"cordon/review"
	"cordon/store"
)

// site is a console over a real data directory, served on a real address.
type site struct {
	*Console
	db      *store.DB
	custody *custody.Custody
	flow    Flow
	woken   int
	page    string // address of the page
	api     string // address of the interface
}

func newSite(t *testing.T) *site {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	dir := t.TempDir()
	db, err := store.OpenDB(ctx, filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations(), custody.Migrations(), exception.Migrations(), review.Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	l, err := ledger.Open(ctx, db, filepath.Join(dir, "ledger.key"), "test")
	if err != nil {
		t.Fatal(err)
	}
	c, err := custody.Open(ctx, db, dir, l, custody.Options{})
	if err != nil {
		t.Fatal(err)
	}
	x, err := exception.Open(ctx, db, l)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{db: db, custody: c, flow: Flow{Accepting: true, Since: time.Now()}}
	s.Console = New(Config{
		Site:    "Test <Hospital>",
		Version: "1",
		Flow:    func(context.Context) (Flow, error) { return s.flow, nil },
		Wake:    func() { s.woken++ },
	}, Parts{Custody: c, Ledger: l, Exceptions: x})
	s.page = serve(t, ctx, s.Handler())
	s.api = serve(t, ctx, s.API())
	return s
}

func serve(t *testing.T, ctx context.Context, h http.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	go func() { done <- Serve(ctx, l, h, slog.New(slog.DiscardHandler)) }() // ends with the test
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

// keep puts an object into custody.
func (s *site) keep(t *testing.T, o custody.Object, content string) custody.Object {
	t.Helper()
	b := s.custody.NewBuffer()
	defer b.Discard()
	if _, err := io.WriteString(b, content); err != nil {
		t.Fatal(err)
	}
	o, err := s.custody.Keep(t.Context(), b, o)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func inVault(study string, ids ...string) custody.Object {
	o := custody.Object{
		State:             custody.Held,
		CallingAE:         "CT1",
		CalledAE:          "CORDON",
		Archive:           "pacs",
		SOPClassUID:       "1.2.840.10008.5.1.4.1.1.2",
		SOPInstanceUID:    "1.2.3",
		StudyInstanceUID:  study,
		TransferSyntaxUID: "1.2.840.10008.1.2.1",
	}
	for _, id := range ids {
		o.Findings = append(o.Findings, finding.New(id, "(0009,1010)", 300, ""))
	}
	return o
}

func fetch(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	return fetchAs(t, method, url, "", body)
}

func fetchAs(t *testing.T, method, url, contentType, body string) (int, string) {
	t.Helper()
	rq, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		rq.Header.Set("Content-Type", contentType)
	}
	rsp, err := http.DefaultClient.Do(rq)
	if err != nil {
		t.Fatal(err)
	}
	defer rsp.Body.Close()
	text, err := io.ReadAll(rsp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return rsp.StatusCode, string(text)
}

func TestForeignPageCannotAskThroughABrowser(t *testing.T) {
	s := newSite(t)
	for host, want := range map[string]int{
		"":                   http.StatusOK, // the address itself
		"localhost":          http.StatusOK,
		"localhost:8080":     http.StatusOK,
		"127.0.0.1":          http.StatusOK,
		"[::1]":              http.StatusOK,
		"[::1]:8080":         http.StatusOK,
		"evil.example":       http.StatusMisdirectedRequest,
		"evil.example:8080":  http.StatusMisdirectedRequest,
		"localhost.evil":     http.StatusMisdirectedRequest,
		"127.0.0.1.evil:80":  http.StatusMisdirectedRequest,
		"10.0.0.1":           http.StatusMisdirectedRequest,
		"xn--localhost-:123": http.StatusMisdirectedRequest,
	} {
		rq, _ := http.NewRequestWithContext(t.Context(), "GET", s.page+"/", nil)
		rq.Host = host
		rsp, err := http.DefaultClient.Do(rq)
		if err != nil {
			t.Fatal(err)
		}
		rsp.Body.Close()
		if rsp.StatusCode != want {
			t.Errorf("Host %q: %d, want %d", host, rsp.StatusCode, want)
		}
	}
}

func TestPageChangesNothingAndRunsNothing(t *testing.T) {
	s := newSite(t)
	o := s.keep(t, inVault("1.2.3.4", "eicar"), "x")
	for _, method := range []string{"POST", "PUT", "DELETE"} {
		for _, path := range []string{"/", "/metrics", "/api/v1/vault/" + o.ID + "/release"} {
			if code, _ := fetch(t, method, s.page+path, `{"by":"a","reason":"b"}`); code < 400 {
				t.Errorf("%s %s: %d", method, path, code)
			}
		}
	}
	if code, _ := fetch(t, "GET", s.page+"/api/v1/vault", ""); code != http.StatusNotFound {
		t.Errorf("the page's address serves the vault: %d", code)
	}
	rsp, err := http.Get(s.page + "/")
	if err != nil {
		t.Fatal(err)
	}
	rsp.Body.Close()
	if csp := rsp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none';") || strings.Contains(csp, "unsafe") {
		t.Errorf("content security policy: %s", csp)
	}
}

func TestPageAnswersForTheAdministrator(t *testing.T) {
	s := newSite(t)
	at := time.Now().Add(-3 * time.Minute)
	s.flow.Archives = []Archive{{Name: "pacs", Up: true, Asked: true, LastDelivered: &at}, {Name: "ris", Up: true}, {Name: "cardio", Address: "10.30.0.6:104", LastError: "refused", Queued: 12, OldestQueued: &at}}
	s.flow.Devices = []Device{{AETitle: `<script>"&`, Learned: true, Objects: 12345, LastSeen: at}, {Name: "mr-2", AETitle: "MR2"}}
	s.keep(t, inVault("1.2.840.113619.19072730.12322", "pixel-data-short", "eicar", "eicar"), "x")
	last := s.keep(t, inVault("1.2.840.113619.19072730.12322", "eicar"), "y")
	code, text := fetch(t, "GET", s.page+"/", "")
	if code != http.StatusOK {
		t.Fatal(code, text)
	}
	for _, want := range []string{
		"Test &lt;Hospital&gt;",
		"Imaging goes on; one archive&#39;s images are kept here.",
		"Archive cardio does not answer; 12 objects are kept here for it, the oldest for 3 min.",
		"2 objects are held in the vault.",
		`title="1.2.840.113619.19072730.12322">…19072730.12322<`,
		"EICAR test string, Pixel data shorter",
		"&lt;script&gt;",
		"12\u2009345",
		`<td class="n">never</td>`,
		`<span class="quiet">not asked yet</span>`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Index(text, "MR2") > strings.Index(text, "&lt;script&gt;") {
		t.Error("a learned device stands before a declared one")
	}
	if strings.Contains(text, "<script") {
		t.Error("a peer's AE title became markup")
	}
	if strings.Contains(text, last.ID) {
		t.Error("two objects of one study are two lines")
	}
}

func TestStatusTable(t *testing.T) {
	noon := time.Date(2026, 11, 21, 12, 0, 0, 0, time.Local)
	up, away := Archive{Name: "a", Up: true}, Archive{Name: "b"}
	for _, row := range []struct {
		name  string
		s     Status
		level Level
		says  string
	}{
		{"flowing", Status{Flow: Flow{Accepting: true, Archives: []Archive{up}}}, Well, "Imaging is flowing."},
		{"held is not trouble", Status{Flow: Flow{Accepting: true, Archives: []Archive{up}}, Held: 3}, Well, "Imaging is flowing."},
		{"one away", Status{Flow: Flow{Accepting: true, Archives: []Archive{up, away}}}, Degraded, "Imaging goes on; one archive's images are kept here."},
		{"all away", Status{Flow: Flow{Accepting: true, Archives: []Archive{away}}}, Degraded, "Imaging goes on; images are kept here until the archive is back."},
		{"refused by archive", Status{Flow: Flow{Accepting: true}, Attention: 1}, Degraded, "Imaging is flowing, and somebody must look."},
		{"damaged", Status{Flow: Flow{Accepting: true}, Alarms: 1}, Degraded, "Imaging is flowing, and somebody must look."},
		{"late review", Status{Flow: Flow{Accepting: true}, ReviewsLate: 1}, Degraded, "Imaging is flowing, and somebody must look."},
		{"ledger cut", Status{Flow: Flow{Accepting: true}, LedgerCut: true}, Degraded, "Imaging is flowing, and somebody must look."},
		{"ledger stuck", Status{Flow: Flow{Accepting: true}, LedgerError: "disk full"}, Degraded, "Imaging is flowing, and somebody must look."},
		{"review due in time", Status{Flow: Flow{Accepting: true}, ReviewsDue: 1}, Well, "Imaging is flowing."},
		{"nothing can be kept", Status{Flow: Flow{Accepting: true, Archives: []Archive{up}}, DiskError: "full"}, Degraded, "Imaging is flowing, and somebody must look."},
		{"nothing can be kept for one", Status{Flow: Flow{Accepting: true, Archives: []Archive{up, away}}, DiskError: "full"}, Degraded, "Imaging goes on only where an archive answers."},
		{"disk fills up", Status{Flow: Flow{Accepting: true, Archives: []Archive{up}}, Disks: []custody.Disk{{Name: "data", Low: "9 MiB are left"}}}, Degraded, "Imaging is flowing, and somebody must look."},
		{"neither delivered nor kept", Status{Flow: Flow{Accepting: true, Archives: []Archive{away}}, DiskError: "full"}, Down, "Images are not taken: they can be neither delivered nor kept here."},
		{"to be recalled", Status{Flow: Flow{Accepting: true}, Rescan: RescanCounts{Recalls: 1}}, Degraded, "Imaging is flowing, and somebody must look."},
		{"not rescannable", Status{Flow: Flow{Accepting: true}, Rescan: RescanCounts{NotRescannable: 1}}, Degraded, "Imaging is flowing, and somebody must look."},
		{"rescans waiting", Status{Flow: Flow{Accepting: true}, Rescan: RescanCounts{Waiting: 1}}, Well, "Imaging is flowing."},
		{"bypassed", Status{Flow: Flow{Accepting: true}, Bypass: []bypass.Bypass{{Device: "ct-1", Until: noon}, {Until: noon}}}, Degraded,
			"Inspection is bypassed for ct-1 until 12:00, every device until 12:00."},
		{"down", Status{Flow: Flow{Archives: []Archive{away}}}, Down, "Associations are not accepted."},
	} {
		row.s.judge(time.Now())
		if row.s.Level != row.level || row.s.Says[0] != row.says {
			t.Errorf("%s: %s, %q", row.name, row.s.Level, row.s.Says)
		}
	}
}

func TestReadyMeansThatAssociationsAreAccepted(t *testing.T) {
	s := newSite(t)
	s.flow.Archives = []Archive{{Name: "pacs"}} // away
	if code, _ := fetch(t, "GET", s.page+"/readyz", ""); code != http.StatusOK {
		t.Errorf("an archive that is away: %d", code)
	}
	s.flow.Accepting = false
	if code, _ := fetch(t, "GET", s.page+"/readyz", ""); code != http.StatusServiceUnavailable {
		t.Errorf("not accepting: %d", code)
	}
	if code, _ := fetch(t, "GET", s.page+"/healthz", ""); code != http.StatusOK {
		t.Errorf("healthy: %d", code)
	}
}

func TestPeersCannotMakeMetrics(t *testing.T) {
	s := newSite(t)
	s.flow.Devices = []Device{{Name: "ct-1", AETitle: "CT1", Objects: 3}, {AETitle: "MADEUP", Learned: true}}
	s.flow.Archives = []Archive{{Name: "a\"b\\c\nd"}}
	_, text := fetch(t, "GET", s.page+"/metrics", "")
	for _, want := range []string{
		"\ncordon_device_objects_total{device=\"ct-1\"} 3\n",
		"\ncordon_archive_up{archive=\"a\\\"b\\\\c\\nd\"} 0\n",
		"\ncordon_vault_objects 0\n",
		"# TYPE cordon_objects_total counter\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("metrics lack %q", want)
		}
	}
	if strings.Contains(text, "MADEUP") {
		t.Error("a peer that is not declared has a metric")
	}
}

func TestReleaseOverTheSocketNeedsTwoPeople(t *testing.T) {
	s := newSite(t)
	o := s.keep(t, inVault("1.2", "eicar"), "x")
	release := s.api + "/api/v1/vault/" + o.ID + "/release"
	for i, step := range []struct {
		body string
		code int
		says string
	}{
		{`{"by":"","reason":"r"}`, 400, "who asks?"},
		{`{"by":"ann","reason":""}`, 400, "why?"},
		{`{"by":"ann"`, 400, "not a valid request"},
		{`{"by":"ann","reason":"r","admin":true}`, 400, "admin"},
		{`{"by":"ann","reason":"` + strings.Repeat("x", answer.MaxRequest) + `"}`, 413, "too large"},
		{`{"by":"ann","reason":"r","emergency":true}`, 409, "malicious"},
		{`{"by":"ann","reason":"r"}`, 200, `"done":false`},
		{`{"by":"ann","reason":"r"}`, 409, "second person"},
		{`{"by":"bob","reason":"r"}`, 200, `"done":true`},
		{`{"by":"eve","reason":"r"}`, 409, ""},
	} {
		code, text := fetch(t, "POST", release, step.body)
		if code != step.code || !strings.Contains(text, step.says) {
			t.Errorf("step %d: %d %s", i, code, text)
		}
	}
	if s.woken != 1 {
		t.Errorf("delivery was woken %d times, want once", s.woken)
	}
	if code, _ := fetch(t, "GET", s.api+"/api/v1/vault/nobody", ""); code != http.StatusNotFound {
		t.Errorf("unknown object: %d", code)
	}
}

func TestVaultListsPastOnePage(t *testing.T) {
	s := newSite(t)
	for i := range vaultPage + 3 {
		s.keep(t, inVault("1.2", "eicar"), fmt.Sprint(i))
	}
	_, text := fetch(t, "GET", s.api+"/api/v1/vault", "")
	d, n, last := json.NewDecoder(strings.NewReader(text)), 0, ""
	for ; d.More(); n++ {
		var v custody.VaultItem
		if err := d.Decode(&v); err != nil {
			t.Fatal(err)
		}
		if v.ID <= last {
			t.Fatalf("%s after %s", v.ID, last)
		}
		last = v.ID
	}
	if n != vaultPage+3 {
		t.Errorf("%d objects, want %d", n, vaultPage+3)
	}
	if _, text := fetch(t, "GET", s.api+"/api/v1/vault?study=9.9", ""); text != "" {
		t.Errorf("another study: %s", text)
	}
}

func TestWhatAnArchiveRefusedIsListedAndRetried(t *testing.T) {
	s := newSite(t)
	o := inVault("1.2")
	o.State = custody.Spooled
	o = s.keep(t, o, "x")
	if err := s.custody.InFlight(t.Context(), o.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.custody.Failed(t.Context(), o.ID, custody.Failure{Err: errors.New("status A900H"), Permanent: true}); err != nil {
		t.Fatal(err)
	}
	if _, text := fetch(t, "GET", s.api+"/api/v1/vault", ""); text != "" {
		t.Errorf("it is not held: %s", text)
	}
	_, text := fetch(t, "GET", s.api+"/api/v1/vault?attention=true", "")
	if !strings.Contains(text, `"state":"spooled"`) || !strings.Contains(text, `"last_error":"status A900H"`) {
		t.Errorf("%s", text)
	}
	code, text := fetch(t, "POST", s.api+"/api/v1/vault/"+o.ID+"/retry", `{"by":"ann","reason":"fixed there"}`)
	if code != 200 || s.woken != 1 {
		t.Errorf("%d %s, woken %d times", code, text, s.woken)
	}
	if _, text := fetch(t, "GET", s.api+"/api/v1/vault?attention=true", ""); text != "" {
		t.Errorf("still refused: %s", text)
	}
}

func TestExportIsAPart10File(t *testing.T) {
	s := newSite(t)
	dataSet := "\x08\x00\x16\x00UI\x1a\x001.2.840.10008.5.1.4.1.1.2\x00"
	o := s.keep(t, inVault("1.2", "eicar"), dataSet)
	_, text := fetch(t, "POST", s.api+"/api/v1/vault/"+o.ID+"/export", `{"by":"ann","reason":"analysis"}`)
	if len(text) < 200 || text[128:132] != "DICM" || !strings.HasSuffix(text, dataSet) {
		t.Errorf("%q", text)
	}
	if !strings.Contains(text, "1.2.840.10008.1.2.1\x00") {
		t.Error("the file does not name its transfer syntax")
	}
	file := inVault("1.2", "eicar")
	file.TransferSyntaxUID = "" // it came as a file
	o = s.keep(t, file, "MZ whatever")
	if _, text := fetch(t, "POST", s.api+"/api/v1/vault/"+o.ID+"/export", `{"by":"ann","reason":"analysis"}`); text != "MZ whatever" {
		t.Errorf("%q", text)
	}
}

func TestLedgerOverTheSocket(t *testing.T) {
	s := newSite(t)
	s.keep(t, inVault("1.2", "eicar"), "x")
	_, text := fetch(t, "GET", s.api+"/api/v1/ledger?n=1", "")
	var r ledger.Record
	if err := json.Unmarshal([]byte(text), &r); err != nil || r.Kind != "object.held" {
		t.Errorf("%s, %v", text, err)
	}
	for _, n := range []string{"0", "-1", "x", "100000000"} {
		if code, _ := fetch(t, "GET", s.api+"/api/v1/ledger?n="+n, ""); code != http.StatusBadRequest {
			t.Errorf("n=%s: %d", n, code)
		}
	}
	_, export := fetch(t, "GET", s.api+"/api/v1/ledger/export", "")
	if _, err := ledger.Verify(bytes.NewReader([]byte(export)), ledger.VerifyOptions{}); err != nil {
		t.Error(err)
	}
}

func TestHeadersAreBounded(t *testing.T) {
	s := newSite(t)
	rq, _ := http.NewRequestWithContext(t.Context(), "GET", s.page+"/", nil)
	rq.Header.Set("X-Long", strings.Repeat("x", 64<<10))
	rsp, err := http.DefaultClient.Do(rq)
	if err != nil {
		return // cut off
	}
	rsp.Body.Close()
	if rsp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%d", rsp.StatusCode)
	}
}

func TestStopDoesNotWaitForASlowReader(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	begun := make(chan bool, 1)
	endless := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun <- true
		out := answer.NewStream(w)
		for r.Context().Err() == nil {
			if _, err := out.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	})
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, endless, slog.New(slog.DiscardHandler)) }() // ends with cancel
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n") // and never reads
	<-begun
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("still serving")
	}
}
