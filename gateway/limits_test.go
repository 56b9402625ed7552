package gateway

import (
	"fmt"
	mathrand "math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"cordon/commitment"
	"cordon/dicom"
	"cordon/policy"
)

// Whoever makes up a new AE title for each association fills no memory.
func TestMadeUpTitlesFillNoMemory(t *testing.T) {
	m := newMemory(nil)
	for i := range maxKnown + 10 {
		m.add(accepted{"pacs", dicom.AETitle(fmt.Sprint("MADE", i)), dicom.CTImageStorage, dicom.ExplicitVRLittleEndian})
	}
	if len(m.known) != maxKnown || len(m.counts) != maxKnown {
		t.Errorf("%d contexts and %d titles are remembered, want %d", len(m.known), len(m.counts), maxKnown)
	}
}

// A host with one IPv6 network has one peer's seats, not all of them.
func TestSeatsOfAnIPv6NetworkAreOnePeers(t *testing.T) {
	s := newSeats(10, 2)
	stranger := func(peer string) caller { return callerOf(policy.Site{}, netip.MustParseAddr(peer)) }
	for i, c := range []struct {
		peer string
		want bool
	}{
		{"2001:db8::1", true}, {"2001:db8::2", true}, {"2001:db8::3", false}, {"2001:db8:0:1::1", true},
		{"192.0.2.1", true}, {"192.0.2.2", true}, {"192.0.2.2", true}, {"192.0.2.2", false},
	} {
		if got := s.take(stranger(c.peer), policy.Site{}); got != c.want {
			t.Errorf("%d: %s: %v", i, c.peer, got)
		}
	}
	s.giveBack(stranger("2001:db8::1"))
	if !s.take(stranger("2001:db8::4"), policy.Site{}) {
		t.Error("a seat that was given back cannot be taken")
	}
}

// A device that is known by its own address is counted by it, whatever a stranger
// beside it in the same IPv6 network does.
func TestStrangerInTheSameNetworkCostsADeviceNothing(t *testing.T) {
	site := policy.Site{Devices: []policy.Device{
		{Name: "wide", Addresses: []netip.Prefix{netip.MustParsePrefix("2001:db8:5::/48")}},
		{Name: "ct-1", Addresses: []netip.Prefix{netip.MustParsePrefix("2001:db8::21/128")}},
		{Name: "ct-2", Addresses: []netip.Prefix{netip.MustParsePrefix("2001:db8:5::22/128")}},
	}}
	device, beside := callerOf(site, netip.MustParseAddr("2001:db8::21")), callerOf(site, netip.MustParseAddr("2001:db8::66"))
	if !device.known() || beside.known() || device.holder == beside.holder {
		t.Fatalf("%+v and %+v", device, beside)
	}
	if o := ownerOf(site, netip.MustParseAddr("2001:db8:5::22")); o.name != "ct-2" {
		t.Errorf("an address that two have is %q's, want that of who names it exactly", o.name)
	}
	s, d := newSeats(20, 4), newDoor(10)
	for range 100 {
		s.take(beside, site)
		d.lets(beside, time.Now())
	}
	if !s.take(device, site) || !d.lets(device, time.Now()) {
		t.Error("turned away")
	}
}

// known is a site of so many devices, 10.0.0.1 and on, and an archive that calls.
func known(devices int) policy.Site {
	var site policy.Site
	for i := range devices {
		addr := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).Next()
		site.Devices = append(site.Devices, policy.Device{Name: fmt.Sprint("ct-", i), Addresses: []netip.Prefix{netip.PrefixFrom(addr, 32)}})
	}
	site.Archives = []policy.Archive{{Name: "pacs", Addresses: []netip.Prefix{netip.MustParsePrefix("10.9.9.9/32")}}}
	return site
}

// Whoever floods, in whatever order and from however many addresses, known ones
// among them: each known device still finds the seats that are kept for it.
func TestKnownDevicesFindTheirSeats(t *testing.T) {
	for _, c := range []struct{ all, each, devices int }{{256, 64, 10}, {256, 64, 200}, {16, 8, 5}, {8, 8, 7}, {4, 4, 0}} {
		site := known(c.devices)
		s := newSeats(c.all, c.each)
		random := mathrand.New(mathrand.NewPCG(1, uint64(c.all)))
		var taken []caller
		for range 20 * c.all {
			peer := netip.AddrFrom4([4]byte{192, 168, byte(random.IntN(4)), byte(random.IntN(250))}) // strangers
			if random.IntN(2) == 0 && c.devices > 0 {
				peer = site.Devices[random.IntN(min(3, c.devices))].Addresses[0].Addr() // infected devices
			}
			if c := callerOf(site, peer); s.take(c, site) {
				taken = append(taken, c)
			}
			if len(taken) > 0 && random.IntN(8) == 0 {
				i := random.IntN(len(taken))
				s.giveBack(taken[i])
				taken = slices.Delete(taken, i, i+1)
			}
		}
		if c.devices > 0 && s.strangers > (c.all+1)/2 {
			t.Errorf("%+v: strangers have %d seats", c, s.strangers)
		}
		kept := s.kept(c.devices + 1)
		if kept < 1 {
			t.Errorf("%+v: no seat is kept", c)
		}
		for i := range site.Devices { // all of them at once
			for s.byOwner[owner{name: site.Devices[i].Name}] < kept {
				if !s.take(callerOf(site, site.Devices[i].Addresses[0].Addr()), site) {
					t.Fatalf("%+v: device %d is turned away with %d of %d seats taken", c, i, s.taken, c.all)
				}
			}
		}
		if s.taken > c.all {
			t.Errorf("%+v: %d seats taken", c, s.taken)
		}
	}
}

// A known device keeps its seats from the moment that it is known, and not longer.
func TestSeatsFollowTheSite(t *testing.T) {
	s := newSeats(4, 4)
	device := known(1)
	stranger := callerOf(policy.Site{}, netip.MustParseAddr("192.0.2.1"))
	for range 4 {
		if !s.take(stranger, policy.Site{}) {
			t.Fatal("with nobody known, all seats are anybody's")
		}
	}
	s = newSeats(4, 4)
	for want := range 3 {
		if got := s.take(stranger, device); got != (want < 2) {
			t.Errorf("stranger %d: %v", want, got)
		}
	}
	denied := known(1)
	denied.Devices[0].Denied, denied.Archives = true, nil
	if ownerOf(denied, denied.Devices[0].Addresses[0].Addr()) != (owner{}) {
		t.Error("seats are kept for a device that is denied")
	}
}

// One address may open connections at a rate and no faster; what it is refused is
// counted, and others are not touched. Addresses without end fill no memory and
// cost known peers nothing.
func TestDoor(t *testing.T) {
	d := newDoor(10)
	now := time.Now()
	stranger := func(addr netip.Addr) caller { return callerOf(policy.Site{}, addr) }
	flood, other := stranger(netip.MustParseAddr("127.0.0.66")), stranger(netip.MustParseAddr("127.0.0.67"))
	in := 0
	for range 1000 {
		if d.lets(flood, now) {
			in++
		}
	}
	if in != 10*burstSeconds || !d.lets(other, now) {
		t.Errorf("%d of 1000 at once, want %d", in, 10*burstSeconds)
	}
	for i := range 100 {
		if d.lets(flood, now.Add(time.Duration(i)*10*time.Millisecond)) {
			in++
		}
	}
	if in -= 10 * burstSeconds; in != 9 {
		t.Errorf("%d in the next second, want 9", in)
	}
	if o := d.drain(); o.Total != 1000-10*burstSeconds+91 || o.Peers != 1 {
		t.Errorf("%+v", o)
	}
	for i := range quotaPeers + 10 {
		d.lets(stranger(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})), now)
	}
	if d.strangers.Len() > quotaPeers {
		t.Errorf("%d addresses are remembered", d.strangers.Len())
	}
	if !d.lets(caller{netip.MustParseAddr("127.0.0.21"), owner{name: "ct-1"}}, now) {
		t.Error("a known device is refused for the strangers' number")
	}
}

// Strangers who never finish their TLS handshakes keep no known peer from its own.
func TestHandshakesOfStrangersCostKnownPeersNothing(t *testing.T) {
	d := newDoor(10)
	for i := range 2 * maxHandshakes {
		c := callerOf(policy.Site{}, netip.AddrFrom4([4]byte{10, 6, byte(i >> 8), byte(i)}))
		if entered := d.handshakes(c).Enter(c.holder); entered != (i < maxHandshakes) {
			t.Fatalf("handshake %d of strangers: %v", i, entered)
		}
	}
	ct := caller{netip.MustParseAddr("127.0.0.21"), owner{name: "ct-1"}}
	for i := range maxHandshakesEach + 1 {
		if entered := d.handshakes(ct).Enter(ct.holder); entered != (i < maxHandshakesEach) {
			t.Errorf("handshake %d of a known peer: %v", i, entered)
		}
	}
}

// A device that people have denied is not called either, with objects or with
// reports.
func TestADeniedDeviceIsNotCalled(t *testing.T) {
	for _, denied := range []bool{false, true} {
		const name = "ct-1"
		ct := policy.Device{Name: name, AETitle: "CT1", Addresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.21/32")}, Port: 104, Denied: denied}
		h := start(t, func(c *Config) { c.Site.Devices = []policy.Device{ct} })
		if _, ok := h.gateway.outlet(name); ok == denied {
			t.Errorf("denied %v: objects go out: %v", denied, ok)
		}
		to := commitment.Requestor{Device: name, Calling: "CT1", Called: "CORDON", Address: netip.MustParseAddr("127.0.0.21")}
		if _, err := h.gateway.outletOf(to); (err == nil) == denied {
			t.Errorf("denied %v: reports: %v", denied, err)
		}
	}
}
