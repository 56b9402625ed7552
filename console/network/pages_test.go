package network

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
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
	"cordon/console/view"
	"cordon/console/watch"
	"cordon/custody"
	"cordon/firewall"
	"cordon/ledger"
	"cordon/media"
	"cordon/network"
	"cordon/people"
	"cordon/plan"
	"cordon/store"
	"cordon/ticket"
	"cordon/transparent"
)

// hostile is a text that would be a script if a page did not escape it.
const hostile = `<script>alert(1)</script>"'>`

func nets(all ...string) (out []netip.Prefix) {
	for _, a := range all {
		out = append(out, netip.MustParsePrefix(a))
	}
	return out
}

type nowhere struct{}

func (nowhere) Passed(string, netip.AddrPort, time.Time, time.Time) error { return nil }

// site is the pages of a small hospital, whose firewall is never started.
type site struct {
	t      *testing.T
	server *httptest.Server
	who    people.Identity
}

// seen is a watch that has noticed nothing.
func seen(db *store.DB) func(context.Context) (watch.Network, error) {
	return func(ctx context.Context) (watch.Network, error) {
		return network.New(ctx, network.Config{}, network.Parts{DB: db})
	}
}

func newSite(t *testing.T) *site {
	t.Helper()
	ctx, dir := context.Background(), t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db, err := store.OpenDB(ctx, filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations(), custody.Migrations(), ticket.Migrations(), plan.Migrations(), transparent.Migrations(), network.Migrations()})
	must(err)
	t.Cleanup(func() { db.Close() })
	l, err := ledger.Open(ctx, db, filepath.Join(dir, "ledger.key"), "test")
	must(err)
	keeper, err := custody.Open(ctx, db, dir, l, custody.Options{})
	must(err)
	fire, err := firewall.Open(firewall.Options{Collect: true})
	must(err)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	desk, err := ticket.New(ctx, ticket.Config{}, ticket.Parts{
		DB: db, Journal: l, Seal: keeper, Firewall: fire, Log: log,
		Lookup: func(_ context.Context, name string) (ticket.Place, error) {
			return ticket.Place{Addresses: nets("10.1.0.3/32"), Critical: name == "or-1"}, nil
		},
		Whose:      func(context.Context, netip.Addr) (string, error) { return "", nil },
		Imports:    func(context.Context, time.Time, func(media.Summary) bool) error { return nil },
		SamePerson: func(a, b string) bool { return custody.FoldName(a) == custody.FoldName(b) },
		Link:       func(netip.Addr) (string, bool) { return "", false },
	})
	must(err)
	now := time.Now()
	book, err := plan.Open(ctx, plan.Parts{DB: db, Journal: l, Firewall: fire, Log: log, Sources: func(context.Context) (plan.Sources, error) {
		return plan.Sources{
			Zones: []plan.Zone{{Name: "modalities", Networks: nets("10.1.0.0/24", "fd01::/64")}, {Name: "archive", Networks: nets("10.2.0.0/24")}, {Name: "visitors", Networks: nets("10.9.0.0/16"), Closed: true}},
			Devices: []plan.Device{
				{Name: "us-3", Addresses: nets("10.1.0.3/32"), Flows: []asset.Flow{{Purpose: "time", To: nets("10.5.0.123/32"), Protocol: "udp", Port: 123, Needed: true, Source: asset.FromConfig}, {Purpose: "service", To: nets("10.8.0.0/24"), Protocol: "tcp", Port: 5900, Inbound: true, Source: asset.FromMUD}}},
				{Name: "ct-1", Addresses: nets("10.1.0.21/32")},
			},
			Archives: []plan.Archive{{Name: "pacs", Addresses: nets("10.2.0.1/32"), Port: 104}},
			Gateway:  nets("10.1.0.1/32"), Ports: []uint16{104}, Watching: now.Add(-1000 * time.Hour),
			Seen: []plan.Seen{
				{From: netip.MustParseAddr("10.1.0.3"), To: netip.MustParseAddr("10.5.0.123"), Protocol: 17, Port: 123, Last: now.Add(-time.Minute), Times: 900},
				{From: netip.MustParseAddr("10.1.0.3"), To: netip.MustParseAddr("10.1.0.21"), Protocol: 6, Port: 445, Last: now.Add(-time.Hour), Times: 12},
			},
		}, nil
	}})
	must(err)
	mode, err := transparent.Open(ctx, transparent.Config{Port: 10104, From: nets("10.1.0.0/24"), Archives: []transparent.Archive{{Name: "pacs", To: netip.MustParseAddrPort("10.2.0.1:104")}}},
		transparent.Parts{DB: db, Journal: l, Past: nowhere{}, Firewall: fire, Log: log})
	must(err)
	v := view.New(view.Config{Site: "Test", Version: "0"})
	s := &site{t: t, who: people.Identity{Name: "Ada Ashe", Roles: []people.Role{people.Administrator}, How: people.Password, SignedIn: now}}
	mux := http.NewServeMux()
	for _, r := range append(Routes(Parts{Tickets: desk, Plan: book, Transparent: mode, View: v, Watch: seen(db), Sensors: func() []watch.Sensor { return []watch.Sensor{{Name: "mirror", Kind: "capture", Sees: true}} }}), v.Routes()...) {
		mux.HandleFunc(r.Method+" "+r.Pattern, func(w http.ResponseWriter, rq *http.Request) {
			if !s.who.May(r.May) {
				http.Error(w, "no", http.StatusForbidden)
				return
			}
			r.Handler(w, rq.WithContext(people.With(rq.Context(), s.who)))
		})
	}
	s.server = httptest.NewServer(mux)
	t.Cleanup(s.server.Close)
	return s
}

func (s *site) get(path string) (int, string) {
	s.t.Helper()
	rsp, err := s.server.Client().Get(s.server.URL + path)
	return s.read(rsp, err)
}

func (s *site) post(path string, form url.Values) (int, string) {
	s.t.Helper()
	rsp, err := s.server.Client().PostForm(s.server.URL+path, form)
	return s.read(rsp, err)
}

func (s *site) read(rsp *http.Response, err error) (int, string) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	defer rsp.Body.Close()
	text, err := io.ReadAll(rsp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return rsp.StatusCode, string(text)
}

// ticket fills in the form.
func (s *site) ticket(fields map[string]string, files map[string]string) (int, string) {
	s.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for name, value := range fields {
		form.WriteField(name, value)
	}
	for name, text := range files {
		f, err := form.CreateFormFile(name, name+hostile+".txt")
		if err != nil {
			s.t.Fatal(err)
		}
		io.WriteString(f, text)
	}
	form.Close()
	rsp, err := s.server.Client().Post(s.server.URL+"/tickets", form.FormDataContentType(), &body)
	return s.read(rsp, err)
}

func fields() map[string]string {
	return map[string]string{"kind": "laptop", "sponsor": "Ada Ashe", "visitor": hostile, "purpose": "probe " + hostile, "address": "10.9.0.5", "to": "us-3:104, us-3:5000/udp", "for": "4h"}
}

var clean = map[string]string{"declaration": "ours", "report": `{"path":"a","verdict":"admit"}`}

func TestTicketsByHand(t *testing.T) {
	s := newSite(t)
	if code, page := s.get("/tickets"); code != 200 || !strings.Contains(page, "Nobody is let in.") || !strings.Contains(page, "Open a ticket") {
		t.Errorf("%d\n%s", code, page)
	}
	if code, page := s.ticket(fields(), nil); code != 400 || !strings.Contains(page, "it lacks: the declaration") || !strings.Contains(page, `value="10.9.0.5"`) {
		t.Errorf("%d: what is missing is not said, or what was filled in is gone\n%s", code, page)
	}
	code, page := s.ticket(fields(), clean)
	if code != 200 || !strings.Contains(page, "The ticket is open.") || !strings.Contains(page, "us-3:5000/udp") || !strings.Contains(page, "1 of 1 files clean") {
		t.Errorf("%d\n%s", code, page)
	}
	if strings.Contains(page, "<script>alert") {
		t.Error("a text is a script")
	}
	if code, text := s.get("/tickets/1/documents/declaration"); code != 200 || text != "ours" {
		t.Errorf("%d %q", code, text)
	}
	if code, page := s.post("/tickets/1/extend", url.Values{"for": {"6h"}, "reason": {"not ready"}}); code != 200 || !strings.Contains(page, "lasts longer") {
		t.Errorf("%d\n%s", code, page)
	}
	if code, page := s.post("/tickets/1/close", url.Values{"reason": {"done"}}); code != 200 || !strings.Contains(page, "done") || strings.Contains(page, "/tickets/1/close") {
		t.Errorf("%d\n%s", code, page)
	}
	if code, page := s.get("/tickets?all=true"); code != 200 || !strings.Contains(page, "closed") || strings.Contains(page, "<script>alert") {
		t.Errorf("%d\n%s", code, page)
	}
	if code, _ := s.get("/tickets/99"); code != 404 {
		t.Error(code)
	}
}

func TestRemoteServiceByHand(t *testing.T) {
	s := newSite(t)
	f := fields()
	f["kind"] = "remote"
	if code, page := s.ticket(f, map[string]string{"declaration": "ours"}); code != 200 || !strings.Contains(page, "A second person has to agree") || !strings.Contains(page, "/tickets/1/approve") {
		t.Errorf("%d\n%s", code, page)
	}
	if code, page := s.post("/tickets/1/approve", url.Values{"reason": {"fine"}}); code != 409 || !strings.Contains(page, "somebody else has to agree") {
		t.Errorf("%d\n%s", code, page)
	}
}

func TestThePlanByHand(t *testing.T) {
	s := newSite(t)
	code, page := s.get("/plan")
	for _, want := range []string{"What would break", "tcp 445", "us-3", "udp 123", "Unused permissions", "5900"} {
		if code != 200 || !strings.Contains(page, want) {
			t.Errorf("%d: %s is not there", code, want)
		}
	}
	_, rest, _ := strings.Cut(page, `name="digest" value="`)
	digest, _, _ := strings.Cut(rest, `"`)
	if code, page := s.post("/plan/apply", url.Values{"mode": {"enforce"}, "digest": {"0000000000000000"}, "reason": {"now"}}); code != 409 || !strings.Contains(page, "has changed") {
		t.Errorf("%d\n%s", code, page)
	}
	if code, page := s.post("/plan/apply", url.Values{"mode": {"shadow"}, "digest": {digest}, "reason": {"step one"}}); code != 200 || !strings.Contains(page, "The plan is in shadow.") {
		t.Errorf("%d\n%s", code, page)
	}
	if code, page := s.post("/plan/apply", url.Values{"mode": {"enforce"}, "digest": {digest}, "reason": {"step two"}}); code != 200 || !strings.Contains(page, "/plan/confirm") {
		t.Errorf("%d\n%s", code, page)
	}
	if code, page := s.get("/network"); code != 200 || !strings.Contains(page, "on trial") || !strings.Contains(page, "closed without a ticket") || !strings.Contains(page, "10.2.0.1:104") || !strings.Contains(page, "mirror") {
		t.Errorf("%d\n%s", code, page)
	}
	if code, page := s.post("/plan/confirm", url.Values{"reason": {"all rooms scan"}}); code != 200 || !strings.Contains(page, "stays enforced") {
		t.Errorf("%d\n%s", code, page)
	}
	if code, page := s.post("/plan/off", url.Values{"reason": {"enough"}}); code != 200 || !strings.Contains(page, "No plan is applied.") {
		t.Errorf("%d\n%s", code, page)
	}
}

// Who may only look is shown nothing to press.
func TestWhoMayOnlyLook(t *testing.T) {
	s := newSite(t)
	s.who.Roles = []people.Role{people.Auditor}
	for _, path := range []string{"/network", "/plan", "/tickets"} {
		code, page := s.get(path)
		if code != 200 || strings.Contains(page, `action="/plan`) || strings.Contains(page, `action="/tickets"`) || strings.Contains(page, `action="/network`) {
			t.Errorf("%s: %d\n%s", path, code, page)
		}
	}
	for _, path := range []string{"/tickets/1/close", "/tickets/1/confirm", "/plan/apply", "/plan/off", "/tickets/1/approve", "/network/transparent"} {
		if code, _ := s.post(path, url.Values{}); code != http.StatusForbidden {
			t.Errorf("%s: %d", path, code)
		}
	}
	if _, page := s.get("/tickets"); len(page) > 150<<10 {
		t.Error(fmt.Sprint(len(page)))
	}
}
