package plan

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"cordon/custody"
	"cordon/firewall"
	"cordon/interop/lab"
	"cordon/ledger"
	"cordon/store"
)

type office struct {
	t      *testing.T
	ctx    context.Context
	dir    string
	db     *store.DB
	ledger *ledger.Ledger
	book   *Book
	s      Sources
}

func (o *office) open() {
	o.t.Helper()
	must := func(err error) {
		o.t.Helper()
		if err != nil {
			o.t.Error(err)
			runtime.Goexit()
		}
	}
	var err error
	o.db, err = store.OpenDB(o.ctx, filepath.Join(o.dir, "cordon.db"), []store.Migrations{ledger.Migrations(), Migrations()})
	must(err)
	o.ledger, err = ledger.Open(o.ctx, o.db, filepath.Join(o.dir, "ledger.key"), "test")
	must(err)
	fire, err := firewall.Open(firewall.Options{})
	must(err)
	o.book, err = Open(o.ctx, Parts{
		DB: o.db, Journal: o.ledger, Firewall: fire, Log: slog.New(slog.NewTextHandler(o.t.Output(), nil)),
		Sources: func(context.Context) (Sources, error) { return o.s, nil }, Closed: closed(o.s.Zones),
	})
	must(err)
	must(o.book.Restore(o.ctx))
}

func (o *office) records() (kinds []string) {
	o.t.Helper()
	err := o.ledger.Tail(o.ctx, 1000, func(r ledger.Record) error {
		if strings.HasPrefix(r.Kind, "plan.") {
			kinds = append(kinds, strings.TrimPrefix(r.Kind, "plan."))
			return ledger.Listed(r)
		}
		return nil
	})
	if err != nil {
		o.t.Error(err)
	}
	return kinds
}

var ada = custody.Request{By: "Ada Ashe", Reason: "segmentation, step one"}

func TestAPlanIsReadTriedEnforcedAndConfirmed(t *testing.T) {
	lab.Alone(t, func(run func(...string) string) {
		run("nft", "add", "table", "inet", "hospital")
		o := &office{t: t, ctx: context.Background(), dir: t.TempDir(), s: small()}
		o.open()
		if rules := run("nft", "list", "table", "inet", "cordon"); !strings.Contains(rules, "10.9.0.0/16") {
			t.Errorf("visitors are not shut out without a plan:\n%s", rules)
		}
		digest := Compute(o.s).Digest
		apply := func(mode Mode, digest string, from string) (State, error) {
			order := Order{Request: ada, Mode: mode, Digest: digest}
			if from != "" {
				order.From = netip.MustParseAddr(from)
			}
			return o.book.Apply(o.ctx, order)
		}
		if _, err := apply(Shadow, "", ""); !errors.Is(err, custody.ErrRequest) {
			t.Error(err)
		}
		if _, err := apply(Shadow, "0123456789abcdef", ""); !errors.Is(err, ErrChanged) {
			t.Error(err)
		}
		if s, err := apply(Shadow, digest, ""); err != nil || s.Mode != Shadow {
			t.Errorf("%+v, %v", s, err)
		}
		if _, err := o.book.Confirm(o.ctx, ada); !errors.Is(err, ErrState) {
			t.Error(err)
		}

		applied := time.Now()
		s, err := apply(Enforce, digest, "10.4.0.99")
		if err != nil || s.Mode != Enforce || time.Until(s.Confirm) > ConfirmWithin || time.Until(s.Confirm) < ConfirmWithin-10*time.Second {
			t.Errorf("%+v, %v", s, err)
		}
		rules := run("nft", "list", "table", "inet", "cordon")
		if !strings.Contains(rules, "10.4.0.99") || !undoneWithin(rules, time.Since(applied)) {
			t.Errorf("who applies it is locked out, or the kernel does not undo it:\n%s", rules)
		}
		if s, err := o.book.State(o.ctx); err != nil || !s.Applied || s.Current != digest || s.Digest != digest {
			t.Errorf("%+v, %v", s, err)
		}
		o.book.lapse(o.ctx, time.Now().Add(ConfirmWithin+time.Second))
		if s, _ := o.book.State(o.ctx); s.Mode != Shadow {
			t.Errorf("nobody confirmed, and it is %+v", s)
		}

		if _, err := apply(Enforce, digest, ""); err != nil {
			t.Error(err)
		}
		if s, err := o.book.Confirm(o.ctx, ada); err != nil || !s.Confirm.IsZero() {
			t.Errorf("%+v, %v", s, err)
		}
		if rules := run("nft", "list", "table", "inet", "cordon"); strings.Contains(rules, "timeout 1m") || !strings.Contains(rules, "drop") {
			t.Errorf("confirmed, and not for good:\n%s", rules)
		}
		o.s.Devices = o.s.Devices[:1] // the register changes; what is applied does not
		o.db.Close()
		run("nft", "delete", "table", "inet", "cordon")
		o.open()
		if s, err := o.book.State(o.ctx); err != nil || s.Mode != Enforce || !s.Applied || s.Digest != digest || s.Current == digest {
			t.Errorf("after a restart: %+v, %v", s, err)
		}
		if _, err := apply(Off, "", ""); err != nil {
			t.Error(err)
		}
		if rules := run("nft", "list", "ruleset"); strings.Contains(rules, "10.1.0.0/24") || !strings.Contains(rules, "10.9.0.0/16") || !strings.Contains(rules, "table inet hospital") {
			t.Errorf("after it was taken out:\n%s", rules)
		}
		if got := o.records(); !slices.Equal(got, []string{"shadow", "enforced", "undone", "enforced", "confirmed", "off"}) {
			t.Errorf("on the ledger: %v", got)
		}
	})
}

func TestNoZonesNoPlan(t *testing.T) {
	lab.Alone(t, func(run func(...string) string) {
		o := &office{t: t, ctx: context.Background(), dir: t.TempDir(), s: Sources{}}
		o.open()
		if left := strings.TrimSpace(run("nft", "list", "ruleset")); left != "" {
			t.Errorf("rules without a plan:\n%s", left)
		}
		p := Compute(o.s)
		_, err := o.book.Apply(o.ctx, Order{Request: ada, Mode: Shadow, Digest: p.Digest})
		if !errors.Is(err, ErrState) || !strings.Contains(err.Error(), "plan.zones") {
			t.Error(err)
		}
	})
}

// undoneWithin reports whether the kernel undoes rules at the end of their trial, which
// began at most so long ago.
func undoneWithin(rules string, ago time.Duration) bool {
	_, rest, _ := strings.Cut(rules, " timeout 1m")
	text, _, _ := strings.Cut("1m"+rest, "s")
	lasts, err := time.ParseDuration(text + "s")
	return err == nil && lasts <= ConfirmWithin && lasts >= ConfirmWithin-ago-time.Second
}
