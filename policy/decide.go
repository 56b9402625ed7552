package policy

import (
	"fmt"
	"strings"

	"cordon/finding"
)

// Action is what a rule does with an object that it applies to. The zero
// Action holds.
type Action uint8

const (
	Hold    Action = iota // keep it here, answer success, tell a person
	Deliver               // let it pass, mark it, raise an alarm
	Refuse                // answer a failure status; the sender keeps its copy
)

// String returns the word that a configuration file uses.
func (a Action) String() string {
	switch a {
	case Hold:
		return "hold"
	case Deliver:
		return "deliver"
	case Refuse:
		return "refuse"
	}
	return fmt.Sprintf("Action(%d)", uint8(a))
}

// Rules map what was found in an object to an Action. The zero Rules hold
// whatever is not clean.
type Rules struct {
	Malicious   Action // a malicious finding, or an engine's malicious verdict
	Suspicious  Action // a suspicious finding
	Unscanned   Action // an engine could not scan, or did not answer in time
	Unparseable Action // the structure was lost before the end
	Monitor     bool   // judge and record, deliver everything (going live)
	Bypass      bool   // the same, because somebody said so in an emergency
}

// DefaultRules are those of a site that has configured none: whatever is
// malicious, suspicious or unreadable is held; what an engine could not scan
// is delivered, marked and rescanned, since a stopped engine must not stop
// imaging.
func DefaultRules() Rules { return Rules{Unscanned: Deliver} }

// Strict are the rules for a device that may be infected: what would be delivered
// with an alarm is held, and neither monitor mode nor a bypass changes that.
func (rules Rules) Strict() Rules {
	for _, a := range []*Action{&rules.Malicious, &rules.Suspicious, &rules.Unscanned, &rules.Unparseable} {
		if *a == Deliver {
			*a = Hold
		}
	}
	rules.Monitor, rules.Bypass = false, false
	return rules
}

// Decision is the outcome for one object.
type Decision struct {
	Verdict finding.Verdict
	Reason  string // one clause for a person; holds no patient data
	Alarm   bool   // somebody must look, whatever the verdict
}

// Decide answers what becomes of the object that r describes. The strongest
// reason decides: an identity that does not match is refused before anything
// else is asked, then malicious, unparseable, suspicious, unscanned. A report
// with nothing to say against the object is admitted; findings that Except has
// marked weigh as info.
func (rules Rules) Decide(r finding.Report) Decision {
	d := rules.strongest(r)
	if finding.Has(r.Findings, finding.AnnouncedMismatch) {
		return d
	}
	switch {
	case rules.Bypass:
		return Decision{finding.Admit, strings.TrimSuffix("bypass: "+d.Reason, ": "), true}
	case rules.Monitor && d.Verdict != finding.Admit:
		return Decision{finding.Admit, "monitor mode: " + d.Reason, true}
	}
	return d
}

func (rules Rules) strongest(r finding.Report) Decision {
	worst, id := worstFinding(r.Findings)
	switch {
	case finding.Has(r.Findings, finding.AnnouncedMismatch):
		return Decision{finding.Refuse, "command and data set name different instances", true}
	case worst == finding.Malicious:
		return rules.Malicious.decision("malicious: " + id)
	case engineSays(r.Engines, finding.ResultMalicious) != "":
		return rules.Malicious.decision("malicious: " + engineSays(r.Engines, finding.ResultMalicious))
	case r.Fatal != nil:
		return rules.Unparseable.decision("unparseable: " + r.Fatal.ID)
	case worst == finding.Suspicious:
		return rules.Suspicious.decision("suspicious: " + id)
	case finding.Has(r.Findings, finding.ContainerLimit): // what lies beyond was not looked at
		return rules.Unscanned.decision("unscanned: " + finding.ContainerLimit)
	case engineSays(r.Engines, finding.Unscanned) != "":
		return rules.Unscanned.decision("unscanned: " + engineSays(r.Engines, finding.Unscanned))
	}
	return Decision{Verdict: finding.Admit}
}

// decision turns the action of a rule that applied into its outcome. It
// always alarms: a rule applied.
func (a Action) decision(reason string) Decision {
	switch a {
	case Deliver:
		return Decision{finding.Admit, reason, true}
	case Refuse:
		return Decision{finding.Refuse, reason, true}
	}
	return Decision{finding.Hold, reason, true}
}

func worstFinding(fs []finding.Finding) (finding.Severity, string) {
	worst, id := finding.Info, ""
	for _, f := range fs {
		if weight(f) > worst {
			worst, id = f.Severity, f.ID
		}
	}
	return worst, id
}

// engineSays names the first engine with the given result, or "".
func engineSays(es []finding.EngineResult, r finding.Result) string {
	for _, e := range es {
		if e.Result == r {
			return e.Name
		}
	}
	return ""
}
