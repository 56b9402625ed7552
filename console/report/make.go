package report

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"cordon/asset"
	"cordon/monoculture"
	"cordon/review"
)

// making is a report on its way.
type making struct {
	Parts
	ctx            context.Context
	now            time.Time
	period, before Period
	counts, was    map[string]int64 // records by kind, in the period and before
	spans          *spans
	first          time.Time // of the ledger: before it nothing is known
	devices        []asset.Device
	inventories    map[string]asset.Inventory
	out            Report
}

// Make makes the report of a period, for somebody.
func (p Parts) Make(ctx context.Context, period Period, by string, now time.Time) (Report, error) {
	m := &making{Parts: p, ctx: ctx, now: now, period: period, before: period.before()}
	m.out = Report{Site: p.Site, Version: p.Version, Period: period, Before: m.before, MadeAt: now.UTC().Truncate(time.Second), MadeBy: by, Fingerprint: p.Ledger.Fingerprint()}
	for _, step := range []func() error{m.gather, m.coverage, m.cameIn, m.availability, m.people, m.incidents, m.resilience} {
		if err := step(); err != nil {
			return Report{}, fmt.Errorf("making the report: %w", err)
		}
	}
	m.alike()
	m.summary()
	return m.out, nil
}

// gather reads what several sections need.
func (m *making) gather() (err error) {
	if err = m.Search.Ready(m.ctx); err != nil {
		return err
	}
	if m.out.Records, err = m.Ledger.Size(m.ctx); err != nil {
		return err
	}
	if m.counts, err = m.Search.Count(m.ctx, m.period.From, m.period.To); err != nil {
		return err
	}
	if m.was, err = m.Search.Count(m.ctx, m.before.From, m.before.To); err != nil {
		return err
	}
	if m.spans, err = m.Parts.spans(m.ctx, m.before, m.period); err != nil {
		return err
	}
	if m.first, err = m.firstRecord(); err != nil {
		return err
	}
	if m.devices, err = m.Register.List(m.ctx); err != nil {
		return err
	}
	m.inventories, err = m.Register.Inventories(m.ctx)
	return err
}

// section adds a section.
func (m *making) section(id, title string, figures ...Figure) {
	m.out.Sections = append(m.out.Sections, Section{id, title, figures})
}

// compared reports whether there was a ledger in the whole period before.
func (m *making) compared() bool { return !m.first.IsZero() && !m.first.After(m.before.From) }

// known reports whether there is a ledger in any of the period before.
func (m *making) known() bool { return !m.first.IsZero() && m.first.Before(m.before.To) }

func number[N int | int64 | float64](n N) *float64 {
	v := float64(n)
	return &v
}

// counted is how often kinds of records were written.
func (m *making) counted(id, label string, ask func(n int64) State, kinds ...string) Figure {
	var n, was int64
	link, source := "/ledger?"+m.dates(), "ledger:"
	for _, kind := range kinds {
		n, was = n+m.counts[kind], was+m.was[kind]
		link += "&kind=" + url.QueryEscape(kind)
		source += " " + kind
	}
	f := Figure{ID: id, Label: label, Value: number(n), State: Fact, Source: source, Link: link}
	if ask != nil {
		f.State = ask(n)
	}
	if m.known() {
		f.Before = number(was)
		if !m.compared() {
			f.Note = "the ledger begins in the period before"
		}
	}
	return f
}

// dates are the period as a search of the ledger takes it.
func (m *making) dates() string {
	return "from=" + m.period.From.Format(time.DateOnly) + "&to=" + m.period.To.AddDate(0, 0, -1).Format(time.DateOnly)
}

// minutes is how long something was so.
func (m *making) minutes(id, label string, all []while, source string, kinds ...string) Figure {
	f := Figure{
		ID: id, Label: label, Unit: "min", Source: source, State: Good,
		Value: number(within(all, m.period, m.now).Minutes()),
		Link:  "/ledger?" + m.dates(),
	}
	for _, kind := range kinds {
		f.Link += "&kind=" + url.QueryEscape(kind)
	}
	if *f.Value > 0 {
		f.State = Look
	}
	if m.known() {
		f.Before = number(within(all, m.before, m.now).Minutes())
	}
	return f
}

// none says that a figure should be 0.
func none(n int64) State {
	if n == 0 {
		return Good
	}
	return Look
}

// state is good where something is so.
func state(good bool) State {
	if good {
		return Good
	}
	return Look
}

// alike counts what devices share.
func (m *making) alike() {
	var all []monoculture.Device
	for _, d := range m.devices {
		if d.State == asset.Declared || d.State == asset.Approved {
			all = append(all, monoculture.Device{Name: d.Name, Inventory: m.inventories[d.Name]})
		}
	}
	m.out.Monoculture = monoculture.Of(all)
	r := m.out.Monoculture
	share := Figure{ID: "worst_attack", Label: "Devices that one attack would take", Source: "register: what people said of " + fmt.Sprint(r.Described) + " of " + fmt.Sprint(r.Devices) + " devices", Link: "#monoculture", State: Unknown}
	if r.Worst != nil {
		share.Value, share.Unit, share.Note, share.State = number(100*r.Worst.Share), "%", r.Worst.Says, state(r.Worst.Share <= 0.5)
	}
	m.section("monoculture", "Are the devices alike?", share,
		Figure{ID: "described", Label: "Devices that somebody has described", Value: number(r.Described), Unit: fmt.Sprintf("of %d", r.Devices), State: state(r.Described == r.Devices), Source: "register", Link: "/devices"})
}

// reviews counts those that were due in a period, signed in time, and are overdue
// now.
func (m *making) reviews() (due, inTime, overdue int, err error) {
	all, err := m.Reviews.List(m.ctx)
	for _, r := range all {
		if r.Overdue(m.now) {
			overdue++
		}
		if r.Due.Before(m.period.From) || !r.Due.Before(m.period.To) || r.Due.After(m.now) {
			continue
		}
		due++
		if signedInTime(r) {
			inTime++
		}
	}
	return due, inTime, overdue, err
}

func signedInTime(r review.Review) bool { return !r.SignedAt.IsZero() && !r.SignedAt.After(r.Due) }
