package gateway

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/policy"
)

// quotaPeers is how many peers a quota remembers.
const quotaPeers = 1 << 16

// An address of no known peer that keeps to the rate still opens no more than so
// many connections a day; known peers, and other strangers, are not counted with it.
func TestStrangerHasSoManyConnectionsADay(t *testing.T) {
	site := policy.Site{Devices: []policy.Device{{Name: "ct-1", Addresses: []netip.Prefix{netip.MustParsePrefix("2001:db8::21/128")}}}}
	at := func(addr string) caller { return callerOf(site, netip.MustParseAddr(addr)) }
	d, now := newDoor(50), time.Now()
	over := func(from, to time.Duration, who func(i int) caller) (in int) { // at 40 a second
		for i := 0; from < to; i, from = i+1, from+25*time.Millisecond {
			if d.lets(who(i), now.Add(from)) {
				in++
			}
		}
		return in
	}
	flood := func(i int) caller { return at(fmt.Sprintf("2001:db8::%x", 0x1000+i%5000)) } // one network
	const day = 24 * time.Hour
	first := strangersADay / 40 * time.Second
	if in := over(0, first, flood); in != strangersADay {
		t.Errorf("%d of the first %d", in, strangersADay)
	}
	refilled := int(first / (day / strangersADay)) // meanwhile
	if in := over(first, first+time.Hour, flood); in < refilled+strangersADay/24-1 || in > refilled+strangersADay/24+1 {
		t.Errorf("%d in the next hour, want %d", in, refilled+strangersADay/24)
	}
	now = now.Add(first + time.Hour)
	if !d.lets(at("192.0.2.1"), now) || !d.lets(at("2001:db8:0:1::1"), now) {
		t.Error("another stranger is turned away")
	}
	if low := d.daily.Low(now); len(low) != 1 || low[0] != "2001:db8::/64" {
		t.Errorf("used up: %q", low)
	}
	if o := d.drain(); o.Total == 0 || o.Peers != 1 {
		t.Errorf("counted: %+v", o)
	}
	if in := over(0, 2*first, func(int) caller { return at("2001:db8::21") }); in != 2*strangersADay {
		t.Errorf("a known device: %d of %d", in, 2*strangersADay)
	}
	if now = now.Add(day); !d.lets(flood(0), now) || len(d.daily.Low(now)) != 0 {
		t.Error("a day later it is not forgotten")
	}
}

// Strangers without end fill no memory, and one that has been let in once does not
// keep its place for a day.
func TestStrangersOfADayAreBounded(t *testing.T) {
	d, now := newDoor(50), time.Now()
	for i := range quotaPeers + 10 {
		d.lets(callerOf(policy.Site{}, netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})), now)
	}
	if n := d.daily.Len(); n > quotaPeers {
		t.Errorf("%d are remembered", n)
	}
	d.drain()
	if !d.lets(callerOf(policy.Site{}, netip.MustParseAddr("192.0.2.1")), now.Add(5*time.Second)) {
		t.Error("a stranger has no place five seconds later")
	}
}

// What is over the limit is told to come back, is counted, and is an alarm. A declared device
// that its address does not tell uses nothing up.
func TestStrangerOverItsDayIsToldToComeBack(t *testing.T) {
	h := start(t, func(c *Config) { c.Site.Devices = []policy.Device{{Name: "ct-1", AETitle: "CT1"}} })
	here, daily := netip.MustParseAddr("127.0.0.1"), h.gateway.door.daily
	still(daily, here) // in the time that the test takes a connection would be given back
	for range strangersADay - 2 {
		daily.Take(here, time.Now())
	}
	come := func(title dicom.AETitle) error {
		as, err := h.associate(title, "CORDON")
		if err == nil {
			as.Release(context.Background())
		}
		return err
	}
	for range 5 {
		if err := come("CT1"); err != nil {
			t.Fatalf("a declared device: %v", err)
		}
	}
	for range 2 {
		if err := come("STRANGER"); err != nil {
			t.Fatalf("within its day: %v", err)
		}
	}
	begun := len(h.recorded("association.begin"))
	if asRejection(t, come("STRANGER")) != rejectCongested {
		t.Error("not told to come back")
	}
	if n := len(h.recorded("association.begin")) - begun; n != 0 {
		t.Errorf("%d associations are on the ledger", n)
	}
	h.gateway.recordHangUps(context.Background())
	if told := h.recorded("connections.refused"); len(told) != 1 || told[0]["refused"] != float64(1) {
		t.Errorf("counted: %v", told)
	}
	st, err := h.gateway.Status(context.Background())
	if err != nil || len(st.Spent) != 1 || st.Spent[0] != "127.0.0.1" || st.Objects.Rejected != 1 {
		t.Errorf("%q, %d rejected, %v", st.Spent, st.Objects.Rejected, err)
	}
}
