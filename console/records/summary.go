package records

import (
	"encoding/json"
	"fmt"
	"strings"

	"cordon/ledger"
)

// told are the keys of a body that say most of a record in a list, in the order in
// which people read them.
var told = []string{
	"device", "calling_ae", "peer", "engine", "archive", "subject", "finding", "findings", "refusal", "reason", "error", "what", "how", "changes",
	"service", "operation", "received", "held", "outcome", "level", "rule", "study_instance_uid", "sop_instance_uid", "address", "up", "until", "id",
}

// Short is what a list says of a record: a few of its keys, and who did it.
func (p Page) Short(r ledger.Record) string {
	var body map[string]any
	if json.Unmarshal(r.Body, &body) != nil {
		return ""
	}
	const most = 5
	var out []string
	for _, key := range told {
		text := value(body[key])
		if text == "" || len(out) >= most || key == "calling_ae" && value(body["device"]) != "" {
			continue
		}
		out = append(out, key+" "+text)
	}
	return strings.Join(out, " · ")
}

// By is who did it, or nobody.
func (p Page) By(r ledger.Record) string {
	var body struct{ By any }
	if json.Unmarshal(r.Body, &body) != nil {
		return ""
	}
	return value(body.By)
}

// Alarm reports whether a record asks for somebody to look.
func (p Page) Alarm(r ledger.Record) bool {
	var body struct{ Alarm any }
	return json.Unmarshal(r.Body, &body) == nil && body.Alarm == true
}

// value is a value in a list: bounded, and nothing for what is empty.
func value(v any) string {
	const most = 80
	text := ""
	switch v := v.(type) {
	case nil:
	case string:
		text = v
	case bool:
		text = map[bool]string{true: "yes", false: "no"}[v]
	case float64:
		text = fmt.Sprintf("%.0f", v)
	case []any:
		var all []string
		for _, one := range v {
			all = append(all, value(one))
		}
		text = strings.Join(all, ", ")
	case map[string]any:
		var all []string
		for _, key := range []string{"key", "was", "now"} {
			if t := value(v[key]); t != "" {
				all = append(all, t)
			}
		}
		text = strings.Join(all, " ")
	}
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "…"
	}
	return text
}
