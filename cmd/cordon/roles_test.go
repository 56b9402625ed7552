package main

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"cordon/alarm"
	"cordon/console"
	"cordon/console/route"
	"cordon/custody"
	"cordon/people"
	"cordon/store"
)

// Who may do what, by request: each route of the console × everybody who can ask.
// The file is what the tests found; UPDATE=1 writes it anew, and whoever does reads
// the difference.
const (
	rolesFile = "../../console/testdata/roles.txt"
	rolesPage = "../../docs/people.md"
)

// visitor is somebody who asks.
type visitor struct {
	name   string
	cookie string // of a session
	bearer string
	socket bool
}

// hospital is a console with everybody in it.
type hospital struct {
	parts    *parts
	console  *console.Console
	visitors []visitor
}

const testPassword = "four words of one's own"

// newHospital opens a data directory. Until populate nobody has an account.
func newHospital(t *testing.T) *hospital {
	t.Helper()
	config := defaults()
	config.Data, config.Site = t.TempDir(), "Test Hospital"
	p, err := openParts(t.Context(), config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.close(); err != nil {
			t.Error(err)
		}
	})
	c := console.New(console.Config{Site: config.Site, Version: "1"}, p.consoleParts(config))
	return &hospital{parts: p, console: c}
}

// populate makes an account of each role, and everybody else who asks.
func (h *hospital) populate(t *testing.T) {
	t.Helper()
	h.visitors = append(h.visitors, visitor{name: "nobody"})
	var admin people.Identity
	for _, g := range people.Grants() {
		e := h.join(t, "Person "+string(g.Role), g.Role)
		h.visitors = append(h.visitors, visitor{name: string(g.Role), cookie: e.Secret})
		if g.Role == people.Administrator {
			admin, _ = h.parts.people.Session(t.Context(), e.Secret, false)
		}
	}
	_, secret, err := h.parts.people.MakeToken(t.Context(), admin, "x", []people.Permission{people.DeviceRead, people.DeviceChange}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	stale, ended := h.join(t, "Person stale", people.Administrator), h.join(t, "Person ended", people.Administrator)
	h.age(t, "Person stale", 6*time.Minute)
	h.age(t, "Person ended", time.Hour)
	h.visitors = append(h.visitors,
		visitor{name: "token", bearer: secret}, // an administrator's, for device:read and device:change
		visitor{name: "stale", cookie: stale.Secret},
		visitor{name: "ended", cookie: ended.Secret},
		visitor{name: "bad", bearer: people.TokenPrefix + "nonsense"},
		visitor{name: "socket", socket: true},
		visitor{name: "socket+token", socket: true, bearer: secret},
	)
}

func (h *hospital) join(t *testing.T, name string, role people.Role) people.Entry {
	t.Helper()
	c := people.Change{Roles: []people.Role{role}}
	if role == people.Vendor {
		c.Products = []string{"ACME"}
	}
	_, l, err := h.parts.people.Invite(t.Context(), name, c, custody.Request{By: "test", Reason: "test"})
	if err != nil {
		t.Fatal(err)
	}
	e, err := h.parts.people.Join(t.Context(), l.Secret, "", people.Proof{Password: testPassword}, people.Origin{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// age moves somebody's session into the past.
func (h *hospital) age(t *testing.T, name string, by time.Duration) {
	t.Helper()
	v, err := h.parts.people.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	err = h.parts.db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE people_session SET used_at = used_at - ?1, signed_in_at = signed_in_at - ?1, created_at = created_at - ?1 WHERE account = ?2`, by.Microseconds(), v.ID)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

const reached = "the handler was reached"

// marked is the guarded console with handlers that do nothing but say so.
func (h *hospital) marked(socket bool) http.Handler {
	mux := http.NewServeMux()
	for _, rt := range h.console.Routes() {
		rt.Handler = func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, reached) }
		switch {
		case !socket:
			mux.Handle(rt.Method+" "+rt.Pattern, h.parts.guard.TCP(rt))
		case rt.API():
			mux.Handle(rt.Method+" "+rt.Pattern, h.parts.guard.Socket(rt))
		}
	}
	return mux
}

var wild = regexp.MustCompile(`\{[^}]*\}`)

// request is one for a route.
func (v visitor) request(rt route.Route) *http.Request {
	path := wild.ReplaceAllString(strings.ReplaceAll(rt.Pattern, "{$}", ""), "x")
	r := httptest.NewRequest(rt.Method, path, strings.NewReader("{}"))
	if v.cookie != "" {
		r.AddCookie(&http.Cookie{Name: "cordon", Value: v.cookie})
	}
	if v.bearer != "" {
		r.Header.Set("Authorization", "Bearer "+v.bearer)
	}
	r.Header.Set("Content-Type", "application/json")
	return r
}

// verdict is one cell of the table.
func verdict(t *testing.T, h http.Handler, v visitor, rt route.Route) string {
	t.Helper()
	if v.socket && !rt.API() {
		return " " // pages are not there
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, v.request(rt))
	switch body := w.Body.String(); {
	case body == reached:
		return "+"
	case strings.Contains(body, reached):
		t.Errorf("%s %s as %s: turned away, and the handler was reached", rt.Method, rt.Pattern, v.name)
	case w.Code == http.StatusForbidden, rt.Pattern == "/{$}" && w.Header().Get("Location") == "/devices":
		return "-" // a vendor is sent to the first page of theirs
	case w.Code == http.StatusUnauthorized && strings.Contains(body, "5 minutes ago"), strings.HasPrefix(w.Header().Get("Location"), "/again"):
		return "~"
	case w.Code == http.StatusUnauthorized, strings.HasPrefix(w.Header().Get("Location"), "/login"):
		return "."
	}
	t.Errorf("%s %s as %s: status %d: %.200s", rt.Method, rt.Pattern, v.name, w.Code, w.Body)
	return "?"
}

func TestWhoMayDoWhat(t *testing.T) {
	h := newHospital(t)
	early := []visitor{{name: "early"}, {name: "early socket", socket: true}}
	cells := map[string]string{}
	key := func(rt route.Route, v visitor) string { return rt.Method + " " + rt.Pattern + " " + v.name }
	fill := func(visitors []visitor) {
		tcp, socket := h.marked(false), h.marked(true)
		for _, rt := range h.console.Routes() {
			for _, v := range visitors {
				handler := tcp
				if v.socket {
					handler = socket
				}
				cells[key(rt, v)] = verdict(t, handler, v, rt)
			}
		}
	}
	fill(early)
	h.populate(t)
	fill(h.visitors)

	var out strings.Builder
	all := append(early, h.visitors...)
	out.WriteString("# + let in   . nobody is signed in (401)   - may not (403)   ~ has to say again who they are (401)\n")
	out.WriteString("# token: an administrator's, for device:read and device:change; stale: an administrator who signed in 6 minutes ago\n")
	for i, v := range all {
		fmt.Fprintf(&out, "# %s%s\n", strings.Repeat("| ", i), v.name)
	}
	for _, rt := range h.console.Routes() {
		out.WriteString("  ")
		for _, v := range all {
			out.WriteString(cells[key(rt, v)] + " ")
		}
		fmt.Fprintf(&out, " %-4s %s  %s", rt.Method, rt.Pattern, rt.May)
		if rt.Fresh {
			out.WriteString(" fresh")
		}
		if rt.Asserted {
			out.WriteString(" asserted")
		}
		out.WriteString("\n")
	}
	same(t, rolesFile, out.String())
	page, err := os.ReadFile(rolesPage)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(page), "<!-- table: roles -->\n")
	_, tail, ok2 := strings.Cut(rest, "<!-- end -->")
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", rolesPage)
	}
	same(t, rolesPage, head+"<!-- table: roles -->\n```\n"+out.String()+"```\n<!-- end -->"+tail)
}

// same holds a file against what it should be.
func same(t *testing.T, path, want string) {
	t.Helper()
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s is not what was found; read the difference after UPDATE=1 go test ./cmd/cordon -run TestWhoMayDoWhat", path)
	}
}

// What a page asks of whoever decides, the interface asks as well.
func TestOneRuleForPageAndInterface(t *testing.T) {
	elsewhere := strings.NewReplacer("/held/", "/vault/", "/reviews/", "/review/", "/engines/recalls/", "/recall/", "/people/emergencies/", "/emergencies/", "/transparent", "/transparent/on")
	rules := map[string]route.Route{}
	for _, r := range newHospital(t).console.Routes() {
		rules[r.Method+" "+r.Pattern] = r
	}
	both := 0
	for _, page := range rules {
		if page.Method != http.MethodPost || page.API() {
			continue
		}
		twin, ok := rules["POST /api/v1"+page.Pattern]
		if !ok {
			twin, ok = rules["POST /api/v1"+elsewhere.Replace(strings.TrimPrefix(page.Pattern, "/network"))]
		}
		if !ok {
			continue
		}
		both++
		if page.May != twin.May || page.Fresh != twin.Fresh {
			t.Errorf("%s: %s, fresh %t; %s: %s, fresh %t", page.Pattern, page.May, page.Fresh, twin.Pattern, twin.May, twin.Fresh)
		}
	}
	if both < 50 {
		t.Errorf("%d decisions are in both", both)
	}
}

// Each kind of alarm leads to a page that is there.
func TestAlarmsLeadToPages(t *testing.T) {
	pages := map[string]bool{"/": true}
	for _, r := range newHospital(t).console.Routes() {
		pages[r.Pattern] = pages[r.Pattern] || r.Method == http.MethodGet
	}
	for _, k := range alarm.Kinds() {
		if k.Page != "" && !pages[k.Page] {
			t.Errorf("%s leads to %s", k.Name, k.Page)
		}
	}
}

// Whoever may not has no effect: with the real handlers, nothing is written.
func TestWhoMayNotChangesNothing(t *testing.T) {
	h := newHospital(t)
	h.populate(t)
	marked := map[bool]http.Handler{false: h.marked(false), true: h.marked(true)}
	real := map[bool]http.Handler{false: h.console.Handler(), true: h.console.API()}
	before := h.rows(t)
	asked := 0
	for _, rt := range h.console.Routes() {
		for _, v := range h.visitors {
			if verdict(t, marked[v.socket], v, rt) == "+" || v.socket && !rt.API() {
				continue
			}
			r := v.request(rt)
			r.RemoteAddr = "192.0.2.1:1"
			w := httptest.NewRecorder()
			real[v.socket].ServeHTTP(w, r)
			if w.Code < 300 {
				t.Errorf("%s %s as %s: %d", rt.Method, rt.Pattern, v.name, w.Code)
			}
			asked++
		}
	}
	if after := h.rows(t); after != before {
		t.Errorf("after %d requests that were turned away the database differs:\n%s\n%s", asked, before, after)
	}
}

// rows counts what is in each table, but for when sessions and tokens were used.
func (h *hospital) rows(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	err := h.parts.db.View(t.Context(), func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`)
		if err != nil {
			return err
		}
		defer rows.Close()
		var names []string
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return err
			}
			names = append(names, name)
		}
		for _, name := range names {
			var n int
			if err := tx.QueryRow(`SELECT COUNT(*) FROM "` + name + `"`).Scan(&n); err != nil {
				return err
			}
			if !strings.HasPrefix(name, "ledger_checkpoint") && !strings.HasPrefix(name, "ledger_search") && !strings.HasPrefix(name, "search_") {
				fmt.Fprintf(&out, "%s %d\n", name, n)
			}
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// No way to write a path or a method leads to a handler past its guard.
func TestNoSpellingLeadsPastTheGuard(t *testing.T) {
	h := newHospital(t)
	h.populate(t)
	server := httptest.NewServer(h.marked(false))
	defer server.Close()
	address := server.Listener.Addr().String()
	spell := []func(method, path string) (string, string, string){
		func(m, p string) (string, string, string) { return m, "/" + p, "" },
		func(m, p string) (string, string, string) { return m, "/." + p, "" },
		func(m, p string) (string, string, string) { return m, "/login/.." + p, "" },
		func(m, p string) (string, string, string) { return m, "/login/%2e%2e" + p, "" },
		func(m, p string) (string, string, string) { return m, "/healthz/..%2f" + p[1:], "" },
		func(m, p string) (string, string, string) { return m, strings.ReplaceAll(p, "/", "%2F"), "" },
		func(m, p string) (string, string, string) { return m, strings.ReplaceAll(p, "/", "//"), "" },
		func(m, p string) (string, string, string) { return m, p + "/", "" },
		func(m, p string) (string, string, string) { return m, p + "/.", "" },
		func(m, p string) (string, string, string) { return m, p + ";x=y", "" },
		func(m, p string) (string, string, string) { return m, p + "?/login", "" },
		func(m, p string) (string, string, string) { return m, p + "%00", "" },
		func(m, p string) (string, string, string) { return m, strings.ToUpper(p), "" },
		func(m, p string) (string, string, string) { return m, "http://localhost" + p, "" },
		func(m, p string) (string, string, string) { return m, strings.ReplaceAll(p, "/", `\`), "" },
		func(m, p string) (string, string, string) { return "HEAD", p, "" },
		func(m, p string) (string, string, string) { return "OPTIONS", p, "" },
		func(m, p string) (string, string, string) { return "TRACE", p, "" },
		func(m, p string) (string, string, string) { return strings.ToLower(m), p, "" },
		func(m, p string) (string, string, string) { return "GET", p, "X-HTTP-Method-Override: " + m + "\r\n" },
		func(m, p string) (string, string, string) {
			return "POST", "/login", "X-Original-URL: " + p + "\r\nX-Rewrite-URL: " + p + "\r\n"
		},
		func(m, p string) (string, string, string) {
			return m, p, "X-Forwarded-For: 127.0.0.1\r\nForwarded: for=127.0.0.1\r\nX-Remote-User: Person administrator\r\n"
		},
		func(m, p string) (string, string, string) {
			return m, p, "Authorization: Basic cGVyc29uOnBhc3N3b3Jk\r\n"
		},
		func(m, p string) (string, string, string) {
			return m, p, "Authorization: Bearer\r\nAuthorization: Bearer x\r\n"
		},
		func(m, p string) (string, string, string) {
			return m, p, "Cookie: cordon=; cordon=x; __Host-cordon=x\r\n"
		},
	}
	for _, rt := range h.console.Routes() {
		if rt.May == people.Anybody {
			continue
		}
		path := wild.ReplaceAllString(strings.ReplaceAll(rt.Pattern, "{$}", ""), "x")
		for i, way := range spell {
			method, target, headers := way(rt.Method, path)
			answer := raw(t, address, method+" "+target+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"+headers+"\r\n")
			if strings.Contains(answer, reached) && !open(h.console.Routes(), method, target) {
				t.Errorf("%s %s, way %d (%s %s): %s", rt.Method, rt.Pattern, i, method, target, answer)
			}
		}
	}
}

// open reports whether a target is itself a route for anybody.
func open(routes []route.Route, method, target string) bool {
	for _, rt := range routes {
		if rt.May == people.Anybody && rt.Method == method && rt.Pattern == target {
			return true
		}
	}
	return false
}

func raw(t *testing.T, address, text string) string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(io.LimitReader(bufio.NewReader(conn), 1<<20))
	if err != nil && len(answer) == 0 {
		t.Fatal(err)
	}
	return string(answer)
}

// A page of another site that has an administrator's browser send a form changes
// nothing, and no page of ours is shown in one of another's.
func TestForeignPagesChangeNothing(t *testing.T) {
	h := newHospital(t)
	h.populate(t)
	var admin visitor
	for _, v := range h.visitors {
		if v.name == string(people.Administrator) {
			admin = v
		}
	}
	handler := h.console.Handler()
	before := h.rows(t)
	for _, rt := range h.console.Routes() {
		if rt.Method == http.MethodGet {
			continue
		}
		for _, header := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
			r := admin.request(rt)
			r.Header.Set(header[0], header[1])
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != http.StatusForbidden {
				t.Errorf("%s %s with %v: %d", rt.Method, rt.Pattern, header, w.Code)
			}
		}
	}
	if after := h.rows(t); after != before {
		t.Errorf("something was changed:\n%s\n%s", before, after)
	}
	for _, path := range []string{"/", "/login", "/people", "/nothing", "/api/v1/status"} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", path, nil)
		r.AddCookie(&http.Cookie{Name: "cordon", Value: admin.cookie})
		handler.ServeHTTP(w, r)
		if p := w.Header().Get("Content-Security-Policy"); !strings.Contains(p, "frame-ancestors 'none'") || !strings.Contains(p, "default-src 'none'") || strings.Contains(p, "unsafe") || w.Header().Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s: %v", path, w.Header())
		}
	}
}

// An auditor reads all and changes nothing but what is their own; what they may send is
// how they read.
func TestAuditorChangesNothing(t *testing.T) {
	reads := []string{"POST /api/v1/ledger/verified", "POST /api/v1/evidence", "POST /api/v1/studies", "POST /studies", "POST /api/v1/incidents/{id}/export", "POST /incidents/{id}/export"}
	for _, rt := range newHospital(t).console.Routes() {
		own := rt.May == people.SignedIn || rt.May == people.Anybody
		if rt.Method != http.MethodGet && people.Auditor.May(rt.May) && !own && !slices.Contains(reads, rt.Method+" "+rt.Pattern) {
			t.Errorf("%s %s is for %s, which an auditor has", rt.Method, rt.Pattern, rt.May)
		}
	}
}
