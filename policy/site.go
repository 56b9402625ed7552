package policy

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"cordon/dicom"
)

// Site is everything that admission needs to know. Archives[0] is the default
// archive. The zero Site admits nobody: it has no archive to send to, and it
// refuses whom it does not know.
type Site struct {
	AETitle  dicom.AETitle // the gateway's own
	Returns  dicom.AETitle // that archives move objects to which the gateway retrieves itself; "": AETitle, which does not do for an archive that is a device as well
	Archives []Archive
	Devices  []Device
	Unknown  Unknown  // what becomes of devices that are not declared
	Issuers  []Issuer // of bearer tokens, over HTTP
}

// Unknown says what becomes of devices that are not declared.
type Unknown uint8

const (
	RefuseUnknown Unknown = iota // they are rejected
	LearnUnknown                 // they are admitted, and what they do is learned
	ShadowUnknown                // as LearnUnknown; what RefuseUnknown and every device's limits would refuse is admitted too, and named
)

// Device is one declared peer: who it is, and what it may do.
type Device struct {
	Name    string
	AETitle dicom.AETitle // "": it has DICOMweb alone

	// Who it is. A peer that is not all of it is not this device.
	Addresses    []netip.Prefix // it calls from; empty: any
	Certificates []Fingerprint  // it shows one of these over TLS; empty: none is asked for
	Subjects     []Subject      // over HTTP, it shows a bearer token about one of these; empty: none is asked for

	// What it may do.
	TLSRequired    bool            // no association without TLS
	Implementation dicom.UID       // its implementation class UID; "": any
	UserIdentity   IdentityRule    // of the user, in the association's request
	May            []Service       // empty: every service
	SOPClasses     []dicom.UID     // storage SOP classes it may send; empty: all
	Archives       []string        // archives it may use; empty: all
	MoveTo         []dicom.AETitle // destinations of its C-MOVE; empty: its own AE title alone
	Hours          Hours           // zero: always
	Denied         bool            // no association at all

	// What becomes of its objects.
	Archive string   // the archive it stores to when it calls the gateway's own title; "": the first that stores
	Also    []string // further archives that get each of its objects
	Monitor bool     // judge and record, deliver everything

	Port    uint16 // it listens on, at the first of Addresses that is one host; 0: nothing is sent to it
	PortTLS bool   // it listens there with TLS
}

// Meets reports whether a peer could be either of two devices of one AE title:
// neither addresses nor certificates of both tell them apart. A certificate that
// only one of them asks for does not: who leaves it out is the other.
func (d Device) Meets(e Device) bool {
	if d.AETitle != e.AETitle || apart(d.Certificates, e.Certificates, func(a, b Fingerprint) bool { return a == b }) {
		return false
	}
	return !apart(d.Addresses, e.Addresses, netip.Prefix.Overlaps)
}

// apart reports whether two lists, neither of them empty, have nothing in common.
func apart[T any](a, b []T, common func(a, b T) bool) bool {
	return len(a) > 0 && len(b) > 0 && !slices.ContainsFunc(a, func(x T) bool {
		return slices.ContainsFunc(b, func(y T) bool { return common(x, y) })
	})
}

// Outlet is where associations with the device are opened. It is not ok for a
// device that nothing can be sent to, or that is denied.
func (d Device) Outlet() (at netip.AddrPort, ok bool) {
	if d.Port == 0 || d.Denied {
		return at, false
	}
	for _, p := range d.Addresses {
		if p.IsSingleIP() {
			return netip.AddrPortFrom(p.Addr(), d.Port), true
		}
	}
	return at, false
}

// Archive is one upstream, as admission sees it.
type Archive struct {
	Name      string
	AETitle   dicom.AETitle
	Services  []Service      // empty: all
	Addresses []netip.Prefix // it calls from; empty: it never calls
}

// IdentityRule says what becomes of the user identity of a request (PS3.7
// §D.3.3.7).
type IdentityRule uint8

const (
	IdentityPass    IdentityRule = iota // it goes to the archive as it is
	IdentityRequire                     // as IdentityPass, and an association without one is rejected
	IdentityStrip                       // the archive never sees it
)

// Fingerprint is the SHA-256 of a certificate in DER.
type Fingerprint [32]byte

// String writes it in lower case hexadecimal.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }

// ParseFingerprint reads 64 hexadecimal digits, with or without colons, as
// "openssl x509 -fingerprint -sha256" prints them, and with or without
// "sha256:" before them.
func ParseFingerprint(s string) (Fingerprint, error) {
	var f Fingerprint
	b, err := hex.DecodeString(strings.ReplaceAll(strings.TrimPrefix(s, "sha256:"), ":", ""))
	if err != nil || len(b) != len(f) {
		return f, fmt.Errorf("%q is not the SHA-256 of a certificate: 64 hexadecimal digits", s)
	}
	copy(f[:], b)
	return f, nil
}

// Device finds a declared device by its name.
func (s Site) Device(name string) (Device, bool) {
	for _, d := range s.Devices {
		if d.Name == name && name != "" {
			return d, true
		}
	}
	return Device{}, false
}
