package firewall

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/interop/lab"
)

// What somebody else does to the rules, and how it is met.

func TestChangedByOthersIsPutRightOnceThenLoud(t *testing.T) {
	r := newRouter(t, lab.Routed)
	echo(t, r.General, 445)
	r.contain(r.scanner())
	reaches(r.US1, r.General.Addr, 445) // counts something
	dropped := r.state().Counters["us1 dropped"].Packets
	look := func() (e *Event) {
		r.do(func() error { e = r.f.look(t.Context(), time.Now()); return nil })
		return e
	}
	if e := look(); e != nil {
		t.Errorf("%+v", e)
	}
	r.Router.Run(t, "nft", "add", "table", "inet", "hospital")
	if e := look(); e != nil {
		t.Errorf("somebody's own table is an event: %+v", e)
	}
	for name, change := range map[string]string{"flush": "flush ruleset", "mark": "flush table inet cordon", "rule": "flush chain inet cordon d_us1_from", "element": "flush set inet cordon d_us1_at4"} {
		r.f.restored = time.Time{}
		r.Router.Run(t, "nft", strings.Fields(change)[0], strings.Join(strings.Fields(change)[1:], " "))
		e := look()
		if e == nil || !e.Restored {
			t.Fatalf("%s: %+v", name, e)
		}
		if s := r.state(); !s.Applied || s.Changed || s.Counters["us1 dropped"].Packets < dropped {
			t.Errorf("%s: %+v", name, s)
		}
		if err := r.f.Standing(); reaches(r.US1, r.General.Addr, 445) || err != nil {
			t.Errorf("%s: it is free: %v", name, err)
		}
	}
	r.Router.Run(t, "nft", "flush", "ruleset") // again, within minutes
	if e := look(); e == nil || e.Restored {
		t.Fatalf("%+v", e)
	}
	if e := look(); e != nil {
		t.Errorf("told twice: %+v", e)
	}
	if s := r.state(); s.Applied || !s.Changed || s.Why == "" || !errors.Is(r.f.Standing(), ErrElsewhere) {
		t.Errorf("%+v, %v", s, r.f.Standing())
	}
	r.do(func() error { return r.f.Reapply(t.Context()) })
	if s := r.state(); !s.Applied || s.Changed || r.f.Standing() != nil || reaches(r.US1, r.General.Addr, 445) {
		t.Errorf("%+v, %v", s, r.f.Standing())
	}
}

func TestARuleTurnedIntoItsOppositeIsPutRight(t *testing.T) {
	r := newRouter(t, lab.Routed)
	r.contain(r.scanner())
	rule := regexp.MustCompile(`(?m)^\s+(.*) (@d_us1_at4 .*) # handle (\d+)$`)
	of := func() (before, after, handle string) {
		found := rule.FindStringSubmatch(r.Router.Run(t, "nft", "-a", "list", "chain", "inet", "cordon", "forward"))
		if found == nil {
			t.Fatal("no rule names the device's addresses")
		}
		return found[1], found[2], found[3]
	}
	before, after, handle := of()
	r.Router.Run(t, "nft", "replace rule inet cordon forward handle "+handle+" "+before+" != "+after)
	var e *Event
	r.do(func() error { e = r.f.look(t.Context(), time.Now()); return nil })
	if e == nil || !e.Restored {
		t.Errorf("%+v", e)
	}
	if again, _, _ := of(); again != before {
		t.Errorf("%q, not %q", again, before)
	}
}

func TestWhoChangedItIsHeardOf(t *testing.T) {
	r := newRouter(t, lab.Routed)
	ctx, cancel := context.WithCancel(t.Context())
	heard := make(chan struct{})
	go func() { // ends with ctx
		r.Router.Do(func() error { r.f.listen(ctx); return nil })
		close(heard)
	}()
	for range 50 {
		r.Router.Run(t, "nft", "add", "table", "inet", "hospital")
		if strings.Contains(r.f.by(0), `"nft"`) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if !strings.Contains(r.f.by(0), `"nft", process`) {
		t.Error(r.f.by(0))
	}
	// Ours are not another's, whichever thread they are by; and who it was is known as
	// soon as that somebody was it is.
	r.do(func() error { // all by one thread, which is there as long as this takes
		for i := range 10 {
			if err := r.f.Change(t.Context(), func(rs *Ruleset) { rs.Contained = []Contained{r.scanner()}[:(i+1)%2] }); err != nil {
				return err
			}
			if by := r.f.by(r.f.generation); !strings.Contains(by, `"nft", process`) {
				t.Errorf("ours are by %s", by)
			}
			if out, err := r.Router.Try("nft", "add", "table", "inet", "hospital"); err != nil {
				return fmt.Errorf("%s: %w", out, err)
			}
			g, err := r.f.kernel.generation()
			if err != nil {
				return err
			}
			r.f.by(g.id)
			if got := r.f.heard.Load(); got != g.id {
				t.Errorf("generation %d, heard of %d", g.id, got)
			}
		}
		return nil
	})
	cancel()
	<-heard
}

func TestBusyRules(t *testing.T) {
	r := newRouter(t, lab.Routed)
	stop := make(chan struct{})
	var running sync.WaitGroup
	for i := range 2 {
		running.Go(func() { // ends with stop
			for {
				select {
				case <-stop:
					return
				default:
				}
				r.Router.Try("nft", fmt.Sprintf("add table inet other%d; add chain inet other%d c; delete table inet other%d", i, i, i))
			}
		})
	}
	for i := range 20 {
		c := r.scanner()
		c.Level = []Level{ImageOnly, Cut, Observe}[i%3]
		r.contain(c)
	}
	r.do(func() error { return r.f.Remove(t.Context()) })
	close(stop)
	running.Wait()
}

func TestSomebodyElsesTableIsLeftAlone(t *testing.T) {
	r := newRouter(t, lab.Routed)
	r.Router.Run(t, "nft", "add table inet cordon; add chain inet cordon theirs")
	before := r.ruleset()
	var err error
	r.do(func() error {
		err = r.f.Change(t.Context(), func(rs *Ruleset) { rs.Contained = []Contained{r.scanner()} })
		return nil
	})
	if !errors.Is(err, ErrNotEnforced) || !strings.Contains(err.Error(), "cordon") {
		t.Error(err)
	}
	if after := r.ruleset(); after != before {
		t.Error(after)
	}
}

func TestAnotherCordonsTableIsLeftAlone(t *testing.T) {
	r := newRouter(t, lab.Routed)
	r.contain(r.scanner())
	before := r.ruleset()
	other, err := Open(Options{ImagePorts: []uint16{104}, Owner: "other"})
	if err != nil {
		t.Fatal(err)
	}
	r.do(func() error {
		if err := other.Start(t.Context()); err != nil { // with nothing to ask for
			t.Error(err)
		}
		if e := other.look(t.Context(), time.Now()); e != nil {
			t.Errorf("%+v", e)
		}
		if err := other.Remove(t.Context()); err != nil {
			t.Error(err)
		}
		if err := other.Change(t.Context(), func(rs *Ruleset) { rs.Contained = []Contained{r.scanner()} }); !errors.Is(err, ErrNotEnforced) {
			t.Error(err)
		}
		return nil
	})
	if after := r.ruleset(); after != before {
		t.Error(after)
	}
}

func TestAFlushedTableIsTakenOverAfterARestart(t *testing.T) {
	r := newRouter(t, lab.Routed)
	r.contain(r.scanner())
	r.Router.Run(t, "nft", "flush", "table", "inet", "cordon")
	again, err := Open(Options{ImagePorts: r.f.opts.ImagePorts, Interfaces: r.f.opts.Interfaces})
	if err != nil {
		t.Fatal(err)
	}
	r.do(func() error {
		return again.Change(t.Context(), func(rs *Ruleset) { rs.Contained = []Contained{r.scanner()} })
	})
	if s := r.state(); !s.Applied { // to the one that wrote it before, all is as it was
		t.Errorf("%+v", s)
	}
	r.Router.Run(t, "nft", "flush", "table", "inet", "cordon")
	r.do(func() error { return again.Remove(t.Context()) })
	if after := r.ruleset(); strings.Contains(after, "cordon") {
		t.Error(after)
	}
}

func TestRenewingHidesNobodysChange(t *testing.T) {
	r := newRouter(t, lab.Routed)
	r.contain(r.scanner())
	r.do(func() error {
		return r.f.Change(t.Context(), func(rs *Ruleset) {
			rs.Redirects = []Redirect{{ID: "pacs", From: prefixes("10.1.0.0/16"), To: netip.MustParseAddrPort("10.2.0.5:104"), Port: 11112, Lapses: 5 * time.Second}}
		})
	})
	r.Router.Run(t, "nft", "flush", "chain", "inet", "cordon", "d_us1_from")
	r.f.renewed = time.Time{}
	r.do(func() error {
		r.f.renew()
		if e := r.f.look(t.Context(), time.Now()); e == nil || !e.Restored {
			t.Errorf("%+v", e)
		}
		return nil
	})
}
