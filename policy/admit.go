package policy

import (
	"net/netip"

	"cordon/dicom"
)

// Service is a thing that a device may do, as a configuration file names it.
type Service string

const (
	ServiceEcho  Service = "echo"  // Verification (PS3.4 annex A)
	ServiceStore Service = "store" // Storage (PS3.4 annex B)
)

// Services lists the services that can be granted, in the order of the
// documentation.
func Services() []Service { return []Service{ServiceEcho, ServiceStore} }

// Device is one declared peer.
type Device struct {
	Name      string
	AETitle   dicom.AETitle
	Addresses []netip.Prefix // empty means any address
	Archive   string         // the archive it stores to when it calls the gateway's own title; "" means the first
	May       []Service      // empty means every service
	Monitor   bool           // judge and record, deliver everything
}

// Archive is one upstream, as admission sees it.
type Archive struct {
	Name    string
	AETitle dicom.AETitle
}

// Site is everything that admission needs to know. Archives[0] is the default
// archive. The zero Site admits nobody: it has no archive to send to.
type Site struct {
	AETitle       dicom.AETitle // the gateway's own
	Archives      []Archive
	Devices       []Device
	RefuseUnknown bool // reject devices that are not declared; otherwise they are learned
}

// Association is what a requestor says of itself and what is known of its
// connection.
type Association struct {
	Address         netip.Addr
	Calling, Called dicom.AETitle
	Contexts        []Context
}

// Context is a proposed presentation context.
type Context struct {
	ID             uint8
	AbstractSyntax dicom.UID
}

// Refusal says why an association is not admitted. The zero Refusal is not
// one.
type Refusal uint8

const (
	NotRefused    Refusal = iota
	UnknownCalled         // no archive answers to the called AE title
	UnknownDevice         // not declared, and unknown devices are refused
	WrongAddress          // a declared AE title from an address that is not its own
	NoArchive             // nothing to send to
)

// String names the refusal for a log or a record.
func (r Refusal) String() string {
	return [...]string{"", "unknown called AE title", "unknown device", "declared AE title from a foreign address", "no archive"}[r]
}

// Admission is the answer to an Association.
type Admission struct {
	Refusal  Refusal
	Device   string  // the declared device's name, or "" for a learned one
	Learned  bool    // admitted because unknown devices are learned
	Archive  string  // where its objects go
	Monitor  bool    // deliver everything, record what would have been held
	Contexts []Grant // one for each proposed context, in order
}

// Grant is the answer to one proposed context. The zero Grant gives nothing.
type Grant struct {
	ID      uint8
	Service Service // "" when the context is not granted
	Reason  GrantReason
}

// GrantReason says why a context was not granted.
type GrantReason uint8

const (
	Granted        GrantReason = iota
	NotPermitted               // the device may not use this service
	NotImplemented             // the gateway has no such service
)

// Admit says whether the association may be, where its objects go, and which
// of its contexts it may use.
//
// The called AE title chooses the archive: the gateway's own means the
// device's archive (or the first), an archive's title means that archive. A
// declared AE title from a foreign address is refused even where unknown
// devices are learned: it claims to be somebody it is not.
func (s Site) Admit(a Association) Admission {
	device, refusal := s.device(a)
	if refusal != NotRefused {
		return Admission{Refusal: refusal}
	}
	archive, refusal := s.archive(a.Called, device)
	if refusal != NotRefused {
		return Admission{Refusal: refusal}
	}
	return Admission{
		Device:   device.Name,
		Learned:  device.Name == "",
		Archive:  archive,
		Monitor:  device.Monitor,
		Contexts: grants(a.Contexts, device.May),
	}
}

// device finds the declared device. Several may share an AE title, as fleets
// of identical scanners do, if their addresses tell them apart.
func (s Site) device(a Association) (Device, Refusal) {
	known := false
	for _, d := range s.Devices {
		if d.AETitle != a.Calling {
			continue
		}
		known = true
		if d.at(a.Address) {
			return d, NotRefused
		}
	}
	switch {
	case known:
		return Device{}, WrongAddress
	case s.RefuseUnknown:
		return Device{}, UnknownDevice
	}
	return Device{}, NotRefused
}

func (d Device) at(addr netip.Addr) bool {
	if len(d.Addresses) == 0 {
		return true
	}
	for _, p := range d.Addresses {
		if p.Contains(addr.Unmap()) {
			return true
		}
	}
	return false
}

func (s Site) archive(called dicom.AETitle, d Device) (string, Refusal) {
	if len(s.Archives) == 0 {
		return "", NoArchive
	}
	if called == s.AETitle {
		if d.Archive != "" {
			return d.Archive, NotRefused
		}
		return s.Archives[0].Name, NotRefused
	}
	for _, a := range s.Archives {
		if a.AETitle == called {
			return a.Name, NotRefused
		}
	}
	return "", UnknownCalled
}

func grants(proposed []Context, may []Service) []Grant {
	out := make([]Grant, 0, len(proposed))
	for _, c := range proposed {
		g := Grant{ID: c.ID, Service: serviceOf(c.AbstractSyntax)}
		switch {
		case g.Service == "":
			g.Reason = NotImplemented
		case !permitted(may, g.Service):
			g.Service, g.Reason = "", NotPermitted
		}
		out = append(out, g)
	}
	return out
}

func permitted(may []Service, s Service) bool {
	if len(may) == 0 {
		return true
	}
	for _, m := range may {
		if m == s {
			return true
		}
	}
	return false
}
