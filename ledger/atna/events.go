package atna

import (
	"fmt"
	"strings"
)

// An event says which messages a kind of record causes, other than security
// alerts.
type event struct {
	kind     string
	when     func(body) bool // nil: always
	messages func(*scene) []Message
}

// events are in the order of PS3.15 §A.5.3.
var events = [...]event{
	{"ledger.start", nil, activity(applicationStart)},
	{"ledger.stop", nil, activity(applicationStop)},
	{"ledger.read", nil, logUsed},
	{"ledger.verified", nil, logUsed},
	{"review.signed", nil, logUsed},
	{"evidence.made", nil, logUsed},
	{"transfer.begin", nil, transferBegins},
	{"transfer.end", nil, transferred},
	{"study.accessed", nil, accessedOverWeb},
	{"object.shown", nil, accessed(Read)},
	{"study.shown", nil, accessed(Read)},
	{"object.exported", nil, accessed(Read)},
	{"object.destroyed", nil, accessed(Delete)},
	{"object.reviewed", nil, accessed(Read)},
	{"object.exported", nil, exported},
	{"media.import", nil, imported},
	{"admission.learned", nil, attached},
	{"query.answered", nil, queried},
	{"query.refused", nil, queried},
	{"query.passed", nil, queried},
	{"study.searched", nil, searched},
	{"person.signed_in", nil, authenticated(userLogin, Success)},
	{"person.signed_out", nil, authenticated(userLogout, Success)},
	{"person.failed", nil, authenticated(userLogin, Minor)},
}

// activity is Application Activity (§A.5.3.1).
func activity(typ Code) func(*scene) []Message {
	return func(s *scene) []Message {
		m := s.event(applicationActivity, Execute, Success, typ)
		m.Participants = []Participant{s.us(roleApplication)}
		return []Message{m}
	}
}

// logUsed is Audit Log Used (§A.5.3.2).
func logUsed(s *scene) []Message {
	outcome := Success
	if s.rec.Kind == "ledger.verified" && !s.body.yes("intact") {
		outcome = Major
	}
	m := s.event(auditLogUsed, Read, outcome)
	if m.Event.Description = s.body.text("how"); m.Event.Description == "" {
		m.Event.Description = s.rec.Kind
	}
	m.Participants = s.people()
	if len(m.Participants) == 0 {
		m.Participants = []Participant{s.us()}
	}
	m.Objects = []Object{theLog()}
	return []Message{m}
}

// transferBegins is Begin Transferring DICOM Instances (§A.5.3.3).
func transferBegins(s *scene) []Message {
	m := s.event(beginTransferring, Execute, Success)
	m.Participants = s.parties()
	p := s.whose(s.body.text("study"))
	m.Objects = []Object{study(s.body.text("study"), Description{Accession: p.Accession}), patient(p)}
	return []Message{m}
}

// transferred is DICOM Instances Transferred (§A.5.3.7): what was taken and what
// was not are two messages. Whether somebody else had the instances before is not
// known, for which the standard has the action R.
func transferred(s *scene) []Message {
	p := s.whose(s.body.text("study"))
	action := Create
	if s.body.text("direction") == "sent" {
		action = Read
	}
	var out []Message
	for _, part := range []struct {
		outcome Outcome
		classes []SOPClass
	}{{Success, s.body.counts("stored")}, {Serious, s.body.counts("failed")}} {
		if len(part.classes) == 0 {
			continue
		}
		m := s.event(instancesMoved, action, part.outcome)
		if part.outcome != Success {
			m.Event.Description = "not stored"
			if why := s.body.describe("reason"); why != "" {
				m.Event.Description += ": " + why
			}
		}
		m.Participants = s.parties()
		m.Objects = []Object{study(s.body.text("study"), Description{Accession: p.Accession, SOPClasses: part.classes}), patient(p)}
		out = append(out, m)
	}
	return out
}

// parties are source and destination of a transfer, of which Cordon is one. The
// requestor is who sends.
func (s *scene) parties() []Participant {
	peer := Participant{
		UserID: s.body.first("peer", "peer_ae", "peer_address"), AETitles: s.body.list("peer_ae"),
		NetworkPoint: s.body.text("peer_address"),
	}
	if peer.UserID == "" {
		peer.UserID = unknown
	}
	if s.body.text("direction") == "received" {
		peer.Roles, peer.Requestor = []Code{roleSource}, true
		return []Participant{peer, s.ours(s.body.text("own_ae"), roleDestination)}
	}
	us := s.ours(s.body.text("own_ae"), roleSource)
	us.Requestor = true
	peer.Roles = []Code{roleDestination}
	return []Participant{us, peer}
}

// accessed is DICOM Instances Accessed (§A.5.3.6).
func accessed(action Action) func(*scene) []Message {
	return func(s *scene) []Message {
		m := s.event(instancesAccessed, action, Success)
		m.Event.Description = clip(strings.TrimPrefix(s.rec.Kind, "object."), maxText)
		if m.Participants = s.people(); len(m.Participants) == 0 {
			m.Participants = []Participant{s.us()}
		}
		m.Objects = s.of(s.body.text("study_instance_uid"))
		return []Message{m}
	}
}

// accessedOverWeb is the same by a peer that did not get the instances themselves.
func accessedOverWeb(s *scene) []Message {
	m := s.event(instancesAccessed, Read, Success)
	m.Event.Description = clip(s.body.text("resource"), maxText)
	asks, ok := s.peer()
	if !ok {
		asks = Participant{UserID: unknown}
	}
	asks.Requestor = true
	m.Participants = []Participant{asks, s.us()}
	m.Objects = s.of(s.body.text("study_instance_uid"))
	return []Message{m}
}

// exported is Export (§A.5.3.8).
func exported(s *scene) []Message {
	m := s.event(dataExport, Read, Success)
	file := Participant{UserID: "file", Roles: []Code{roleDestination, roleDestMedia}, Media: mediaURI}
	m.Participants = append(s.people(roleSource), file)
	m.Objects = s.of(s.body.text("study_instance_uid"))
	return []Message{m}
}

// maxStudies bounds the studies named in one message, and maxPatient a patient's
// id and name, so that every message stays within 32,768 bytes (PS3.15 §A.6.1).
const (
	maxStudies = 24
	maxPatient = 256
)

// imported is Import (§A.5.3.9): what was taken and what was not are two messages.
func imported(s *scene) []Message {
	taken := s.body.number("stored") + s.body.number("held")
	left := s.body.number("refused") + s.body.number("failed") + s.body.number("unreadable")
	whole := left == 0 && s.body.yes("complete")
	var out []Message
	if taken > 0 || whole {
		out = append(out, s.importOf(Success, s.body.describe("stored", "held")))
	}
	if !whole {
		says := "not imported in full"
		if more := s.body.describe("refused", "failed", "unreadable"); more != "" {
			says += ": " + more
		}
		out = append(out, s.importOf(Minor, says))
	}
	return out
}

func (s *scene) importOf(outcome Outcome, says string) Message {
	m := s.event(dataImport, Create, outcome)
	m.Event.Description = says
	label := s.body.text("label")
	if label == "" {
		label = "medium"
	}
	medium := Participant{UserID: label, Roles: []Code{roleSourceMedia}, Media: mediaUSB}
	m.Participants = append(s.people(roleDestination), s.us(roleDestination), medium)
	studies := s.body.list("studies")
	seen := map[string]bool{}
	for _, uid := range studies[:min(len(studies), maxStudies)] {
		m.Objects = append(m.Objects, study(uid, Description{}))
	}
	for _, uid := range studies[:min(len(studies), maxStudies)] {
		if o := patient(s.whose(uid)); !seen[o.ID] {
			seen[o.ID] = true
			m.Objects = append(m.Objects, o)
		}
	}
	if len(studies) == 0 {
		m.Objects = append(m.Objects, patient(Patient{}))
	}
	return m
}

// attached is Network Entry (§A.5.3.10): a peer is seen for the first time.
func attached(s *scene) []Message {
	m := s.event(networkEntry, Execute, Success, attach)
	p, ok := s.peer()
	if !ok {
		return nil
	}
	m.Participants = []Participant{p}
	return []Message{m}
}

// queried is Query (§A.5.3.12).
func queried(s *scene) []Message {
	outcome := Success
	if s.rec.Kind == "query.refused" || s.body.yes("failed") {
		outcome = Minor
	}
	m := s.event(query, Execute, outcome)
	asks, ok := s.peer(roleSource)
	if !ok {
		asks = Participant{UserID: unknown, Roles: []Code{roleSource}}
	}
	asks.Requestor = true
	answers := s.us(roleDestination)
	if name := s.body.text("archive"); name != "" {
		answers = Participant{UserID: name, NetworkPoint: s.body.text("archive_address"), Roles: []Code{roleDestination}}
	}
	m.Participants = []Participant{asks, answers, s.us()}
	o := Object{ID: s.body.first("sop_class_uid", "service"), Type: 2, Role: 3, IDType: idSOPClass, Name: "query", Query: s.identifier()}
	if o.ID == "" {
		o.ID = unknown
	}
	if ts := s.body.text("transfer_syntax"); ts != "" {
		o.Details = append(o.Details, Detail{"TransferSyntax", ts})
	}
	m.Objects = []Object{o}
	return []Message{m}
}

// searched is Query (§A.5.3.12) by a person at the console: what was looked for in
// the ledger, and in the archives that are named.
func searched(s *scene) []Message {
	m := s.event(query, Execute, Success)
	asks := s.people(roleSource)
	if len(asks) == 0 {
		asks = []Participant{{UserID: unknown, Roles: []Code{roleSource}, Requestor: true}}
	}
	m.Participants = append(asks, s.us(roleDestination))
	m.Objects = []Object{{ID: studyRootFind, Type: 2, Role: 3, IDType: idSOPClass, Name: "query", Query: s.identifier()}}
	return []Message{m}
}

// studyRootFind is the Study Root Query/Retrieve Information Model - FIND (PS3.4
// §C.6.2).
const studyRootFind = "1.2.840.10008.5.1.4.1.2.2.1"

// authenticated is User Authentication (§A.5.3.12). Whoever failed is named if there
// is such a person.
func authenticated(typ Code, outcome Outcome) func(*scene) []Message {
	return func(s *scene) []Message {
		m := s.event(userAuthentication, Execute, outcome, typ)
		m.Event.Description = s.body.text("how")
		if n := s.body.number("failures"); n > 0 {
			m.Event.Description = fmt.Sprintf("attempts that failed: %d", n)
		}
		id := s.body.first("by", "person")
		if id == "" {
			id = unknown
		}
		who := Participant{UserID: id, UserName: id, Requestor: true, NetworkPoint: s.body.text("address")}
		if who.NetworkPoint == "" {
			who.NetworkPoint = s.r.Node.Address // at the control socket
		}
		m.Participants = []Participant{who, s.us()}
		return []Message{m}
	}
}
