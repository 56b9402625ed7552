package main

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml/ast"

	"cordon/asset"
	"cordon/dicom"
	"cordon/policy"
)

// TestProposalsAreConfiguration: what is printed of a device says in a
// configuration what was approved, whatever its title is made of.
func TestProposalsAreConfiguration(t *testing.T) {
	hours, err := policy.ParseHours([]string{"mon,fri 07:00-19:00", "sat 22:00-06:00"})
	if err != nil {
		t.Fatal(err)
	}
	addresses := []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("fd00::/64")}
	certificate := strings.Repeat("0a", 32)
	fingerprint, err := policy.ParseFingerprint(certificate)
	if err != nil {
		t.Fatal(err)
	}
	for _, title := range []dicom.AETitle{"CT1", "OLD MR", `IT'S "X": #1`, "007", "NO", "- a", "{x}", "&a", "~", "1e3"} {
		text := block("a-1", asset.Permissions{
			AETitle: title, Addresses: addresses, Certificates: []string{certificate}, TLSRequired: true, Implementation: "1.2.3", UserIdentity: "strip",
			May: []policy.Service{policy.ServiceStore, policy.ServiceRetrieve}, SOPClasses: []dicom.UID{dicom.CTImageStorage, "1.2.3.4"},
			Archives: []string{"pacs", "no"}, MoveTo: []dicom.AETitle{title, "WS"}, Hours: hours.Strings(),
			Archive: "pacs", Also: []string{"no"}, Monitor: true, Port: 104,
		})
		d := document{places: map[string]ast.Node{}}
		c := d.parse([]byte("archives:\n  - {name: pacs, ae_title: PACS, address: 10.0.9.1:104}\n  - {name: \"no\", ae_title: OTHER, address: 10.0.9.2:104}\n" + text))
		for _, p := range d.problems {
			if !strings.Contains(p.Text, "gateway.tls") { // which this file has not
				t.Errorf("%s: %s\n%s", title, p.Text, text)
			}
		}
		want := policy.Device{
			Name: "a-1", AETitle: title, Addresses: addresses, Certificates: []policy.Fingerprint{fingerprint}, TLSRequired: true, Implementation: "1.2.3", UserIdentity: policy.IdentityStrip,
			May: []policy.Service{policy.ServiceStore, policy.ServiceRetrieve}, SOPClasses: []dicom.UID{dicom.CTImageStorage, "1.2.3.4"},
			Archives: []string{"pacs", "no"}, MoveTo: []dicom.AETitle{title, "WS"}, Hours: hours,
			Archive: "pacs", Also: []string{"no"}, Monitor: true, Port: 104,
		}
		if len(c.Devices) != 1 || !reflect.DeepEqual(c.Devices[0], want) {
			t.Errorf("%s\ngot  %+v\nwant %+v", text, c.Devices, want)
		}
	}
}
