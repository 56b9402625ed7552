package custody_test

import (
	"fmt"
	"testing"
)

func TestHeldIsCountedByOriginAndFinding(t *testing.T) {
	s := open(t, t.TempDir())
	s.hold(t, "1.1", "ct-1", "a", "eicar")
	s.hold(t, "1.2", "", "b", "executable", "eicar")
	s.hold(t, "1.3", "ct-1", "c", "eicar")
	all, err := s.c.HeldCounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(all); got != "[{ct-1 eicar 2} {CT1 eicar 1} {CT1 executable 1}]" {
		t.Error(got)
	}
}
