package network

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestPageIsCurrent(t *testing.T) {
	got, err := os.ReadFile("../docs/network-rules.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, Page()) {
		t.Error("docs/network-rules.md is not the table: run go generate ./network")
	}
}

// A rule says all that a person needs, and its threshold a reason.
func TestRulesAreWhole(t *testing.T) {
	ids := map[string]bool{}
	for _, r := range Rules() {
		if !strings.HasPrefix(r.ID, "NET-") || ids[r.ID] {
			t.Errorf("%s: no id of a rule, or another's", r.ID)
		}
		ids[r.ID] = true
		if r.Title == "" || !strings.HasSuffix(r.Meaning, ".") || !strings.HasSuffix(r.Action, ".") || r.Severity == "" {
			t.Errorf("%s is not whole", r.ID)
		}
		if (r.Threshold > 0) != (r.Why != "") || (r.Threshold > 0) != (r.Unit != "") {
			t.Errorf("%s: a threshold has a unit and a reason", r.ID)
		}
	}
}
