package network

import (
	"slices"
	"time"
)

// Rule is a row of the table: everything there is to say about one rule id.
type Rule struct {
	ID        string // stable: settings, alarms and ledger entries name it
	Severity  Severity
	Title     string        // a line for a list
	Meaning   string        // what was seen, and why it matters
	Action    string        // what a person should do
	Acted     bool          // the device did it; false: it was done to it, or in its name
	Threshold int           // 0: once is enough
	Unit      string        // of the threshold
	Within    time.Duration // in which it is counted; 0: no matter when
	Why       string        // the threshold is what it is
}

// Rules returns every rule, in the order in which people read them.
func Rules() []Rule { return slices.Clone(rules[:]) }

// Lookup returns the rule with the given id.
func Lookup(id string) (Rule, bool) {
	at := slices.IndexFunc(rules[:], func(r Rule) bool { return r.ID == id })
	if at < 0 {
		return Rule{}, false
	}
	return rules[at], true
}

// Setting is what a site says about one rule. The zero Setting leaves it as it is.
type Setting struct {
	Off       bool
	Severity  Severity // "": the rule's own
	Threshold int      // 0: the rule's own
}
