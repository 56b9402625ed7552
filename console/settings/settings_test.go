package settings_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"cordon/console/settings"
	"cordon/console/view"
	"cordon/ledger"
	"cordon/ledger/search"
	"cordon/people"
	"cordon/policy"
	"cordon/setting"
	"cordon/store"
)

type house struct {
	ledger   *ledger.Ledger
	settings *setting.Settings
	mux      *http.ServeMux
}

func newHouse(t *testing.T) *house {
	t.Helper()
	ctx, dir := t.Context(), t.TempDir()
	db, err := store.OpenDB(ctx, filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations(), search.Migrations(), setting.Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	h := &house{mux: http.NewServeMux()}
	if h.ledger, err = ledger.Open(ctx, db, filepath.Join(dir, "ledger.key"), "test"); err != nil {
		t.Fatal(err)
	}
	if h.settings, err = setting.Open(ctx, setting.Config{}, setting.Parts{DB: db, Journal: h.ledger, Search: search.Open(db)}); err != nil {
		t.Fatal(err)
	}
	for _, r := range settings.Routes(settings.Parts{Settings: h.settings, View: view.New(view.Config{Site: "Test"})}) {
		h.mux.Handle(r.Method+" "+r.Pattern, r.Handler)
	}
	return h
}

// ask is somebody who may change settings and asks for something.
func (h *house) ask(name, method, target string, form url.Values) *httptest.ResponseRecorder {
	rq := httptest.NewRequest(method, target, strings.NewReader(form.Encode()))
	rq.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	id := people.Identity{Name: name, Roles: []people.Role{people.Security}, How: people.Password}
	h.mux.ServeHTTP(w, rq.WithContext(people.With(rq.Context(), id)))
	return w
}

// preview asks for one, and returns its digest.
func (h *house) preview(t *testing.T, name, key, value string) string {
	t.Helper()
	w := h.ask(name, "POST", "/settings/preview", url.Values{key: {value}})
	digest, ok := strings.CutPrefix(w.Header().Get("Location"), "/settings/preview/")
	if w.Code != http.StatusSeeOther || !ok {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if w := h.ask(name, "GET", "/settings/preview/"+digest, nil); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), digest) {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return digest
}

func TestChangeIsLookedAtAppliedAndUndone(t *testing.T) {
	h := newHouse(t)
	digest := h.preview(t, "A. Able", "policy.unscanned", "hold")
	if h.settings.Now().Rules.Unscanned != policy.Deliver {
		t.Fatal("a preview changed something")
	}
	if w := h.ask("A. Able", "POST", "/settings/apply", url.Values{"digest": {digest}}); w.Code != http.StatusBadRequest || h.settings.Now().Rules.Unscanned != policy.Deliver {
		t.Errorf("applied without a reason: %d", w.Code)
	}
	w := h.ask("A. Able", "POST", "/settings/apply", url.Values{"digest": {digest}, "reason": {"<b>engine</b>"}})
	if w.Code != http.StatusSeeOther || h.settings.Now().Rules.Unscanned != policy.Hold {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if w := h.ask("A. Able", "GET", "/settings", nil); !strings.Contains(w.Body.String(), "&lt;b&gt;engine") || strings.Contains(w.Body.String(), "<b>engine") {
		t.Error("the reason is not shown as text")
	}
	if w := h.ask("B. Best", "POST", "/settings/changes/1/revert", url.Values{"reason": {"it is back"}}); w.Code != http.StatusSeeOther || h.settings.Now().Rules.Unscanned != policy.Deliver {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestOnePersonAsksAndAnotherApplies(t *testing.T) {
	h := newHouse(t)
	first := h.preview(t, "A. Able", "policy.suspicious", "deliver")
	if w := h.ask("A. Able", "POST", "/settings/apply", url.Values{"digest": {first}, "reason": {"new scanner"}}); w.Header().Get("Location") != "/settings?done=settings.asked" {
		t.Fatalf("%d %s", w.Code, w.Header())
	}
	if w := h.ask("A. Able", "POST", "/settings/apply", url.Values{"digest": {first}, "reason": {"again"}}); w.Code != http.StatusConflict || h.settings.Now().Rules.Suspicious != policy.Hold {
		t.Fatalf("one person twice: %d", w.Code)
	}
	second := h.preview(t, "B. Best", "policy.suspicious", "deliver")
	if w := h.ask("B. Best", "POST", "/settings/apply", url.Values{"digest": {second}, "reason": {"Acme confirms"}}); w.Code != http.StatusSeeOther || h.settings.Now().Rules.Suspicious != policy.Deliver {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
}

func TestStalePreviewIsShownAnew(t *testing.T) {
	h := newHouse(t)
	digest := h.preview(t, "A. Able", "policy.malicious", "refuse")
	if err := h.ledger.Record(t.Context(), "object.held", map[string]any{"device": "us-7", "from": "receiving", "findings": []string{"eicar"}, "reason": "malicious: eicar"}); err != nil {
		t.Fatal(err)
	}
	w := h.ask("A. Able", "POST", "/settings/apply", url.Values{"digest": {digest}, "reason": {"the vault fills up"}})
	if w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "us-7") || !strings.Contains(w.Body.String(), "the vault fills up") || h.settings.Now().Rules.Malicious != policy.Hold {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
}

func TestNothingOddIsApplied(t *testing.T) {
	h := newHouse(t)
	for target, form := range map[string]url.Values{
		"/settings/preview":            {"policy.malicious": {"deliver"}},
		"/settings/apply":              {"digest": {"0f"}, "reason": {"guessing"}},
		"/settings/changes/7/revert":   {"reason": {"no such"}},
		"/settings/changes/x/withdraw": {"reason": {"no such"}},
	} {
		if w := h.ask("A. Able", "POST", target, form); w.Code < 400 || w.Code >= 500 {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
	if h.settings.Now().Rules != policy.DefaultRules() {
		t.Errorf("%+v", h.settings.Now())
	}
}
