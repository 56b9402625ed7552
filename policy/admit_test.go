package policy

import (
	"net/netip"
	"slices"
	"testing"

	"cordon/dicom"
)

var (
	certificateA = Fingerprint{0xA}
	certificateB = Fingerprint{0xB}
	certificateD = Fingerprint{0xD}
	monday       = WallClock{Day: 1, Hour: 10}
)

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, t := range texts {
		out = append(out, netip.MustParsePrefix(t))
	}
	return out
}

func hours(t testing.TB, texts ...string) Hours {
	t.Helper()
	h, err := ParseHours(texts)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

var site = Site{
	AETitle:  "CORDON",
	Unknown:  LearnUnknown,
	Archives: []Archive{{Name: "pacs", AETitle: "PACS", Addresses: prefixes("10.0.9.1/32")}, {Name: "vna", AETitle: "VNA"}},
	Devices: []Device{
		{Name: "ct-1", AETitle: "CT1", Addresses: prefixes("10.0.0.21/32")},
		{Name: "us-a", AETitle: "US", Addresses: prefixes("10.0.1.0/24"), Archive: "vna", Monitor: true},
		{Name: "us-b", AETitle: "US", Addresses: prefixes("10.0.2.0/24"), May: []Service{ServiceEcho}},
		{Name: "anywhere", AETitle: "ROAM"},
	},
}

func TestAdmit(t *testing.T) {
	strict, shadow := site, site
	strict.Unknown, shadow.Unknown = RefuseUnknown, ShadowUnknown
	for _, c := range []struct {
		name            string
		site            Site
		addr            string
		calling, called dicom.AETitle
		refusal         Refusal
		device, archive string
		learned         bool
	}{
		{"declared device", site, "10.0.0.21", "CT1", "CORDON", NotRefused, "ct-1", "pacs", false},
		{"IPv4 in IPv6", site, "::ffff:10.0.0.21", "CT1", "CORDON", NotRefused, "ct-1", "pacs", false},
		{"called title chooses the archive", site, "10.0.0.21", "CT1", "VNA", NotRefused, "ct-1", "vna", false},
		{"device's own archive", site, "10.0.1.9", "US", "CORDON", NotRefused, "us-a", "vna", false},
		{"called title outranks the device's archive", site, "10.0.1.9", "US", "PACS", NotRefused, "us-a", "pacs", false},
		{"same title told apart by address", site, "10.0.2.9", "US", "CORDON", NotRefused, "us-b", "pacs", false},
		{"no addresses means any", site, "192.0.2.1", "ROAM", "CORDON", NotRefused, "anywhere", "pacs", false},
		{"unknown device is learned", site, "10.9.9.9", "NEW", "CORDON", NotRefused, "", "pacs", true},
		{"unknown device is learned under shadow too", shadow, "10.9.9.9", "NEW", "CORDON", NotRefused, "", "pacs", true},
		{"unknown device is refused", strict, "10.9.9.9", "NEW", "CORDON", UnknownDevice, "", "", false},
		{"borrowed title", site, "10.9.9.9", "CT1", "CORDON", WrongAddress, "", "", false},
		{"borrowed title under shadow", shadow, "10.9.9.9", "CT1", "CORDON", WrongAddress, "", "", false},
		{"borrowed title of an archive", site, "10.9.9.9", "PACS", "CORDON", WrongAddress, "", "", false},
		{"borrowed title of the gateway", site, "10.9.9.9", "CORDON", "CORDON", WrongAddress, "", "", false},
		{"unknown called title", site, "10.0.0.21", "CT1", "NOBODY", UnknownCalled, "ct-1", "", false},
		{"the zero site admits nobody", Site{}, "10.0.0.21", "CT1", "", NoArchive, "", "", false},
		{"a site that says nothing of unknown devices refuses them", Site{AETitle: "CORDON", Archives: site.Archives}, "10.0.0.21", "CT1", "CORDON", UnknownDevice, "", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := c.site.Admit(Association{Address: netip.MustParseAddr(c.addr), Calling: c.calling, Called: c.called})
			if got.Refusal != c.refusal || got.Device != c.device || got.Archive != c.archive || got.Learned != c.learned {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// TestIdentity: who somebody is is told by address and certificate together,
// whatever becomes of unknown devices.
func TestIdentity(t *testing.T) {
	s := Site{AETitle: "CORDON", Archives: site.Archives, Devices: []Device{
		{Name: "pinned", AETitle: "CT", Addresses: prefixes("10.0.0.1/32"), Certificates: []Fingerprint{certificateA}},
		{Name: "fleet-a", AETitle: "US", Certificates: []Fingerprint{certificateA}},
		{Name: "fleet-b", AETitle: "US", Certificates: []Fingerprint{certificateB}},
		{Name: "plain", AETitle: "MR", Addresses: prefixes("10.0.0.2/32")},
		{Name: "plain-too", AETitle: "MR", Certificates: []Fingerprint{certificateB}},
		{Name: "denied", AETitle: "OLD", Addresses: prefixes("10.0.0.9/32"), Denied: true},
		{Name: "sold", AETitle: "XA", Addresses: prefixes("10.0.0.8/32"), Certificates: []Fingerprint{certificateD}, Denied: true},
		{Name: "local", AETitle: "DX", Addresses: prefixes("fe80::8/128")},
	}}
	a, b, stranger := &Peer{Fingerprint: certificateA}, &Peer{Fingerprint: certificateB}, &Peer{Fingerprint: Fingerprint{0xC}}
	sold := &Peer{Fingerprint: certificateD}
	for _, c := range []struct {
		name        string
		addr        string
		calling     dicom.AETitle
		certificate *Peer
		refusal     Refusal
		device      string
	}{
		{"address and certificate", "10.0.0.1", "CT", a, NotRefused, "pinned"},
		{"no certificate", "10.0.0.1", "CT", nil, WrongCertificate, ""},
		{"another certificate", "10.0.0.1", "CT", stranger, WrongCertificate, ""},
		{"another device's certificate", "10.0.0.1", "CT", b, WrongCertificate, ""},
		{"the certificate from elsewhere", "10.0.0.3", "CT", a, WrongAddress, ""},
		{"a fleet told apart by certificate, first", "10.1.1.1", "US", a, NotRefused, "fleet-a"},
		{"a fleet told apart by certificate, second", "10.1.1.1", "US", b, NotRefused, "fleet-b"},
		{"a fleet's stranger", "10.1.1.1", "US", stranger, WrongCertificate, ""},
		{"told apart by address", "10.0.0.2", "MR", nil, NotRefused, "plain"},
		{"told apart by certificate at the other's address", "10.0.0.2", "MR", b, NotRefused, "plain-too"},
		{"another device's certificate where none is asked", "10.0.0.2", "MR", a, WrongCertificate, ""},
		{"a certificate of nobody where none is asked", "10.0.0.2", "MR", stranger, NotRefused, "plain"},
		{"a declared certificate under a new title", "10.1.1.1", "NEW", a, WrongCertificate, ""},
		{"an unknown certificate under a new title", "10.1.1.1", "NEW", stranger, NotRefused, ""},
		{"denied", "10.0.0.9", "OLD", nil, Denied, "denied"},
		{"the denied one's title elsewhere is another device", "10.0.0.10", "OLD", nil, NotRefused, ""},
		{"denied, with its certificate", "10.0.0.8", "XA", sold, Denied, "sold"},
		{"denied, and leaves its certificate out", "10.0.0.8", "XA", nil, WrongCertificate, ""},
		{"denied, and shows another", "10.0.0.8", "XA", stranger, WrongCertificate, ""},
		{"denied, and moves with its certificate", "10.0.0.7", "XA", sold, WrongCertificate, ""},
		{"an IPv6 address of one link", "fe80::8%eth0", "DX", nil, NotRefused, "local"},
	} {
		for _, unknown := range []Unknown{LearnUnknown, ShadowUnknown} {
			t.Run(c.name, func(t *testing.T) {
				s.Unknown = unknown
				got := s.Admit(Association{Address: netip.MustParseAddr(c.addr), Calling: c.calling, Called: "CORDON", TLS: c.certificate != nil, Certificate: c.certificate})
				if got.Refusal != c.refusal || got.Device != c.device {
					t.Errorf("got %+v", got)
				}
			})
		}
	}
}

// TestLimits: each limit refuses alone, and is let pass and named under shadow.
func TestLimits(t *testing.T) {
	good := Association{
		Address: netip.MustParseAddr("10.0.0.1"), TLS: true, Calling: "CT", Called: "VNA",
		Implementation: "1.2.3", HasUserIdentity: true, At: monday,
	}
	device := Device{
		Name: "ct", AETitle: "CT", TLSRequired: true, Implementation: "1.2.3", UserIdentity: IdentityRequire,
		Archives: []string{"vna"}, Hours: hours(t, "mon-fri 08:00-18:00"),
	}
	for _, c := range []struct {
		name string
		with func(*Association)
		want Refusal
	}{
		{"all is well", func(a *Association) {}, NotRefused},
		{"the gateway's own title", func(a *Association) { a.Called = "CORDON" }, NotRefused},
		{"without TLS", func(a *Association) { a.TLS = false }, NeedsTLS},
		{"another implementation", func(a *Association) { a.Implementation = "1.2.4" }, WrongImplementation},
		{"no user identity", func(a *Association) { a.HasUserIdentity = false }, NoUserIdentity},
		{"another archive", func(a *Association) { a.Called = "PACS" }, ForeignArchive},
		{"in the evening", func(a *Association) { a.At.Hour = 18 }, OutsideHours},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Site{AETitle: "CORDON", Archives: site.Archives, Devices: []Device{device}}
			a := good
			c.with(&a)
			for _, s.Unknown = range []Unknown{RefuseUnknown, LearnUnknown} {
				if got := s.Admit(a); got.Refusal != c.want || got.Device != "ct" {
					t.Errorf("got %+v, want %v", got, c.want)
				}
			}
			s.Unknown = ShadowUnknown
			got := s.Admit(a)
			var want []Objection
			if c.want != NotRefused {
				want = []Objection{{Refusal: c.want}}
			}
			if got.Refusal != NotRefused || !slices.Equal(got.WouldRefuse, want) {
				t.Errorf("shadow: got %+v", got)
			}
		})
	}
}

func TestMayMove(t *testing.T) {
	for _, c := range []struct {
		name        string
		calling     dicom.AETitle
		unknown     Unknown
		destination dicom.AETitle
		may, object bool
	}{
		{"to itself", "WS", RefuseUnknown, "WS", true, false},
		{"elsewhere", "WS", RefuseUnknown, "OTHER", false, false},
		{"elsewhere while others are learned", "WS", LearnUnknown, "OTHER", false, false},
		{"elsewhere under shadow", "WS", ShadowUnknown, "OTHER", true, true},
		{"to a listed one", "RADS", RefuseUnknown, "WS", true, false},
		{"a list without itself", "RADS", RefuseUnknown, "RADS", false, false},
		{"while it is learned", "NEW", LearnUnknown, "OTHER", true, false},
		{"while all of it would be refused", "NEW", ShadowUnknown, "OTHER", true, false},
		{"when it is refused", "NEW", RefuseUnknown, "NEW", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Site{AETitle: "CORDON", Archives: site.Archives, Unknown: c.unknown, Devices: []Device{
				{Name: "ws", AETitle: "WS"}, {Name: "rads", AETitle: "RADS", MoveTo: []dicom.AETitle{"WS", "TEACH"}},
			}}
			may, why := s.Admit(Association{Calling: c.calling, Called: "CORDON"}).MayMove(c.destination)
			if may != c.may || (why != nil) != c.object {
				t.Errorf("got %v, %v", may, why)
			}
		})
	}
	if may, _ := (Admission{}).MayMove("ANY"); may {
		t.Error("the zero Admission may move")
	}
}

func TestNoArchiveGetsAnObjectTwice(t *testing.T) {
	s := site
	s.Devices = []Device{{Name: "ct-1", AETitle: "CT1", Also: []string{"pacs", "vna"}, Archive: "pacs"}}
	for called, also := range map[dicom.AETitle]string{"CORDON": "vna", "VNA": "pacs"} {
		ad := s.Admit(Association{Address: netip.MustParseAddr("10.0.0.21"), Calling: "CT1", Called: called})
		if !slices.Equal(ad.Also, []string{also}) {
			t.Errorf("called %s: %s, and also %v", called, ad.Archive, ad.Also)
		}
	}
	if len(s.Devices[0].Also) != 2 {
		t.Error("the site was changed")
	}
}

func TestTheCalledAddressMeansItsArchive(t *testing.T) {
	limited := site
	limited.Unknown = RefuseUnknown
	limited.Devices = append(slices.Clone(site.Devices), Device{Name: "xa", AETitle: "XA", Archives: []string{"pacs"}})
	for _, c := range []struct {
		name, addr      string
		calling, called dicom.AETitle
		through         string
		refusal         Refusal
		archive         string
	}{
		{"whatever title the device wrote", "10.0.0.21", "CT1", "ANYTHING", "vna", NotRefused, "vna"},
		{"another archive's title", "10.0.0.21", "CT1", "PACS", "vna", NotRefused, "vna"},
		{"not the device's own archive", "10.0.1.1", "US", "X", "pacs", NotRefused, "pacs"},
		{"an archive that it may not use", "10.0.0.9", "XA", "PACS", "vna", ForeignArchive, ""},
		{"from a foreign address", "10.0.0.99", "CT1", "PACS", "pacs", WrongAddress, ""},
		{"nobody knows it", "10.0.0.99", "NEW", "PACS", "pacs", UnknownDevice, ""},
		{"an archive's title from elsewhere", "10.0.0.99", "VNA", "PACS", "pacs", WrongAddress, ""},
		{"an archive that is none", "10.0.0.21", "CT1", "PACS", "gone", NoArchive, ""},
	} {
		ad := limited.Admit(Association{
			Address: netip.MustParseAddr(c.addr), Calling: c.calling, Called: c.called, Through: c.through, At: monday,
			Contexts: []Context{{ID: 1, AbstractSyntax: dicom.CTImageStorage}},
		})
		if ad.Refusal != c.refusal || ad.Archive != c.archive {
			t.Errorf("%s: %v, archive %q", c.name, ad.Refusal, ad.Archive)
			continue
		}
		if c.refusal == NotRefused && (ad.Contexts[0].Reason != Granted || ad.Contexts[0].Archive != c.archive) {
			t.Errorf("%s: %+v", c.name, ad.Contexts[0])
		}
	}
}
