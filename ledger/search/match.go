package search

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"cordon/ledger"
)

// asked is a query made ready: values in lower case, and what a record's line has
// to have in it.
type asked struct {
	Query
	text    string
	kinds   [][]byte // one of these; nil: any
	named   [][]byte // the same, as a block's entry has them
	literal []byte   // this, in lower case; nil: anything
}

func (q Query) prepare() asked {
	q.Device, q.Person, q.Value = plain(q.Device), plain(q.Person), plain(q.Value)
	a := asked{Query: q, text: plain(q.Text)}
	for _, pattern := range q.Kinds {
		stem, open := strings.CutSuffix(pattern, "*")
		name := `"` + stem
		if !open {
			name += `"`
		}
		a.kinds, a.named = append(a.kinds, []byte(`,"kind":`+name)), append(a.named, []byte(name))
	}
	literal := a.text
	for _, s := range []string{q.Device, q.Person, q.Value} {
		if len(s) > len(literal) {
			literal = s
		}
	}
	if !strings.ContainsFunc(literal, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		a.literal = []byte(literal) // lines have it as it is
	}
	return a
}

// may reports whether a record may be what is asked for, by its line.
func (a asked) may(line []byte) bool {
	if len(a.kinds) > 0 && !slices.ContainsFunc(a.kinds, func(part []byte) bool { return bytes.Contains(line, part) }) {
		return false
	}
	return len(a.literal) == 0 || bytes.Contains(bytes.ToLower(line), a.literal)
}

// plain is how names and values are compared.
func plain(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// within reports whether a block may hold what is asked for by its times and
// kinds.
func (a asked) within(e entry) bool {
	if !a.From.IsZero() && e.last.Before(a.From) || !a.To.IsZero() && !e.first.Before(a.To) {
		return false
	}
	if len(a.Kinds) == 0 {
		return true
	}
	return slices.ContainsFunc(a.named, func(part []byte) bool { return bytes.Contains(e.kinds, part) })
}

func (a asked) kind(kind string) bool {
	return len(a.Kinds) == 0 || slices.ContainsFunc(a.Kinds, func(pattern string) bool {
		if stem, ok := strings.CutSuffix(pattern, "*"); ok {
			return strings.HasPrefix(kind, stem)
		}
		return pattern == kind
	})
}

// tokens are those that a block's filter must hold.
func (a asked) tokens() (out []uint64) {
	for _, s := range []string{a.Device, a.Person, a.Value} {
		if s != "" && len(s) <= longestToken {
			out = append(out, token(s))
		}
	}
	if a.Alarm {
		out = append(out, token(alarmed))
	}
	return out
}

// alarmed stands in a filter for "alarm":true, and is no string that a body has.
const alarmed = "\x00alarm"

// deviceKeys are the keys of a body that name a device, a peer or an archive.
var deviceKeys = []string{"device", "calling_ae", "called_ae", "address", "peer", "peer_ae", "peer_address", "archive", "engine", "destination"}

// match reports whether a record is what is asked for.
func (a asked) match(r ledger.Record) bool {
	if !a.kind(r.Kind) || !a.at(r.Time) {
		return false
	}
	if a.text != "" && !strings.Contains(strings.ToLower(string(r.Body)), a.text) {
		return false
	}
	if a.Device == "" && a.Person == "" && a.Value == "" && !a.Alarm {
		return true
	}
	var body map[string]any
	if json.Unmarshal(r.Body, &body) != nil {
		return false // pruned
	}
	switch {
	case a.Alarm && body["alarm"] != true:
		return false
	case a.Person != "" && !holds(body["by"], a.Person):
		return false
	case a.Value != "" && !holds(body, a.Value):
		return false
	}
	return a.Device == "" || slices.ContainsFunc(deviceKeys, func(key string) bool { return holds(body[key], a.Device) })
}

func (a asked) at(t time.Time) bool {
	return (a.From.IsZero() || !t.Before(a.From)) && (a.To.IsZero() || t.Before(a.To))
}

// holds reports whether a value is that string, in lower case, or has it anywhere
// in it.
func holds(v any, want string) bool {
	found := false
	walk(v, func(s string) { found = found || strings.ToLower(s) == want })
	return found
}

// walk calls fn with every string of a value of JSON, names of keys left out.
func walk(v any, fn func(string)) {
	switch v := v.(type) {
	case string:
		fn(v)
	case []any:
		for _, one := range v {
			walk(one, fn)
		}
	case map[string]any:
		for _, one := range v {
			walk(one, fn)
		}
	}
}

// stringsOf are the strings in a record's body, as filters hold them.
func stringsOf(r ledger.Record) (out []string) {
	var body map[string]any
	if json.Unmarshal(r.Body, &body) != nil {
		return nil // pruned
	}
	walk(body, func(s string) { out = append(out, s) })
	if body["alarm"] == true {
		out = append(out, alarmed)
	}
	return out
}
