package console

import (
	"slices"
	"strings"
	"testing"
	"time"

	"cordon/alarm"
	"cordon/bypass"
	"cordon/custody"
)

// Everything that the status has somebody look at is an alarm of a known kind.
func TestWhatDegradesIsAnAlarm(t *testing.T) {
	s := newSite(t)
	s.flow.Accepting = false
	s.flow.Archives = []Archive{{Name: "pacs", Address: "pacs:104"}}
	s.flow.Engines = []Engine{{Name: "clamd"}, {Name: "icap", Up: true, SignaturesAt: time.Now().Add(-30 * 24 * time.Hour)}}
	s.flow.Waiting = 2
	for range 3 {
		s.keep(t, inVault("1.2", "eicar"), "x")
	}
	s.keep(t, inVault("1.3", "container-mismatch"), "y")
	all, err := s.Alarms(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range all {
		if _, ok := alarm.Lookup(a.Kind); !ok {
			t.Errorf("%+v is of no kind", a)
		}
		got = append(got, a.Kind+" "+a.Subject)
	}
	for _, want := range []string{"flow.stopped ", "archive.away pacs", "engine.down clamd", "engine.stale icap", "device.waiting ", "object.held CT1: eicar", "object.held CT1: container-mismatch"} {
		if !slices.Contains(got, want) {
			t.Errorf("no %q among %q", want, got)
		}
	}
}

// Each sentence about a trouble has its kind in the table.
func TestTroublesAreOfKnownKinds(t *testing.T) {
	now := time.Now()
	s := Status{
		DiskError: "full", Disks: []custody.Disk{{Name: "data", Low: "5 %"}}, LedgerError: "gone", LedgerCut: true,
		Attention: 1, Alarms: 1, Unclaimed: 1, ReviewsLate: 1, Rescan: RescanCounts{Recalls: 1, NotRescannable: 1},
		Bypass: []bypass.Bypass{{Until: now}},
	}
	s.Spent = []string{"10.0.0.1"}
	s.Audit = []Repository{{Name: "siem", Alarm: true, Skipped: 1}}
	s.Commitment.GivenUp, s.Steps.Stuck = 1, 1
	s.judge(now)
	if len(s.troubles) < 14 {
		t.Errorf("%d troubles", len(s.troubles))
	}
	for _, a := range s.troubles {
		if _, ok := alarm.Lookup(a.Kind); !ok || !strings.HasSuffix(a.Text, ".") {
			t.Errorf("%+v", a)
		}
	}
}
