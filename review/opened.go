package review

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"cordon/ledger"
)

// opened remembers what later records refer to, at most maxOpen of each.
type opened struct {
	devices   map[string]string // device of an association
	titles    map[string]string // and of a calling AE title, as it called last
	proposed  map[string]string // who proposed an exception
	questions map[string]question
}

// question is a record that another has to answer in time.
type question struct {
	rule     int
	by       string
	seq      int64
	at       time.Time
	answered time.Time
}

func newOpened() *opened {
	return &opened{map[string]string{}, map[string]string{}, map[string]string{}, map[string]question{}}
}

// device names whom a record is about: a declared device, or the AE title and
// address of another. Records of an object may have the association alone, or the
// AE title: then it is who called so last.
func (o *opened) device(kind string, b body) string {
	association, title := b.text("association"), b.text("calling_ae")
	name := named(b.text("device"), title, b.text("address"))
	switch {
	case name == "" && association != "":
		return o.devices[association]
	case name == "":
		return cmp.Or(o.titles[title], title)
	case kind == "association.begin":
		note(o.devices, association, name)
		note(o.titles, title, name)
	case kind == "association.end" || kind == "association.unfinished":
		delete(o.devices, association)
	}
	return name
}

// named is a declared device's name, or an AE title at an address; "" if there is
// neither.
func named(device, title, address string) string {
	switch {
	case device != "" || address == "":
		return device
	case title == "":
		return address
	}
	return title + "@" + address
}

// note keeps what a key stands for, as long as there is room.
func note(m map[string]string, key, value string) {
	if _, known := m[key]; known || len(m) < maxOpen {
		m[key] = value
	}
}

// approvedAlone notes who proposed an exception, and reports whether the same
// person alone approves it.
func (o *opened) approvedAlone(kind, id string, by []string) bool {
	if kind == "exception.proposed" {
		if len(by) == 1 && len(o.proposed) < maxOpen {
			o.proposed[id] = by[0]
		}
		return false
	}
	proposer := o.proposed[id]
	delete(o.proposed, id)
	return proposer != "" && slices.Equal(by, []string{proposer})
}

// ask notes a record that needs an answer.
func (o *opened) ask(rule int, id, by string, r ledger.Record) {
	if len(o.questions) < maxOpen {
		o.questions[id] = question{rule: rule, by: by, seq: r.Seq, at: r.Time}
	}
}

// answer notes an answer.
func (o *opened) answer(id string, at time.Time) {
	if q, ok := o.questions[id]; ok && q.answered.IsZero() {
		q.answered = at
		o.questions[id] = q
	}
}

// forget drops what was answered: the period in which it was has been reviewed.
func (o *opened) forget() {
	maps.DeleteFunc(o.questions, func(_ string, q question) bool { return !q.answered.IsZero() })
}
