package transparent

import (
	"errors"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// alone runs fn in a network namespace of its own, which ends with its thread.
func alone(t *testing.T, fn func(ip func(...string) string)) {
	t.Helper()
	done := make(chan struct{})
	go func() { // ends with fn; its thread is never used again
		defer close(done)
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_FS); err != nil {
			t.Errorf("a network namespace: %v (run the tests as root)", err)
			return
		}
		fn(func(args ...string) string {
			out, err := exec.Command("ip", args...).CombinedOutput()
			if err != nil {
				t.Errorf("ip %q: %v\n%s", args, err, out)
			}
			return string(out)
		})
	}()
	<-done
}

// everything is all rules and routes, of both versions of IP.
func everything(ip func(...string) string) string {
	return ip("-4", "rule") + ip("-6", "rule") + ip("-4", "route", "show", "table", "all") + ip("-6", "route", "show", "table", "all")
}

var ours = Routes{Mark: 0x436f, Mask: 0xffffffff}

func TestOffLeavesTheRoutesAsTheyWere(t *testing.T) {
	alone(t, func(ip func(...string) string) {
		ip("link", "set", "lo", "up")
		ip("rule", "add", "priority", "11111", "fwmark", "0x436f", "lookup", "77")
		ip("rule", "add", "priority", "500", "from", "10.9.0.0/16", "lookup", "77")
		ip("-6", "rule", "add", "priority", "500", "from", "fd09::/64", "lookup", "77")
		ip("route", "add", "local", "default", "dev", "lo", "table", "77")
		before := everything(ip)
		for range 2 { // a second time changes nothing
			if err := ours.Set(); err != nil {
				t.Error(err)
				return
			}
		}
		for _, v := range []string{"-4", "-6"} {
			if n := strings.Count(ip(v, "rule"), "11112:\tfrom all fwmark 0x436f lookup 11112"); n != 1 {
				t.Errorf("%s: %d rules:\n%s", v, n, ip(v, "rule"))
			}
			if got := ip(v, "route", "show", "table", "11112"); !strings.HasPrefix(got, "local default dev lo") {
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
		if after := everything(ip); after != before {
			t.Errorf("not as it was:\n%s\nwas:\n%s", after, before)
		}
	})
}

func TestWhatIsTakenIsLeftAlone(t *testing.T) {
	for _, foreign := range [][]string{
		{"rule", "add", "priority", "11112", "from", "10.9.0.0/16", "lookup", "main"},
		{"route", "add", "10.9.0.0/16", "dev", "lo", "table", "11112"},
	} {
		alone(t, func(ip func(...string) string) {
			ip("link", "set", "lo", "up")
			ip(foreign...)
			before := everything(ip)
			if err := ours.Set(); !errors.Is(err, ErrTaken) {
				t.Errorf("%q: %v", foreign, err)
			}
			if err := ours.Unset(); !errors.Is(err, ErrTaken) {
				t.Errorf("%q: %v", foreign, err)
			}
			if after := everything(ip); after != before {
				t.Errorf("changed:\n%s\nwas:\n%s", after, before)
			}
		})
	}
}

func TestHalfOfItIsMadeWhole(t *testing.T) {
	alone(t, func(ip func(...string) string) {
		ip("link", "set", "lo", "up")
		if err := ours.Set(); err != nil {
			t.Error(err)
			return
		}
		ip("rule", "del", "priority", "11112")
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
