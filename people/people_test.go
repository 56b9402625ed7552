package people

import (
	"errors"
	"testing"
)

func TestNobodyMayNothing(t *testing.T) {
	var nobody Identity
	for _, g := range Grants() {
		for _, p := range g.May {
			if nobody.May(p) {
				t.Errorf("nobody may %s", p)
			}
		}
	}
	if nobody.May(SignedIn) || !nobody.May(Anybody) {
		t.Error("nobody is signed in")
	}
}

func TestScopesNarrow(t *testing.T) {
	id := Identity{Name: "A. Able", Roles: []Role{PACS}, How: Token, Scopes: []Permission{FlowRead, PeopleChange}}
	for p, want := range map[Permission]bool{FlowRead: true, HeldRead: false, PeopleChange: false, SignedIn: true} {
		if id.May(p) != want {
			t.Errorf("%s: %t", p, !want)
		}
	}
}

func TestDecisionIsUnderOnesOwnName(t *testing.T) {
	id := Identity{Name: "A. Able", How: Password}
	if by, err := id.By(""); by != "A. Able" || err != nil {
		t.Error(by, err)
	}
	if _, err := id.By("B. Best"); !errors.Is(err, ErrOther) {
		t.Error(err)
	}
	if by, err := (Identity{Name: "root", How: Socket}).By("B. Best"); by != "B. Best" || err != nil {
		t.Error(by, err)
	}
}
