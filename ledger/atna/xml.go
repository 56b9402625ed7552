package atna

import (
	"encoding/base64"
	"encoding/xml"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// eventTime is EventDateTime: xsd:dateTime in UTC, to the millisecond.
const eventTime = "2006-01-02T15:04:05.000Z"

// XML returns the message as one line of UTF-8: elements in the order of the
// schema, attributes in the order of the standard's tables, so that the same
// message is always the same bytes.
func (m Message) XML() []byte {
	var w writer
	w.raw(`<?xml version="1.0" encoding="UTF-8"?><AuditMessage>`)
	w.event(m.Event)
	for _, p := range m.Participants {
		w.participant(p)
	}
	w.source(m.Source)
	for _, o := range m.Objects {
		w.object(o)
	}
	w.raw("</AuditMessage>")
	return w.out
}

// writer writes the few shapes of XML that an audit message has.
type writer struct{ out []byte }

func (w *writer) raw(s string) { w.out = append(w.out, s...) }

// open begins a tag; attributes are names and values in turn, empty values left
// out. end is ">" or "/>".
func (w *writer) open(name, end string, attributes ...string) {
	w.raw("<" + name)
	for i := 0; i < len(attributes); i += 2 {
		if attributes[i+1] != "" {
			w.raw(" " + attributes[i] + `="`)
			w.text(attributes[i+1])
			w.raw(`"`)
		}
	}
	w.raw(end)
}

// text escapes. What XML 1.0 cannot hold at all becomes U+FFFD.
func (w *writer) text(s string) {
	if !strings.ContainsFunc(s, special) { // nearly all
		w.raw(s)
		return
	}
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	w.raw(b.String())
}

// special reports whether a character may not stand as it is.
func special(r rune) bool {
	return r < ' ' || r > '~' || r == '<' || r == '>' || r == '&' || r == '"' || r == '\''
}

func (w *writer) element(name, content string) {
	w.raw("<" + name + ">")
	w.text(content)
	w.raw("</" + name + ">")
}

func (w *writer) code(name string, c Code) {
	w.open(name, "/>", "csd-code", c.Value, "codeSystemName", c.System, "originalText", c.Text)
}

func (w *writer) event(e Event) {
	w.open("EventIdentification", ">",
		"EventActionCode", string(rune(e.Action)),
		"EventDateTime", e.Time.UTC().Truncate(time.Millisecond).Format(eventTime),
		"EventOutcomeIndicator", strconv.Itoa(int(e.Outcome)))
	w.code("EventID", e.ID)
	for _, t := range e.Types {
		w.code("EventTypeCode", t)
	}
	if e.Description != "" {
		w.element("EventOutcomeDescription", e.Description)
	}
	w.raw("</EventIdentification>")
}

func (w *writer) participant(p Participant) {
	titles, point := "", ""
	if len(p.AETitles) > 0 {
		titles = "AETITLES=" + strings.Join(p.AETitles, ";")
	}
	if p.NetworkPoint != "" {
		point = strconv.Itoa(p.networkPointType())
	}
	end := ">"
	if len(p.Roles) == 0 && p.Media == (Code{}) {
		end = "/>"
	}
	w.open("ActiveParticipant", end, "UserID", p.UserID, "AlternativeUserID", titles, "UserName", p.UserName, "UserIsRequestor", strconv.FormatBool(p.Requestor),
		"NetworkAccessPointID", p.NetworkPoint, "NetworkAccessPointTypeCode", point)
	if end == "/>" {
		return
	}
	for _, r := range p.Roles {
		w.code("RoleIDCode", r)
	}
	if p.Media != (Code{}) {
		w.raw("<MediaIdentifier>")
		w.code("MediaType", p.Media)
		w.raw("</MediaIdentifier>")
	}
	w.raw("</ActiveParticipant>")
}

func (w *writer) source(s Source) {
	w.open("AuditSourceIdentification", ">", "AuditEnterpriseSiteID", s.Site, "AuditSourceID", s.ID)
	if s.Type != 0 {
		w.open("AuditSourceTypeCode", "/>", "csd-code", strconv.Itoa(s.Type))
	}
	w.raw("</AuditSourceIdentification>")
}

func (w *writer) object(o Object) {
	w.open("ParticipantObjectIdentification", ">",
		"ParticipantObjectID", o.ID,
		"ParticipantObjectTypeCode", number(o.Type),
		"ParticipantObjectTypeCodeRole", number(o.Role),
		"ParticipantObjectDataLifeCycle", number(o.LifeCycle))
	w.code("ParticipantObjectIDTypeCode", o.IDType)
	if o.Query != nil {
		w.element("ParticipantObjectQuery", base64.StdEncoding.EncodeToString(o.Query))
	} else {
		w.element("ParticipantObjectName", o.Name)
	}
	for _, d := range o.Details {
		w.open("ParticipantObjectDetail", "/>", "type", d.Type, "value", base64.StdEncoding.EncodeToString([]byte(d.Value)))
	}
	w.description(o.Describes)
	w.raw("</ParticipantObjectIdentification>")
}

func (w *writer) description(d Description) {
	if d.Accession == "" && len(d.SOPClasses) == 0 {
		return
	}
	w.raw("<ParticipantObjectDescription>")
	if d.Accession != "" {
		w.open("Accession", "/>", "Number", d.Accession)
	}
	for _, c := range d.SOPClasses {
		w.open("SOPClass", "/>", "UID", c.UID, "NumberOfInstances", strconv.Itoa(c.Instances))
	}
	w.raw("</ParticipantObjectDescription>")
}

// number writes a code; 0 is none.
func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// clip cuts text to at most n bytes, between characters.
func clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}
