package contain

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cordon/alarm"
	"cordon/firewall"
	"cordon/store"
)

// told are alarms as they are raised.
type told struct{ kinds []string }

func (a *told) Raise(_ context.Context, one alarm.Alarm) error {
	a.kinds = append(a.kinds, one.Kind)
	return nil
}
func (*told) Clear(context.Context, string, string) error       { return nil }
func (*told) Sync(context.Context, string, []alarm.Alarm) error { return nil }

// What the wall's clock says after a restart is not what frees a device: it is set here
// by moving what was written of it. Each starts with two hours, of which Cordon then is
// down for some while the machine runs, or runs anew.
func TestAClockThatIsSetFreesNobody(t *testing.T) {
	const lasts = 2 * time.Hour
	for _, c := range []struct {
		name  string
		clock time.Duration // by which it is set while Cordon is down, beside what passes
		down  time.Duration // that passes
		again bool          // in which the machine starts anew
		file  func(path string) error
		left  time.Duration
		ended bool
		told  bool
	}{
		{name: "as it should be", down: time.Hour, left: time.Hour},
		{name: "over", down: 3 * time.Hour, ended: true},
		{name: "set ahead", clock: 30 * time.Hour, down: time.Minute, left: lasts - time.Minute, told: true},
		{name: "set back", clock: -30 * time.Hour, down: time.Hour, left: time.Hour, told: true},
		{name: "set back, and over", clock: -30 * time.Hour, down: 3 * time.Hour, ended: true},
		{name: "off", clock: 3 * time.Hour, down: time.Minute, again: true, left: lasts - time.Minute, told: true},
		{name: "off, and back in 1970", clock: -400_000 * time.Hour, down: time.Minute, again: true, left: lasts - time.Minute, told: true},
		{name: "on again for long", clock: time.Hour, down: 3 * time.Hour, again: true, ended: true},
		{name: "nothing known", clock: 3 * time.Hour, down: time.Minute, file: os.Remove, left: lasts, told: true},
		{name: "nothing to be read", clock: 3 * time.Hour, file: func(path string) error { return os.WriteFile(path, []byte("{"), 0o600) }, left: lasts, told: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, dir, alarms := newSite(t), t.TempDir(), &told{}
			now := awake{"first", 5 * time.Hour}
			start := func() {
				t.Helper()
				var err error
				s.Containments, err = Open(t.Context(), Parts{
					DB: s.db, Journal: s.journal, Enforcer: s.point, Log: slog.New(slog.DiscardHandler), Dir: dir, Alarms: alarms,
					Devices: func(context.Context) ([]Device, error) { return s.devices, nil },
					awake:   func() (awake, error) { return now, nil },
				})
				if err == nil {
					err = s.Start(t.Context())
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			start()
			if _, err := s.Contain(t.Context(), Order{Device: "us1", Level: firewall.Cut, For: lasts, Request: able}); err != nil {
				t.Fatal(err)
			}
			s.journal.lines = nil
			s.setClock(t, dir, c.clock+c.down)
			now.ran += c.down
			if c.again {
				now = awake{"second", c.down}
			}
			if c.file != nil {
				if err := c.file(filepath.Join(dir, File)); err != nil {
					t.Fatal(err)
				}
			}
			start()
			if got := s.Of("us1") == ""; got != c.ended {
				t.Fatalf("free: %t", got)
			}
			if got := slices.Contains(alarms.kinds, "containment.clock"); got != c.told || got && !slices.Contains(s.journal.kinds(), "clock") {
				t.Errorf("told %q, recorded %q", alarms.kinds, s.journal.kinds())
			}
			if c.ended {
				return
			}
			all, err := s.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for what, until := range map[string]time.Time{"in force": s.now[0].ends, "enforced": s.point.now[0].Until, "said": all[0].Until} {
				if off := time.Until(until) - c.left; off.Abs() > time.Minute/2 {
					t.Errorf("%s for %s, not %s", what, time.Until(until), c.left)
				}
			}
			start() // and once more
			if off := time.Until(s.now[0].ends) - c.left; off.Abs() > time.Minute/2 {
				t.Errorf("after another restart: %s", time.Until(s.now[0].ends))
			}
		})
	}
}

// setClock sets the wall's clock, which is to move all that was read from it the other
// way.
func (s *site) setClock(t *testing.T, dir string, by time.Duration) {
	t.Helper()
	if err := s.db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE contain SET since = since - ?, until = until - ?`, by.Microseconds(), by.Microseconds())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	known := s.recall()
	for id, l := range known.Left {
		l.Until -= by.Microseconds()
		known.Left[id] = l
	}
	text, err := json.Marshal(known)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, File), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A longer time is not cut short by what was written down of the shorter one.
func TestALongerTimeIsNotWhatWasWrittenOfAShorterOne(t *testing.T) {
	m := awake{"first", time.Hour}
	e := entry{Containment: Containment{ID: 1, Since: time.Now(), Until: time.Now().Add(4 * time.Hour)}}
	was := remembered{Start: "first", Ran: 0, Left: map[int64]left{1: {micros(e.Until.Add(-2 * time.Hour)), 2 * time.Hour}}}
	if got := was.remains(e, m); got < 3*time.Hour+59*time.Minute {
		t.Error(got)
	}
}

func TestThisMachineRuns(t *testing.T) {
	a, err := thisMachine()
	if err != nil || a.start == "" || a.ran <= 0 {
		t.Fatal(a, err)
	}
	b, err := thisMachine()
	if err != nil || b.start != a.start || b.ran < a.ran || strings.ContainsAny(a.start, "\n ") {
		t.Error(a, b, err)
	}
	s := newSite(t)
	s.parts.awake = func() (awake, error) { return awake{}, errors.New("no clock") }
	s.parts.Dir = t.TempDir()
	if _, err := s.Contain(t.Context(), Order{Device: "us1", Level: firewall.Cut, For: time.Hour, Request: able}); err != nil {
		t.Error("without a clock nobody is contained:", err)
	}
}
