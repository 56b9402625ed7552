package incident

import (
	"fmt"
	"strings"
	"time"

	"cordon/ledger"
)

// said is what the story takes from a record's body.
type said struct {
	Incident int64     `json:"incident"` // 0: the open one of the device
	Device   string    `json:"device"`
	By       any       `json:"by"` // a name, or names
	Reason   string    `json:"reason"`
	Rule     string    `json:"rule"`
	Detail   string    `json:"detail"`
	Service  string    `json:"service"`
	Level    string    `json:"level"`
	First    time.Time `json:"first"`
	Until    string    `json:"until"`
	Error    string    `json:"error"`
	Whom     string    `json:"whom"`
	How      string    `json:"how"`
	What     string    `json:"what"`
	Text     string    `json:"text"`
	Due      string    `json:"due"`
	Vendor   string    `json:"vendor"`

	Study    string `json:"study_instance_uid"`
	Instance string `json:"sop_instance_uid"`
}

func (s said) by() string {
	switch by := s.By.(type) {
	case string:
		return by
	case []any:
		var names []string
		for _, n := range by {
			names = append(names, fmt.Sprint(n))
		}
		return strings.Join(names, " and ")
	}
	return "Cordon"
}

// sentence is how a kind of record is told in a story.
type sentence struct {
	kind string
	says func(said) string
	sign bool // it is kept before there is an incident, as a first sign
}

// sentences is the table of kinds that belong to a story.
var sentences = []sentence{
	{"network.alert", func(s said) string { return s.Rule + ": " + s.Detail }, true},
	{"source.silent", func(s said) string { return "falls silent, though it always talks at this hour" }, true},
	{"source.heard", func(s said) string { return "is heard again" }, false},
	{"device.denied", func(s said) string { return "is denied by " + s.by() + ": " + s.Reason }, false},
	{"device.approved", func(s said) string { return "is approved by " + s.by() + ": " + s.Reason }, false},
	{"incident.opened", func(s said) string { return s.by() + " opens an incident: " + s.Reason }, false},
	{"incident.told", func(s said) string { return s.by() + " tells " + s.Whom + " (" + s.How + "): " + s.Reason }, false},
	{"incident.promise", func(s said) string { return s.Vendor + " promises " + s.What + " by " + s.Due + ", says " + s.by() }, false},
	{"incident.note", func(s said) string { return s.by() + " notes: " + s.Reason }, false},
	{"incident.closed", func(s said) string { return "closed by " + s.by() + ": " + s.Reason }, false},
	{"incident.exported", func(s said) string { return "the story is handed out to " + s.by() + ": " + s.Reason }, false},
}

// sentenceOf finds the sentence for a kind. Every record of containment belongs to a
// story, and is told by its name if it has no row.
func sentenceOf(kind string) (sentence, bool) {
	for _, s := range sentences {
		if s.kind == kind {
			return s, true
		}
	}
	if words, ok := strings.CutPrefix(kind, containment); ok {
		return sentence{kind, func(s said) string { return plain(words, s) }, true}, true
	}
	return sentence{}, false
}

// containment is how the kinds of records about containing a device begin.
const containment = "containment."

// plain tells a record by its kind.
func plain(words string, s said) string {
	out := strings.ReplaceAll(words, "_", " ")
	for _, more := range []struct{ before, text string }{{" to ", s.Level}, {" because of ", s.Rule}, {", until ", s.Until}, {" by ", s.by()}, {": ", s.Reason}, {": ", s.Error}} {
		if more.text != "" {
			out += more.before + more.text
		}
	}
	return out
}

// imaged are the kinds that say where an image is, and the state that they say.
var imaged = map[string]string{
	"object.delivered":          "delivered",
	"object.spooled":            "spooled",
	"object.held":               "held",
	"object.released":           "spooled",
	"object.destroyed":          "destroyed",
	"object.refused":            "refused",
	"object.refused_by_archive": "refused",
	"object.requeued":           "spooled",
}

// told reports whether a record may belong to a story at all. Most do not, and
// their bodies are not looked at.
func told(r ledger.Record) bool {
	if _, ok := imaged[r.Kind]; ok {
		return true
	}
	_, ok := sentenceOf(r.Kind)
	return ok
}
