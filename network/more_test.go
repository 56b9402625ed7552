package network

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/store"
)

func detection(src, dst netip.Addr, port uint16, at time.Time) Detection {
	return Detection{Time: at, Src: src, Dst: dst, SrcPort: 50000, DstPort: port, Protocol: TCP, Signature: "ET EXPLOIT something", ID: "1:2024218", Level: 1, Sensor: "eve"}
}

func TestDetectionsAndNames(t *testing.T) {
	w := newWatch(t, nil)
	w.Detected(detection(us1, office, 445, morning))
	w.Detected(detection(abroad, us1, 104, morning))
	w.Detected(detection(office, abroad, 443, morning)) // no device
	if got := found(w); !slices.Equal(got, []string{Recognised, Attacked}) {
		t.Errorf("found %v", got)
	}
	for i := range 20 {
		w.Asked(Asked{Time: morning.Add(time.Duration(i) * time.Second), Src: us1, Name: "gateway.example.org", Missing: true})
		w.Asked(Asked{Time: morning.Add(time.Duration(i) * time.Second), Src: us1, Name: fmt.Sprintf("there-is-%d.example.org", i)})
	}
	if got := found(w); len(got) > 0 {
		t.Errorf("near miss: found %v", got)
	}
	for i := range 20 {
		w.Asked(Asked{Time: morning.Add(time.Duration(i) * time.Second), Src: us1, Name: fmt.Sprintf("x%d.example.org", i*7919), Missing: true})
	}
	if got := found(w); !slices.Equal(got, []string{StrangeNames}) {
		t.Errorf("found %v", got)
	}
}

// A packet in the name of a device that holds another conversation with the same host
// proves nothing against it.
func TestDetectionIsProvenByItsOwnConversation(t *testing.T) {
	w := newWatch(t, nil)
	other := calls(morning, us1, gateway, 104, ByTwoWay)
	other.SrcPort = 41000
	w.Observe(other)
	w.Detected(detection(us1, gateway, 104, morning.Add(time.Second)))
	if got := w.Drain(); len(got) != 1 || got[0].May() {
		t.Fatalf("%+v", got)
	}
	own := calls(morning.Add(2*time.Second), us1, gateway, 104, ByTwoWay)
	own.SrcPort = 50000
	w.Observe(own)
	got := w.Drain()
	if len(got) != 1 || !got[0].May() || got[0].Count != 1 {
		t.Fatalf("%+v", got)
	}
}

// Forged packets beside one true conversation do not make a proven scan.
func TestForgedPacketsProveNoCount(t *testing.T) {
	w := newWatch(t, nil)
	w.Observe(calls(morning, us1, host4(1), 8000, ByTwoWay))
	for i := range 20 {
		w.Observe(asks(morning.Add(time.Second), us1, host4(2+i), 8000))
	}
	for _, a := range w.Drain() {
		if a.Rule == ScanHosts && a.May() {
			t.Errorf("%+v", a)
		}
	}
}

// Somebody else's card makes a conversation in the device's name, from handshake to end.
func TestAnotherCardProvesNothing(t *testing.T) {
	w := newWatch(t, nil)
	own := calls(morning, us1, gateway, 104, ByTwoWay)
	own.SrcMAC = us1MAC
	w.Observe(own)
	forged := calls(morning.Add(time.Minute), us1, office, 445, ByTwoWay)
	forged.SrcMAC = evilMAC
	w.Observe(forged)
	var rules []string
	for _, a := range w.Drain() {
		rules = append(rules, a.Rule)
		if a.May() {
			t.Errorf("%+v", a)
		}
	}
	if !slices.Equal(rules, []string{AddressChange, Lateral}) {
		t.Errorf("found %v", rules)
	}
	own = asks(morning.Add(2*time.Minute), us1, office, 445)
	own.SrcMAC = us1MAC
	w.Observe(own) // the device itself, and nobody answers
	if got := w.Drain(); len(got) != 1 || got[0].Proof != ByMAC || !got[0].May() {
		t.Errorf("%+v", got)
	}
}

// A router's card is many hosts', and proves nothing about any.
func TestRoutersCardProvesNothing(t *testing.T) {
	w := newWatch(t, nil)
	for i, a := range []netip.Addr{us1, us2, office} {
		f := calls(morning.Add(time.Duration(i)*time.Second), a, gateway, 104, ByTwoWay)
		f.SrcMAC = evilMAC
		w.Observe(f)
	}
	w.Drain()
	f := asks(morning.Add(time.Minute), us1, office, 445)
	f.SrcMAC = evilMAC
	w.Observe(f)
	if got := w.Drain(); len(got) != 1 || got[0].Proof != NoProof {
		t.Errorf("%+v", got)
	}
}

func TestClaimsOfAnAddress(t *testing.T) {
	w := newWatch(t, nil)
	w.Claim(Claim{Time: morning, Addr: us1, MAC: evilMAC, ARP: true}) // nobody knows better
	if got := found(w); len(got) > 0 {
		t.Errorf("found %v", got)
	}
	own := calls(morning, us1, gateway, 104, ByTwoWay)
	own.SrcMAC = us1MAC
	w.Observe(own)
	w.Claim(Claim{Time: morning, Addr: us1, MAC: us1MAC, ARP: true})
	if got := found(w); len(got) > 0 {
		t.Errorf("near miss: found %v", got)
	}
	w.Claim(Claim{Time: morning, Addr: us1, MAC: evilMAC, ARP: true})
	if got := w.Drain(); len(got) != 1 || got[0].Rule != AddressChange || got[0].May() || !strings.Contains(got[0].Detail, evilMAC.String()) {
		t.Errorf("%+v", got)
	}
	later := calls(morning.Add(25*time.Hour), us1, gateway, 104, ByTwoWay) // a day of silence: the card was replaced
	later.SrcMAC = evilMAC
	w.Observe(later)
	if got := found(w); len(got) > 0 {
		t.Errorf("after a day: found %v", got)
	}
}

func TestTalkerFallsSilent(t *testing.T) {
	for name, c := range map[string]struct {
		others bool // are heard
		want   []string
	}{"and others talk": {true, []string{Silent}}, "as everybody does": {false, nil}} {
		t.Run(name, func(t *testing.T) {
			w := newWatch(t, nil)
			for i := range 2 * slots {
				at := morning.Add(time.Duration(i) * slot)
				if i < slots+10 {
					w.Observe(calls(at, us1, gateway, 104, ByTwoWay))
				}
				if i < slots+10 || c.others {
					w.Observe(calls(at, us2, gateway, 104, ByTwoWay))
				}
			}
			w.Observe(calls(morning.Add(2*slots*slot), us2, gateway, 104, ByTwoWay))
			if got := found(w); !slices.Equal(got, c.want) {
				t.Errorf("found %v", got)
			}
		})
	}
}

// A clock that is set makes nobody silent, nothing a beacon and nothing a scan.
func TestClockIsSet(t *testing.T) {
	for _, by := range []time.Duration{-72 * time.Hour, -time.Hour, time.Hour, 72 * time.Hour} {
		w := newWatch(t, nil)
		at := morning
		for i := range 3 * slots {
			if i == 2*slots {
				at = at.Add(by)
			}
			at = at.Add(slot)
			w.Observe(calls(at, us1, gateway, 104, ByTwoWay))
			w.Observe(calls(at, us2, gateway, 104, ByTwoWay))
		}
		if got := found(w); len(got) > 0 {
			t.Errorf("%v: found %v", by, got)
		}
	}
}

// What a device does in its first two weeks is its own; what worms do never is.
func TestLearning(t *testing.T) {
	w := newWatch(t, nil)
	w.Observe(calls(morning, ct1, office, 8443, ByTwoWay))
	w.Observe(calls(morning, ct1, office, 445, ByTwoWay))
	if got := found(w); !slices.Equal(got, []string{Lateral}) {
		t.Errorf("found %v", got)
	}
	later := morning.AddDate(0, 0, 15)
	w.Observe(calls(later, ct1, office, 8443, ByTwoWay))
	if got := found(w); len(got) > 0 {
		t.Errorf("found %v", got)
	}
	w.Observe(calls(later, ct1, office, 445, ByTwoWay)) // seen while it was learned, and no reason to trust it
	w.Observe(calls(later, ct1, host4(9), 8443, ByTwoWay))
	w.Observe(calls(later, host4(9), ct1, 8443, ByTwoWay))
	if got := found(w); !slices.Equal(got, []string{Lateral, NewPeer, Inbound}) {
		t.Errorf("found %v", got)
	}
}

// One alert at once, then counts, at growing pauses, and at once when it is proven.
func TestAlertsAreMerged(t *testing.T) {
	w := newWatch(t, nil)
	told := map[int]int{} // count by telling
	n := 0
	for i := range 600 {
		w.Observe(asks(morning.Add(time.Duration(i)*time.Second), us1, office, 445))
		for _, a := range w.Drain() {
			if a.Rule == Lateral {
				n++
				told[n] = a.Count
			}
		}
	}
	if told[1] != 1 || told[2] != 61 || told[3] != 61+120 || n != 4 {
		t.Errorf("told of %v", told)
	}
	f := asks(morning.Add(601*time.Second), us1, host4(7), 445)
	f.State, f.Proof, f.Begun = Established, ByTwoWay, false
	w.Observe(f)
	got := w.Drain()
	if len(got) != 1 || got[0].Proof != ByTwoWay || len(got[0].Peers) != 2 {
		t.Errorf("%+v", got)
	}
}

// Bounded, whoever makes up how many addresses.
func TestMemoryIsBounded(t *testing.T) {
	w := newWatch(t, nil)
	w.Observe(calls(morning, us1, gateway, 104, ByTwoWay))
	for i := range 40_000 {
		a := netip.AddrFrom4([4]byte{10, 2, byte(i >> 8), byte(i)})
		b := netip.AddrFrom4([4]byte{10, 3, byte(i), byte(i >> 8)})
		w.Observe(asks(morning.Add(time.Duration(i)*time.Microsecond), a, us1, uint16(i)))
		w.Observe(asks(morning.Add(time.Duration(i)*time.Microsecond), us2, b, uint16(i)))
		w.Observe(asks(morning.Add(time.Duration(i)*time.Microsecond), a, b, uint16(i)))
	}
	if len(w.talkers) > maxTalkers || w.rowCount > maxRows || len(w.matters) > maxMatters || len(w.rows[us2]) > maxRowsKnown {
		t.Errorf("%d talkers, %d rows, %d matters", len(w.talkers), w.rowCount, len(w.matters))
	}
	if len(w.rows[us1]) != 1 {
		t.Errorf("a device's own row is gone: %d", len(w.rows[us1]))
	}
	rows := 0
	for _, mine := range w.rows {
		rows += len(mine)
	}
	if rows != w.rowCount {
		t.Errorf("%d rows, %d counted", rows, w.rowCount)
	}
}

// journal keeps the kinds that were recorded.
type journal struct {
	mu    sync.Mutex
	kinds []string
}

func (j *journal) Append(_ *store.Tx, kind string, body any) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.kinds = append(j.kinds, kind)
	return nil
}

// What was seen is there after a restart: who talks to whom, since when a device is
// learned, its card, and what was unusual.
func TestWhatWasSeenLasts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	start := func() (*Watch, *journal, chan Alert, func()) {
		db, err := store.OpenDB(t.Context(), path, []store.Migrations{Migrations()})
		if err != nil {
			t.Fatal(err)
		}
		j, raised := &journal{}, make(chan Alert, 100)
		w, err := New(t.Context(), Config{Devices: declared, Servers: servers(), Raise: func(a Alert) { raised <- a }}, Parts{DB: db, Journal: j})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := w.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		return w, j, raised, func() {
			cancel()
			running.Wait()
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	now := time.Now()
	w, j, raised, stop := start()
	own := calls(now, us1, gateway, 104, ByTwoWay)
	own.SrcMAC = us1MAC
	w.Observe(own)
	w.Observe(calls(now, ct1, office, 8443, ByTwoWay))
	begun := time.Now()
	w.Observe(calls(now, us1, office, 445, ByTwoWay))
	select {
	case a := <-raised:
		if a.Rule != Lateral || time.Since(begun) > 500*time.Millisecond {
			t.Errorf("%+v after %v", a, time.Since(begun))
		}
	case <-time.After(5 * time.Second):
		t.Fatal("no alert")
	}
	stop()
	if !slices.Contains(j.kinds, "network.alert") {
		t.Errorf("recorded %v", j.kinds)
	}
	w, _, raised, stop = start()
	defer stop()
	rows, err := w.Seen(t.Context())
	if err != nil || len(rows) != 3 {
		t.Fatalf("%+v, %v", rows, err)
	}
	if r := rows[0]; r.Device != "ct1" || r.Dst != office || r.Allowed || r.Established != 1 || !r.First.Equal(now.Truncate(time.Microsecond)) {
		t.Errorf("%+v", r)
	}
	alerts, err := w.Alerts(t.Context(), 10)
	if err != nil || len(alerts) != 1 || alerts[0].Rule != Lateral || alerts[0].ID == 0 {
		t.Errorf("%+v, %v", alerts, err)
	}
	w.Claim(Claim{Time: now, Addr: us1, MAC: evilMAC, ARP: true})
	w.Observe(calls(now.AddDate(0, 0, 20), ct1, office, 8443, ByTwoWay)) // learned before
	select {
	case a := <-raised:
		if a.Rule != AddressChange {
			t.Errorf("%+v", a)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the card is forgotten")
	}
	if got := found(w); len(got) > 0 {
		t.Errorf("found %v", got)
	}
}
