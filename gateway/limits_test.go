package gateway

import (
	"fmt"
	"net/netip"
	"testing"

	"cordon/dicom"
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
	for i, c := range []struct {
		peer string
		want bool
	}{
		{"2001:db8::1", true}, {"2001:db8::2", true}, {"2001:db8::3", false}, {"2001:db8:0:1::1", true},
		{"192.0.2.1", true}, {"192.0.2.2", true}, {"192.0.2.2", true}, {"192.0.2.2", false},
	} {
		if got := s.take(netip.MustParseAddr(c.peer)); got != c.want {
			t.Errorf("%d: %s: %v", i, c.peer, got)
		}
	}
	s.giveBack(netip.MustParseAddr("2001:db8::1"))
	if !s.take(netip.MustParseAddr("2001:db8::4")) {
		t.Error("a seat that was given back cannot be taken")
	}
}
