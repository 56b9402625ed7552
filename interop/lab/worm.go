package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// Marker is all that the worm ever sends.
const Marker = "cordon lab: a harmless marker, no worm\n"

// Worm is a simulated one: it connects to every target in turn, sends a marker where
// somebody answers, and goes on until it is stopped. It carries nothing and changes
// nothing.
type Worm struct {
	mu      sync.Mutex
	first   time.Time
	tries   int
	reached int
	last    time.Time // that somebody was reached
	stop    context.CancelFunc
	done    sync.WaitGroup
}

// Infect lets a worm loose on a host against targets of this hospital, so many
// connections a second, until the test ends or Stop.
func (s *Host) Infect(t testing.TB, targets []netip.AddrPort, rate int) *Worm {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &Worm{stop: cancel}
	t.Cleanup(w.Stop)
	w.done.Go(func() { // ends with ctx
		tick := time.NewTicker(time.Second / time.Duration(rate))
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			w.done.Go(func() { w.try(s, targets[n%len(targets)]) }) // ends after its connection's time
		}
	})
	return w
}

func (w *Worm) try(s *Host, to netip.AddrPort) {
	w.mu.Lock()
	w.tries++
	if w.first.IsZero() {
		w.first = time.Now()
	}
	w.mu.Unlock()
	c, err := s.Dial(to.String(), time.Second)
	if err != nil {
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Second))
	if _, err := io.WriteString(c, Marker); err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reached++
	w.last = time.Now()
}

// Stop ends it and waits until its last connection has ended.
func (w *Worm) Stop() {
	w.stop()
	w.done.Wait()
}

// First is when it began; Tries and Reached count connections; Last is when it was
// last let in.
func (w *Worm) First() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.first }
func (w *Worm) Tries() int       { w.mu.Lock(); defer w.mu.Unlock(); return w.tries }
func (w *Worm) Reached() int     { w.mu.Lock(); defer w.mu.Unlock(); return w.reached }
func (w *Worm) Last() time.Time  { w.mu.Lock(); defer w.mu.Unlock(); return w.last }

// Victim answers on ports of a host, at all its addresses, and remembers which
// markers came when.
type Victim struct {
	mu  sync.Mutex
	hit []time.Time
}

// Hits are the times at which a marker came, the earliest first.
func (v *Victim) Hits() []time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]time.Time(nil), v.hit...)
}

// Expose opens ports on the host until the test ends.
func (s *Host) Expose(t testing.TB, ports ...int) *Victim {
	t.Helper()
	v := &Victim{}
	var open sync.WaitGroup
	t.Cleanup(open.Wait)
	for _, port := range ports {
		l := s.Listen(t, fmt.Sprintf(":%d", port))
		open.Go(func() { // ends when l is closed
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				open.Go(func() { v.read(c) }) // ends after its deadline
			}
		})
	}
	return v
}

func (v *Victim) read(c net.Conn) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * time.Second))
	got, _ := io.ReadAll(io.LimitReader(c, int64(len(Marker))))
	if string(got) != Marker {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.hit = append(v.hit, time.Now())
}

// Counter counts packets that a host receives, in a table of nftables on that host.
type Counter struct {
	host  *Host
	table string
}

// Count counts, from now on, the packets that come to the host from another one: all,
// or those that an expression of nftables fits, such as "tcp dport != 104".
func (s *Host) Count(t testing.TB, from *Host, fits ...string) Counter {
	t.Helper()
	c := Counter{s, fmt.Sprintf("count%d", built.Add(1))}
	var rules strings.Builder
	fmt.Fprintf(&rules, "table inet %s { counter seen { }; chain counted { type filter hook prerouting priority -400; ", c.table)
	for _, source := range []string{"ip saddr " + from.Addr.String(), "ip6 saddr " + from.Addr6.String()} {
		fmt.Fprintf(&rules, "%s %s counter name seen; ", source, strings.Join(fits, " "))
	}
	s.Run(t, "nft", rules.String()+"}; }")
	return c
}

// Packets is how many came.
func (c Counter) Packets(t testing.TB) int {
	t.Helper()
	var all struct {
		Nftables []struct {
			Counter *struct{ Packets int } `json:"counter"`
		} `json:"nftables"`
	}
	text := c.host.Run(t, "nft", "-j", "list", "counters", "table", "inet", c.table)
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatal(err)
	}
	for _, o := range all.Nftables {
		if o.Counter != nil {
			return o.Counter.Packets
		}
	}
	t.Fatalf("no counter in %s", text)
	return 0
}
