package console

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"cordon/custody"
	"cordon/exception"
	"cordon/policy"
)

func TestReleaseMakesAnExceptionOnlyWithTwoPeopleAndForAHabit(t *testing.T) {
	s := newSite(t)
	o := inVault("1.2", "encrypted-document")
	o.Device = "ct-1"
	o = s.keep(t, o, "a")
	hostile := inVault("1.2", "encrypted-document", "executable")
	hostile.Device = "ct-1"
	hostile = s.keep(t, hostile, "b")
	origin := policy.Origin{Device: "ct-1"}
	for i, step := range []struct {
		path, body string
		code       int
		says       string
		approved   int
	}{
		{hostile.ID + "/release", `{"by":"ann","reason":"r","except":true}`, 409, "executable is never excepted", 0},
		{o.ID + "/destroy", `{"by":"ann","reason":"r","except":true}`, 400, "only a release", 0},
		{o.ID + "/release", `{"by":"ann","reason":"r","except":true,"emergency":true}`, 400, "emergency", 0},
		{"nosuch/release", `{"by":"ann","reason":"r","except":true}`, 404, "no such object", 0},
		{o.ID + "/release", `{"by":"ann","reason":"r","except":true}`, 200, `"done":false`, 0},
		{o.ID + "/release", `{"by":"Ann","reason":"r","except":true}`, 409, "second person", 0},
		{o.ID + "/release", `{"by":"bob","reason":"r","except":true}`, 200, `"done":true`, 1},
		{hostile.ID + "/release", `{"by":"ann","reason":"r"}`, 200, `"done":false`, 1}, // the refused request was not one of two
	} {
		code, text := fetch(t, "POST", s.api+"/api/v1/vault/"+step.path, step.body)
		if code != step.code || !strings.Contains(text, step.says) {
			t.Errorf("step %d: %d %s", i, code, text)
		}
		if got := s.parts.Exceptions.For(origin, time.Now()); len(got) != step.approved {
			t.Errorf("step %d: %v", i, got)
		}
	}
	if s.woken != 1 {
		t.Errorf("delivery was woken %d times, want once", s.woken)
	}
}

// The first of two may want the exception; it is made if the second does.
func TestTheSecondPersonDecidesOnTheException(t *testing.T) {
	s := newSite(t)
	o := inVault("1.2", "encrypted-document")
	o.Device = "ct-1"
	release := s.api + "/api/v1/vault/" + s.keep(t, o, "a").ID + "/release"
	fetch(t, "POST", release, `{"by":"ann","reason":"r","except":true}`)
	if code, text := fetch(t, "POST", release, `{"by":"bob","reason":"r"}`); code != 200 || !strings.Contains(text, `"done":true`) {
		t.Fatalf("%d %s", code, text)
	}
	if got := s.parts.Exceptions.For(policy.Origin{Device: "ct-1"}, time.Now()); got != nil {
		t.Errorf("%v", got)
	}
}

func TestExceptionsOverTheSocket(t *testing.T) {
	s := newSite(t)
	e, err := s.parts.Exceptions.Propose(t.Context(), policy.Origin{Device: "ct-1"}, "encrypted-document", "(0042,0011)", custody.Request{By: "ann", Reason: "r"})
	if err != nil {
		t.Fatal(err)
	}
	for i, step := range []struct {
		path, body string
		code       int
		says       string
	}{
		{"", `{"by":"ann","reason":"r","device":"ct-1","finding":"executable"}`, 409, "never excepted"},
		{"", `{"by":"ann","reason":"r","device":"ct-1","finding":"nonsense"}`, 400, "no finding"},
		{"", `{"by":"ann","reason":"r","device":"ct-1","finding":"encrypted-document","place":"../.."}`, 400, "tag path"},
		{"", `{"by":"ann","reason":"r","finding":"encrypted-document"}`, 400, "learned"},
		{"", `{"by":"ann","reason":"r","calling_ae":"US1","address":"nowhere","finding":"encrypted-document"}`, 400, "nowhere"},
		{"", `{"by":"ann","reason":"r","device":"ct-2","finding":"container-mismatch"}`, 200, `"state":"proposed"`},
		{"/nosuch/approve", `{"by":"ann","reason":"r"}`, 404, "no such exception"},
		{"/" + e.ID + "/approve", `{"by":"ann"}`, 400, "why?"},
		{"/" + e.ID + "/approve", `{"by":"ann","reason":"r","days":-1}`, 400, "365"},
		{"/" + e.ID + "/approve", `{"by":"ann","reason":"r","days":9000000000000}`, 400, "365"},
		{"/" + e.ID + "/approve", `{"by":"ann","reason":"r","days":1}`, 200, `"state":"approved"`},
		{"/" + e.ID + "/revoke", `{"by":"bob","reason":"r"}`, 200, `"state":"revoked"`},
		{"/" + e.ID + "/revoke", `{"by":"bob","reason":"r"}`, 409, "revoked already"},
	} {
		code, text := fetch(t, "POST", s.api+"/api/v1/exceptions"+step.path, step.body)
		if code != step.code || !strings.Contains(text, step.says) {
			t.Errorf("step %d: %d %s", i, code, text)
		}
	}
	code, text := fetch(t, "GET", s.api+"/api/v1/exceptions", "")
	if code != http.StatusOK || strings.Count(text, "\n") != 2 || !strings.Contains(text, `"state":"`+string(exception.Revoked)+`"`) {
		t.Errorf("%d %s", code, text)
	}
	if code, _ := fetch(t, "GET", s.page+"/api/v1/exceptions", ""); code != http.StatusNotFound {
		t.Errorf("on the page's address: %d", code)
	}
}
