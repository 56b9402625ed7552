package atna

import (
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

// ecs returns a record as one JSON object with the names of the Elastic Common
// Schema, without a line feed; false for a record that was pruned. What is
// sealed, patient data, is left out.
func (n Node) ecs(rec ledger.Record) ([]byte, bool) {
	b := readBody(rec.Body)
	if rec.Body == nil {
		return nil, false
	}
	alerts := alertsOf(rec.Kind, b)
	out := map[string]any{
		"@timestamp": rec.Time.UTC().Format(time.RFC3339Nano),
		"ecs":        map[string]any{"version": ecsVersion},
		"observer":   n.observer(),
		"event":      ecsEvent(rec, b, alerts),
		"message":    sentence(rec.Kind, alerts),
		"cordon":     map[string]any{"record": withoutSealed(map[string]any(b))},
	}
	if end := ecsSource(b); end != nil {
		out["source"] = end
	}
	if by := b.list("by"); len(by) > 0 {
		out["user"] = map[string]any{"name": by[len(by)-1]}
		out["related"] = map[string]any{"user": by}
	}
	if sum := b.text("sha256"); sum != "" && strings.HasPrefix(rec.Kind, "object.") {
		out["file"] = map[string]any{"hash": map[string]any{"sha256": sum}, "size": b.number("bytes")}
	}
	text, err := json.Marshal(out)
	return text, err == nil
}

func (n Node) observer() map[string]any {
	o := map[string]any{"vendor": "Cordon", "product": "cordon", "type": "proxy", "name": n.ID}
	if _, err := netip.ParseAddr(n.Address); err == nil {
		o["ip"] = n.Address
	} else if n.Address != "" {
		o["hostname"] = n.Address
	}
	return o
}

// ecsEvent is the field set event. A record that causes an alert of some weight is
// one.
func ecsEvent(rec ledger.Record, b body, alerts []alert) map[string]any {
	f := families[slices.IndexFunc(families[:], func(f family) bool { return strings.HasPrefix(rec.Kind, f.prefix) })]
	e := map[string]any{
		"kind": "event", "category": []string{f.category}, "type": []string{f.typ}, "action": rec.Kind, "outcome": "success",
		"provider": "cordon", "dataset": "cordon.ledger", "sequence": rec.Seq,
	}
	if b.has("reason") {
		e["reason"] = b.describe("reason")
	}
	if slices.ContainsFunc(failures[:], func(end string) bool { return strings.HasSuffix(rec.Kind, end) }) {
		e["outcome"] = "failure"
	}
	for _, a := range alerts {
		if a.outcome > Success {
			e["kind"], e["severity"], e["code"] = "alert", int(a.outcome), a.what.Value
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

// ecsSource is the peer that a record is about, by the address of its socket; or
// nil.
func ecsSource(b body) map[string]any {
	address := b.first("address", "peer_address")
	if address == "" {
		return nil
	}
	out := map[string]any{"address": address}
	if _, err := netip.ParseAddr(address); err == nil {
		out["ip"] = address
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
