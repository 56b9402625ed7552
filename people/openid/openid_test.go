package openid

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"cordon/people"
)

// (interop has somebody sign in with a real provider.)

func TestRolesOfGroups(t *testing.T) {
	p := New(Config{Groups: map[string]people.Role{"imaging": people.PACS, "admins": people.Administrator, "audit": people.Auditor}})
	for _, c := range []struct {
		groups any
		want   []people.Role
	}{
		{nil, nil},
		{"imaging", []people.Role{people.PACS}},
		{[]any{"audit", "admins", "staff", 7}, []people.Role{people.Administrator, people.Auditor}},
		{[]any{"IMAGING", "imaging "}, nil},
		{map[string]any{"imaging": true}, nil},
	} {
		if got := p.roles(c.groups); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v", c.groups, got)
		}
	}
}

func TestNameIsTheFirstThereIs(t *testing.T) {
	for want, claims := range map[string]map[string]any{
		"C. Clark": {"name": "C. Clark", "email": "c@example.org"},
		"clark":    {"name": " ", "preferred_username": "clark"},
		"c@x":      {"email": "c@x"},
		"":         {"name": 7},
	} {
		if got := name(claims); got != want {
			t.Errorf("%v: %q", claims, got)
		}
	}
}

func TestWhenSomebodyProvedIsBelievedOnlyIfItCanBe(t *testing.T) {
	now := float64(time.Now().Unix())
	if at := proved(map[string]any{"auth_time": now - 30}); time.Since(at) > time.Minute {
		t.Error(at)
	}
	for _, bad := range []any{nil, "1", -1.0, now + 3600} {
		if at := proved(map[string]any{"auth_time": bad}); !at.IsZero() {
			t.Errorf("%v: %v", bad, at)
		}
	}
}

// An answer to nobody's attempt reaches no issuer.
func TestAnswerBelongsToAnAttempt(t *testing.T) {
	asked := 0
	issuer := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer issuer.Close()
	p := New(Config{Issuer: issuer.URL})
	for _, c := range []struct{ mine, state, code string }{{"", "", "c"}, {"a", "b", "c"}, {"a", "", "c"}, {"a", "a", ""}} {
		if _, err := p.Finish(t.Context(), Attempt{State: c.mine}, c.state, c.code); !errors.Is(err, people.ErrDenied) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if asked > 0 {
		t.Error("the issuer was asked")
	}
}

// An issuer that is away or talks without end is an error, and is not asked again and
// again.
func TestIssuerThatIsAway(t *testing.T) {
	asked := 0
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Header().Set("Content-Type", "application/json")
		for range 64 {
			if _, err := w.Write([]byte(strings.Repeat(" ", 64<<10))); err != nil {
				return
			}
		}
	}))
	defer issuer.Close()
	p := New(Config{Issuer: issuer.URL})
	for range 5 {
		if _, err := p.Start(false); err == nil || errors.Is(err, people.ErrDenied) {
			t.Fatal(err)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}
