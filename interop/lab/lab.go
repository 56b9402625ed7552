// Package lab is a small hospital in network namespaces: two ultrasound scanners, an
// archive, a workstation, a server of the general network with many addresses, the
// servers that every device needs (DHCP, DNS, time), a vendor's laptop, somebody
// outside, and the router between them, on which Cordon runs.
//
//	h := lab.New(t, lab.Routed)              // torn down with the test
//	h.Router.Start(t, cordon, "up", "--config", file)
//	h.US1.Run(t, "storescu", h.Router.Addr.String(), "104", image)
//	seen := h.General.Count(t, h.US1)        // packets that came from it, from now on
//
// No packet leaves the namespaces: nothing in them has a link to the machine's own.
package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Shape says how the scanners are cabled.
type Shape int

const (
	Routed  Shape = iota // each host has a network of its own, so that all they say to one another crosses the router's IP layer
	Bridged              // the scanners share a segment, whose ports are joined by a bridge of the router's
)

// Hospital is all hosts.
type Hospital struct {
	Router *Host // Addr is the address that the scanners know

	US1, US2    *Host // ultrasound scanners
	Archive     *Host
	Workstation *Host
	General     *Host // has more addresses: see Further
	Services    *Host // DHCP, DNS, time, logon
	Laptop      *Host // of a vendor
	Outside     *Host
}

// Host is a machine: a network namespace with one link to the router.
type Host struct {
	Name      string
	Namespace string
	Addr      netip.Addr
	Addr6     netip.Addr
	MAC       net.HardwareAddr
	Port      string // the router's end of its link
	Network   netip.Prefix
	Network6  netip.Prefix
}

var built atomic.Int64 // hospitals of this process, so that their names differ

// New builds a hospital.
func New(t testing.TB, shape Shape) *Hospital {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("network namespaces need root")
	}
	id := fmt.Sprintf("lab%d-%d", os.Getpid(), built.Add(1))
	h := &Hospital{Router: &Host{Name: "router", Namespace: id + "-router"}}
	h.Router.create(t)
	h.Router.Run(t, "sh", "-c", "for f in ipv4/ip_forward ipv6/conf/all/forwarding; do echo 1 >/proc/sys/net/$f; done; echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter; echo 0 >/proc/sys/net/ipv4/conf/default/rp_filter")
	for _, p := range []struct {
		to   **Host
		name string
		net  int
		host int
	}{
		{&h.US1, "us-1", 11, 11}, {&h.US2, "us-2", 12, 12}, {&h.Archive, "archive", 20, 20}, {&h.Workstation, "workstation", 30, 30},
		{&h.General, "general", 40, 40}, {&h.Laptop, "laptop", 50, 50}, {&h.Services, "services", 60, 60}, {&h.Outside, "outside", 90, 90},
	} {
		network := p.net
		if shape == Bridged && p.net == 12 {
			network = 11
		}
		*p.to = h.host(t, id, p.name, network, p.host)
	}
	if shape == Bridged {
		h.bridge(t)
	} else {
		for _, s := range []*Host{h.US1, h.US2} {
			h.Router.gateway(t, s, s.Port)
		}
	}
	for _, s := range []*Host{h.Archive, h.Workstation, h.General, h.Laptop, h.Services, h.Outside} {
		h.Router.gateway(t, s, s.Port)
	}
	h.Router.Addr, h.Router.Addr6 = h.US1.first(), h.US1.first6()
	for _, s := range h.Hosts() {
		s.Run(t, "ip", "route", "add", "default", "via", s.first().String())
		s.Run(t, "ip", "-6", "route", "add", "default", "via", s.first6().String())
	}
	for _, a := range h.Further(further) {
		h.General.Run(t, "ip", "address", "add", a.String()+"/24", "dev", "eth0")
	}
	return h
}

// Hosts are all but the router.
func (h *Hospital) Hosts() []*Host {
	return []*Host{h.US1, h.US2, h.Archive, h.Workstation, h.General, h.Services, h.Laptop, h.Outside}
}

const further = 40

// Further are the other addresses of the general network's server, n of at most 40.
func (h *Hospital) Further(n int) []netip.Addr {
	var out []netip.Addr
	for i := range n {
		out = append(out, netip.AddrFrom4([4]byte{10, 77, 40, byte(41 + i)}))
	}
	return out
}

func (h *Hospital) host(t testing.TB, id, name string, network, last int) *Host {
	t.Helper()
	s := &Host{
		Name: name, Namespace: id + "-" + name, Port: "to-" + name,
		Addr:     netip.AddrFrom4([4]byte{10, 77, byte(network), byte(last)}),
		Addr6:    netip.MustParseAddr(fmt.Sprintf("fd77:%d::%d", network, last)),
		Network:  netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77, byte(network), 0}), 24),
		Network6: netip.MustParsePrefix(fmt.Sprintf("fd77:%d::/64", network)),
		MAC:      net.HardwareAddr{2, 0x77, 0, 0, byte(network), byte(last)},
	}
	s.create(t)
	s.Run(t, "ip", "link", "add", "eth0", "address", s.MAC.String(), "type", "veth", "peer", "name", s.Port, "netns", h.Router.Namespace)
	s.Run(t, "ip", "address", "add", s.Addr.String()+"/24", "dev", "eth0")
	s.Run(t, "ip", "address", "add", s.Addr6.String()+"/64", "dev", "eth0", "nodad")
	s.Run(t, "ip", "link", "set", "eth0", "up")
	h.Router.Run(t, "ip", "link", "set", s.Port, "up")
	return s
}

// bridge joins the scanners' ports.
func (h *Hospital) bridge(t testing.TB) {
	t.Helper()
	h.Router.Run(t, "ip", "link", "add", "segment", "type", "bridge")
	for _, s := range []*Host{h.US1, h.US2} {
		h.Router.Run(t, "ip", "link", "set", s.Port, "master", "segment")
	}
	h.Router.Run(t, "ip", "link", "set", "segment", "up")
	h.Router.gateway(t, h.US1, "segment")
}

// gateway gives the router its address in a host's network.
func (r *Host) gateway(t testing.TB, s *Host, link string) {
	t.Helper()
	r.Run(t, "ip", "address", "add", s.first().String()+"/24", "dev", link)
	r.Run(t, "ip", "address", "add", s.first6().String()+"/64", "dev", link, "nodad")
}

func (s *Host) first() netip.Addr  { return s.Network.Addr().Next() }
func (s *Host) first6() netip.Addr { return s.Network6.Addr().Next() }

// create makes the namespace; it goes with the test, and what still runs in it is
// ended by whoever started it before.
func (s *Host) create(t testing.TB) {
	t.Helper()
	if out, err := exec.Command("ip", "netns", "add", s.Namespace).CombinedOutput(); err != nil {
		t.Fatalf("making %s: %v\n%s", s.Namespace, err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("ip", "netns", "del", s.Namespace).CombinedOutput(); err != nil {
			t.Errorf("removing %s: %v\n%s", s.Namespace, err, out)
		}
	})
	s.Run(t, "sh", "-c", "for i in all default; do echo 0 >/proc/sys/net/ipv6/conf/$i/accept_dad; done") // else addresses are not used for a second
	s.Run(t, "ip", "link", "set", "lo", "up")
}

// Command is a command line that runs on the host, for exec.Command.
func (s *Host) Command(args ...string) []string {
	return append([]string{"ip", "netns", "exec", s.Namespace}, args...)
}

// Run runs a command on the host to its end and returns what it printed; the test
// fails with it.
func (s *Host) Run(t testing.TB, args ...string) string {
	t.Helper()
	out, err := s.Try(args...)
	if err != nil {
		t.Fatalf("on %s: %s: %v\n%s", s.Name, strings.Join(args, " "), err, out)
	}
	return out
}

// Try is Run for what may fail. It takes a minute at the most.
func (s *Host) Try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	line := s.Command(args...)
	out, err := exec.CommandContext(ctx, line[0], line[1:]...).CombinedOutput()
	return string(out), err
}

// Do runs fn with the host's network as its own. Sockets that fn opens stay the
// host's wherever they are used; goroutines that it starts are not on the host.
func (s *Host) Do(fn func() error) error {
	done := make(chan error, 1)
	go func() { // ends with fn, and its thread with it
		runtime.LockOSThread() // never unlocked: the thread is spoilt for others
		f, err := os.Open(filepath.Join("/run/netns", s.Namespace))
		if err != nil {
			done <- err
			return
		}
		defer f.Close()
		if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("entering %s: %w", s.Namespace, err)
			return
		}
		done <- fn()
	}()
	return <-done
}

// Dial opens a connection from the host.
func (s *Host) Dial(to string, timeout time.Duration) (c net.Conn, err error) {
	err = s.Do(func() error {
		c, err = (&net.Dialer{Timeout: timeout, FallbackDelay: -1}).Dial("tcp", to)
		return err
	})
	return c, err
}

// Listen listens on the host until the test ends.
func (s *Host) Listen(t testing.TB, address string) net.Listener {
	t.Helper()
	var l net.Listener
	err := s.Do(func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	})
	if err != nil {
		t.Fatalf("on %s: %v", s.Name, err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}
