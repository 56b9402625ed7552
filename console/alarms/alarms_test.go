package alarms

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cordon/alarm"
	"cordon/console/route"
	"cordon/console/view"
	"cordon/ledger"
	"cordon/notice"
	"cordon/people"
	"cordon/store"
)

// away is a recipient that cannot be reached, and says so with hostile words.
type away struct{}

func (away) Name() string { return "webhook" }

func (away) Send(context.Context, notice.Message) error {
	return io.ErrUnexpectedEOF
}

func serve(t *testing.T) (*alarm.Alarms, http.Handler) {
	t.Helper()
	dir := t.TempDir()
	db, err := store.OpenDB(t.Context(), filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations(), alarm.Migrations(), notice.Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	l, err := ledger.Open(t.Context(), db, filepath.Join(dir, "ledger.key"), "test")
	if err != nil {
		t.Fatal(err)
	}
	a, err := alarm.Open(t.Context(), db, l, alarm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	n, err := notice.Open(t.Context(), db, notice.Config{Recipients: []notice.Recipient{{Name: "pager", Way: away{}}}})
	if err != nil {
		t.Fatal(err)
	}
	return a, mux(Routes(Parts{Alarms: a, Notices: func() *notice.Notices { return n }, View: view.New(view.Config{Site: "Test"})}))
}

// mux serves routes to A. Able, who may do everything.
func mux(routes []route.Route) http.Handler {
	m := http.NewServeMux()
	for _, r := range routes {
		m.HandleFunc(r.Method+" "+r.Pattern, r.Handler)
	}
	able := people.Identity{Name: "A. Able", Roles: []people.Role{people.Administrator}, How: people.Password, SignedIn: time.Now()}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.ServeHTTP(w, r.WithContext(people.With(r.Context(), able)))
	})
}

func ask(t *testing.T, h http.Handler, method, path, form string) (int, string) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestAlarmIsSeenToOnThePage(t *testing.T) {
	a, h := serve(t)
	const hostile = `<script>alert("x")</script>`
	for _, subject := range []string{hostile, "ann"} {
		if err := a.Raise(t.Context(), alarm.Alarm{Kind: "people.locked", Subject: subject, Text: hostile, Link: "/people"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		method, path, form string
		code               int
		says               string
	}{
		{"GET", "/alarms", "", 200, "2 that nobody has acknowledged."},
		{"GET", "/alarms?severity=critical", "", 200, "No alarm is open."},
		{"GET", "/alarms?severity=worst", "", 400, "is no severity"},
		{"GET", "/alarms/1", "", 200, "Ask that person."},
		{"GET", "/alarms/x", "", 400, "not the number of an alarm"},
		{"GET", "/alarms/99", "", 404, "no such alarm"},
		{"POST", "/alarms/1/acknowledge", "note=I+look", 303, ""},
		{"POST", "/alarms/1/assign", "to=B.+Best", 303, ""},
		{"POST", "/alarms/1/snooze", "for=soon", 400, "such as 4h"},
		{"POST", "/alarms/1/snooze", "for=4h", 303, ""},
		{"POST", "/alarms/1/close", "note=", 400, "why is it done"},
		{"POST", "/alarms/1/close", "note=it+was+she", 303, ""},
		{"GET", "/alarms?history=true", "", 200, "closed"},
		{"GET", "/alarms/1", "", 200, "it was she"},
		{"POST", "/alarms/recipients/test", "name=pager", 200, "did not arrive"},
		{"POST", "/alarms/recipients/test", "name=nobody", 404, "no such recipient"},
	} {
		code, text := ask(t, h, c.method, c.path, c.form)
		if code != c.code || !strings.Contains(text, c.says) {
			t.Errorf("%s %s: %d, no %q in %s", c.method, c.path, code, c.says, text)
		}
		if strings.Contains(text, "<script>alert") {
			t.Errorf("%s %s: what an alarm says is taken for markup", c.method, c.path)
		}
	}
	if one, steps, err := a.Get(t.Context(), 1); err != nil || one.State != alarm.Closed || len(steps) != 4 || steps[0].By != "A. Able" {
		t.Errorf("%+v %+v %v", one, steps, err)
	}
}

func TestTenThousandAlarmsMakeASmallPage(t *testing.T) {
	a, h := serve(t)
	for i := range alarm.MaxOpen {
		if err := a.Raise(t.Context(), alarm.Alarm{Kind: "people.locked", Subject: strings.Repeat("x", 1+i/100) + string(rune('a'+i%100)), Text: "t"}); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	code, text := ask(t, h, "GET", "/alarms", "")
	if code != 200 || len(text) > 150_000 || time.Since(began) > time.Second {
		t.Errorf("%d, %d bytes, %s", code, len(text), time.Since(began))
	}
}

func TestNobodyActsUnderAnothersName(t *testing.T) {
	a, h := serve(t)
	if err := a.Raise(t.Context(), alarm.Alarm{Kind: "people.locked"}); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "/api/v1/alarms/1/acknowledge", strings.NewReader(`{"by":"B. Best"}`))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusForbidden {
		t.Error(w.Code, w.Body)
	}
}
