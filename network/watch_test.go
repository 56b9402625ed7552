package network

import (
	"net/netip"
	"testing"
	"time"

	"cordon/asset"
)

// The site of these tests: two scanners, an archive, the gateway, a domain controller.
var (
	us1     = netip.MustParseAddr("10.1.1.11")
	us2     = netip.MustParseAddr("10.1.1.12")
	ct1     = netip.MustParseAddr("10.1.1.21")
	gateway = netip.MustParseAddr("10.1.0.1")
	pacs    = netip.MustParseAddr("10.1.2.20")
	dc      = netip.MustParseAddr("10.1.6.60")
	office  = netip.MustParseAddr("10.1.40.40")
	abroad  = netip.MustParseAddr("198.51.100.7")

	us1MAC  = MAC{2, 0, 0, 0, 1, 11}
	evilMAC = MAC{2, 0, 0, 0, 9, 9}

	morning = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
)

func one(a netip.Addr) []netip.Prefix { return []netip.Prefix{netip.PrefixFrom(a, a.BitLen())} }

// declared are the devices: us1 and us2 are declared to the end, ct1 is learned.
func declared() []Declared {
	image := asset.Flow{Purpose: "dicom", To: one(gateway), Protocol: "tcp", Port: 104}
	common := []asset.Flow{
		{Purpose: "dns", To: one(dc), Protocol: "udp", Port: 53},
		{Purpose: "time", To: one(dc), Protocol: "udp", Port: 123},
		{Purpose: "dhcp", Protocol: "udp", Port: 67},
		{Purpose: "other", To: one(gateway), Protocol: "icmp"},
	}
	all := append([]asset.Flow{image}, common...)
	return []Declared{
		{Name: "us1", Addresses: one(us1), Modality: true, Strict: true, Flows: all},
		{Name: "us2", Addresses: one(us2), Modality: true, Strict: true, Flows: append([]asset.Flow{{Purpose: "service", To: one(office), Protocol: "tcp", Port: 443, Inbound: true}}, all...)},
		{Name: "ct1", Addresses: one(ct1), Modality: true, Flows: all},
	}
}

func servers() []Server {
	return []Server{
		{Name: "gateway", Addresses: one(gateway), Ports: []uint16{104}},
		{Name: "pacs", Addresses: one(pacs), Ports: []uint16{11112}},
	}
}

func newWatch(t *testing.T, settings map[string]Setting) *Watch {
	t.Helper()
	w, err := New(t.Context(), Config{Devices: declared, Servers: servers(), Settings: settings}, Parts{})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// calls is a conversation that was asked for and answered, and how well it is proven.
func calls(at time.Time, src, dst netip.Addr, port uint16, p Proof) Flow {
	return Flow{Time: at, Src: src, Dst: dst, SrcPort: 40000 + uint16(at.UnixMilli()%20000), DstPort: port, Protocol: TCP, Packets: 3, Bytes: 180, State: Established, Begun: true, Proof: p, Sensor: "test"}
}

func asks(at time.Time, src, dst netip.Addr, port uint16) Flow {
	f := calls(at, src, dst, port, NoProof)
	f.State = Attempt
	return f
}

// found are the rules of the alerts that are due, in order.
func found(w *Watch) []string {
	var out []string
	for _, a := range w.Drain() {
		out = append(out, a.Rule)
	}
	return out
}

func host4(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 1, 40, byte(n)}) }

// Each rule has what it is for, and what comes close and is none.
func TestRules(t *testing.T) {
	many := func(n int, each func(i int) Flow) []Flow {
		var out []Flow
		for i := range n {
			out = append(out, each(i))
		}
		return out
	}
	at := func(d time.Duration) time.Time { return morning.Add(d) }
	for _, c := range []struct {
		rule string
		does []Flow
		near []Flow
	}{
		{
			Lateral,
			[]Flow{calls(morning, us1, office, 445, ByTwoWay)},
			[]Flow{calls(morning, us1, gateway, 104, ByTwoWay)},
		},
		{
			EastWest,
			[]Flow{calls(morning, us1, us2, 8080, ByTwoWay)},
			[]Flow{calls(morning, office, us2, 443, ByTwoWay)},
		},
		{
			ScanHosts,
			many(8, func(i int) Flow { return asks(at(time.Duration(i)*time.Second), us1, host4(i+1), 8000) }),
			many(8, func(i int) Flow { return asks(at(time.Duration(i)*2*time.Second), us1, host4(i+1), 8000) }),
		},
		{
			ScanPorts,
			many(15, func(i int) Flow { return asks(at(time.Duration(i)*time.Second), us1, office, uint16(7000+i)) }),
			many(30, func(i int) Flow { return asks(at(time.Duration(i)*5*time.Second), us1, office, uint16(7000+i)) }),
		},
		{
			NewPeer,
			[]Flow{calls(morning, us1, office, 8443, ByTwoWay)},
			[]Flow{calls(morning, us1, gateway, 104, ByTwoWay), calls(morning, ct1, office, 8443, ByTwoWay)},
		},
		{
			NewService,
			[]Flow{calls(morning, us1, dc, 8443, ByTwoWay)},
			[]Flow{{Time: morning, Src: us1, Dst: dc, SrcPort: 5000, DstPort: 53, Protocol: UDP, State: Established, Begun: true, Sensor: "test"}},
		},
		{
			Beacon,
			many(9, func(i int) Flow { return calls(at(time.Duration(i)*time.Minute), ct1, abroad, 443, ByTwoWay) }),
			many(9, func(i int) Flow {
				return calls(at(time.Duration(i*i)*time.Minute/3), ct1, abroad, 443, ByTwoWay)
			}),
		},
		{
			RateStep,
			many(60, func(i int) Flow { return calls(at(time.Duration(i)*900*time.Millisecond), ct1, dc, 8530, ByTwoWay) }),
			many(60, func(i int) Flow { return calls(at(time.Duration(i)*1100*time.Millisecond), ct1, dc, 8530, ByTwoWay) }),
		},
		{
			SYNFlood,
			many(201, func(i int) Flow {
				f := asks(at(time.Duration(i)*time.Millisecond), netip.AddrFrom4([4]byte{10, 1, 99, byte(i)}), pacs, 11112)
				return f
			}),
			many(400, func(i int) Flow { return calls(at(time.Duration(i)*time.Millisecond), us1, gateway, 104, ByTwoWay) }),
		},
		{
			Flooding,
			many(100, func(i int) Flow {
				f := asks(at(time.Duration(i)*time.Millisecond), us1, gateway, 104)
				f.SrcPort = uint16(20000 + i)
				return f
			}),
			many(99, func(i int) Flow {
				f := asks(at(time.Duration(i)*time.Millisecond), us1, gateway, 104)
				f.SrcPort = uint16(20000 + i)
				return f
			}),
		},
		{
			StrangerScans,
			many(32, func(i int) Flow { return asks(at(time.Duration(i)*10*time.Millisecond), office, host4(100+i), 8000) }),
			many(60, func(i int) Flow {
				return calls(at(time.Duration(i)*10*time.Millisecond), office, host4(100+i), 8000, ByTwoWay)
			}),
		},
		{
			Inbound,
			[]Flow{calls(morning, office, us1, 80, ByTwoWay)},
			[]Flow{calls(morning, office, us2, 443, ByTwoWay), calls(morning, office, ct1, 80, ByTwoWay)},
		},
	} {
		t.Run(c.rule, func(t *testing.T) {
			w := newWatch(t, nil)
			for _, f := range c.does {
				w.Observe(f)
			}
			if got := found(w); !contains(got, c.rule) {
				t.Errorf("found %v", got)
			}
			w = newWatch(t, nil)
			for _, f := range c.near {
				w.Observe(f)
			}
			if got := found(w); contains(got, c.rule) {
				t.Errorf("near miss: found %v", got)
			}
			off := newWatch(t, map[string]Setting{c.rule: {Off: true}})
			for _, f := range c.does {
				off.Observe(f)
			}
			if got := found(off); contains(got, c.rule) {
				t.Errorf("switched off: found %v", got)
			}
		})
	}
}

func contains(all []string, s string) bool {
	for _, a := range all {
		if a == s {
			return true
		}
	}
	return false
}
