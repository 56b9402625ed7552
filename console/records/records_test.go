package records_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cordon/console/records"
	"cordon/console/view"
	"cordon/ledger"
	"cordon/ledger/search"
	"cordon/people"
	"cordon/review"
	"cordon/store"
)

// house serves the pages of a ledger of its own.
type house struct {
	db *store.DB

	ledger  *ledger.Ledger
	reviews *review.Reviews
	mux     *http.ServeMux
	me      people.Identity // who asks
}

func newHouse(t *testing.T) *house {
	t.Helper()
	ctx, dir := t.Context(), t.TempDir()
	db, err := store.OpenDB(ctx, filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations(), search.Migrations(), review.Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	l, err := ledger.Open(ctx, db, filepath.Join(dir, "ledger.key"), "test")
	if err != nil {
		t.Fatal(err)
	}
	h := &house{
		db: db, ledger: l, reviews: review.New(review.Config{Days: 1}, review.Parts{DB: db, Ledger: l, Log: slog.New(slog.DiscardHandler)}),
		mux: http.NewServeMux(), me: people.Identity{Name: "A. Able", Roles: []people.Role{people.Administrator}, How: people.Password},
	}
	for _, r := range records.Routes(records.Parts{Ledger: l, Search: search.Open(db), Reviews: h.reviews, View: view.New(view.Config{Site: "Test"})}) {
		h.mux.Handle(r.Method+" "+r.Pattern, r.Handler)
	}
	return h
}

func (h *house) ask(method, target string, form url.Values) *httptest.ResponseRecorder {
	rq := httptest.NewRequest(method, target, strings.NewReader(form.Encode()))
	rq.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, rq.WithContext(people.With(rq.Context(), h.me)))
	return w
}

const evil = `"><script>alert(1)</script>`

func TestHostileRecordIsShownAsText(t *testing.T) {
	h := newHouse(t)
	if err := h.ledger.Record(t.Context(), "device.approved", map[string]any{"by": []string{evil}, "reason": evil, "device": evil}); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"/ledger", "/ledger/1", "/ledger?kind=" + url.QueryEscape(evil), "/ledger?value=" + url.QueryEscape(evil), "/ledger?from=" + url.QueryEscape(evil)} {
		w := h.ask("GET", target, nil)
		if strings.Contains(w.Body.String(), "<script>alert") || !strings.Contains(w.Body.String(), "&lt;script&gt;alert") {
			t.Errorf("%s: %d\n%s", target, w.Code, w.Body)
		}
	}
}

func TestReadingTheLedgerIsOnTheLedger(t *testing.T) {
	h := newHouse(t)
	for _, target := range []string{"/ledger", "/ledger/0", "/api/v1/ledger/search"} {
		before, _ := h.ledger.Size(t.Context())
		if w := h.ask("GET", target, nil); w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", target, w.Code, w.Body)
		}
		after, _ := h.ledger.Size(t.Context())
		r, _, err := h.ledger.Line(t.Context(), after-1)
		if err != nil || after != before+1 || r.Kind != "ledger.read" || !strings.Contains(string(r.Body), `"by":"A. Able"`) {
			t.Errorf("%s: %d records before, %d after: %s %v", target, before, after, r.Body, err)
		}
	}
}

func TestWhatIsAskedWronglySaysWhatToDo(t *testing.T) {
	h := newHouse(t)
	for target, want := range map[string]int{
		"/ledger?from=yesterday": 400, "/ledger?before=0": 400, "/ledger/99999": 404, "/ledger/x": 404, "/reviews/1999-01-01": 404,
		"/api/v1/ledger/search?n=501": 400, "/api/v1/ledger/search?to=2026-13-01": 400, "/ledger?kind=" + strings.Repeat("x", 300): 400,
	} {
		if w := h.ask("GET", target, nil); w.Code != want {
			t.Errorf("%s: %d, want %d", target, w.Code, want)
		}
	}
}

func TestReviewIsSignedByNobodyWhomItNames(t *testing.T) {
	h := newHouse(t)
	started := func(name string) {
		body := map[string]any{"by": []string{name}, "reason": "test", "device": "", "since": "2026-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}
		if err := h.ledger.Record(t.Context(), "bypass.started", body); err != nil {
			t.Fatal(err)
		}
	}
	started("a.  able")
	if n, err := h.reviews.Make(t.Context(), time.Now().Add(25*time.Hour)); err != nil || n == 0 {
		t.Fatalf("%d reviews: %v", n, err)
	}
	all, err := h.reviews.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := "/reviews/" + all[len(all)-1].ID
	if w := h.ask("GET", at, nil); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "names you") || strings.Contains(w.Body.String(), at+"/sign") {
		t.Errorf("%d\n%s", w.Code, w.Body)
	}
	if w := h.ask("POST", at+"/sign", url.Values{"reason": {"seen"}}); w.Code != http.StatusConflict {
		t.Errorf("signed by whom it names: %d", w.Code)
	}
	h.me.Name = "B. Best"
	if w := h.ask("POST", at+"/sign", url.Values{"reason": {""}}); w.Code != http.StatusBadRequest {
		t.Errorf("signed without a note: %d", w.Code)
	}
	if w := h.ask("POST", at+"/sign", url.Values{"reason": {"it was the drill"}}); w.Code != http.StatusSeeOther {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if one, err := h.reviews.Get(t.Context(), all[len(all)-1].ID); err != nil || one.SignedBy != "B. Best" {
		t.Errorf("%+v %v", one, err)
	}
}

// While an old ledger is indexed its page comes, and says how far that is.
func TestPageSaysHowFarTheIndexIs(t *testing.T) {
	const says = "The ledger is being indexed"
	h := newHouse(t)
	if body := h.ask("GET", "/ledger", nil).Body.String(); strings.Contains(body, says) {
		t.Error("a short ledger is being indexed")
	}
	err := h.db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`WITH RECURSIVE n(i) AS (SELECT MAX(seq) + 1 FROM ledger_records UNION ALL SELECT i + 1 FROM n WHERE i < 70000)
			INSERT INTO ledger_records (seq, data) SELECT i, data FROM n, (SELECT data FROM ledger_records WHERE seq = 0)`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	// The copies have no place in the tree, so that the reading cannot be recorded, and is refused.
	if body := h.ask("GET", "/ledger?kind=bypass.started", nil).Body.String(); !strings.Contains(body, says+": 0 of 70") {
		t.Error(body)
	}
}
