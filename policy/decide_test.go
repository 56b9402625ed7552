package policy

import (
	"strings"
	"testing"

	"cordon/finding"
)

func TestDecide(t *testing.T) {
	info := finding.Finding{ID: "preamble-content", Severity: finding.Info}
	suspicious := finding.Finding{ID: "markup-in-text", Severity: finding.Suspicious}
	malicious := finding.Finding{ID: "eicar", Severity: finding.Malicious}
	mismatch := finding.Finding{ID: finding.AnnouncedMismatch, Severity: finding.Suspicious}
	lost := &finding.Finding{ID: "unparseable"}
	engine := func(r finding.Result) []finding.EngineResult {
		return []finding.EngineResult{{Name: "clamd", Result: r}}
	}
	fs := func(f ...finding.Finding) []finding.Finding { return f }

	for _, c := range []struct {
		name   string
		report finding.Report
		rules  Rules
		want   finding.Verdict
		reason string
		alarm  bool
	}{
		{"nothing found", finding.Report{}, Rules{}, finding.Admit, "", false},
		{"info never holds", finding.Report{Findings: fs(info, info)}, Rules{}, finding.Admit, "", false},
		{"suspicious", finding.Report{Findings: fs(info, suspicious)}, Rules{}, finding.Hold, "suspicious: markup-in-text", true},
		{"suspicious delivered by rule", finding.Report{Findings: fs(suspicious)}, Rules{Suspicious: Deliver}, finding.Admit, "suspicious: markup-in-text", true},
		{"malicious outranks suspicious", finding.Report{Findings: fs(suspicious, malicious)}, Rules{Suspicious: Deliver}, finding.Hold, "malicious: eicar", true},
		{"malicious outranks a lost structure", finding.Report{Findings: fs(malicious), Fatal: lost}, Rules{Unparseable: Refuse}, finding.Hold, "malicious: eicar", true},
		{"an engine's word is enough", finding.Report{Engines: engine(finding.ResultMalicious)}, Rules{}, finding.Hold, "malicious: clamd", true},
		{"lost structure", finding.Report{Fatal: lost}, Rules{}, finding.Hold, "unparseable: unparseable", true},
		{"lost structure refused by rule", finding.Report{Fatal: lost}, Rules{Unparseable: Refuse}, finding.Refuse, "unparseable: unparseable", true},
		{"clean by an engine", finding.Report{Engines: engine(finding.Clean)}, Rules{}, finding.Admit, "", false},
		{"what a limit left unopened is not clean", finding.Report{Findings: fs(info, finding.Finding{ID: finding.ContainerLimit})}, Rules{}, finding.Hold, "unscanned: container-limit", true},
		{"what a limit left unopened by default", finding.Report{Findings: fs(finding.Finding{ID: finding.ContainerLimit})}, DefaultRules(), finding.Admit, "unscanned: container-limit", true},
		{"unscanned is not clean", finding.Report{Engines: engine(finding.Unscanned)}, Rules{}, finding.Hold, "unscanned: clamd", true},
		{"unscanned by default", finding.Report{Engines: engine(finding.Unscanned)}, DefaultRules(), finding.Admit, "unscanned: clamd", true},
		{"wrong instance", finding.Report{Findings: fs(mismatch, malicious)}, Rules{}, finding.Refuse, "command and data set", true},
		{"monitor delivers", finding.Report{Findings: fs(malicious)}, Rules{Monitor: true}, finding.Admit, "monitor mode: malicious: eicar", true},
		{"monitor delivers what would be refused", finding.Report{Findings: fs(malicious)}, Rules{Monitor: true, Malicious: Refuse}, finding.Admit, "monitor mode: malicious: eicar", true},
		{"monitor cannot deliver the wrong instance", finding.Report{Findings: fs(mismatch)}, Rules{Monitor: true}, finding.Refuse, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := c.rules.Decide(c.report)
			if d.Verdict != c.want || !strings.HasPrefix(d.Reason, c.reason) || d.Alarm != c.alarm {
				t.Errorf("got %v %q alarm %v, want %v %q alarm %v", d.Verdict, d.Reason, d.Alarm, c.want, c.reason, c.alarm)
			}
		})
	}
}

func TestZeroValuesAdmitNothing(t *testing.T) {
	var d Decision
	if d.Verdict == finding.Admit {
		t.Error("a zero Decision admits")
	}
	var a Action
	if a != Hold {
		t.Error("a zero Action is not Hold")
	}
	if got := (Site{}).Admit(Association{}); got.Refusal == NotRefused {
		t.Error("a zero Site admits an association")
	}
}
