package main

import (
	"net/netip"
	"slices"
	"testing"

	"cordon/asset"
	"cordon/contain"
)

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
