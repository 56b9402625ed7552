package main

import (
	"net/netip"
	"slices"
	"testing"

	"cordon/asset"
	"cordon/contain"
)

// The images of a device that nobody may configure go to its archive's address, and
// go on while it is contained: the preview must not say that they stop.
func TestConnectionsLedHereAreImages(t *testing.T) {
	c := Config{Archives: []ArchiveConfig{{Name: "pacs", Address: "10.2.0.5:4242"}, {Name: "other", Address: "10.2.0.6:104"}}}
	us, pacs := netip.MustParseAddr("10.1.0.5"), netip.MustParseAddrPort("10.2.0.5:4242")
	if c.led(us, pacs) {
		t.Error("without transparent mode")
	}
	c.Gateway.Transparent = &TransparentConfig{From: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/24")}, Archives: []string{"pacs"}}
	for _, test := range []struct {
		from, to string
		want     bool
	}{
		{"10.1.0.5", "10.2.0.5:4242", true},
		{"10.1.0.5", "10.2.0.5:8042", false},
		{"10.1.0.5", "10.2.0.6:104", false},
		{"10.3.0.5", "10.2.0.5:4242", false},
	} {
		if got := c.led(netip.MustParseAddr(test.from), netip.MustParseAddrPort(test.to)); got != test.want {
			t.Errorf("%s to %s: %v", test.from, test.to, got)
		}
	}
}

func TestServersOfAllAreTakenFromNobody(t *testing.T) {
	one := func(text string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(text)} }
	var c Config
	c.Network.Infrastructure = []asset.Flow{
		{Purpose: "dns", To: one("10.1.6.60/32")},
		{Purpose: "time", To: one("10.1.1.11/32")},   // a device's: it can be contained
		{Purpose: "licence", To: one("10.1.0.0/16")}, // whose is not said
		{Purpose: "dhcp"},
	}
	got := c.servers([]contain.Device{{Name: "us-1", Addresses: one("10.1.1.11/32")}})
	if len(got) != 1 || got[0].Infrastructure == "" || !slices.Equal(got[0].Addresses, one("10.1.6.60/32")) {
		t.Errorf("%+v", got)
	}
}
