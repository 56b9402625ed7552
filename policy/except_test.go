package policy

import (
	"net/netip"
	"testing"

	"cordon/finding"
)

var (
	usA     = Origin{Device: "us-a", CallingAE: "US", Address: netip.MustParseAddr("10.0.1.9")}
	learned = Origin{CallingAE: "NEW", Address: netip.MustParseAddr("10.9.9.9")}
)

// TestExceptionsCoverOneHabitOfOneDevice tries to have an exception cover more
// than it should.
func TestExceptionsCoverOneHabitOfOneDevice(t *testing.T) {
	habit := finding.New("container-mismatch", "(0040,A730)[2].(0009,1001)[0]!member[3]", 0, "")
	exception := Exception{ID: "e1", Subject: Origin{Device: "us-a"}, Finding: habit.ID, Place: Place(habit.Where)}
	anywhere := exception
	anywhere.Place = ""
	forLearned := Exception{ID: "e2", Subject: learned, Finding: habit.ID}
	of := func(id string) Exception {
		return Exception{ID: "e3", Subject: Origin{Device: "us-a"}, Finding: id}
	}
	more := habit
	more.More = 3
	marked := finding.New("executable", "(0009,1001)", 0, "")
	marked.Excepted = "e1"
	worse := habit
	worse.Severity = finding.Malicious
	clamd := []finding.EngineResult{{Name: "clamd", Result: finding.ResultMalicious}}
	fs := func(f ...finding.Finding) []finding.Finding { return f }

	for _, c := range []struct {
		name      string
		origin    Origin
		report    finding.Report
		exception Exception
		want      finding.Verdict
	}{
		{"the habit", usA, finding.Report{Findings: fs(habit)}, exception, finding.Admit},
		{"the habit in another item", usA, finding.Report{Findings: fs(finding.New(habit.ID, "(0040,A730)[7].(0009,1001)[1]!member[0]", 0, ""))}, exception, finding.Admit},
		{"anywhere", usA, finding.Report{Findings: fs(habit, finding.New(habit.ID, "(0011,1001)", 0, ""))}, anywhere, finding.Admit},
		{"anywhere, and more than is listed", usA, finding.Report{Findings: fs(more)}, anywhere, finding.Admit},
		{"a learned device", learned, finding.Report{Findings: fs(habit)}, forLearned, finding.Admit},
		{"a learned device over IPv6", Origin{CallingAE: "NEW", Address: netip.MustParseAddr("::ffff:10.9.9.9")}, finding.Report{Findings: fs(habit)}, forLearned, finding.Admit},

		{"no exception", usA, finding.Report{Findings: fs(habit)}, Exception{}, finding.Hold},
		{"another place", usA, finding.Report{Findings: fs(finding.New(habit.ID, "(0009,1002)", 0, ""))}, exception, finding.Hold},
		{"this place and another", usA, finding.Report{Findings: fs(habit, finding.New(habit.ID, "(0009,1002)", 0, ""))}, exception, finding.Hold},
		{"one place, and more than is listed", usA, finding.Report{Findings: fs(more)}, exception, finding.Hold},
		{"another device", Origin{Device: "us-b", CallingAE: "US"}, finding.Report{Findings: fs(habit)}, anywhere, finding.Hold},
		{"an undeclared device that claims the title", Origin{CallingAE: "us-a", Address: learned.Address}, finding.Report{Findings: fs(habit)}, anywhere, finding.Hold},
		{"a learned device at another address", Origin{CallingAE: "NEW", Address: netip.MustParseAddr("10.9.9.8")}, finding.Report{Findings: fs(habit)}, forLearned, finding.Hold},
		{"another title at the address", Origin{CallingAE: "OLD", Address: learned.Address}, finding.Report{Findings: fs(habit)}, forLearned, finding.Hold},
		{"a declared device with the learned one's title", Origin{Device: "us-a", CallingAE: "NEW", Address: learned.Address}, finding.Report{Findings: fs(habit)}, forLearned, finding.Hold},
		{"nobody, from nobody", Origin{}, finding.Report{Findings: fs(habit)}, Exception{ID: "e", Finding: habit.ID}, finding.Hold},
		{"an exception without a name", usA, finding.Report{Findings: fs(habit)}, Exception{Subject: Origin{Device: "us-a"}, Finding: habit.ID}, finding.Hold},
		{"another finding", usA, finding.Report{Findings: fs(finding.New("encrypted-document", habit.Where, 0, ""))}, anywhere, finding.Hold},
		{"the habit beside something suspicious", usA, finding.Report{Findings: fs(habit, finding.New("geometry-overflow", "object", 0, ""))}, anywhere, finding.Hold},
		{"the habit beside a program", usA, finding.Report{Findings: fs(habit, finding.New("executable", "(0009,1001)", 0, ""))}, anywhere, finding.Hold},
		{"the habit, and an engine says malicious", usA, finding.Report{Findings: fs(habit), Engines: clamd}, anywhere, finding.Hold},
		{"the habit, and the structure is lost", usA, finding.Report{Findings: fs(habit), Fatal: &finding.Finding{ID: "truncated"}}, anywhere, finding.Hold},
		{"the habit, and the wrong instance", usA, finding.Report{Findings: fs(habit, finding.New(finding.AnnouncedMismatch, "(0008,0018)", 0, ""))}, of(finding.AnnouncedMismatch), finding.Refuse},
		{"a malicious finding of a harmless name", usA, finding.Report{Findings: fs(worse)}, anywhere, finding.Hold},
		{"an unknown finding", usA, finding.Report{Findings: fs(finding.New("no-such-kind", "", 0, ""))}, of("no-such-kind"), finding.Hold},
		{"a suspicious finding of an unknown kind", usA, finding.Report{Findings: fs(finding.Finding{ID: "no-such-kind", Severity: finding.Suspicious})}, of("no-such-kind"), finding.Hold},
		{"a mark that somebody else made", usA, finding.Report{Findings: fs(marked)}, Exception{}, finding.Hold},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.report.Findings = Except(c.report.Findings, c.origin, []Exception{c.exception})
			d := DefaultRules().Decide(c.report)
			if d.Verdict != c.want {
				t.Errorf("got %v %q, want %v", d.Verdict, d.Reason, c.want)
			}
		})
	}
}

// An exception for each row of the catalogue that stands for every device.
func TestWhatMayNotBeExceptedNeverIs(t *testing.T) {
	for _, k := range finding.Catalogue() {
		f := finding.New(k.ID, "(0009,1001)", 0, "")
		for _, mark := range []bool{false, true} {
			fs := Except([]finding.Finding{f}, usA, []Exception{{ID: "e", Subject: Origin{Device: "us-a"}, Finding: k.ID}})
			if marked := fs[0].Excepted != ""; marked != k.Exceptable {
				t.Errorf("%s: marked %v", k.ID, marked)
			}
			if mark {
				fs[0].Excepted = "e" // as if Except had been wrong
			}
			admitted := Rules{}.Decide(finding.Report{Findings: fs}).Verdict == finding.Admit
			if want := k.Exceptable || k.Severity == finding.Info && k.ID != finding.ContainerLimit; admitted != want {
				t.Errorf("%s, marked %v: admitted %v", k.ID, mark, admitted)
			}
		}
	}
}

func TestTolerable(t *testing.T) {
	habit := finding.New("encrypted-document", "(0042,0011)", 0, "")
	other := finding.New("geometry-overflow", "object", 0, "")
	excepted := habit
	excepted.Excepted = "e1"
	unscanned := []finding.EngineResult{{Name: "clamd", Result: finding.Unscanned}}
	for _, c := range []struct {
		name   string
		rules  Rules
		report finding.Report
		want   int
	}{
		{"a habit", Rules{}, finding.Report{Findings: []finding.Finding{habit, finding.New("odd-length", "", 0, "")}}, 1},
		{"nothing", Rules{}, finding.Report{}, 0},
		{"already excepted", Rules{}, finding.Report{Findings: []finding.Finding{excepted}}, 0},
		{"with something else", Rules{}, finding.Report{Findings: []finding.Finding{habit, other}}, 0},
		{"delivered by rule", Rules{Suspicious: Deliver}, finding.Report{Findings: []finding.Finding{habit}}, 0},
		{"unscanned as well, which is held", Rules{}, finding.Report{Findings: []finding.Finding{habit}, Engines: unscanned}, 0},
		{"unscanned as well, which is delivered", DefaultRules(), finding.Report{Findings: []finding.Finding{habit}, Engines: unscanned}, 1},
		{"lost", Rules{}, finding.Report{Findings: []finding.Finding{habit}, Fatal: &other}, 0},
		{"monitor mode", Rules{Monitor: true}, finding.Report{Findings: []finding.Finding{habit}}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.rules.Tolerable(c.report); len(got) != c.want {
				t.Errorf("got %v", got)
			}
			for _, f := range c.report.Findings {
				if f.Excepted == "all" {
					t.Error("the report was changed")
				}
			}
		})
	}
}

func TestPlace(t *testing.T) {
	for _, c := range [][2]string{
		{"", ""},
		{"preamble", "preamble"},
		{"(0040,A730)[2].(0009,1001)", "(0040,A730).(0009,1001)"},
		{"(7FE0,0010)[3]!member[12]!member[0]", "(7FE0,0010)!member!member"},
		{"(0040,A730)[2", "(0040,A730)"},
	} {
		if got := Place(c[0]); got != c[1] {
			t.Errorf("%q: got %q, want %q", c[0], got, c[1])
		}
	}
}
