package alarm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/ledger"
	"cordon/store"
)

// site is a data directory with alarms in it.
type site struct {
	*Alarms
	db     *store.DB
	ledger *ledger.Ledger
	told   []Change
	fail   error // of whoever is told
}

func newSite(t *testing.T, o Options) *site {
	t.Helper()
	dir := t.TempDir()
	db, err := store.OpenDB(t.Context(), filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations(), Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	l, err := ledger.Open(t.Context(), db, filepath.Join(dir, "ledger.key"), "test")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{db: db, ledger: l}
	o.Changed = func(_ *store.Tx, changes []Change) error {
		if s.fail != nil {
			return s.fail
		}
		s.told = append(s.told, changes...)
		return nil
	}
	s.reopen(t, o)
	return s
}

// reopen is a restart.
func (s *site) reopen(t *testing.T, o Options) {
	t.Helper()
	if s.Alarms != nil {
		o.Changed = s.options.Changed
	}
	var err error
	if s.Alarms, err = Open(t.Context(), s.db, s.ledger, o); err != nil {
		t.Fatal(err)
	}
}

func (s *site) written(t *testing.T) {
	t.Helper()
	if err := s.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func raise(t *testing.T, a *Alarms, kind, subject string) {
	t.Helper()
	if err := a.Raise(t.Context(), Alarm{Kind: kind, Subject: subject, Text: "text of " + subject}); err != nil {
		t.Fatal(err)
	}
}

// records counts those of a kind.
func (s *site) records(t *testing.T, kind string) (n int) {
	t.Helper()
	end, err := s.ledger.Size(t.Context())
	if err == nil {
		err = s.ledger.Scan(t.Context(), 0, end, func(r ledger.Record) error {
			if r.Kind == kind {
				n++
			}
			return nil
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestOneCauseIsOneAlarm(t *testing.T) {
	s := newSite(t, Options{})
	for range 5 {
		raise(t, s.Alarms, "people.locked", "ann")
	}
	raise(t, s.Alarms, "people.locked", "bob")
	s.written(t)
	raise(t, s.Alarms, "people.locked", "ann")
	s.written(t)
	s.reopen(t, Options{})
	all := s.List(Filter{})
	if len(all) != 2 || all[1].Subject != "ann" || all[1].Count != 6 || all[0].Count != 1 {
		t.Fatalf("%+v", all)
	}
	if n := s.records(t, "alarm.raised"); n != 2 || len(s.told) != 2 {
		t.Error(n, s.told)
	}
}

// later is as if what is not named any more had not been for so much longer.
func (s *site) later(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.open {
		if !e.gone.IsZero() {
			e.gone = e.gone.Add(-d)
		}
	}
}

func TestWhatASourceNoLongerNamesEnds(t *testing.T) {
	s := newSite(t, Options{})
	sync := func(source string, all ...Alarm) {
		t.Helper()
		if err := s.Sync(t.Context(), source, all); err != nil {
			t.Fatal(err)
		}
	}
	away := Alarm{Kind: "archive.away", Subject: "pacs"}
	sync("status", away, Alarm{Kind: "engine.down", Subject: "clamd"})
	sync("other", Alarm{Kind: "device.silent", Subject: "CT1"})
	raise(t, s.Alarms, "people.locked", "ann")
	s.written(t)
	s.reopen(t, Options{})
	if _, err := s.Close(t.Context(), s.List(Filter{Kind: "archive"})[0].ID, Request{By: "ann", Note: "done"}); !errors.Is(err, ErrState) {
		t.Error("closed while its cause is there:", err)
	}
	sync("status", away)
	sync("status")
	sync("status", away) // it comes and goes
	s.later(30 * time.Second)
	sync("status", away)
	if all := s.List(Filter{}); len(all) != 3 {
		t.Fatalf("%+v", all)
	}
	s.written(t)
	over, err := s.History(t.Context(), Filter{})
	if err != nil || len(over) != 1 || over[0].Kind != "engine.down" || over[0].State != Ended {
		t.Fatal(over, err)
	}
	if last := s.told[len(s.told)-1]; last.What != Over || last.Kind != "engine.down" {
		t.Error(last)
	}
}

func TestWorseIsOpenAgainAtOnce(t *testing.T) {
	s := newSite(t, Options{})
	raise(t, s.Alarms, "people.locked", "ann")
	id := s.List(Filter{})[0].ID
	if _, err := s.Snooze(t.Context(), id, time.Now().Add(time.Hour), Request{By: "bob"}); err != nil {
		t.Fatal(err)
	}
	if c := s.Counts(); c.Unseen != 0 || c.Warning != 1 {
		t.Error(c)
	}
	if err := s.Raise(t.Context(), Alarm{Kind: "people.locked", Subject: "ann", Severity: Critical}); err != nil {
		t.Fatal(err)
	}
	s.written(t)
	one := s.List(Filter{})[0]
	if one.State != Unseen || one.Severity != Critical || one.Snoozed(time.Now()) || s.told[len(s.told)-1].What != Worse {
		t.Errorf("%+v %+v", one, s.told)
	}
	if n := s.records(t, "alarm.handled"); n != 1 {
		t.Error(n)
	}
}

func TestSnoozedAlarmComesBack(t *testing.T) {
	s := newSite(t, Options{})
	raise(t, s.Alarms, "people.locked", "ann")
	id := s.List(Filter{})[0].ID
	until := time.Now().Add(2 * time.Hour)
	if _, err := s.Snooze(t.Context(), id, until, Request{By: "bob", Note: "on holiday"}); err != nil {
		t.Fatal(err)
	}
	s.reopen(t, Options{})
	s.wake(until.Add(-time.Minute))
	if one := s.List(Filter{})[0]; one.State != Acknowledged || one.SnoozedBy != "bob" {
		t.Errorf("%+v", one)
	}
	s.wake(until.Add(time.Second))
	s.written(t)
	one, steps, err := s.Get(t.Context(), id)
	if err != nil || one.State != Unseen || !one.SnoozedUntil.IsZero() || len(steps) != 2 || steps[0].What != "back" || steps[1].Note != "on holiday" {
		t.Errorf("%+v %+v %v", one, steps, err)
	}
}

func TestWhatPeopleDoIsRecordedBeforeItCounts(t *testing.T) {
	s := newSite(t, Options{})
	raise(t, s.Alarms, "people.locked", "ann")
	s.written(t)
	id := s.List(Filter{})[0].ID
	s.db.Close()
	if _, err := s.Acknowledge(t.Context(), id, Request{By: "bob"}); err == nil {
		t.Fatal("acknowledged without a record")
	}
	if one := s.List(Filter{})[0]; one.State != Unseen {
		t.Errorf("%+v", one)
	}
}

func TestLifeOfAnAlarm(t *testing.T) {
	s := newSite(t, Options{})
	raise(t, s.Alarms, "people.locked", "ann")
	id := s.List(Filter{})[0].ID
	for _, c := range []struct {
		do   func(Request) (Item, error)
		r    Request
		want error
	}{
		{func(r Request) (Item, error) { return s.Acknowledge(t.Context(), id, r) }, Request{}, ErrRequest},
		{func(r Request) (Item, error) { return s.Acknowledge(t.Context(), id, r) }, Request{By: "a\x00b"}, ErrRequest},
		{func(r Request) (Item, error) { return s.Acknowledge(t.Context(), 99, r) }, Request{By: "bob"}, ErrNotFound},
		{func(r Request) (Item, error) { return s.Acknowledge(t.Context(), id, r) }, Request{By: "bob"}, nil},
		{func(r Request) (Item, error) { return s.Assign(t.Context(), id, "cy", r) }, Request{By: "bob"}, nil},
		{func(r Request) (Item, error) { return s.Snooze(t.Context(), id, time.Now().Add(-time.Hour), r) }, Request{By: "bob"}, ErrRequest},
		{func(r Request) (Item, error) { return s.Snooze(t.Context(), id, time.Now().Add(99*24*time.Hour), r) }, Request{By: "bob"}, ErrRequest},
		{func(r Request) (Item, error) { return s.Close(t.Context(), id, r) }, Request{By: "bob"}, ErrRequest},
		{func(r Request) (Item, error) { return s.Close(t.Context(), id, r) }, Request{By: "bob", Note: "was she"}, nil},
		{func(r Request) (Item, error) { return s.Close(t.Context(), id, r) }, Request{By: "bob", Note: "again"}, ErrNotFound},
	} {
		if _, err := c.do(c.r); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v", c.r, err)
		}
	}
	one, steps, err := s.Get(t.Context(), id)
	if err != nil || one.State != Closed || one.AssignedTo != "cy" || len(steps) != 3 {
		t.Errorf("%+v %+v %v", one, steps, err)
	}
	raise(t, s.Alarms, "people.locked", "ann")
	s.written(t)
	if all := s.List(Filter{}); len(all) != 1 || all[0].ID == id {
		t.Errorf("what comes again after it was closed is a new alarm: %+v", all)
	}
}

func TestNothingIsLostWhenItCannotBeWritten(t *testing.T) {
	s := newSite(t, Options{})
	s.fail = errors.New("no room")
	raise(t, s.Alarms, "people.locked", "ann")
	raise(t, s.Alarms, "bypass.on", "")
	if err := s.Clear(t.Context(), "bypass.on", ""); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.flush(t.Context()); !errors.Is(err, s.fail) {
			t.Fatal(err)
		}
	}
	s.fail = nil
	s.written(t)
	if len(s.told) != 2 || len(s.List(Filter{})) != 1 {
		t.Errorf("%+v", s.told)
	}
	if over, err := s.History(t.Context(), Filter{}); err != nil || len(over) != 1 {
		t.Error(over, err)
	}
}

func TestStormOfOneCauseCostsACounter(t *testing.T) {
	s := newSite(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, slog.New(slog.DiscardHandler)) }() // ends with cancel
	const each, raisers = 50_000, 4
	began := time.Now()
	var wg sync.WaitGroup
	for range raisers {
		wg.Go(func() {
			for range each {
				raise(t, s.Alarms, "network.NET-SCAN", "CT1")
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	t.Logf("%.0f a second", each*raisers/took.Seconds())
	s.reopen(t, Options{})
	if all := s.List(Filter{}); len(all) != 1 || all[0].Count != each*raisers || s.records(t, "alarm.raised") != 1 {
		t.Errorf("%+v", all)
	}
}

func TestManyCausesAreBounded(t *testing.T) {
	s := newSite(t, Options{})
	for i := range MaxOpen + 500 {
		raise(t, s.Alarms, "network.NET-SCAN", fmt.Sprint("device ", i))
	}
	s.written(t)
	all := s.List(Filter{})
	if len(all) != MaxOpen+1 || all[0].Kind != overflow || all[0].Count != 500 {
		t.Errorf("%d %+v", len(all), all[0])
	}
	s.reopen(t, Options{})
	if n := len(s.List(Filter{})); n != MaxOpen+1 {
		t.Error(n)
	}
}

func TestTextsAreOneBoundedLine(t *testing.T) {
	s := newSite(t, Options{})
	if err := s.Raise(t.Context(), Alarm{Kind: "people.locked", Subject: strings.Repeat("é", 300) + "\x00\x1b[31m", Text: "a\nb\u202e" + strings.Repeat("x", 999)}); err != nil {
		t.Fatal(err)
	}
	one := s.List(Filter{})[0]
	if len(one.Subject) > maxSubject || len(one.Text) > maxText || strings.ContainsAny(one.Text, "\n\u202e") {
		t.Errorf("%q %q", one.Subject, one.Text)
	}
	if err := s.Raise(t.Context(), Alarm{Kind: "nobody.knows"}); !errors.Is(err, ErrKind) {
		t.Error(err)
	}
}

func TestHistoryIsPaged(t *testing.T) {
	s := newSite(t, Options{})
	for i := range 25 {
		raise(t, s.Alarms, "bypass.on", fmt.Sprint(i))
		s.Clear(t.Context(), "bypass.on", fmt.Sprint(i))
	}
	s.written(t)
	seen := map[int64]bool{}
	f := Filter{Limit: 10, Kind: "bypass"}
	for {
		page, err := s.History(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range page {
			seen[i.ID] = true
			f.Before = i.ID
		}
		if len(page) < f.Limit {
			break
		}
	}
	if len(seen) != 25 {
		t.Error(len(seen))
	}
	if page, err := s.History(t.Context(), Filter{Kind: "by*"}); err != nil || len(page) != 0 {
		t.Error(page, err)
	}
}

func TestKindsAreWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Kinds() {
		if seen[k.Name] || k.Severity < Info || k.Severity > Critical || !strings.HasSuffix(k.Means, ".") || !strings.HasSuffix(k.Do, ".") {
			t.Errorf("%+v", k)
		}
		seen[k.Name] = true
	}
	if k, ok := Lookup("network.NET-SCAN"); !ok || k.Name != "network.*" {
		t.Error(k)
	}
	if _, ok := Lookup("network."); ok {
		t.Error("a kind without a name")
	}
}
