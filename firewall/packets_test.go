package firewall

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cordon/interop/lab"

	"golang.org/x/sys/unix"
)

// router is the firewall of a lab's router. Its methods run in the router's network.
type router struct {
	*lab.Hospital
	t *testing.T
	f *Firewall
}

func newRouter(t *testing.T, shape lab.Shape) *router {
	t.Helper()
	f, err := Open(Options{ImagePorts: []uint16{104}})
	if err != nil {
		t.Fatal(err)
	}
	return &router{lab.New(t, shape), t, f}
}

func (r *router) do(fn func() error) {
	r.t.Helper()
	if err := r.Router.Do(fn); err != nil {
		r.t.Fatal(err)
	}
}

func (r *router) change(fn func(*Ruleset)) {
	r.t.Helper()
	r.do(func() error { return r.f.Change(r.t.Context(), fn) })
}

func (r *router) contain(c Contained) { r.change(func(rs *Ruleset) { rs.Contained = []Contained{c} }) }

func (r *router) state() (s State) {
	r.t.Helper()
	r.do(func() (err error) { s, err = r.f.State(r.t.Context()); return err })
	return s
}

// scanner is US1 as it is contained.
func (r *router) scanner() Contained {
	return Contained{
		Device: "us1", Level: ImageOnly, Ports: []uint16{4006},
		Addresses: []netip.Prefix{whole(r.US1.Addr), whole(r.US1.Addr6)},
		Allowed: []Rule{
			{To: []netip.Prefix{whole(r.Services.Addr), whole(r.Services.Addr6)}, Protocol: unix.IPPROTO_TCP, Port: 53},
			{To: []netip.Prefix{whole(r.Services.Addr)}, Protocol: unix.IPPROTO_UDP, Port: 123},
		},
		Called: []Rule{{From: []netip.Prefix{whole(r.Workstation.Addr)}, Protocol: unix.IPPROTO_TCP, Port: 5900}},
	}
}

// echo answers each line on a host's port.
func echo(t *testing.T, h *lab.Host, port int) {
	t.Helper()
	l := h.Listen(t, fmt.Sprintf("[::]:%d", port))
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // ends with the connection
				defer c.Close()
				for s := bufio.NewScanner(c); s.Scan(); {
					fmt.Fprintln(c, s.Text())
				}
			}()
		}
	}()
}

func dial(t *testing.T, h *lab.Host, to netip.Addr, port uint16) net.Conn {
	t.Helper()
	c, err := h.Dial(netip.AddrPortFrom(to, port).String(), 2*time.Second)
	if err != nil {
		t.Fatalf("%s to %s:%d: %v", h.Name, to, port, err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// answers reports whether a line comes back.
func answers(c net.Conn) bool {
	c.SetDeadline(time.Now().Add(600 * time.Millisecond))
	defer c.SetDeadline(time.Time{})
	if _, err := fmt.Fprintln(c, "line"); err != nil {
		return false
	}
	n, err := c.Read(make([]byte, 16))
	return err == nil && n > 0
}

func reaches(h *lab.Host, to netip.Addr, port uint16) bool {
	c, err := h.Dial(netip.AddrPortFrom(to, port).String(), 500*time.Millisecond)
	if err != nil {
		return false
	}
	defer c.Close()
	return answers(c)
}

func TestContainedKeepsItsImagesAndLosesTheRest(t *testing.T) {
	r := newRouter(t, lab.Routed)
	for _, at := range []struct {
		host  *lab.Host
		ports []int
	}{{r.Router, []int{104, 22}}, {r.General, []int{445}}, {r.US2, []int{445}}, {r.Services, []int{53}}, {r.US1, []int{4006, 5900, 3389}}} {
		for _, p := range at.ports {
			echo(t, at.host, p)
		}
	}
	for _, v6 := range []bool{false, true} {
		addr := func(h *lab.Host) netip.Addr {
			if v6 {
				return h.Addr6
			}
			return h.Addr
		}
		t.Run(map[bool]string{false: "IPv4", true: "IPv6"}[v6], func(t *testing.T) {
			r.t = t
			here := addr(r.US1).String()
			association, share := dial(t, r.US1, routerOf(r, v6), 104), dial(t, r.US1, addr(r.General), 445)
			if !answers(association) || !answers(share) {
				t.Fatal("nothing passes before")
			}
			forbidden := []lab.Counter{r.General.Count(t, r.US1), r.US2.Count(t, r.US1), r.Workstation.Count(t, r.US1)}
			r.contain(r.scanner())
			counted := make([]int, len(forbidden))
			for i, c := range forbidden {
				counted[i] = c.Packets(t)
			}
			if !answers(association) {
				t.Error("an association that was open is broken")
			}
			if answers(share) {
				t.Error("a connection that was open goes on")
			}
			for _, c := range []struct {
				from *lab.Host
				to   netip.Addr
				port uint16
				want bool
			}{
				{r.US1, routerOf(r, v6), 104, true}, {r.US1, routerOf(r, v6), 22, false}, {r.US1, addr(r.General), 445, false}, {r.US1, addr(r.US2), 445, false},
				{r.US1, addr(r.Services), 53, true}, {r.Workstation, addr(r.US1), 3389, false}, {r.Services, addr(r.US1), 4006, false},
				{r.Router, addr(r.US1), 4006, true}, {r.Router, addr(r.US1), 3389, false}, {r.Workstation, addr(r.US1), 5900, !v6},
				{r.US2, routerOf(r, v6), 104, true}, {r.US2, addr(r.General), 445, true},
			} {
				if got := reaches(c.from, c.to, c.port); got != c.want {
					t.Errorf("%s to %s:%d: %t", c.from.Name, c.to, c.port, got)
				}
			}
			for i, c := range forbidden[:2] {
				if n := c.Packets(t) - counted[i]; n != 0 {
					t.Errorf("%d forbidden packets of %s were delivered", n, here)
				}
			}
			s := r.state()
			if s.Counters["us1 dropped"].Packets == 0 || s.Counters["us1 images"].Packets == 0 || s.Counters["us1 kept"].Packets == 0 || !s.Applied {
				t.Errorf("%+v", s)
			}
			r.change(func(rs *Ruleset) { rs.Contained = nil })
			if !reaches(r.US1, addr(r.General), 445) {
				t.Error("restored, and does not reach what it reached before")
			}
		})
	}
}

func routerOf(r *router, v6 bool) netip.Addr {
	if v6 {
		return r.Router.Addr6
	}
	return r.Router.Addr
}

func TestCutAndObserve(t *testing.T) {
	r := newRouter(t, lab.Routed)
	echo(t, r.Router, 104)
	echo(t, r.General, 445)
	c := r.scanner()
	c.Level = Observe
	r.contain(c)
	if !reaches(r.US1, r.Router.Addr, 104) || !reaches(r.US1, r.General.Addr, 445) || r.state().Counters["us1 kept"].Packets == 0 {
		t.Error("a device that is observed lost something, or is not counted")
	}
	c.Level = Cut
	r.contain(c)
	if reaches(r.US1, r.Router.Addr, 104) || reaches(r.US1, r.General.Addr, 445) {
		t.Error("a device that is cut off reaches something")
	}
}

func TestItEndsInTheKernelWithCordonDead(t *testing.T) {
	r := newRouter(t, lab.Routed)
	echo(t, r.General, 445)
	c := r.scanner()
	c.Until = time.Now().Add(1500 * time.Millisecond)
	r.contain(c)
	if reaches(r.US1, r.General.Addr, 445) {
		t.Error("not contained")
	}
	time.Sleep(1500 * time.Millisecond)
	if !reaches(r.US1, r.General.Addr, 445) {
		t.Error("still contained after its end")
	}
}

// ruleset is all that nft shows but counts.
func (r *router) ruleset() string { return r.Router.Run(r.t, "nft", "-j", "-s", "list", "ruleset") }

func TestRestoringLeavesExactlyWhatWasThere(t *testing.T) {
	r := newRouter(t, lab.Routed)
	r.Router.Run(t, "nft", "add table inet hospital; add chain inet hospital f { type filter hook forward priority 0; }; add rule inet hospital f ip saddr 10.99.0.1 drop; add table ip nat; add chain ip nat p { type nat hook postrouting priority 100; }")
	before := r.ruleset()
	if !json.Valid([]byte(before)) {
		t.Fatal(before)
	}
	r.contain(r.scanner())
	if during := r.ruleset(); during == before || !strings.Contains(during, `"cordon"`) {
		t.Error("nothing changed")
	}
	r.do(func() error { return r.f.Remove(t.Context()) })
	if after := r.ruleset(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

func TestTenThousandForeignRules(t *testing.T) {
	r := newRouter(t, lab.Routed)
	var b strings.Builder
	b.WriteString("table inet hospital {\n chain f {\n  type filter hook forward priority 5\n")
	for i := range 10_000 {
		fmt.Fprintf(&b, "  ip saddr 172.%d.%d.%d tcp dport %d drop\n", 16+i%16, i/256%256, i%256, 1+i)
	}
	b.WriteString(" }\n}\n")
	file := filepath.Join(t.TempDir(), "foreign.nft")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	r.Router.Run(t, "nft", "-f", file)
	before := r.ruleset()
	began := time.Now()
	r.contain(r.scanner())
	took := time.Since(began)
	t.Logf("containing beside 10,000 foreign rules took %s, of which %s here", took, r.state().Took)
	if took > time.Second {
		t.Errorf("it took %s", took)
	}
	r.do(func() error { return r.f.Remove(t.Context()) })
	if after := r.ruleset(); after != before {
		t.Error("the foreign rules are others than before")
	}
}

func TestAnotherAddressDoesNotFreeADevice(t *testing.T) {
	r := newRouter(t, lab.Routed)
	echo(t, r.General, 445)
	echo(t, r.Router, 104)
	c := r.scanner()
	c.MACs = []net.HardwareAddr{r.US1.MAC}
	r.contain(c)
	bits := r.US1.Network.Bits()
	other := r.US1.Addr.Next().Next()
	r.US1.Run(t, "ip", "addr", "add", fmt.Sprintf("%s/%d", other, bits), "dev", "eth0")
	via := strings.Fields(r.US1.Run(t, "ip", "route", "show", "default"))[2]
	r.US1.Run(t, "ip", "route", "replace", "default", "via", via, "src", other.String())
	n := r.General.Count(t, r.US1)
	if reaches(r.US1, r.General.Addr, 445) || n.Packets(t) != 0 {
		t.Error("it is free under another address")
	}
	if !reaches(r.US1, r.Router.Addr, 104) {
		t.Error("its images do not come under another address")
	}
}

func TestBridgedNeighboursAreApart(t *testing.T) {
	r := newRouter(t, lab.Bridged)
	echo(t, r.US2, 445)
	echo(t, r.Router, 104)
	if !reaches(r.US1, r.US2.Addr, 445) {
		t.Fatal("neighbours do not reach one another before")
	}
	var c Coverage
	r.do(func() error { c = r.f.Coverage(r.US1.Addr); return nil })
	if !c.Covered || !c.Segment || !c.OnLink {
		t.Errorf("%+v", c)
	}
	one := r.scanner()
	one.MACs = []net.HardwareAddr{r.US1.MAC}
	r.contain(one)
	if reaches(r.US1, r.US2.Addr, 445) || reaches(r.US1, r.US2.Addr6, 445) {
		t.Error("a contained device reaches its neighbour")
	}
	if !reaches(r.US1, r.Router.Addr, 104) || !reaches(r.US2, r.Router.Addr, 104) {
		t.Error("images do not come")
	}
	if s := r.state(); !s.Bridged || s.Counters["us1 dropped"].Packets == 0 {
		t.Errorf("%+v", s)
	}
	before := r.ruleset()
	r.do(func() error { return r.f.Remove(t.Context()) })
	if after := r.ruleset(); after == before || strings.Contains(after, "cordon") {
		t.Error(after)
	}
}

func TestCoverageOfARoutedNetwork(t *testing.T) {
	r := newRouter(t, lab.Routed)
	for _, c := range []struct {
		at   netip.Addr
		want bool
		why  string
	}{
		{r.US1.Addr, true, "neighbours"}, {r.US1.Addr6, true, "neighbours"},
		{r.Router.Addr, false, "own address"}, {netip.MustParseAddr("198.51.100.1"), false, ""},
	} {
		var got Coverage
		r.do(func() error { got = r.f.Coverage(c.at); return nil })
		if got.Covered != c.want && c.at.String() != "198.51.100.1" || !strings.Contains(got.Why, c.why) {
			t.Errorf("%s: %+v", c.at, got)
		}
	}
	var heard []Neighbour
	reaches(r.US1, r.Router.Addr, 1)
	r.do(func() (err error) { heard, err = r.f.Neighbours(); return err })
	if !slices.ContainsFunc(heard, func(n Neighbour) bool { return n.Addr == r.US1.Addr && n.MAC.String() == r.US1.MAC.String() }) {
		t.Errorf("%v", heard)
	}
}

func TestWithoutThePermissionItSaysSo(t *testing.T) {
	r := newRouter(t, lab.Routed)
	var err error
	r.do(func() error {
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var had, none [2]unix.CapUserData
		if err := unix.Capget(&header, &had[0]); err != nil {
			return err
		}
		none = had
		none[0].Effective &^= 1 << unix.CAP_NET_ADMIN
		if err := unix.Capset(&header, &none[0]); err != nil { // of this thread alone
			return err
		}
		err = r.f.Change(t.Context(), func(rs *Ruleset) { rs.Contained = []Contained{r.scanner()} })
		return unix.Capset(&header, &had[0])
	})
	if !errors.Is(err, ErrNotEnforced) || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
		t.Error(err)
	}
}

// A run before left its rules; the next one starts with the same, and at no time
// the device is free.
func TestRestartTakesOverWhatIsThere(t *testing.T) {
	r := newRouter(t, lab.Routed)
	echo(t, r.General, 445)
	r.contain(r.scanner())
	reaches(r.US1, r.General.Addr, 445)
	dropped := r.state().Counters["us1 dropped"].Packets
	again, err := Open(Options{ImagePorts: []uint16{104}, Collect: true})
	if err != nil {
		t.Fatal(err)
	}
	r.f = again
	n := r.General.Count(t, r.US1)
	r.change(func(rs *Ruleset) {
		rs.Plan = &Plan{Mode: Shadow, Zones: []Zone{{"us", []netip.Prefix{r.US1.Network}}}}
	})
	r.contain(r.scanner())
	if reaches(r.US1, r.General.Addr, 445) {
		t.Error("free before the start")
	}
	r.do(func() error { return again.Start(t.Context()) })
	if reaches(r.US1, r.General.Addr, 445) || n.Packets(t) != 0 {
		t.Error("free after the start")
	}
	if s := r.state(); s.Counters["us1 dropped"].Packets < dropped {
		t.Errorf("the count began anew: %+v", s)
	}
}

// What is led to a Cordon that is gone goes its own way; while it was said that it is
// to end once, it is dropped until then, whoever lives.
func TestARedirectThatEndsOnceLetsNothingPastUntilThen(t *testing.T) {
	r := newRouter(t, lab.Routed)
	echo(t, r.Archive, 104)
	lead := func(once bool) {
		t.Helper()
		r.change(func(rs *Ruleset) {
			rs.Redirects = []Redirect{{ID: "pacs", From: []netip.Prefix{whole(r.US1.Addr)}, To: netip.AddrPortFrom(r.Archive.Addr, 104), Port: 11112, Lapses: 3 * time.Second, Once: once}}
		})
	}
	lead(false)
	if !reaches(r.US1, r.Archive.Addr, 104) {
		t.Error("nobody listens, and it does not go its own way")
	}
	lead(true)
	began := time.Now()
	if reaches(r.US1, r.Archive.Addr, 104) {
		t.Error("it went past")
	}
	if !reaches(r.US2, r.Archive.Addr, 104) {
		t.Error("so does not what is not led here")
	}
	for time.Since(began) < 3500*time.Millisecond {
		r.do(func() error { r.f.renew(); return nil })
		time.Sleep(100 * time.Millisecond)
	}
	if !reaches(r.US1, r.Archive.Addr, 104) {
		t.Error("it did not end")
	}
}

// What a plan does not allow is noted between the ports of a bridge, too: what opens a
// connection, and not what answers.
func TestHitsOnABridge(t *testing.T) {
	r := newRouter(t, lab.Bridged)
	// Where the kernel shows rules of networks what passes a bridge, it is not to here.
	r.Router.Run(t, "sh", "-c", "for f in /proc/sys/net/bridge/bridge-nf-call-ip*; do if [ -e $f ]; then echo 0 >$f; fi; done")
	echo(t, r.US2, 445)
	echo(t, r.US2, 104)
	plan := func(m Mode) {
		t.Helper()
		r.change(func(rs *Ruleset) {
			rs.Plan = &Plan{Mode: m, Zones: []Zone{{"us", []netip.Prefix{r.US1.Network, r.US1.Network6}}}, Allowed: []Rule{{To: []netip.Prefix{whole(r.US2.Addr)}, Protocol: unix.IPPROTO_TCP, Port: 104}}}
		})
	}
	hits := func() (out []string) {
		t.Helper()
		var all []Hit
		r.do(func() (err error) { all, err = r.f.Hits(t.Context()); return err })
		for _, h := range all {
			out = append(out, fmt.Sprintf("%s %s %d %d: %d", h.From, h.To, h.Protocol, h.Port, h.Packets))
		}
		slices.Sort(out)
		return out
	}
	plan(Shadow)
	for range 2 {
		if !reaches(r.US1, r.US2.Addr, 445) || !reaches(r.US1, r.US2.Addr, 104) || !reaches(r.US1, r.US2.Addr6, 445) {
			t.Error("shadow stops something")
		}
	}
	asks(t, r.US1, r.US2)
	want := []string{
		fmt.Sprintf("%s %s 17 161: 6", r.US1.Addr, r.US2.Addr),
		fmt.Sprintf("%s %s 6 445: 2", r.US1.Addr, r.US2.Addr),
		fmt.Sprintf("%s %s 6 445: 2", r.US1.Addr6, r.US2.Addr6),
	}
	if got := hits(); !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
	plan(Enforce)
	if reaches(r.US1, r.US2.Addr, 445) || !reaches(r.US1, r.US2.Addr, 104) {
		t.Error("enforced: what is not allowed passes, or what is does not")
	}
	if got := hits(); len(got) != len(want) || slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if s := r.state(); !s.Applied {
		t.Errorf("%+v", s)
	}
}

// asks has one host ask another three times by UDP, which answers.
func asks(t *testing.T, from, to *lab.Host) {
	t.Helper()
	var server net.PacketConn
	var c net.Conn
	err := to.Do(func() (err error) { server, err = net.ListenPacket("udp", ":161"); return err })
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	err = from.Do(func() (err error) { c, err = net.Dial("udp", netip.AddrPortFrom(to.Addr, 161).String()); return err })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	deadline := time.Now().Add(5 * time.Second)
	server.SetDeadline(deadline)
	c.SetDeadline(deadline)
	buffer := make([]byte, 16)
	for range 3 {
		if _, err := c.Write([]byte("ask")); err != nil {
			t.Fatal(err)
		}
		_, peer, err := server.ReadFrom(buffer)
		if err == nil {
			_, err = server.WriteTo([]byte("answer"), peer)
		}
		if err == nil {
			_, err = c.Read(buffer)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Between the ports of a bridge a contained device may say which address it has, and
// not that it has another's.
func TestAContainedDeviceTakesNobodysAddressOnABridge(t *testing.T) {
	r := newRouter(t, lab.Bridged)
	says := func(a netip.Addr) bool { // and is believed
		t.Helper()
		r.US2.Try("ip", "neighbour", "del", a.String(), "dev", "eth0")
		resolve(t, r.US1, r.US2, a)
		for range 20 {
			if out := r.US2.Run(t, "ip", "neighbour", "show", a.String()); strings.Contains(out, r.US1.MAC.String()) {
				return true
			}
			time.Sleep(10 * time.Millisecond)
		}
		return false
	}
	others := r.US2.Addr.Next()
	if !says(others) || !says(r.US1.Addr) {
		t.Fatal("it is not believed before")
	}
	one := r.scanner()
	one.MACs = []net.HardwareAddr{r.US1.MAC}
	r.contain(one)
	dropped := r.state().Counters["us1 dropped"].Packets
	if says(others) {
		t.Error("it takes another's address")
	}
	if got := r.state().Counters["us1 dropped"].Packets; got == dropped {
		t.Error("nobody counts that")
	}
	if !says(r.US1.Addr) {
		t.Error("nobody finds it at its own")
	}
	if s := r.state(); !s.Applied {
		t.Errorf("%+v", s)
	}
}

// resolve has one host ask another for its hardware address, in the name of an address
// (RFC 826).
func resolve(t *testing.T, from, to *lab.Host, as netip.Addr) {
	t.Helper()
	frame := slices.Concat(slices.Repeat([]byte{0xff}, 6), from.MAC, []byte{0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1}, from.MAC, as.AsSlice(), make([]byte, 6), to.Addr.AsSlice())
	err := from.Do(func() error {
		const network = unix.ETH_P_ARP>>8 | unix.ETH_P_ARP&0xff<<8
		s, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, network)
		if err != nil {
			return err
		}
		defer unix.Close(s)
		eth0, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		return unix.Sendto(s, frame, 0, &unix.SockaddrLinklayer{Protocol: network, Ifindex: eth0.Index})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A further fragment has no ports: it does not pass as images do, which is counted, and
// nobody takes it for anything else.
func TestFragmentsAreCounted(t *testing.T) {
	r := newRouter(t, lab.Routed)
	r.contain(r.scanner())
	datagram := func(size int) Count {
		t.Helper()
		before := r.state().Counters["us1 fragments"]
		err := r.US1.Do(func() error {
			c, err := net.Dial("udp", netip.AddrPortFrom(r.Services.Addr, 123).String()) // which it may
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.Write(make([]byte, size))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if after := r.state().Counters["us1 fragments"]; after != before {
				return Count{after.Packets - before.Packets, after.Bytes - before.Bytes}
			}
			time.Sleep(10 * time.Millisecond)
		}
		return Count{}
	}
	if got := datagram(1000); got != (Count{}) {
		t.Errorf("a whole packet: %+v", got)
	}
	if got := datagram(4000); got.Packets != 2 { // of three
		t.Errorf("a packet in three: %+v", got)
	}
	if s := r.state(); !s.Applied || s.Counters["us1 dropped"].Packets < 2 {
		t.Errorf("%+v", s)
	}
	r.change(func(rs *Ruleset) {
		rs.Plan = &Plan{Mode: Shadow, Zones: []Zone{{"us", []netip.Prefix{r.US1.Network}}}}
	})
	if got := datagram(4000); got != (Count{}) {
		t.Errorf("with a plan: %+v", got)
	}
}
