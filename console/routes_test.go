package console

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"cordon/console/answer"
	"cordon/people"
)

// A request in which somebody names who they are is Named, so that nobody decides
// under another's name once people sign in.
func TestWhoeverIsNamedInARequestIsChecked(t *testing.T) {
	for _, r := range newSite(t).Routes() {
		if r.Doc.Request == nil {
			continue
		}
		v := reflect.New(reflect.TypeOf(r.Doc.Request))
		if json.Unmarshal([]byte(`{"by":"A. Able"}`), v.Interface()) != nil {
			continue
		}
		text, err := json.Marshal(v.Interface())
		if err != nil {
			t.Fatal(err)
		}
		if _, named := v.Interface().(answer.Named); strings.Contains(string(text), "A. Able") != named {
			t.Errorf("%s %s: named: %t, and %s", r.Method, r.Pattern, named, text)
		}
	}
}

// The interface shows what is held, and decides: nobody may who is not somebody.
func TestEveryRouteOfTheInterfaceNeedsAPermission(t *testing.T) {
	for _, r := range newSite(t).Routes() {
		if r.API() && r.May == people.Anybody {
			t.Errorf("%s %s is for anybody", r.Method, r.Pattern)
		}
		if r.API() && r.Doc.Summary == "" {
			t.Errorf("%s %s is not described", r.Method, r.Pattern)
		}
	}
}

func TestWhatIsNotThereIsAProblem(t *testing.T) {
	s := newSite(t)
	for _, c := range []struct {
		method, path string
		code         int
		says         string
	}{
		{"GET", "/api/v1/nothing", 404, "nothing at this address"},
		{"GET", "/api/", 404, "nothing at this address"},
		{"DELETE", "/api/v1/vault", 405, "takes GET, HEAD"},
		{"PUT", "/api/v1/vault/1/release", 405, "takes POST"},
		{"BREW", "/api/v1/status", 405, "takes GET, HEAD"},
	} {
		code, text := fetch(t, c.method, s.api+c.path, "")
		var p answer.Problem
		if err := json.Unmarshal([]byte(text), &p); err != nil || code != c.code || !strings.Contains(p.Error, c.says) {
			t.Errorf("%s %s: %d %s %v", c.method, c.path, code, text, err)
		}
	}
}

func TestBodyThatIsNotJSONIsRefused(t *testing.T) {
	s := newSite(t)
	if code, text := fetch(t, "POST", s.api+"/api/v1/exceptions", `{"by":"ann","reason":"r"} {}`); code != 400 || !strings.Contains(text, "follows") {
		t.Error(code, text)
	}
	if code, text := fetchAs(t, "POST", s.api+"/api/v1/exceptions", "text/plain", `{"by":"ann","reason":"r"}`); code != 415 || !strings.Contains(text, "application/json") {
		t.Error(code, text)
	}
}
