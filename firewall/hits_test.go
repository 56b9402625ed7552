package firewall

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"cordon/interop/lab"
)

// TestHitsSayWhoAPlanWouldHaveStopped: what is not allowed passes in shadow and is
// noted, connection by connection; enforced, it is dropped and noted; and what was
// noted outlasts other changes of the table.
func TestHitsSayWhoAPlanWouldHaveStopped(t *testing.T) {
	lab.Alone(t, func(run func(...string) string) {
		for _, setting := range []string{"ipv4/ip_forward 1", "ipv6/conf/all/forwarding 1", "ipv6/conf/default/accept_dad 0"} {
			name, value, _ := strings.Cut(setting, " ")
			os.WriteFile("/proc/sys/net/"+name, []byte(value), 0o600)
		}
		left, right := fmt.Sprintf("hits-l-%d", os.Getpid()), fmt.Sprintf("hits-r-%d", os.Getpid())
		for i, ns := range []string{left, right} {
			run("ip", "netns", "add", ns)
			defer run("ip", "netns", "del", ns)
			own := fmt.Sprintf("to%d", i)
			run("ip", "link", "add", own, "type", "veth", "peer", "name", "there", "netns", ns)
			for _, at := range [][]string{{own, "10.%d.0.1/24"}, {own, "fd0%d::1/64"}} {
				run("ip", "address", "add", fmt.Sprintf(at[1], i+1), "dev", at[0], "nodad")
			}
			run("ip", "link", "set", own, "up")
			run("ip", "-n", ns, "address", "add", fmt.Sprintf("10.%d.0.2/24", i+1), "dev", "there")
			run("ip", "-n", ns, "address", "add", fmt.Sprintf("fd0%d::2/64", i+1), "dev", "there", "nodad")
			run("ip", "-n", ns, "link", "set", "there", "up")
			run("ip", "-n", ns, "route", "add", "default", "via", fmt.Sprintf("10.%d.0.1", i+1))
			run("ip", "-n", ns, "-6", "route", "add", "default", "via", fmt.Sprintf("fd0%d::1", i+1))
		}
		server := exec.Command("ip", "netns", "exec", right, "python3", "-c", `
import socket, threading
def serve(s):
    while True:
        c, _ = s.accept(); c.sendall(b"hello"); c.close()
for f, a in ((socket.AF_INET, "10.2.0.2"), (socket.AF_INET6, "fd02::2")):
    for p in (104, 445):
        s = socket.socket(f); s.bind((a, p)); s.listen(9)
        threading.Thread(target=serve, args=(s,)).start()
print("ready", flush=True)`)
		out, err := server.StdoutPipe()
		if err != nil || server.Start() != nil {
			t.Error("no server")
			return
		}
		defer func() { server.Process.Kill(); server.Wait() }()
		out.Read(make([]byte, 5))
		reaches := func(address string, port int) bool {
			err := exec.Command("ip", "netns", "exec", left, "python3", "-c",
				fmt.Sprintf("import socket; assert socket.create_connection((%q, %d), 2).recv(9)", address, port)).Run()
			return err == nil
		}

		f, err := Open(Options{})
		if err != nil {
			t.Error(err)
			return
		}
		ctx := context.Background()
		plan := &Plan{Mode: Shadow, Zones: []Zone{{"modalities", prefixes("10.1.0.0/24", "fd01::/64")}}, Allowed: []Rule{{From: prefixes("10.1.0.2/32", "fd01::2/128"), Protocol: 6, Port: 104}}}
		change := func(fn func(*Ruleset)) {
			t.Helper()
			if err := f.Change(ctx, fn); err != nil {
				t.Error(err)
			}
		}
		change(func(r *Ruleset) { r.Plan = plan })
		for _, to := range []string{"10.2.0.2", "fd02::2"} {
			if !reaches(to, 104) || !reaches(to, 445) || !reaches(to, 445) {
				t.Errorf("shadow stops something towards %s", to)
			}
		}
		hits := func() map[string]uint64 {
			t.Helper()
			all, err := f.Hits(ctx)
			if err != nil {
				t.Error(err)
			}
			out := map[string]uint64{}
			for _, h := range all {
				out[fmt.Sprintf("%s %s %d %d", h.From, h.To, h.Protocol, h.Port)] = h.Packets
				if ago := time.Since(h.Last); ago < -time.Second || ago > time.Minute {
					t.Errorf("last %v ago", ago)
				}
			}
			return out
		}
		got := hits()
		if len(got) != 2 || got["10.1.0.2 10.2.0.2 6 445"] != 2 || got["fd01::2 fd02::2 6 445"] != 2 {
			t.Errorf("%v\n%s", got, run("nft", "list", "ruleset"))
		}
		change(func(r *Ruleset) {
			r.Openings = []Opening{{ID: "x", Rule: Rule{From: []netip.Prefix{netip.MustParsePrefix("10.9.0.1/32")}}}}
		})
		change(func(r *Ruleset) { p := *plan; p.Mode = Enforce; r.Plan = &p })
		if reaches("10.2.0.2", 445) || !reaches("10.2.0.2", 104) {
			t.Error("enforced: what is not allowed passes, or what is does not")
		}
		if got := hits(); got["10.1.0.2 10.2.0.2 6 445"] < 3 {
			t.Errorf("%v", got)
		}
		if s, err := f.State(ctx); err != nil || !s.Applied {
			t.Errorf("%+v, %v", s, err)
		}
		change(func(r *Ruleset) { *r = Ruleset{} })
		if got := hits(); len(got) != 0 {
			t.Errorf("%v", got)
		}
		if left := strings.TrimSpace(run("nft", "list", "ruleset")); left != "" {
			t.Errorf("left: %s", left)
		}
	})
}
