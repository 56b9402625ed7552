package atna

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"time"

	"cordon/ledger"
)

// ecsVersion is that of the Elastic Common Schema whose names are used.
const ecsVersion = "8.11.0"

// A family of kinds is one sort of event to a SIEM.
type family struct {
	prefix   string // of the kind
	category string // event.category
	typ      string // event.type
}

// families are looked up in this order; the last fits everything.
var families = [...]family{
	{"association.", "network", "connection"},
	{"tls.", "network", "connection"},
	{"refusals.", "network", "denied"},
	{"source.", "network", "info"},
	{"query.", "network", "protocol"},
	{"retrieve.", "network", "protocol"},
	{"transfer.", "network", "protocol"},
	{"instance.", "network", "protocol"},
	{"step.", "network", "protocol"},
	{"commitment.", "network", "protocol"},
	{"object.held", "malware", "info"},
	{"object.late_hit", "malware", "info"},
	{"object.", "file", "info"},
	{"recall.", "malware", "info"},
	{"media.", "file", "info"},
	{"login.", "authentication", "info"},
	{"config.", "configuration", "change"},
	{"device.", "configuration", "change"},
	{"admission.", "configuration", "info"},
	{"exception.", "configuration", "change"},
	{"bypass.", "configuration", "change"},
	{"pki.", "configuration", "change"},
	{"", "host", "info"},
}

// failures are the endings of kinds whose outcome is failure.
var failures = [...]string{".rejected", ".failed", ".refused", ".refused_by_archive", ".lost", ".unfinished", ".given_up", ".omitted", ".skipped"}

// The field sets of the Elastic Common Schema that are filled, and one of our
// own.
type (
	ecsDocument struct {
		Timestamp string      `json:"@timestamp"`
		Cordon    ecsCordon   `json:"cordon"`
		ECS       ecsName     `json:"ecs"`
		Event     ecsEvent    `json:"event"`
		File      *ecsFile    `json:"file,omitempty"`
		Message   string      `json:"message"`
		Observer  ecsObserver `json:"observer"`
		Related   *ecsRelated `json:"related,omitempty"`
		Source    *ecsSource  `json:"source,omitempty"`
		User      *ecsUser    `json:"user,omitempty"`
	}
	ecsCordon struct {
		Record any `json:"record"` // the body, without what is sealed
	}
	ecsName struct {
		Version string `json:"version"`
	}
	ecsEvent struct {
		Action   string    `json:"action"` // the record's kind
		Category [1]string `json:"category"`
		Code     string    `json:"code,omitempty"` // of our own, as in the security alert
		Dataset  string    `json:"dataset"`
		Kind     string    `json:"kind"` // "event", or "alert" for an alert of some weight
		Outcome  string    `json:"outcome"`
		Provider string    `json:"provider"`
		Reason   string    `json:"reason,omitempty"`
		Sequence int64     `json:"sequence"` // the record's number
		Severity int       `json:"severity,omitempty"`
		Type     [1]string `json:"type"`
	}
	ecsFile struct {
		Hash struct {
			SHA256 string `json:"sha256"`
		} `json:"hash"`
		Size int `json:"size"`
	}
	ecsObserver struct {
		Hostname string `json:"hostname,omitempty"`
		IP       string `json:"ip,omitempty"`
		Name     string `json:"name"`
		Product  string `json:"product"`
		Type     string `json:"type"`
		Vendor   string `json:"vendor"`
	}
	ecsRelated struct {
		User []string `json:"user"`
	}
	ecsSource struct {
		Address string `json:"address"`
		IP      string `json:"ip,omitempty"`
	}
	ecsUser struct {
		Name string `json:"name"`
	}
)

// ecs returns a record as one JSON object with the names of the Elastic Common
// Schema, without a line feed; false for a record that was pruned. What is
// sealed, patient data, is left out.
func (n Node) ecs(rec ledger.Record) ([]byte, bool) {
	if rec.Body == nil {
		return nil, false
	}
	b := readBody(rec.Body)
	alerts := alertsOf(rec.Kind, b)
	out := ecsDocument{
		Timestamp: rec.Time.UTC().Format(time.RFC3339Nano),
		Cordon:    ecsCordon{rec.Body},
		ECS:       ecsName{ecsVersion},
		Event:     newECSEvent(rec, b, alerts),
		Message:   sentence(rec.Kind, alerts),
		Observer:  n.observer(),
		Source:    b.source(),
	}
	if bytes.Contains(rec.Body, []byte(sealedPrefix)) {
		out.Cordon.Record = withoutSealed(map[string]any(b))
	}
	if by := b.list("by"); len(by) > 0 {
		out.User, out.Related = &ecsUser{by[len(by)-1]}, &ecsRelated{by}
	}
	if sum := b.text("sha256"); sum != "" && strings.HasPrefix(rec.Kind, "object.") {
		out.File = &ecsFile{Size: b.number("bytes")}
		out.File.Hash.SHA256 = sum
	}
	text, err := json.Marshal(out)
	return text, err == nil
}

func (n Node) observer() ecsObserver {
	o := ecsObserver{Vendor: "Cordon", Product: "cordon", Type: "proxy", Name: n.ID}
	if _, err := netip.ParseAddr(n.Address); err == nil {
		o.IP = n.Address
	} else {
		o.Hostname = n.Address
	}
	return o
}

func newECSEvent(rec ledger.Record, b body, alerts []alert) ecsEvent {
	f := families[slices.IndexFunc(families[:], func(f family) bool { return strings.HasPrefix(rec.Kind, f.prefix) })]
	e := ecsEvent{
		Kind: "event", Category: [1]string{f.category}, Type: [1]string{f.typ}, Action: rec.Kind, Outcome: "success",
		Provider: "cordon", Dataset: "cordon.ledger", Sequence: rec.Seq, Reason: b.describe("reason"),
	}
	if slices.ContainsFunc(failures[:], func(end string) bool { return strings.HasSuffix(rec.Kind, end) }) {
		e.Outcome = "failure"
	}
	for _, a := range alerts {
		if a.outcome > Success {
			e.Kind, e.Severity, e.Code = "alert", int(a.outcome), a.what.Value
		}
	}
	return e
}

// sentence is what people read first.
func sentence(kind string, alerts []alert) string {
	if len(alerts) == 0 {
		return kind
	}
	return alerts[0].what.Text
}

// alertsOf lists the alerts that a record causes.
func alertsOf(kind string, b body) []alert {
	var out []alert
	for _, a := range alerts {
		if a.kind == kind && (a.when == nil || a.when(b)) {
			out = append(out, a)
		}
	}
	return out
}

// source is the peer that a record is about, by the address of its socket; or
// nil.
func (b body) source() *ecsSource {
	address := b.text("address")
	if address == "" && b.text("direction") != "sent" { // else the peer is where it went
		address = b.text("peer_address")
	}
	if address == "" {
		return nil
	}
	out := &ecsSource{Address: address}
	if _, err := netip.ParseAddr(address); err == nil {
		out.IP = address
	}
	return out
}

// sealedPrefix begins what only the ledger can open.
const sealedPrefix = "sealed:"

// withoutSealed is a value of JSON without the texts that are sealed. Records are
// at most 32 deep.
func withoutSealed(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			if s, ok := e.(string); !ok || !strings.HasPrefix(s, sealedPrefix) {
				out[k] = withoutSealed(e)
			}
		}
		return out
	case []any:
		var out []any
		for _, e := range v {
			if s, ok := e.(string); !ok || !strings.HasPrefix(s, sealedPrefix) {
				out = append(out, withoutSealed(e))
			}
		}
		return out
	}
	return v
}
