package quota

import "testing"

func TestCrowd(t *testing.T) {
	c := NewCrowd[string](2, 3)
	for i, want := range []bool{true, true, false} {
		if c.Enter("a") != want {
			t.Errorf("a, %d", i)
		}
	}
	if !c.Enter("b") || c.Enter("c") {
		t.Error("three in all")
	}
	c.Leave("a")
	if !c.Enter("c") || len(c.in) != 3 {
		t.Error("who leaves makes room")
	}
}
