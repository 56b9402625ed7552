package console

import (
	"strings"
	"testing"
	"time"
)

func TestStatusSaysWhatIsWrongWithEngines(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name   string
		engine Engine
		level  Level
		says   string
	}{
		{"well", Engine{Name: "clamd", Up: true, SignaturesAt: now.AddDate(0, 0, -1)}, Well, ""},
		{"of unknown age", Engine{Name: "icap", Up: true}, Well, ""},
		{"away", Engine{Name: "clamd"}, Degraded, "Engine clamd does not answer"},
		{"fallen behind", Engine{Name: "clamd", Up: true, SignaturesAt: now.AddDate(0, 0, -8)}, Degraded, "signatures of engine clamd are 8 days old"},
		{"badly set up", Engine{Name: "clamd", Up: true, Warning: "set AlertExceedsMax"}, Well, "set AlertExceedsMax"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Status{Flow: Flow{Accepting: true, Engines: []Engine{c.engine}}, signatureAge: staleSignatures}
			s.judge(now)
			if all := strings.Join(s.Says, " "); s.Level != c.level || !strings.Contains(all, c.says) {
				t.Errorf("%s: %s", s.Level, all)
			}
		})
	}
}

func TestStatusSaysWhoComesTooOften(t *testing.T) {
	for _, spent := range [][]string{nil, {"192.0.2.1", "2001:db8::/64"}} {
		s := Status{Flow: Flow{Accepting: true, Spent: spent}}
		s.judge(time.Now())
		if said := strings.Contains(strings.Join(s.Says, " "), "192.0.2.1, 2001:db8::/64, of no known device"); said != (spent != nil) || (s.Level == Degraded) != said {
			t.Errorf("%q: %s: %q", spent, s.Level, s.Says)
		}
	}
}
