package firewall

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// alone runs fn in a network namespace of its own, which ends with its thread.
func alone(t *testing.T, fn func(nft func(...string) string)) {
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
			out, err := exec.Command("nft", args...).CombinedOutput()
			if err != nil {
				t.Errorf("nft %q: %v\n%s", args, err, out)
			}
			return string(out)
		})
	}()
	<-done
}

func prefixes(all ...string) (out []netip.Prefix) {
	for _, a := range all {
		out = append(out, netip.MustParsePrefix(a))
	}
	return out
}

// ultrasound is a contained device of both versions of IP.
func ultrasound(until time.Time) Contained {
	return Contained{
		Device: "us1", Addresses: prefixes("10.1.1.5/32", "fd00:1::5/128"), Level: ImageOnly, Ports: []uint16{4006}, Until: until,
		MACs: []net.HardwareAddr{{2, 0, 0, 0, 1, 5}},
		Allowed: []Rule{
			{To: prefixes("10.9.0.53/32", "fd00:9::53/128"), Protocol: unix.IPPROTO_UDP, Port: 53},
			{To: prefixes("10.9.0.0/24"), Protocol: unix.IPPROTO_TCP, Port: 80, PortTo: 90},
			{Protocol: unix.IPPROTO_UDP, Port: 67},
		},
		Called: []Rule{{From: prefixes("10.9.0.7/32"), Protocol: unix.IPPROTO_TCP, Port: 5900}},
	}
}

func TestSmoke(t *testing.T) {
	alone(t, func(nft func(...string) string) {
		exec.Command("ip", "link", "add", "br0", "type", "bridge").Run()
		f, err := Open(Options{ImagePorts: []uint16{104, 11112}})
		if err != nil {
			t.Error(err)
			return
		}
		err = f.Change(t.Context(), func(rs *Ruleset) { rs.Contained = append(rs.Contained, ultrasound(time.Now().Add(time.Hour))) })
		os.Stdout.WriteString(nft("list", "ruleset"))
		if err != nil {
			t.Error(err)
		}
		s, err := f.State(t.Context())
		t.Log(s, err)
		err = f.Change(t.Context(), func(rs *Ruleset) {
			rs.Plan = &Plan{Mode: Enforce, Zones: []Zone{{"modalities", prefixes("10.1.0.0/16", "fd00:1::/32")}, {"archive", prefixes("10.2.0.0/16")}}, Closed: prefixes("10.7.0.0/16"),
				Allowed: []Rule{{From: prefixes("10.1.0.0/16"), To: prefixes("10.2.0.5/32"), Protocol: 6, Port: 104}, {From: prefixes("10.1.1.0/24"), To: prefixes("10.2.0.0/16"), Protocol: 0}}}
			rs.Openings = []Opening{{ID: "T-1", Rule: Rule{From: prefixes("10.7.1.1/32"), To: prefixes("10.1.1.9/32"), Protocol: 6, Port: 22}, Until: time.Now().Add(time.Hour)}}
			rs.Redirects = []Redirect{{ID: "pacs", From: prefixes("10.1.0.0/16"), To: netip.MustParseAddrPort("10.2.0.5:104"), Port: 11112, Lapses: 5 * time.Second}}
		})
		if err != nil {
			t.Error(err)
		}
		os.Stdout.WriteString(nft("list", "ruleset"))
		s, err = f.State(t.Context())
		t.Log(s, err)
		if err := f.Remove(t.Context()); err != nil {
			t.Error(err)
		}
		if got := nft("list", "ruleset"); strings.TrimSpace(got) != "" {
			t.Error(got)
		}
	})
}
