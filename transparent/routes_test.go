package transparent

import (
	"errors"
	"strings"
	"testing"

	"cordon/interop/lab"
)

// everything is all rules and routes, of both versions of IP.
func everything(run func(...string) string) string {
	return run("ip", "-4", "rule") + run("ip", "-6", "rule") + run("ip", "-4", "route", "show", "table", "all") + run("ip", "-6", "route", "show", "table", "all")
}

var ours = Routes{Mark: 0x436f, Mask: 0xffffffff}

func TestOffLeavesTheRoutesAsTheyWere(t *testing.T) {
	lab.Alone(t, func(run func(...string) string) {
		run("ip", "link", "set", "lo", "up")
		run("ip", "rule", "add", "priority", "11111", "fwmark", "0x436f", "lookup", "77")
		run("ip", "rule", "add", "priority", "500", "from", "10.9.0.0/16", "lookup", "77")
		run("ip", "-6", "rule", "add", "priority", "500", "from", "fd09::/64", "lookup", "77")
		run("ip", "route", "add", "local", "default", "dev", "lo", "table", "77")
		before := everything(run)
		for range 2 { // a second time changes nothing
			if err := ours.Set(); err != nil {
				t.Error(err)
				return
			}
		}
		for _, v := range []string{"-4", "-6"} {
			if n := strings.Count(run("ip", v, "rule"), "11112:\tfrom all fwmark 0x436f lookup 11112"); n != 1 {
				t.Errorf("%s: %d rules:\n%s", v, n, run("ip", v, "rule"))
			}
			if got := run("ip", v, "route", "show", "table", "11112"); !strings.HasPrefix(got, "local default dev lo") {
				t.Errorf("%s: %s", v, got)
			}
		}
		if there, err := ours.There(); !there || err != nil {
			t.Errorf("%t, %v", there, err)
		}
		for range 2 {
			if err := ours.Unset(); err != nil {
				t.Error(err)
			}
		}
		if there, err := ours.There(); there || err != nil {
			t.Errorf("%t, %v", there, err)
		}
		if after := everything(run); after != before {
			t.Errorf("not as it was:\n%s\nwas:\n%s", after, before)
		}
	})
}

func TestWhatIsTakenIsLeftAlone(t *testing.T) {
	for _, foreign := range [][]string{
		{"rule", "add", "priority", "11112", "from", "10.9.0.0/16", "lookup", "main"},
		{"route", "add", "10.9.0.0/16", "dev", "lo", "table", "11112"},
	} {
		lab.Alone(t, func(run func(...string) string) {
			run("ip", "link", "set", "lo", "up")
			run(append([]string{"ip"}, foreign...)...)
			before := everything(run)
			if err := ours.Set(); !errors.Is(err, ErrTaken) {
				t.Errorf("%q: %v", foreign, err)
			}
			if err := ours.Unset(); !errors.Is(err, ErrTaken) {
				t.Errorf("%q: %v", foreign, err)
			}
			if after := everything(run); after != before {
				t.Errorf("changed:\n%s\nwas:\n%s", after, before)
			}
		})
	}
}

func TestHalfOfItIsMadeWhole(t *testing.T) {
	lab.Alone(t, func(run func(...string) string) {
		run("ip", "link", "set", "lo", "up")
		if err := ours.Set(); err != nil {
			t.Error(err)
			return
		}
		run("ip", "rule", "del", "priority", "11112")
		if there, err := ours.There(); there || err != nil {
			t.Errorf("%t, %v", there, err)
		}
		if err := ours.Set(); err != nil {
			t.Error(err)
		}
		if there, err := ours.There(); !there || err != nil {
			t.Errorf("%t, %v", there, err)
		}
	})
}
