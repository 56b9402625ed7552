package deadman

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/ledger"
	"cordon/store"
)

// way is a Path that leads nowhere, and says what it was told.
type way struct {
	mu     sync.Mutex
	until  time.Time
	opens  int
	closes int
	fail   error
}

func (w *way) Open(lasts time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil {
		return w.fail
	}
	w.until, w.opens = time.Now().Add(lasts), w.opens+1
	return nil
}

func (w *way) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.until, w.closes = time.Time{}, w.closes+1
	return nil
}

func (w *way) open() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Before(w.until)
}

func watcher(t *testing.T, dir string, path Path, alive *error) *state {
	t.Helper()
	return &state{Watch: Watch{
		Config: Config{
			Dir: dir, Archive: "pacs", After: 5 * time.Second,
			Listen: netip.MustParseAddrPort("10.20.0.10:104"), To: netip.MustParseAddrPort("10.30.0.5:11112"),
		},
		Path: path, Alive: func(context.Context) error { return *alive }, Changed: func() bool { return false }, Log: slog.New(slog.DiscardHandler),
	}}
}

var errDown = errors.New("down")

func TestItOpensAfterAWhileAndClosesAtOnce(t *testing.T) {
	dir, path := t.TempDir(), &way{}
	var cordon error
	s := watcher(t, dir, path, &cordon)
	now := time.Now()
	s.lastAlive = now
	step := func(after time.Duration, answers error, want bool) {
		t.Helper()
		cordon = answers
		s.look(t.Context(), now.Add(after))
		if path.open() != want {
			t.Errorf("after %v, %v: open %v", after, answers, path.open())
		}
	}
	step(1*time.Second, nil, false)
	step(3*time.Second, errDown, false)
	step(5*time.Second, nil, false)     // it was only slow
	step(9*time.Second, errDown, false) // the time runs from its last answer
	step(10*time.Second, errDown, true)
	step(11*time.Second, errDown, true)
	if path.opens != 2 {
		t.Errorf("made to last %d times, want 2", path.opens)
	}
	step(12*time.Second, nil, false)
	events, err := read(dir)
	if err != nil || len(events) != 1 || events[0].Until.IsZero() || events[0].To != "10.30.0.5:11112" {
		t.Errorf("%+v, %v", events, err)
	}
}

// A machine that stood still, Cordon with it, has not seen Cordon down.
func TestAPauseOfTheMachineOpensNothing(t *testing.T) {
	path, cordon := &way{}, error(nil)
	s := watcher(t, t.TempDir(), path, &cordon)
	now := time.Now()
	s.look(t.Context(), now)
	cordon = errDown // it is slow to wake
	s.look(t.Context(), now.Add(time.Minute))
	s.look(t.Context(), now.Add(time.Minute+2*time.Second))
	if path.open() {
		t.Error("opened at the first question after a pause")
	}
	for at := 3 * time.Second; at < 8*time.Second; at += every {
		s.look(t.Context(), now.Add(time.Minute+at))
	}
	if !path.open() {
		t.Error("not opened, and Cordon is down")
	}
}

// Rules that are not there are not removed again and again.
func TestAWatcherThatHasNothingToDoTouchesNoRules(t *testing.T) {
	path, cordon := &way{}, error(nil)
	s := watcher(t, t.TempDir(), path, &cordon)
	s.ruled = true
	for i := range 5 {
		s.look(t.Context(), time.Now().Add(time.Duration(i)*every))
	}
	if path.closes != 1 {
		t.Errorf("removed %d times, want once", path.closes)
	}
}

// What the site has chosen otherwise since then is not led anywhere any more.
func TestAWatcherEndsWhenTheChoiceHasChanged(t *testing.T) {
	dir, path, cordon := t.TempDir(), &way{}, errDown
	s := watcher(t, dir, path, &cordon)
	s.After = 0
	asked := 0
	s.Changed = func() bool { asked++; return asked > 2 }
	err := s.Run(t.Context())
	if !errors.Is(err, ErrChanged) || path.opens != 2 || path.open() {
		t.Errorf("%v, opened %d times, open %v", err, path.opens, path.open())
	}
	if events, err := read(dir); err != nil || len(events) != 1 || events[0].Until.IsZero() {
		t.Errorf("%+v, %v", events, err)
	}
}

// The event is on the disk before anything passes, and is taken over by the next
// watcher.
func TestWhatAKilledWatcherLeavesIsTakenOver(t *testing.T) {
	dir, cordon := t.TempDir(), errDown
	first := watcher(t, dir, &way{fail: errors.New("no rules")}, &cordon)
	first.look(t.Context(), time.Now())
	events, err := read(dir)
	if err != nil || len(events) != 1 || !events[0].Until.IsZero() {
		t.Fatalf("%+v, %v", events, err)
	}
	path := &way{}
	second := watcher(t, dir, path, &cordon)
	second.lastAlive = time.Now()
	if err := second.adopt(); err != nil {
		t.Fatal(err)
	}
	second.look(t.Context(), time.Now())
	if !path.open() {
		t.Error("not taken over: imaging stops for another while")
	}
	cordon = nil
	second.look(t.Context(), time.Now())
	if events, err = read(dir); err != nil || len(events) != 1 || events[0].Until.IsZero() {
		t.Errorf("%+v, %v", events, err)
	}
}

func TestADamagedEventIsNotForgotten(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "0001"+suffix), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := read(dir); err == nil || !strings.Contains(err.Error(), "is damaged: read it") {
		t.Errorf("%v", err)
	}
}

func TestTheLedgerHasEachEventOnce(t *testing.T) {
	dir := t.TempDir()
	db, err := store.OpenDB(t.Context(), filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations(), Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	l, err := ledger.Open(t.Context(), db, filepath.Join(dir, "ledger.key"), "test")
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, Folder)
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	p := Open(db, l, folder)
	e := &Event{Since: time.Now().UTC().Truncate(time.Microsecond), Archive: "pacs", Listen: "10.20.0.10:104", To: "10.30.0.5:11112"}
	collect := func(opened, closed, open int) {
		t.Helper()
		for range 2 {
			if err := p.Collect(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		got := map[string]int{}
		err := l.Tail(t.Context(), 100, func(r ledger.Record) error { got[r.Kind]++; return ledger.Listed(r) })
		if err != nil || got["deadman.opened"] != opened || got["deadman.closed"] != closed {
			t.Errorf("%v, %v", got, err)
		}
		if events, err := p.List(t.Context(), false); err != nil || len(events) != open {
			t.Errorf("%+v, %v", events, err)
		}
	}
	collect(0, 0, 0)
	if err := e.write(folder); err != nil {
		t.Fatal(err)
	}
	collect(1, 0, 1)
	if _, err := p.Review(t.Context(), "Ada Ashe", "looked"); !errors.Is(err, ErrState) {
		t.Errorf("reviewed while it is open: %v", err)
	}
	e.Until = e.Since.Add(time.Minute)
	if err := e.write(folder); err != nil {
		t.Fatal(err)
	}
	collect(1, 1, 1)
	if _, err := os.Stat(e.path(folder)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is left: %v", err)
	}
	for by, reason := range map[string]string{"": "looked", "Ada\x00": "looked", "Ada Ashe": " "} {
		if _, err := p.Review(t.Context(), by, reason); !errors.Is(err, ErrRequest) {
			t.Errorf("%q, %q: %v", by, reason, err)
		}
	}
	done, err := p.Review(t.Context(), "Ada Ashe", "looked")
	if err != nil || len(done) != 1 || done[0].By != "Ada Ashe" {
		t.Errorf("%+v, %v", done, err)
	}
	collect(1, 1, 0)
	if all, err := p.List(t.Context(), true); err != nil || len(all) != 1 || all[0].Until != e.Until {
		t.Errorf("%+v, %v", all, err)
	}
}
