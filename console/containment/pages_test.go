package containment

import (
	"bytes"
	"context"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cordon/asset"
	"cordon/console/view"
	"cordon/contain"
	"cordon/custody"
	"cordon/firewall"
	"cordon/people"
	"cordon/store"
)

type journal struct{}

func (journal) Append(*store.Tx, string, any) error { return nil }

// site serves the pages for who signed in as somebody.
type site struct {
	t         *testing.T
	mux       *http.ServeMux
	contained *contain.Containments
	by        string
}

func newSite(t *testing.T) *site {
	t.Helper()
	db, err := store.OpenDB(t.Context(), filepath.Join(t.TempDir(), "cordon.db"), []store.Migrations{contain.Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	last := time.Now().Add(-time.Minute)
	c, err := contain.Open(t.Context(), contain.Parts{
		DB: db, Journal: journal{}, Enforcer: contain.Paper{}, Log: slog.New(slog.DiscardHandler),
		Devices: func(context.Context) ([]contain.Device, error) {
			return []contain.Device{{Name: "us-1", Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.1.5/32")}, Flows: []asset.Flow{
				{Purpose: "dns", Protocol: "udp", Port: 53, To: []netip.Prefix{netip.MustParsePrefix("10.9.0.53/32")}, Needed: true},
				{Purpose: "time", Protocol: "udp", Port: 123, Needed: true},
			}}}, nil
		},
		Seen: func(context.Context) ([]contain.Seen, error) {
			return []contain.Seen{
				{Device: "us-1", Peer: netip.MustParseAddr("10.1.40.40"), Name: "<b>files</b>", Protocol: "tcp", Port: 445, Last: last, Bytes: 4096},
				{Device: "us-1", Peer: netip.MustParseAddr("10.0.0.1"), Protocol: "tcp", Port: 104, Gateway: true, Last: last},
			}, nil
		},
		Depends: func(context.Context, string) []string { return []string{"It last came a minute ago."} },
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, mux: http.NewServeMux(), contained: c, by: "A. Able"}
	for _, r := range Routes(Parts{
		Contained: c, View: view.New(view.Config{Site: "Test"}),
		Gateways: func() []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:104")} },
		Waiting:  func(context.Context, string) (int, time.Time, error) { return 3, last, nil },
		Firewall: func(context.Context) (firewall.State, error) { return firewall.State{Empty: true}, nil },
		Pass:     func(context.Context, string, custody.Request) (int, error) { return 3, nil },
	}) {
		s.mux.HandleFunc(r.Method+" "+r.Pattern, r.Handler)
	}
	return s
}

func (s *site) ask(method, path, media string, body *bytes.Buffer) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, body)
	r.Header.Set("Content-Type", media)
	id := people.Identity{Name: s.by, Roles: []people.Role{people.Security}, How: people.Password, SignedIn: time.Now()}
	w := httptest.NewRecorder()
	s.mux.ServeHTTP(w, r.WithContext(people.With(r.Context(), id)))
	return w
}

func (s *site) page(path string, wants ...string) {
	s.t.Helper()
	w := s.ask("GET", path, "", &bytes.Buffer{})
	for _, want := range wants {
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
			s.t.Errorf("%s: %d, without %q:\n%s", path, w.Code, want, w.Body)
			return
		}
	}
}

func (s *site) form(path, body string) *httptest.ResponseRecorder {
	return s.ask("POST", path, "application/x-www-form-urlencoded", bytes.NewBufferString(body))
}

func TestRedButtonShowsWhatItDoesAndDoesIt(t *testing.T) {
	s := newSite(t)
	s.page("/contained", "nobody is contained")
	s.page("/devices/us-1/contain", "&lt;b&gt;files&lt;/b&gt;", "tcp/445", "dns: <code>udp/53</code>", "It last came a minute ago.", "Contain us-1 now: images only", "CORDON-US-1-OUT")
	s.page("/devices/us-1/contain?level=cut", "It loses everything", "Nothing.")
	s.page("/devices/us-1/contain?level=observe", "Nothing stops")
	if w := s.form("/devices/us-1/contain?level=image_only", "level=image_only&for=4h"); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "why?") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := s.form("/devices/us-1/contain", "level=image_only&for=4h&reason=worm"); w.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if got := s.contained.Of("us-1"); got != firewall.ImageOnly {
		t.Error(got)
	}
	s.page("/devices/us-1/contain", "not enforced", "by A. Able", "restored by itself at", "Restore it", "3 objects wait")
	s.page("/contained", "us-1", "worm", "1 contained")
}

func TestRestoringOnThePageTakesTwoAndKeepsTheReport(t *testing.T) {
	s := newSite(t)
	s.form("/devices/us-1/contain", "level=image_only&reason=worm")
	restore := func() *httptest.ResponseRecorder {
		var b bytes.Buffer
		m := multipart.NewWriter(&b)
		m.WriteField("checked", "disk scanned offline")
		m.WriteField("tool", "Scanner 1.2")
		m.WriteField("dated", "2026-01-31")
		m.WriteField("reason", "clean")
		f, err := m.CreateFormFile("files", "scan.txt")
		if err != nil {
			t.Fatal(err)
		}
		f.Write([]byte("Infected files: 0\n"))
		m.Close()
		return s.ask("POST", "/devices/us-1/restore", m.FormDataContentType(), &b)
	}
	if w := restore(); w.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	s.page("/devices/us-1/contain", "A. Able says that it is clean", "scan.txt")
	if w := restore(); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "second person") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	s.by = "B. Baker"
	if w := restore(); w.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	s.page("/contained", "restored by people", "disk scanned offline", "scan.txt")
}
