package incidents

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cordon/console/view"
	"cordon/custody"
	"cordon/incident"
	"cordon/ledger"
	"cordon/people"
	"cordon/store"
)

// The page of an incident says whose it is, in its heading and with a link.
func TestIncidentNamesItsDevice(t *testing.T) {
	dir := t.TempDir()
	db, err := store.OpenDB(t.Context(), filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations(), incident.Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	l, err := ledger.Open(t.Context(), db, filepath.Join(dir, "ledger.key"), "example")
	if err != nil {
		t.Fatal(err)
	}
	all, err := incident.Open(t.Context(), db, l)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { // ends with ctx
		done <- all.Run(ctx, func(context.Context, []incident.Overdue) {}, slog.New(slog.DiscardHandler))
	}()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	if err := all.Begin(t.Context(), "ct-2", custody.Request{By: "A. Able", Reason: "windows that nobody opened"}); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for _, r := range Routes(Parts{Incidents: all, View: view.New(view.Config{Site: "Test", Version: "1"})}) {
		mux.HandleFunc(r.Method+" "+r.Pattern, r.Handler)
	}
	id := people.Identity{Name: "A. Able", Roles: []people.Role{people.Administrator}, How: people.Password, SignedIn: time.Now()}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/incidents/1", nil)
		mux.ServeHTTP(w, r.WithContext(people.With(r.Context(), id)))
		page := w.Body.String()
		if w.Code == 200 {
			if !strings.Contains(page, "<h1>Incident 1: ct-2</h1>") || !strings.Contains(page, `<a href="/devices/ct-2">ct-2</a>`) {
				t.Error(page)
			}
			return
		}
		if time.Now().After(end) {
			t.Fatal(w.Code, page)
		}
	}
}

func TestReactionIsAsPreciseAsItIsShort(t *testing.T) {
	first := time.Date(2026, 11, 22, 6, 46, 0, 339606000, time.UTC)
	for want, took := range map[string]time.Duration{"12m25s": 12*time.Minute + 24820*time.Millisecond, "850ms": 850*time.Millisecond + 123*time.Microsecond} {
		var s shown
		s.First, s.Contained = first, first.Add(took)
		if got := s.Reaction(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
