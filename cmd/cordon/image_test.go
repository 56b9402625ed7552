package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"cordon/people"
)

// A program that may list what is held does not see pictures of patients unless its
// token says so.
func TestPicturesTakeAPermissionOfTheirOwn(t *testing.T) {
	h := newHospital(t)
	e := h.join(t, "Person pacs", people.PACS)
	id, err := h.parts.people.Session(t.Context(), e.Secret, false)
	if err != nil {
		t.Fatal(err)
	}
	handler := h.console.Handler()
	for _, c := range []struct {
		scopes []people.Permission
		list   int
		frame  int
	}{
		{[]people.Permission{people.HeldRead}, http.StatusOK, http.StatusForbidden},
		{[]people.Permission{people.HeldRead, people.ImageRead}, http.StatusOK, http.StatusNotFound}, // there is no such object
		{[]people.Permission{people.ImageRead}, http.StatusForbidden, http.StatusNotFound},
	} {
		_, secret, err := h.parts.people.MakeToken(t.Context(), id, "x", c.scopes, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]int{"/api/v1/vault": c.list, "/api/v1/vault/nothing/frame": c.frame, "/held/nothing/frame.png": c.frame} {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil)
			r.Header.Set("Authorization", "Bearer "+secret)
			if handler.ServeHTTP(w, r); w.Code != want {
				t.Errorf("%v: %s: %d, want %d: %.200s", c.scopes, path, w.Code, want, w.Body)
			}
		}
	}
}
