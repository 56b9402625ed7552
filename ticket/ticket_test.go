package ticket

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/custody"
	"cordon/firewall"
	"cordon/interop/lab"
	"cordon/ledger"
	"cordon/media"
	"cordon/store"
)

// hospital is what a desk stands in: one ultrasound scanner, and a visitors' network.
type hospital struct {
	t      *testing.T
	ctx    context.Context
	dir    string
	db     *store.DB
	ledger *ledger.Ledger
	fire   *firewall.Firewall
	desk   *Desk
	c      Config
	p      Parts

	mu      sync.Mutex
	links   map[netip.Addr]string
	online  map[string]time.Time
	imports []media.Summary
	alarms  []string
}

func newHospital(t *testing.T, c Config) *hospital {
	h := &hospital{t: t, ctx: context.Background(), dir: t.TempDir(), c: c, links: map[netip.Addr]string{}, online: map[string]time.Time{}}
	h.open()
	return h
}

// open is what a start does.
func (h *hospital) open() {
	h.t.Helper()
	must := func(err error) {
		h.t.Helper()
		if err != nil {
			h.t.Error(err)
			runtime.Goexit()
		}
	}
	var err error
	h.db, err = store.OpenDB(h.ctx, filepath.Join(h.dir, "cordon.db"), []store.Migrations{ledger.Migrations(), custody.Migrations(), Migrations()})
	must(err)
	h.ledger, err = ledger.Open(h.ctx, h.db, filepath.Join(h.dir, "ledger.key"), "test")
	must(err)
	keeper, err := custody.Open(h.ctx, h.db, h.dir, h.ledger, custody.Options{})
	must(err)
	h.fire, err = firewall.Open(firewall.Options{})
	must(err)
	h.p = Parts{
		DB: h.db, Journal: h.ledger, Seal: keeper, Firewall: h.fire, Log: slog.New(slog.NewTextHandler(h.t.Output(), nil)),
		Lookup: func(_ context.Context, name string) (Place, error) {
			switch name {
			case "us-3":
				return Place{Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.0.3/32")}}, nil
			case "or-1":
				return Place{Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.0.9/32")}, Critical: true}, nil
			case "nowhere":
				return Place{}, nil
			}
			return Place{}, fmt.Errorf("a device of the register: none is called %q", name)
		},
		Whose: func(_ context.Context, a netip.Addr) (string, error) {
			if a == netip.MustParseAddr("10.1.0.3") {
				return "us-3", nil
			}
			return "", nil
		},
		Imports: func(_ context.Context, _ time.Time, each func(media.Summary) bool) error {
			for _, s := range h.imports {
				if !each(s) {
					break
				}
			}
			return nil
		},
		SamePerson: func(a, b string) bool { return custody.FoldName(a) == custody.FoldName(b) },
		Online: func(_ context.Context, person string) time.Time {
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.online[person]
		},
		Link: func(a netip.Addr) (string, bool) {
			h.mu.Lock()
			defer h.mu.Unlock()
			mac, ok := h.links[a]
			return mac, ok
		},
		Alarm: func(_ context.Context, _ Ticket, says string) { h.alarms = append(h.alarms, says) },
	}
	h.desk, err = New(h.ctx, h.c, h.p)
	must(err)
}

// restart is a start after a crash.
func (h *hospital) restart() {
	h.t.Helper()
	if err := h.db.Close(); err != nil {
		h.t.Error(err)
	}
	h.open()
	if err := h.desk.Restore(h.ctx); err != nil {
		h.t.Error(err)
	}
}

const report = `{"path":"readme.txt","bytes":10,"verdict":"admit","outcome":"listed"}
{"path":"IM1","bytes":90,"verdict":"admit","outcome":"stored"}
`

func request() Request {
	return Request{
		Kind: Laptop, Sponsor: "Ada Ashe", Purpose: "probe adjustment", Address: netip.MustParseAddr("10.9.0.5"), To: []string{"us-3:104", "us-3:5000-5010/udp"},
		Declaration: File{"declaration.pdf", []byte("ours, clean, we are liable")}, Report: File{"report.json", []byte(report)},
		For: 4 * time.Hour, By: "Ada Ashe",
	}
}

// records are the kinds on the ledger that begin with ticket.
func (h *hospital) records() (kinds []string) {
	h.t.Helper()
	err := h.ledger.Tail(h.ctx, 1000, func(r ledger.Record) error {
		if strings.HasPrefix(r.Kind, "ticket.") {
			kinds = append(kinds, strings.TrimPrefix(r.Kind, "ticket."))
			if err := ledger.Listed(r); err != nil {
				h.t.Error(err)
			}
		}
		return nil
	})
	if err != nil {
		h.t.Error(err)
	}
	return kinds
}

func TestATicketOpensWhatItNamesAndNothingElse(t *testing.T) {
	lab.Alone(t, func(run func(...string) string) {
		run("nft", "add table inet hospital")
		h := newHospital(t, Config{})
		h.imports = []media.Summary{{By: "ann", Complete: true, Files: 9}, {By: "ann", Complete: true, Files: 2, Bytes: 100, Stored: 1, Listed: 1}}
		one, err := h.desk.Open(h.ctx, request())
		if err != nil || one.State != Opened || !one.Inspection.Verified || one.Inspection.Admitted != 2 {
			t.Errorf("%+v, %v", one, err)
			return
		}
		rules := run("nft", "list", "table", "inet", "cordon")
		for _, want := range []string{"10.9.0.5", "10.1.0.3", "5000-5010"} {
			if !strings.Contains(rules, want) {
				t.Errorf("%s is not there:\n%s", want, rules)
			}
		}
		h.restart()
		if again := run("nft", "list", "table", "inet", "cordon"); !strings.Contains(again, "10.9.0.5") {
			t.Errorf("not open after a restart:\n%s", again)
		}
		d, text, err := h.desk.Document(h.ctx, one.ID, "declaration")
		if err != nil || string(text) != "ours, clean, we are liable" || d.SHA256 != one.Declaration.SHA256 || d.Bytes != len(text) {
			t.Errorf("%+v %q %v", d, text, err)
		}
		if closed, err := h.desk.Close(h.ctx, one.ID, custody.Request{By: "Bo Best", Reason: "done"}); err != nil || closed.State != Closed {
			t.Errorf("%+v, %v", closed, err)
		}
		if left := run("nft", "list", "ruleset"); strings.Contains(left, "10.9.0.5") || !strings.Contains(left, "table inet hospital") {
			t.Errorf("after it was closed:\n%s", left)
		}
		if _, err := h.desk.Close(h.ctx, one.ID, custody.Request{By: "Bo Best", Reason: "again"}); !errors.Is(err, ErrState) {
			t.Error(err)
		}
		if got := h.records(); !slices.Equal(got, []string{"opened", "closed"}) {
			t.Errorf("on the ledger: %v", got)
		}
	})
}

// Everything that is missing is said at once.
func TestARefusalSaysWhatIsMissing(t *testing.T) {
	lab.Alone(t, func(func(...string) string) {
		h := newHospital(t, Config{Visitors: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}})
		_, err := h.desk.Open(h.ctx, Request{})
		for _, want := range []string{"the kind", "a sponsor", "the purpose", "who asks", "for how long", "the declaration", "the inspection", "what it may reach", "the address"} {
			if !errors.Is(err, ErrRequest) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s is not said: %v", want, err)
			}
		}
		h.links[netip.MustParseAddr("10.9.0.6")] = "02:00:00:00:00:06"
		for _, c := range []struct {
			says   string
			change func(*Request)
		}{
			{"10.1.0.3 is us-3", func(r *Request) { r.Address = netip.MustParseAddr("10.1.0.3") }},
			{"among the visitors'", func(r *Request) { r.Address = netip.MustParseAddr("10.8.0.1") }},
			{"10.9.0.6 has 02:00:00:00:00:06", nil},
			{"none is called", func(r *Request) { r.To = []string{"us-4:104"} }},
			{"the register has none", func(r *Request) { r.To = []string{"nowhere:104"} }},
			{"is not DEVICE:PORT", func(r *Request) { r.To = []string{"us-3"} }},
			{"is not DEVICE:PORT", func(r *Request) { r.To = []string{"us-3:200-100"} }},
			{"a MAC such as", func(r *Request) { r.MAC = "no" }},
			{"from 1m to 12h", func(r *Request) { r.For = 13 * time.Hour }},
			{"clean media: \"setup.exe\" is refuse", func(r *Request) { r.Report.Text = []byte(`{"path":"setup.exe","verdict":"refuse"}`) }},
			{"and 1 more", func(r *Request) {
				r.Report.Text = []byte(`{"path":"a","verdict":"hold"}{"path":"b","verdict":"hold"}`)
			}},
			{"as cordon import --json", func(r *Request) { r.Report.Text = []byte("all is well") }},
			{"this one has no files", func(r *Request) { r.Report.Text = []byte(" ") }},
		} {
			rq := request()
			if c.change == nil {
				rq.Address, rq.MAC = netip.MustParseAddr("10.9.0.6"), "02:00:00:00:00:07"
			} else {
				c.change(&rq)
			}
			if _, err := h.desk.Open(h.ctx, rq); !errors.Is(err, ErrRequest) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q is not said: %v", c.says, err)
			}
		}
		if got := h.records(); len(got) > 0 {
			t.Errorf("on the ledger: %v", got)
		}
	})
}

func TestTicketsDoNotOverlap(t *testing.T) {
	lab.Alone(t, func(func(...string) string) {
		h := newHospital(t, Config{})
		if _, err := h.desk.Open(h.ctx, request()); err != nil {
			t.Error(err)
		}
		if _, err := h.desk.Open(h.ctx, request()); !errors.Is(err, ErrState) || !strings.Contains(err.Error(), "has ticket 1 already") {
			t.Error(err)
		}
	})
}

func TestATicketEndsByItself(t *testing.T) {
	lab.Alone(t, func(run func(...string) string) {
		h := newHospital(t, Config{})
		one, err := h.desk.Open(h.ctx, request())
		if err != nil {
			t.Error(err)
			return
		}
		if rules := run("nft", "list", "table", "inet", "cordon"); !strings.Contains(rules, "expires") {
			t.Errorf("the kernel would not end it:\n%s", rules)
		}
		if _, err := h.desk.Extend(h.ctx, one.ID, 2*time.Hour, custody.Request{By: "Bo Best", Reason: "not ready"}); !errors.Is(err, ErrState) || !strings.Contains(err.Error(), "only they can") {
			t.Error(err)
		}
		longer, err := h.desk.Extend(h.ctx, one.ID, 6*time.Hour, custody.Request{By: "ada  ashe", Reason: "not ready"})
		if err != nil || !longer.Until.After(one.Until) {
			t.Errorf("%v, %v", longer.Until, err)
		}
		h.desk.look(h.ctx, time.Now().Add(6*time.Hour+time.Second))
		if got, err := h.desk.Ticket(h.ctx, one.ID); err != nil || got.State != Closed || got.Why != "its time is over" {
			t.Errorf("%+v, %v", got, err)
		}
		if got := h.records(); !slices.Equal(got, []string{"opened", "extended", "closed"}) || len(h.alarms) > 0 {
			t.Errorf("on the ledger: %v, alarms %q", got, h.alarms)
		}
	})
}

func TestAnotherMachineAtItsAddressEndsIt(t *testing.T) {
	lab.Alone(t, func(func(...string) string) {
		h := newHospital(t, Config{})
		rq := request()
		h.links[rq.Address] = "02:00:00:00:00:05"
		one, err := h.desk.Open(h.ctx, rq)
		if err != nil || one.MAC != "02:00:00:00:00:05" {
			t.Errorf("%+v, %v", one, err)
			return
		}
		h.desk.look(h.ctx, time.Now())
		h.links[rq.Address] = "02:00:00:00:00:66"
		h.desk.look(h.ctx, time.Now())
		got, err := h.desk.Ticket(h.ctx, one.ID)
		if err != nil || got.State != Closed || !strings.Contains(got.Why, "another machine") || len(h.alarms) != 1 {
			t.Errorf("%+v, %v, alarms %q", got, err, h.alarms)
		}
	})
}

func TestRemoteServiceNeedsTwoAndItsSponsorThere(t *testing.T) {
	lab.Alone(t, func(run func(...string) string) {
		h := newHospital(t, Config{})
		rq := request()
		rq.Kind, rq.Report, rq.By = Remote, File{}, "Bo Best"
		one, err := h.desk.Open(h.ctx, rq)
		if err != nil || one.State != Asked {
			t.Errorf("%+v, %v", one, err)
			return
		}
		if rules := run("nft", "list", "ruleset"); strings.Contains(rules, "10.9.0.5") {
			t.Errorf("open before anybody agreed:\n%s", rules)
		}
		agree := custody.Request{By: "bo best", Reason: "known engineer"}
		if _, err := h.desk.Approve(h.ctx, one.ID, agree); !errors.Is(err, ErrState) || !strings.Contains(err.Error(), "somebody else") {
			t.Error(err)
		}
		agree.By = "Cy Cole"
		if _, err := h.desk.Approve(h.ctx, one.ID, agree); !errors.Is(err, ErrState) || !strings.Contains(err.Error(), "is not there") {
			t.Error(err)
		}
		if _, err := h.desk.Confirm(h.ctx, one.ID, "Cy Cole"); !errors.Is(err, ErrState) {
			t.Error(err)
		}
		h.online["Ada Ashe"] = time.Now()
		if one, err = h.desk.Approve(h.ctx, one.ID, agree); err != nil || one.State != Opened || len(one.By) != 2 {
			t.Errorf("%+v, %v", one, err)
			return
		}
		if rules := run("nft", "list", "table", "inet", "cordon"); !strings.Contains(rules, "10.9.0.5") || !strings.Contains(rules, "timeout 19m") && !strings.Contains(rules, "timeout 20m") {
			t.Errorf("not open, or not for as long as nobody needs to see the sponsor:\n%s", rules)
		}

		later := time.Now().Add(16 * time.Minute)
		h.desk.look(h.ctx, later)
		h.desk.look(h.ctx, later.Add(time.Second))
		if len(h.alarms) != 1 || !strings.Contains(h.alarms[0], "has not been seen") {
			t.Errorf("alarms %q", h.alarms)
		}
		if one, err = h.desk.Confirm(h.ctx, one.ID, "Ada Ashe"); err != nil || !one.Warned.IsZero() {
			t.Errorf("%+v, %v", one, err)
		}
		h.desk.look(h.ctx, time.Now().Add(21*time.Minute))
		got, err := h.desk.Ticket(h.ctx, one.ID)
		if err != nil || got.State != Closed || got.Why != "its sponsor was not there" {
			t.Errorf("%+v, %v", got, err)
		}
		if rules := run("nft", "list", "ruleset"); strings.Contains(rules, "10.9.0.5") {
			t.Errorf("still open:\n%s", rules)
		}
		if got := h.records(); !slices.Equal(got, []string{"asked", "opened", "unattended", "closed"}) {
			t.Errorf("on the ledger: %v", got)
		}
	})
}

func TestTwoDecideOnWhatAPatientCannotWaitFor(t *testing.T) {
	lab.Alone(t, func(func(...string) string) {
		h := newHospital(t, Config{})
		rq := request()
		rq.To = []string{"us-3:104", "or-1:104"}
		one, err := h.desk.Open(h.ctx, rq)
		if err != nil || one.State != Asked {
			t.Errorf("%+v, %v", one, err)
		}
		h.restart()
		h.desk.look(h.ctx, time.Now().Add(waits+time.Second))
		if got, _ := h.desk.Ticket(h.ctx, one.ID); got.State != Closed || got.Why != "nobody agreed within an hour" {
			t.Errorf("%+v", got)
		}
	})
}

// What is closed while the firewall cannot be changed is taken out as soon as it can.
func TestClosedWhileTheFirewallIsAway(t *testing.T) {
	lab.Alone(t, func(run func(...string) string) {
		h := newHospital(t, Config{})
		one, err := h.desk.Open(h.ctx, request())
		if err != nil {
			t.Error(err)
			return
		}
		h.desk.mu.Lock()
		h.desk.all, h.desk.due = nil, true // as after Close, of which the effect failed
		h.desk.mu.Unlock()
		if left := run("nft", "list", "ruleset"); !strings.Contains(left, one.Address.String()) {
			t.Error("it is closed already")
		}
		h.desk.look(h.ctx, time.Now())
		if left := run("nft", "list", "ruleset"); strings.Contains(left, one.Address.String()) || h.desk.due {
			t.Errorf("it stays open:\n%s", left)
		}
	})
}
