package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"cordon/people"
)

// Nobody is left at a page that says nothing: who comes in sees the first page of
// theirs, an address that leads nowhere says so, and a form that is refused is there
// again as it was filled in.
func TestNobodyIsLeftWithoutAPage(t *testing.T) {
	h := newHospital(t)
	h.populate(t)
	handler := h.console.Handler()
	ask := func(role people.Role, method, path string, form url.Values) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for _, v := range h.visitors {
			if v.name == string(role) {
				r.AddCookie(&http.Cookie{Name: "cordon", Value: v.cookie})
			}
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	if w := ask(people.Vendor, "GET", "/", nil); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/devices" {
		t.Errorf("a vendor at the first page: %d to %q", w.Code, w.Header().Get("Location"))
	}
	if w := ask(people.Administrator, "GET", "/nothing", nil); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "There is no such page") || !strings.Contains(w.Body.String(), `href="/people"`) {
		t.Errorf("a page that there is not: %d %.300s", w.Code, w.Body)
	}
	w := ask(people.Administrator, "POST", "/people", url.Values{"name": {"N. New"}, "role": {"biomed", "security"}, "reason": {""}})
	if w.Code < 400 || strings.Count(w.Body.String(), " checked>") != 2 {
		t.Errorf("a refused invitation: %d, and %d roles are ticked still", w.Code, strings.Count(w.Body.String(), " checked>"))
	}
}
