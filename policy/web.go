package policy

import (
	"cmp"
	"net/netip"
	"slices"

	"cordon/dicom"
)

// WebPeer is who sends a request over HTTP: what is known of its connection, and
// of its bearer token, if it shows one that was verified.
type WebPeer struct {
	Address     netip.Addr
	TLS         bool
	Certificate *Peer // verified; nil: none was shown

	Issuer  string   // of the token; "": none was shown
	Subject string   // of the token: who its issuer says it is
	Scopes  []string // of the token
}

// WebRequest is what a request is for.
type WebRequest struct {
	Service Service // STOW-RS stores, QIDO-RS queries, WADO-RS and WADO-URI retrieve, UPS-RS is ups
	Archive string  // that it names; "": the one that serves the peer
	At      WallClock
}

// WebAdmission is the answer to a WebRequest. The zero WebAdmission permits
// nothing.
type WebAdmission struct {
	Refusal Refusal       // of the peer, whatever it asks for
	Reason  GrantReason   // why Service is not granted, if the peer is not refused
	Service Service       // granted; "": not
	Device  string        // the declared device's name; "" for a learned one, and for a person who has a token alone
	Learned bool          // admitted because unknown devices are learned
	Calling dicom.AETitle // under which an archive is asked that speaks DIMSE: the device's own, or the gateway's
	Archive string        // that serves it
	Also    []string      // further archives that its objects go to
	Monitor bool          // deliver everything, record what would have been held

	WouldRefuse []Objection // what shadow let pass

	classes []dicom.UID // that it may store; empty: all
	shadow  bool
}

// Granted reports whether the request may be served.
func (ad WebAdmission) Granted() bool { return ad.Refusal == NotRefused && ad.Service != "" }

// Why says in words why a request is not granted, or "".
func (ad WebAdmission) Why() string {
	switch {
	case ad.Refusal != NotRefused:
		return ad.Refusal.String()
	case ad.Service == "":
		return ad.Reason.String()
	}
	return ""
}

// MayStore says whether an object of a class may be stored by this request.
// Under shadow it may, and why says what would have been refused; why is nil if
// nothing would.
func (ad WebAdmission) MayStore(class dicom.UID) (may bool, why *Objection) {
	switch {
	case !ad.Granted() || ad.Service != ServiceStore:
		return false, nil
	case len(ad.classes) == 0 || slices.Contains(ad.classes, class):
		return true, nil
	}
	return ad.shadow, &Objection{Reason: ClassNotPermitted, Service: ServiceStore, SOPClass: class}
}

// Issuer is one who issues bearer tokens that are believed here.
type Issuer struct {
	Name   string               // as its tokens call it ("iss")
	Scopes map[string][]Service // what each scope permits; nil: a token says who somebody is, and no more
}

// AdmitWeb says whether a request over HTTP may be, and which archive serves it.
//
// As in Admit, who somebody is comes first and is never learned. A device is
// told by the certificate or the token that it shows, or by its address alone.
// Whoever has a token of an issuer that has scopes may do what these permit,
// also where no device is declared, and never more than the device may. What is
// left are unknown devices: where there are issuers, nobody is one without a
// token.
func (s Site) AdmitWeb(p WebPeer, rq WebRequest) WebAdmission {
	device, refusal := s.identifyWeb(p)
	if refusal != NotRefused {
		return WebAdmission{Refusal: refusal}
	}
	ad := WebAdmission{
		Device:  device.Name,
		Learned: device.Name == "" && !s.vouches(p),
		Calling: cmp.Or(device.AETitle, s.AETitle),
		Monitor: device.Monitor,
		shadow:  s.Unknown == ShadowUnknown,
	}
	for _, r := range s.webLimits(p, rq, device) {
		if !ad.shadow || !r.shadowed() {
			return WebAdmission{Refusal: r, Device: device.Name}
		}
		ad.WouldRefuse = append(ad.WouldRefuse, Objection{Refusal: r})
		device = device.in(r)
	}
	s.grantWeb(p, rq, device, &ad)
	return ad
}

// webLimits lists what speaks against a peer as a whole.
func (s Site) webLimits(p WebPeer, rq WebRequest, d Device) []Refusal {
	var out []Refusal
	for _, l := range []struct {
		refused bool
		why     Refusal
	}{
		{len(s.Archives) == 0, NoArchive},
		{rq.Archive != "" && s.named(rq.Archive) == nil, UnknownArchive},
		{d.Denied, Denied},
		{d.Name == "" && len(s.Issuers) > 0 && s.issuer(p.Issuer) == nil, NeedsToken},
		{d.Name == "" && !s.vouches(p) && s.Unknown != LearnUnknown, UnknownDevice},
		{d.TLSRequired && !p.TLS, NeedsTLS},
		{d.UserIdentity == IdentityRequire && p.Subject == "", NoUserIdentity},
		{rq.Archive != "" && !d.mayUse(rq.Archive), ForeignArchive},
		{!d.Hours.Contain(rq.At), OutsideHours},
	} {
		if l.refused {
			out = append(out, l.why)
		}
	}
	return out
}

// grantWeb answers for the service. What no scope of a token permits is not
// permitted under shadow either: the token's issuer has said so, not we.
func (s Site) grantWeb(p WebPeer, rq WebRequest, d Device, ad *WebAdmission) {
	switch {
	case !slices.Contains(WebServices(), rq.Service):
		ad.Reason = NotImplemented
		return
	case !s.scoped(p, rq.Service):
		ad.Reason = ScopeNotPermitted
		return
	}
	archive, reason := s.serveWeb(rq, d)
	if reason == NotPermitted && ad.shadow {
		ad.WouldRefuse = append(ad.WouldRefuse, Objection{Reason: reason, Service: rq.Service})
		archive, reason = s.serveWeb(rq, d.unlimited())
	}
	if reason != Granted {
		ad.Reason = reason
		return
	}
	ad.Service, ad.Archive, ad.classes = rq.Service, archive, d.SOPClasses
	if rq.Service == ServiceStore {
		ad.Also = slices.DeleteFunc(slices.Clone(d.Also), func(name string) bool { return name == archive })
	}
}

// serveWeb finds the archive that serves a device's request.
func (s Site) serveWeb(rq WebRequest, d Device) (archive string, reason GrantReason) {
	if !permitted(d.May, rq.Service) {
		return "", NotPermitted
	}
	find := func(d Device) (string, bool) {
		if rq.Archive != "" {
			return rq.Archive, d.mayUse(rq.Archive) && s.named(rq.Archive).serves(rq.Service)
		}
		return s.route(s.AETitle, d, rq.Service)
	}
	if archive, ok := find(d); ok {
		return archive, Granted
	}
	if _, ok := find(d.unlimited()); ok {
		return "", NotPermitted
	}
	return "", NotServed
}

// WebServices lists the services that DICOMweb has.
func WebServices() []Service {
	return []Service{ServiceStore, ServiceQuery, ServiceRetrieve, ServiceUPS}
}

func (s Site) issuer(name string) *Issuer {
	i := slices.IndexFunc(s.Issuers, func(i Issuer) bool { return i.Name == name && name != "" })
	if i < 0 {
		return nil
	}
	return &s.Issuers[i]
}

// vouches reports whether a peer has a token that says what it may do.
func (s Site) vouches(p WebPeer) bool {
	i := s.issuer(p.Issuer)
	return i != nil && i.Scopes != nil
}

// scoped reports whether a peer's token permits a service, if it is for tokens
// of that issuer to say.
func (s Site) scoped(p WebPeer, service Service) bool {
	return !s.vouches(p) || slices.ContainsFunc(p.Scopes, func(scope string) bool {
		return slices.Contains(s.issuer(p.Issuer).Scopes[scope], service)
	})
}

func (s Site) named(archive string) *Archive {
	i := slices.IndexFunc(s.Archives, func(a Archive) bool { return a.Name == archive })
	if i < 0 {
		return nil
	}
	return &s.Archives[i]
}
