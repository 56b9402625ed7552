package atna

import (
	"net/netip"
	"time"
)

// Message is one audit message: the element AuditMessage of PS3.15 §A.5.1. Its
// fields stand in the order of the schema.
type Message struct {
	Event        Event
	Participants []Participant // one at least; one at most is the requestor
	Source       Source
	Objects      []Object
}

// Event is EventIdentification.
type Event struct {
	Action      Action
	Time        time.Time
	Outcome     Outcome
	ID          Code
	Types       []Code
	Description string // EventOutcomeDescription; "" for none
}

// Action is EventActionCode.
type Action byte

// The actions (PS3.15 §A.5.1).
const (
	Create  Action = 'C'
	Read    Action = 'R'
	Update  Action = 'U'
	Delete  Action = 'D'
	Execute Action = 'E'
)

// Outcome is EventOutcomeIndicator.
type Outcome int

// The outcomes. Of a security alert, 0 informs, 4 and 8 tell of what was
// mitigated, 12 of a system that may be compromised (PS3.15 §A.5.3.11).
const (
	Success Outcome = 0
	Minor   Outcome = 4
	Serious Outcome = 8
	Major   Outcome = 12
)

// Code is a coded value: csd-code, codeSystemName, originalText.
type Code struct {
	Value, System, Text string
}

// Participant is ActiveParticipant: a person, a process or a node.
type Participant struct {
	UserID    string
	AETitles  []string // AlternativeUserID "AETITLES=A;B"
	UserName  string
	Requestor bool
	// NetworkPoint is an IP address or a name; its type code follows from which.
	NetworkPoint string
	Roles        []Code
	Media        Code // MediaIdentifier; the zero Code for none
}

// networkPointType is NetworkAccessPointTypeCode: 2 for an IP address, else 1, a
// machine's name.
func (p Participant) networkPointType() int {
	if _, err := netip.ParseAddr(p.NetworkPoint); err == nil {
		return 2
	}
	return 1
}

// Source is AuditSourceIdentification: who reports.
type Source struct {
	ID   string // AuditSourceID
	Site string // AuditEnterpriseSiteID; "" for none
	Type int    // AuditSourceTypeCode; 4 is an application server, 0 for none
}

// Object is ParticipantObjectIdentification: what the event is about.
type Object struct {
	ID        string
	Type      int // ParticipantObjectTypeCode: 1 a person, 2 a system object
	Role      int // ParticipantObjectTypeCodeRole
	LifeCycle int // ParticipantObjectDataLifeCycle; 0 for none
	IDType    Code
	Name      string // ParticipantObjectName; of no meaning beside a Query
	Query     []byte // ParticipantObjectQuery
	Details   []Detail
	Describes Description
}

// Detail is ParticipantObjectDetail.
type Detail struct{ Type, Value string }

// Description is what a study's ParticipantObjectDescription holds.
type Description struct {
	Accession  string // "" for none
	SOPClasses []SOPClass
}

// SOPClass counts the instances of one class.
type SOPClass struct {
	UID       string
	Instances int
}
