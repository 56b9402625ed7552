package reconcile

import (
	"fmt"
	"time"
)

// Report is what one run found.
type Report struct {
	Began      time.Time     `json:"began"`
	Took       time.Duration `json:"took"`       // nanoseconds
	Unfinished bool          `json:"unfinished"` // there was more than fits into one run: the next goes on
	Custody    Custody       `json:"custody"`
	Archives   []Answer      `json:"archives"`
	Cut        Cut           `json:"cut"`
	Missing    int           `json:"missing"` // instances that no archive has although one said so, and that are not here either: those of earlier runs included
}

// Custody is what is kept here.
type Custody struct {
	Spooled     int `json:"spooled"`     // objects whose blob is here
	Held        int `json:"held"`        // the same in the vault
	Alarms      int `json:"alarms"`      // whose blob is missing or too short
	Unaccounted int `json:"unaccounted"` // on the ledger as kept, and unknown to custody
}

// Answer is what one archive was asked in this run.
type Answer struct {
	Archive   string `json:"archive"`
	How       string `json:"how"`             // "C-FIND", "commitment", or "" if it can be asked by neither
	Instances int    `json:"instances"`       // that it had answered success for since the last accounting
	Present   int    `json:"present"`         // of these, that it has
	Missing   int    `json:"missing"`         // of these and of those missing before, that it lacks
	Back      int    `json:"back"`            // were missing before, and are there again
	Requeued  int    `json:"requeued"`        // were missing, were still here, and are due again
	Unasked   int    `json:"unasked"`         // it cannot be asked about: its own word is all there is
	Why       string `json:"why,omitempty"`   // it cannot be asked about some
	Error     string `json:"error,omitempty"` // why it was not asked about the rest; the next run does
}

// Cut is what was found out about associations that a crash cut short.
type Cut struct {
	Associations int `json:"associations"` // accounted for in this run
	Studies      int `json:"studies"`      // of theirs, that archives were asked about
	Instances    int `json:"instances"`    // that archives have of these
	Unrecorded   int `json:"unrecorded"`   // of these, without a record of their delivery until now
	Open         int `json:"open"`         // associations whose archive could not be asked yet
}

// Well reports whether everything that was acknowledged is where it should be.
// What an archive cannot be asked about does not count: that is its nature, not
// an event.
func (r Report) Well() bool {
	for _, a := range r.Archives {
		if a.Error != "" || a.Missing > 0 {
			return false
		}
	}
	return !r.Unfinished && r.Missing == 0 && r.Cut.Open == 0 && r.Custody.Alarms == 0 && r.Custody.Unaccounted == 0
}

// Alarming reports whether something acknowledged is not where it should be; what
// could not be asked about yet is not known to be.
func (r Report) Alarming() bool {
	return r.Missing > 0 || r.Custody.Alarms > 0 || r.Custody.Unaccounted > 0
}

// Says is the report in sentences, the answer first.
func (r Report) Says() []string {
	says := []string{"Everything that was acknowledged is accounted for."}
	switch {
	case r.Alarming():
		says[0] = "Not everything that was acknowledged is accounted for."
	case !r.Well():
		says[0] = "Nothing that was acknowledged is known to be missing; not all of it could be asked about."
	}
	add := func(is bool, format string, args ...any) {
		if is {
			says = append(says, fmt.Sprintf(format, args...))
		}
	}
	add(r.Unfinished, "There was more than one run can look at: the next goes on from there.")
	add(r.Missing > 0, "%s nowhere: an archive answered success and does not have them, and they are not here. Have the devices send them again.", count(r.Missing, "instance is", "instances are"))
	add(r.Custody.Alarms > 0, "%s missing or damaged here: look at the disk.", count(r.Custody.Alarms, "object is", "objects are"))
	add(r.Custody.Unaccounted > 0, "%s on the ledger as kept here, and unknown to custody: keep this data directory as evidence.", count(r.Custody.Unaccounted, "object is", "objects are"))
	add(r.Cut.Open > 0, "%s not accounted for yet, since the archive cannot be asked.", count(r.Cut.Open, "association that a crash cut short is", "associations that a crash cut short are"))
	add(true, "Here: %d spooled, %d held.", r.Custody.Spooled, r.Custody.Held)
	for _, a := range r.Archives {
		add(true, "%s", a.says())
	}
	add(r.Cut.Associations > 0, "%s: of %s the archive has %s, %d of them without a record until now.",
		count(r.Cut.Associations, "association was cut short", "associations were cut short"),
		count(r.Cut.Studies, "study", "studies"), count(r.Cut.Instances, "instance", "instances"), r.Cut.Unrecorded)
	return says
}

func (a Answer) says() string {
	text := fmt.Sprintf("Archive %s: %s since the last accounting, %d there (%s)", a.Archive, count(a.Instances, "instance", "instances"), a.Present, a.how())
	for _, part := range []struct {
		n    int
		what string
	}{{a.Missing, "missing"}, {a.Back, "there again"}, {a.Requeued, "due again"}, {a.Unasked, "not asked about"}} {
		if part.n > 0 {
			text += fmt.Sprintf(", %d %s", part.n, part.what)
		}
	}
	if a.Why != "" {
		text += " (" + a.Why + ")"
	}
	if a.Error != "" {
		text += "; it could not be asked: " + a.Error
	}
	return text + "."
}

func (a Answer) how() string {
	if a.How == "" {
		return "it can be asked by neither C-FIND nor storage commitment"
	}
	return "by " + a.How
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// record is what the ledger keeps of a run; nil if there was nothing to account
// for and nothing is wrong.
func (r Report) record() map[string]any {
	var sum Answer
	for _, a := range r.Archives {
		sum.Instances += a.Instances
		sum.Present += a.Present
		sum.Requeued += a.Requeued
		sum.Back += a.Back
		sum.Unasked += a.Unasked
	}
	if r.Well() && sum.Instances+sum.Back+sum.Requeued+r.Cut.Associations == 0 {
		return nil
	}
	return map[string]any{
		"well": r.Well(), "unfinished": r.Unfinished, "spooled": r.Custody.Spooled, "held": r.Custody.Held, "alarms": r.Custody.Alarms,
		"instances": sum.Instances, "present": sum.Present, "requeued": sum.Requeued, "back": sum.Back, "unasked": sum.Unasked,
		"missing": r.Missing, "unaccounted": r.Custody.Unaccounted, "associations": r.Cut.Associations, "unrecorded": r.Cut.Unrecorded,
	}
}
