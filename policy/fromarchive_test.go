package policy

import (
	"net/netip"
	"testing"

	"cordon/dicom"
)

// Objects for the gateway itself are an archive's answer to a retrieve of the
// gateway's own, and a device's in no case.
func TestOnlyAnAwaitedArchiveMayReturnObjects(t *testing.T) {
	at := netip.MustParseAddr("10.0.0.9")
	own := []netip.Prefix{netip.PrefixFrom(at, 32)}
	site := Site{AETitle: "CORDON", Unknown: LearnUnknown, Archives: []Archive{{Name: "pacs", AETitle: "PACS", Addresses: own}, {Name: "other", AETitle: "OTHER", Addresses: own}}}
	titled := site
	titled.Returns = "RETURNS"
	device := titled
	device.Devices = []Device{{Name: "pacs-too", AETitle: "PACS", Addresses: own}}
	call := func(called dicom.AETitle, awaited ...string) Association {
		return Association{Address: at, Calling: "PACS", Called: called, Awaited: awaited, Contexts: []Context{{ID: 1, AbstractSyntax: dicom.CTImageStorage}}}
	}
	for name, c := range map[string]struct {
		site    Site
		a       Association
		granted bool
	}{
		"awaited":                  {site, call("CORDON", "pacs"), true},
		"nobody waits":             {site, call("CORDON"), false},
		"another is awaited":       {site, call("CORDON", "other"), false},
		"title of its own":         {titled, call("RETURNS", "pacs"), true},
		"not that title":           {titled, call("CORDON", "pacs"), false},
		"a device too, that title": {device, call("RETURNS", "pacs"), true},
		"a device too, unawaited":  {device, call("RETURNS"), false},
	} {
		ad := c.site.Admit(c.a)
		if ad.Direction != FromArchive || ad.Destination != "" || ad.Refusal != NotRefused {
			t.Errorf("%s: %+v", name, ad)
		} else if got := ad.Contexts[0].Reason == Granted; got != c.granted {
			t.Errorf("%s: granted %v", name, got)
		}
	}
	if ad := device.Admit(call("CORDON", "pacs")); ad.Direction != Inbound || ad.Device != "pacs-too" {
		t.Errorf("an archive that stores as a device: %+v", ad)
	}
	elsewhere := call("CORDON", "pacs")
	elsewhere.Address = netip.MustParseAddr("10.0.0.10")
	if ad := site.Admit(elsewhere); ad.Direction == FromArchive {
		t.Errorf("from elsewhere: %+v", ad)
	}
}

// On a connection that is an archive's own, addresses say nothing, and no other
// title is taken.
func TestPrivateConnectionIsOneArchives(t *testing.T) {
	at := netip.MustParseAddr("127.0.0.1")
	here := []netip.Prefix{netip.PrefixFrom(at, 32)}
	site := Site{AETitle: "CORDON", Unknown: LearnUnknown,
		Archives: []Archive{{Name: "cloud", AETitle: "CLOUD"}, {Name: "pacs", AETitle: "PACS", Addresses: here}},
		Devices:  []Device{{Name: "ws", AETitle: "WS1", Addresses: here, Port: 104}},
	}
	call := func(calling, called dicom.AETitle) Admission {
		return site.Admit(Association{Address: at, Private: "cloud", Calling: calling, Called: called, Contexts: []Context{{ID: 1, AbstractSyntax: dicom.CTImageStorage}}})
	}
	if ad := call("CLOUD", "WS1"); ad.Direction != FromArchive || ad.Archive != "cloud" || ad.Destination != "ws" || ad.Contexts[0].Reason != Granted {
		t.Errorf("%+v", ad)
	}
	for _, calling := range []dicom.AETitle{"PACS", "WS1", "CT1"} {
		if ad := call(calling, "CORDON"); ad.Refusal == NotRefused {
			t.Errorf("%s: %+v", calling, ad)
		}
	}
	if ad := site.Admit(Association{Address: at, Calling: "CLOUD", Called: "WS1"}); ad.Direction == FromArchive {
		t.Errorf("over the network: %+v", ad)
	}
}

// An archive is never told to move objects here that would be taken for a
// device's, or for nobody's.
func TestReturnable(t *testing.T) {
	here := []netip.Prefix{netip.MustParsePrefix("10.0.0.9/32")}
	site := Site{AETitle: "CORDON", Archives: []Archive{{Name: "pacs", AETitle: "PACS", Addresses: here}, {Name: "silent", AETitle: "SILENT"}}}
	declared := site
	declared.Devices = []Device{{Name: "pacs-too", AETitle: "PACS", Addresses: here}}
	titled := declared
	titled.Returns = "RETURNS"
	for name, c := range map[string]struct {
		site    Site
		archive string
		may     bool
	}{
		"it calls":               {site, "pacs", true},
		"it never calls":         {site, "silent", false},
		"not in the site":        {site, "other", false},
		"a device too":           {declared, "pacs", false},
		"a device too, own name": {titled, "pacs", true},
	} {
		if err := c.site.Returnable(c.archive); (err == nil) != c.may {
			t.Errorf("%s: %v", name, err)
		}
	}
}
