package policy

import (
	"net/netip"
	"slices"
	"testing"

	"cordon/dicom"
)

const (
	idp     = "https://id.example"
	scopes  = "https://scopes.example"
	foreign = "https://elsewhere.example"
)

// webSite has one device for each way in which a request tells its own.
var webSite = Site{
	AETitle:  "CORDON",
	Archives: []Archive{{Name: "pacs", AETitle: "PACS"}, {Name: "vna", AETitle: "VNA"}, {Name: "ris", AETitle: "RIS", Services: []Service{ServiceWorklist, ServiceUPS}}},
	Issuers: []Issuer{
		{Name: idp},
		{Name: scopes, Scopes: map[string][]Service{"read": {ServiceQuery, ServiceRetrieve}, "write": {ServiceStore}}},
	},
	Devices: []Device{
		{Name: "ct", AETitle: "CT", Addresses: prefixes("10.0.0.1/32"), May: []Service{ServiceEcho, ServiceStore}, SOPClasses: []dicom.UID{dicom.CTImageStorage}, Also: []string{"vna", "pacs"}},
		{Name: "pinned", AETitle: "MR", Addresses: prefixes("10.0.0.2/32"), Certificates: []Fingerprint{certificateA}, May: []Service{ServiceStore}},
		{Name: "fleet", Certificates: []Fingerprint{certificateB}, Archives: []string{"vna"}},
		{Name: "ai", Subjects: []Subject{{idp, "ai"}}, May: []Service{ServiceStore, ServiceQuery}, Archive: "vna"},
		{Name: "ai-at-home", Addresses: prefixes("10.0.0.3/32"), Subjects: []Subject{{idp, "homely"}}},
		{Name: "ward", Addresses: prefixes("10.0.4.0/24"), May: []Service{ServiceQuery, ServiceRetrieve}},
		{Name: "ward-host", AETitle: "W", Addresses: prefixes("10.0.4.7/32")},
		{Name: "both-dimse", AETitle: "BOTH", Addresses: prefixes("10.0.0.5/32"), May: []Service{ServiceStore}},
		{Name: "both-web", Addresses: prefixes("10.0.0.5/32"), Hours: Hours{}},
		{Name: "twin-1", AETitle: "T1", Addresses: prefixes("10.0.0.6/32")},
		{Name: "twin-2", AETitle: "T2", Addresses: prefixes("10.0.0.6/32")},
		{Name: "sold", AETitle: "OLD", Addresses: prefixes("10.0.0.9/32"), Certificates: []Fingerprint{certificateD}, Denied: true},
		{Name: "gone", AETitle: "GONE", Addresses: prefixes("10.0.0.10/32"), Denied: true},
		{Name: "anywhere", AETitle: "ROAM"},
		{Name: "safe", AETitle: "SAFE", Addresses: prefixes("10.0.0.11/32"), TLSRequired: true},
		{Name: "shared-pc", AETitle: "PC", Addresses: prefixes("10.0.0.12/32"), UserIdentity: IdentityRequire},
		{Name: "overlap-1", Subjects: []Subject{{idp, "twice"}}},
		{Name: "overlap-2", Subjects: []Subject{{idp, "twice"}}},
	},
}

func token(issuer, subject string, scopes ...string) WebPeer {
	return WebPeer{Issuer: issuer, Subject: subject, Scopes: scopes}
}

func TestAdmitWeb(t *testing.T) {
	certificate := func(f Fingerprint) WebPeer { return WebPeer{TLS: true, Certificate: &Peer{Fingerprint: f}} }
	for _, c := range []struct {
		name    string
		addr    string
		peer    WebPeer
		service Service
		archive string // asked for

		device, served string
		refusal        Refusal
		reason         GrantReason
	}{
		{name: "by address", addr: "10.0.0.1", service: ServiceStore, device: "ct", served: "pacs"},
		{name: "by address, IPv4 in IPv6", addr: "::ffff:10.0.0.1", service: ServiceStore, device: "ct", served: "pacs"},
		{name: "what it may not", addr: "10.0.0.1", service: ServiceQuery, device: "ct", reason: NotPermitted},
		{name: "what the web has not", addr: "10.0.0.1", service: ServiceEcho, device: "ct", reason: NotImplemented},
		{name: "nothing", addr: "10.0.0.1", device: "ct", reason: NotImplemented},
		{name: "by certificate and address", addr: "10.0.0.2", peer: certificate(certificateA), service: ServiceStore, device: "pinned", served: "pacs"},
		{name: "the certificate from elsewhere", addr: "10.0.0.3", peer: certificate(certificateA), service: ServiceStore, refusal: WrongAddress},
		{name: "the certificate left out", addr: "10.0.0.2", service: ServiceQuery, refusal: WrongCertificate},
		{name: "another's certificate instead", addr: "10.0.0.2", peer: certificate(Fingerprint{0xC}), service: ServiceQuery, refusal: WrongCertificate},
		{name: "a person at that machine", addr: "10.0.0.2", peer: token(scopes, "nurse", "read"), service: ServiceQuery, served: "pacs"},
		{name: "by certificate from anywhere", addr: "192.0.2.1", peer: certificate(certificateB), service: ServiceRetrieve, device: "fleet", served: "vna"},
		{name: "another archive than it may", addr: "192.0.2.1", peer: certificate(certificateB), service: ServiceRetrieve, archive: "pacs", device: "fleet", refusal: ForeignArchive},
		{name: "by token", addr: "192.0.2.1", peer: token(idp, "ai"), service: ServiceStore, device: "ai", served: "vna"},
		{name: "a subject of that name of another issuer", addr: "192.0.2.1", peer: token(scopes, "ai", "read"), service: ServiceQuery, served: "pacs"},
		{name: "the token from elsewhere", addr: "192.0.2.1", peer: token(idp, "homely"), service: ServiceQuery, refusal: WrongAddress},
		{name: "the token left out", addr: "10.0.0.3", service: ServiceQuery, refusal: NeedsToken},
		{name: "an issuer that nobody believes", addr: "192.0.2.1", peer: token(foreign, "ai"), service: ServiceQuery, refusal: NeedsToken},
		{name: "no token where there are issuers", addr: "192.0.2.1", service: ServiceQuery, refusal: NeedsToken},
		{name: "a person", addr: "192.0.2.1", peer: token(scopes, "nurse", "openid", "read"), service: ServiceRetrieve, served: "pacs"},
		{name: "a person, what no scope permits", addr: "192.0.2.1", peer: token(scopes, "nurse", "read"), service: ServiceStore, reason: ScopeNotPermitted},
		{name: "a person without scopes", addr: "192.0.2.1", peer: token(scopes, "nurse"), service: ServiceQuery, reason: ScopeNotPermitted},
		{name: "a person, no more than the machine may", addr: "10.0.0.1", peer: token(scopes, "nurse", "read"), service: ServiceQuery, device: "ct", reason: NotPermitted},
		{name: "a machine, no more than the person may", addr: "10.0.4.1", peer: token(scopes, "nurse", "write"), service: ServiceQuery, device: "ward", reason: ScopeNotPermitted},
		{name: "somebody of an issuer without scopes", addr: "192.0.2.1", peer: token(idp, "stranger"), service: ServiceQuery, refusal: UnknownDevice},
		{name: "by network", addr: "10.0.4.9", service: ServiceQuery, device: "ward", served: "pacs"},
		{name: "the smaller network first", addr: "10.0.4.7", service: ServiceStore, device: "ward-host", served: "pacs"},
		{name: "of the web alone first", addr: "10.0.0.5", service: ServiceQuery, device: "both-web", served: "pacs"},
		{name: "which of two cannot be told", addr: "10.0.0.6", service: ServiceQuery, refusal: SeveralDevices},
		{name: "two devices' token", addr: "10.0.0.6", peer: token(idp, "twice"), service: ServiceQuery, refusal: SeveralDevices},
		{name: "denied, by address", addr: "10.0.0.10", service: ServiceQuery, device: "gone", refusal: Denied},
		{name: "denied, with a person's token", addr: "10.0.0.10", peer: token(scopes, "nurse", "read"), service: ServiceQuery, device: "gone", refusal: Denied},
		{name: "denied, by certificate", addr: "10.0.0.9", peer: certificate(certificateD), service: ServiceQuery, device: "sold", refusal: Denied},
		{name: "without TLS", addr: "10.0.0.11", service: ServiceQuery, device: "safe", refusal: NeedsTLS},
		{name: "nobody says who", addr: "10.0.0.12", service: ServiceQuery, device: "shared-pc", refusal: NoUserIdentity},
		{name: "somebody says who", addr: "10.0.0.12", peer: token(scopes, "nurse", "read"), service: ServiceQuery, device: "shared-pc", served: "pacs"},
		{name: "an archive that is not", addr: "10.0.0.1", service: ServiceStore, archive: "nowhere", device: "ct", refusal: UnknownArchive},
		{name: "a named archive", addr: "10.0.0.1", service: ServiceStore, archive: "vna", device: "ct", served: "vna"},
		{name: "a named archive without the service", addr: "10.0.0.5", service: ServiceQuery, archive: "ris", device: "both-web", reason: NotServed},
		{name: "the archive that names the service", addr: "10.0.0.5", service: ServiceUPS, device: "both-web", served: "ris"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.peer.Address = netip.MustParseAddr(c.addr)
			got := webSite.AdmitWeb(c.peer, WebRequest{Service: c.service, Archive: c.archive, At: monday})
			if got.Refusal != c.refusal || got.Reason != c.reason || got.Device != c.device || got.Archive != c.served || got.Learned {
				t.Errorf("got %+v (%s)", got, got.Why())
			}
			if got.Granted() != (c.served != "") || got.Granted() != (got.Why() == "") {
				t.Errorf("granted %v, says %q", got.Granted(), got.Why())
			}
		})
	}
	if (WebAdmission{}).Granted() || (Site{}).AdmitWeb(WebPeer{}, WebRequest{Service: ServiceStore}).Granted() {
		t.Error("the zero value admits")
	}
}

// TestUnknownOverWeb: unknown devices are learned, named or refused as over
// DIMSE, where there are no issuers to ask.
func TestUnknownOverWeb(t *testing.T) {
	s := Site{AETitle: "CORDON", Archives: site.Archives, Devices: []Device{{Name: "ct", AETitle: "CT", Addresses: prefixes("10.0.0.1/32"), May: []Service{ServiceStore}, SOPClasses: []dicom.UID{dicom.CTImageStorage}}}}
	stranger := WebPeer{Address: netip.MustParseAddr("192.0.2.1")}
	ct := WebPeer{Address: netip.MustParseAddr("10.0.0.1")}
	for _, c := range []struct {
		unknown          Unknown
		peer             WebPeer
		service          Service
		granted, learned bool
		named            int
	}{
		{LearnUnknown, stranger, ServiceQuery, true, true, 0},
		{ShadowUnknown, stranger, ServiceQuery, true, true, 1},
		{RefuseUnknown, stranger, ServiceQuery, false, false, 0},
		{LearnUnknown, ct, ServiceQuery, false, false, 0},
		{ShadowUnknown, ct, ServiceQuery, true, false, 1},
		{ShadowUnknown, ct, ServiceStore, true, false, 0},
	} {
		s.Unknown = c.unknown
		got := s.AdmitWeb(c.peer, WebRequest{Service: c.service})
		if got.Granted() != c.granted || got.Learned != c.learned || len(got.WouldRefuse) != c.named {
			t.Errorf("%v from %v: got %+v", c.service, c.peer.Address, got)
		}
	}
	s.Issuers = webSite.Issuers // nobody is unknown without a token where tokens are issued
	for _, unknown := range []Unknown{LearnUnknown, ShadowUnknown, RefuseUnknown} {
		s.Unknown = unknown
		if got := s.AdmitWeb(stranger, WebRequest{Service: ServiceQuery}); got.Refusal != NeedsToken {
			t.Errorf("got %+v", got)
		}
	}
	s.Unknown = ShadowUnknown // what a token does not permit, its issuer refuses, not the site
	nurse := token(scopes, "nurse", "read")
	nurse.Address = stranger.Address
	if got := s.AdmitWeb(nurse, WebRequest{Service: ServiceStore}); got.Reason != ScopeNotPermitted || got.Granted() {
		t.Errorf("got %+v", got)
	}
}

func TestStoreOverWeb(t *testing.T) {
	s := webSite
	ct := WebPeer{Address: netip.MustParseAddr("10.0.0.1")}
	ad := s.AdmitWeb(ct, WebRequest{Service: ServiceStore})
	if !slices.Equal(ad.Also, []string{"vna"}) || ad.Calling != "CT" {
		t.Errorf("got %+v", ad)
	}
	if may, why := ad.MayStore(dicom.CTImageStorage); !may || why != nil {
		t.Error("its own class is refused", why)
	}
	if may, why := ad.MayStore(dicom.MRImageStorage); may || why == nil {
		t.Error("another class is stored")
	}
	s.Unknown = ShadowUnknown
	if may, why := s.AdmitWeb(ct, WebRequest{Service: ServiceStore}).MayStore(dicom.MRImageStorage); !may || why == nil || why.Reason != ClassNotPermitted {
		t.Error("shadow does not name another class", why)
	}
	if may, _ := s.AdmitWeb(ct, WebRequest{Service: ServiceQuery}).MayStore(dicom.CTImageStorage); may {
		t.Error("a query stores")
	}
	if got := s.AdmitWeb(WebPeer{Certificate: &Peer{Fingerprint: certificateB}}, WebRequest{Service: ServiceQuery}); got.Calling != "CORDON" {
		t.Errorf("a device without an AE title asks archives as %q", got.Calling)
	}
}

// TestWebDevicesHaveNoTitle: a device of the web alone is nobody's claim on an
// association, and its certificate is still its own.
func TestWebDevicesHaveNoTitle(t *testing.T) {
	s := Site{AETitle: "CORDON", Unknown: LearnUnknown, Archives: site.Archives, Devices: []Device{{Name: "web", Certificates: []Fingerprint{certificateA}}, {Name: "open", Addresses: prefixes("10.0.0.1/32")}}}
	if got := s.Admit(Association{Address: netip.MustParseAddr("10.0.0.1"), Called: "CORDON"}); got.Device != "" {
		t.Errorf("got %+v", got)
	}
	if got := s.Admit(Association{Calling: "X", Called: "CORDON", Certificate: &Peer{Fingerprint: certificateA}}); got.Refusal != WrongCertificate {
		t.Errorf("got %+v", got)
	}
}
