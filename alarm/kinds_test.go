package alarm

import (
	"strings"
	"testing"
)

// Whoever reads an alarm in the console is led to where it is done, and need not type
// the command that does the same.
func TestWhatIsDoneOnAPageLeadsThere(t *testing.T) {
	for _, k := range Kinds() {
		if strings.Contains(k.Do, "(cordon ") && k.Page == "" {
			t.Errorf("%s: %q, and no page", k.Name, k.Do)
		}
	}
	one, _, err := clean(Alarm{Kind: "object.recall"})
	if err != nil || one.Link != "/engines" {
		t.Errorf("an alarm without a link of its own leads to %q, %v", one.Link, err)
	}
	if one, _, _ = clean(Alarm{Kind: "people.locked", Link: "/people/ada"}); one.Link != "/people/ada" {
		t.Errorf("the link of an alarm became %q", one.Link)
	}
}
