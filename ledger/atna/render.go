package atna

import (
	"context"
	"encoding/base64"
	"net"
	"net/url"
	"slices"
	"strings"

	"cordon/ledger"
)

// Node is the Cordon that reports.
type Node struct {
	ID      string // AuditSourceID
	Site    string // AuditEnterpriseSiteID
	AETitle string // of the gateway
	Address string // its IP address, or the machine's name
	Process string // its process id
}

// Patient is whom a study is of, as far as a message needs it.
type Patient struct {
	ID        string `json:"id,omitempty"`
	Issuer    string `json:"issuer,omitempty"`
	Name      string `json:"name,omitempty"`
	Accession string `json:"accession,omitempty"`
}

// Secrets opens what is sealed in bodies.
type Secrets interface {
	// Unseal is the ledger's.
	Unseal(ctx context.Context, sealed string, v any) error
	// Sealed returns the sealed Patient of a study that was transferred, or "".
	Sealed(ctx context.Context, study string) (string, error)
}

// Renderer makes audit messages of ledger records, by the tables of this
// package. A record of a kind that they do not name has none.
type Renderer struct {
	Node    Node
	Secrets Secrets
}

// Render returns the messages that a record causes, in order. What has been
// erased since, or is not known, is rendered as unknown. An error is the
// database's.
func (r Renderer) Render(ctx context.Context, rec ledger.Record) ([]Message, error) {
	if !tells(rec.Kind) { // most of them
		return nil, nil
	}
	s := &scene{ctx: ctx, r: r, rec: rec, body: readBody(rec.Body)}
	var out []Message
	for _, e := range events {
		if e.kind == rec.Kind && (e.when == nil || e.when(s.body)) {
			out = append(out, e.messages(s)...)
		}
	}
	for _, a := range alertsOf(rec.Kind, s.body) {
		out = append(out, s.alert(a))
	}
	return out, s.err
}

// tells reports whether a kind of record may cause a message.
func tells(kind string) bool {
	return slices.ContainsFunc(events[:], func(e event) bool { return e.kind == kind }) ||
		slices.ContainsFunc(alerts[:], func(a alert) bool { return a.kind == kind })
}

// scene is one record under way.
type scene struct {
	ctx  context.Context
	r    Renderer
	rec  ledger.Record
	body body
	err  error // of the database; what is rendered then is not sent
}

// event begins a message.
func (s *scene) event(id Code, action Action, outcome Outcome, types ...Code) Message {
	return Message{
		Event:  Event{Action: action, Time: s.rec.Time, Outcome: outcome, ID: id, Types: types},
		Source: Source{ID: s.r.Node.ID, Site: s.r.Node.Site, Type: sourceType},
	}
}

// sourceType is AuditSourceTypeCode 4, an application server.
const sourceType = 4

// us is Cordon itself as a participant.
func (s *scene) us(roles ...Code) Participant {
	return Participant{
		UserID: s.r.Node.Process, UserName: "cordon", AETitles: []string{s.r.Node.AETitle},
		NetworkPoint: s.r.Node.Address, Roles: roles,
	}
}

// ours is Cordon under an AE title that it answered to or called by.
func (s *scene) ours(title string, role Code) Participant {
	p := s.us(role)
	if title != "" && title != s.r.Node.AETitle {
		p.AETitles = append(p.AETitles, title)
	}
	return p
}

// people are those who did it, the last of them being the one who asked.
func (s *scene) people(roles ...Code) []Participant {
	var out []Participant
	names := s.body.list("by")
	for i, name := range names[:min(len(names), maxPeople)] {
		out = append(out, Participant{
			UserID: name, UserName: name, Requestor: i == min(len(names), maxPeople)-1,
			NetworkPoint: s.r.Node.Address, Roles: roles,
		})
	}
	return out
}

// maxPeople is how many reporters a message may have; two people decide.
const maxPeople = 2

// peer is who is at the other end of the association or visit that a record is
// about, by the address of its socket.
func (s *scene) peer(roles ...Code) (Participant, bool) {
	title := s.body.text("calling_ae")
	id := s.body.first("device", "calling_ae", "subject", "address")
	if id == "" {
		return Participant{}, false
	}
	p := Participant{UserID: id, NetworkPoint: s.body.text("address"), Roles: roles}
	if host, _, err := net.SplitHostPort(p.NetworkPoint); err == nil {
		p.NetworkPoint = host
	}
	if title != "" {
		p.AETitles = []string{title}
	}
	return p, true
}

// unknown stands where the standard wants an identifier and there is none.
const unknown = "unknown"

// study is a study as an object.
func study(uid string, d Description) Object {
	if uid == "" {
		uid = unknown
	}
	return Object{ID: uid, Type: 2, Role: 3, IDType: idStudy, Name: "study", Describes: d}
}

// patient is the patient as an object.
func patient(p Patient) Object {
	id, name := p.ID, p.Name
	if id == "" {
		id = unknown
	} else if p.Issuer != "" {
		id += "^^^" + p.Issuer // HL7 CX: identifier, then assigning authority
	}
	if name == "" {
		name = unknown
	}
	return Object{ID: clip(id, maxPatient), Type: 1, Role: 1, IDType: idPatient, Name: clip(name, maxPatient)}
}

// whose opens the record's own sealed patient, else that of its study.
func (s *scene) whose(studyUID string) Patient {
	sealed, _ := s.body["patient"].(string)
	if sealed == "" && studyUID != "" {
		var err error
		if sealed, err = s.r.Secrets.Sealed(s.ctx, studyUID); err != nil {
			s.err = err
		}
	}
	var p Patient
	s.unseal(sealed, &p)
	return p
}

// unseal opens what can be opened; what was erased, or is damaged, stays empty.
func (s *scene) unseal(sealed string, v any) {
	if sealed == "" {
		return
	}
	if err := s.r.Secrets.Unseal(s.ctx, sealed, v); err != nil && s.ctx.Err() != nil {
		s.err = err
	}
}

// of lists the objects of a message about studies: each, and the patient of the
// first.
func (s *scene) of(studies ...string) []Object {
	var out []Object
	for _, uid := range studies {
		out = append(out, study(uid, Description{}))
	}
	first := ""
	if len(studies) > 0 {
		first = studies[0]
	}
	return append(out, patient(s.whose(first)))
}

// alert makes a security alert: who reports, who did it, and what it is about.
func (s *scene) alert(a alert) Message {
	m := s.event(securityAlert, Execute, a.outcome, a.typ, a.what)
	m.Event.Description = a.what.Text
	m.Participants = append(s.people(), s.us())
	if p, ok := s.peer(); ok {
		m.Participants = append(m.Participants, p)
	}
	o := a.about(s)
	says := a.what.Text
	if more := s.body.describe(a.says...); more != "" {
		says += ": " + more
	}
	o.Details = append(o.Details, Detail{"Alert Description", clip(says, maxDescription)})
	m.Objects = []Object{o}
	return m
}

// maxDescription bounds an alert's description, in bytes.
const maxDescription = 4096

// What an alert may be about.

func aboutInstance(s *scene) Object {
	id := s.body.first("id", "sop_instance_uid")
	o := Object{ID: "urn:cordon:vault:" + id, Type: 2, Role: 13, IDType: idURI, Name: "instance"}
	if uid := s.body.text("sop_instance_uid"); uid != "" {
		o.Details = append(o.Details, Detail{"SOPInstanceUID", uid})
	}
	if uid := s.body.text("study_instance_uid"); uid != "" {
		o.Details = append(o.Details, Detail{"StudyInstanceUID", uid})
	}
	return o
}

func aboutPeer(s *scene) Object {
	id := s.body.first("device", "calling_ae", "address", "name")
	if id == "" {
		id = unknown
	}
	return Object{ID: id, Type: 2, Role: 5, IDType: idNode, Name: "peer"}
}

func aboutLedger(*scene) Object { return theLog() }

func aboutConfiguration(s *scene) Object {
	id := s.body.first("id", "sha256", "device")
	return Object{ID: "urn:cordon:configuration:" + id, Type: 2, Role: 13, IDType: idURI, Name: "configuration"}
}

// aboutPart names a part of Cordon by the value of a key.
func aboutPart(key string) func(*scene) Object {
	return func(s *scene) Object {
		id := s.body.text(key)
		if id == "" {
			id = unknown
		}
		return Object{ID: "urn:cordon:" + key + ":" + id, Type: 2, Role: 13, IDType: idURI, Name: key}
	}
}

// aboutPerson is whose account it is: another's, or one's own.
func aboutPerson(s *scene) Object {
	id := s.body.first("person", "by")
	if id == "" {
		id = unknown
	}
	return Object{ID: "urn:cordon:person:" + url.PathEscape(id), Type: 1, Role: 13, IDType: idURI, Name: id}
}

// theLog is the ledger as an object.
func theLog() Object {
	return Object{ID: "urn:cordon:ledger", Type: 2, Role: 13, IDType: idURI, Name: "Security Audit Log"}
}

// identifier is a query's data set: nil if it was erased or was too long.
func (s *scene) identifier() []byte {
	var text string
	sealed, _ := s.body["identifier"].(string)
	s.unseal(sealed, &text)
	data, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil {
		return nil
	}
	return data
}
