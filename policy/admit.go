package policy

import (
	"fmt"
	"net/netip"
	"slices"

	"cordon/dicom"
)

// Association is what a requestor says of itself and what is known of its
// connection.
type Association struct {
	Address         netip.Addr
	TLS             bool
	Certificate     *Peer // verified; nil: none was shown
	Calling, Called dicom.AETitle
	Implementation  dicom.UID // implementation class UID
	HasUserIdentity bool
	At              WallClock
	Contexts        []Context
	Private         string   // the archive whose connection it is, which nobody else can open; "": it came over the network
	Through         string   // the archive whose own address was called, from which the connection was led here; "": the gateway's was
	Awaited         []string // archives that the gateway has told to move objects to itself
}

// Peer is the holder of a certificate.
type Peer struct {
	Fingerprint Fingerprint
	Subject     string
}

// Context is a proposed presentation context.
type Context struct {
	ID             uint8
	AbstractSyntax dicom.UID
	Roles          Roles
}

// Roles are what a requestor proposes to be for a context (PS3.7 §D.3.3.4).
// The zero Roles are the default, the requestor being SCU.
type Roles struct {
	SCU, SCP bool
}

func (r Roles) orDefault() Roles {
	if r == (Roles{}) {
		return Roles{SCU: true}
	}
	return r
}

// Direction says which way an association goes.
type Direction uint8

const (
	Inbound     Direction = iota // a device calls, to use archives
	FromArchive                  // an archive calls: with reports for Cordon, or objects for a device
)

// Admission is the answer to an Association. The zero Admission grants no
// context.
type Admission struct {
	Refusal      Refusal
	Direction    Direction
	Device       string   // the declared device's name, or "" for a learned one and for an archive
	Learned      bool     // admitted because unknown devices are learned
	Archive      string   // where its objects go; FromArchive: the one that calls
	Also         []string // further archives that they go to
	Destination  string   // FromArchive: the device that objects are for; "": the gateway itself
	Monitor      bool     // deliver everything, record what would have been held
	UserIdentity IdentityRule
	WouldRefuse  []Objection // what shadow let pass
	Contexts     []Grant     // one for each proposed context, in order

	destinations []dicom.AETitle // of C-MOVE
	shadow       bool
}

// Grant is the answer to one proposed context. The zero Grant gives nothing.
type Grant struct {
	ID      uint8
	Service Service // "" when the context is not granted
	Archive string  // which serves it; "": the gateway itself, or, FromArchive, the device
	Roles   Roles   // of those proposed, the granted ones; the default counts as SCU
	Reason  GrantReason
}

// Objection is one thing that shadow let pass: the whole association (Refusal),
// one of its contexts (Context and Reason), or a move destination. The contexts
// of an association that would be refused are not objected to one by one.
type Objection struct {
	Refusal     Refusal
	Context     uint8
	Reason      GrantReason
	Service     Service
	SOPClass    dicom.UID
	Destination dicom.AETitle
}

// String names the objection for a record.
func (o Objection) String() string {
	switch {
	case o.Refusal != NotRefused:
		return o.Refusal.String()
	case o.Destination != "":
		return fmt.Sprintf("move to %s", o.Destination)
	case o.SOPClass == "":
		return fmt.Sprintf("%s: %s", o.Service, o.Reason)
	}
	return fmt.Sprintf("%s %s: %s", o.Service, o.SOPClass, o.Reason)
}

// Admit says whether the association may be, where its objects go, and which
// of its contexts it may use, served by which archive.
//
// Who somebody is comes first, and is never learned: a declared AE title from
// a foreign address or without its certificate, or a declared certificate
// under another AE title, claims to be somebody it is not, and is refused
// whatever Unknown says. What somebody may do follows, and is refused, or,
// under ShadowUnknown, let pass and named.
func (s Site) Admit(a Association) Admission {
	if archive, to, ok := s.fromArchive(a); ok && a.Through == "" {
		return s.admitArchive(a, archive, to)
	}
	if a.Private != "" {
		return Admission{Refusal: UnknownDevice, Direction: FromArchive, Archive: a.Private}
	}
	device, refusal := s.identify(a)
	if refusal != NotRefused {
		return Admission{Refusal: refusal}
	}
	s, a = s.through(a)
	ad := Admission{
		Device:       device.Name,
		Learned:      device.Name == "",
		Also:         device.Also,
		Monitor:      device.Monitor,
		UserIdentity: device.UserIdentity,
		destinations: device.MoveTo,
		shadow:       s.Unknown == ShadowUnknown,
	}
	if len(ad.destinations) == 0 {
		ad.destinations = []dicom.AETitle{a.Calling}
	}
	for _, r := range s.limits(a, device) {
		if !ad.shadow || !r.shadowed() {
			return Admission{Refusal: r, Device: device.Name}
		}
		ad.WouldRefuse = append(ad.WouldRefuse, Objection{Refusal: r})
		device = device.in(r)
	}
	ad.Archive, _ = s.route(a.Called, device, ServiceStore)
	ad.Also = slices.DeleteFunc(slices.Clone(ad.Also), func(name string) bool { return name == ad.Archive }) // it was called by its title
	s.grant(a, device, &ad)
	return ad
}

// objected reports whether the association as a whole would be refused.
func (ad Admission) objected() bool {
	return len(ad.WouldRefuse) > 0 && ad.WouldRefuse[0].Refusal != NotRefused
}

// limits lists what speaks against the association as a whole.
func (s Site) limits(a Association, d Device) []Refusal {
	var out []Refusal
	for _, l := range []struct {
		refused bool
		why     Refusal
	}{
		{len(s.Archives) == 0, NoArchive},
		{!s.answersTo(a.Called), UnknownCalled},
		{d.Denied, Denied},
		{d.Name == "" && s.Unknown != LearnUnknown, UnknownDevice},
		{d.TLSRequired && !a.TLS, NeedsTLS},
		{d.Implementation != "" && d.Implementation != a.Implementation, WrongImplementation},
		{d.UserIdentity == IdentityRequire && !a.HasUserIdentity, NoUserIdentity},
		{!s.mayCall(a.Called, d), ForeignArchive},
		{!d.Hours.Contain(a.At), OutsideHours},
	} {
		if l.refused {
			out = append(out, l.why)
		}
	}
	return out
}

// MayMove says whether objects may be moved to an application entity on this
// association. A device that is being learned may move to any. So may every
// device under shadow; why then says what would have been refused, and is nil
// if nothing would.
func (ad Admission) MayMove(destination dicom.AETitle) (may bool, why *Objection) {
	if ad.Refusal != NotRefused {
		return false, nil
	}
	switch {
	case ad.Learned, ad.objected(), slices.Contains(ad.destinations, destination):
		return true, nil
	case ad.shadow:
		return true, &Objection{Service: ServiceRetrieve, Destination: destination}
	}
	return false, nil
}
