// Package flow is the console's first page, which answers whether imaging is flowing:
// every device and archive as it is now, what is wrong in sentences, and how it was in
// the last day; and the map of who talks to whom.
//
//	all = append(all, flow.Routes(flow.Parts{Status: c.Status, History: h, Devices: register, View: v})...)
//
// It is shown before anybody has an account, so it shows nothing of patients. It is
// renewed when the server says that something has changed (server-sent events), and
// is whole without that.
package flow

import (
	"cmp"
	"context"
	"embed"
	"net/http"
	"slices"
	"sync"
	"time"

	"cordon/asset"
	"cordon/console"
	"cordon/console/route"
	"cordon/console/view"
	"cordon/custody"
	"cordon/history"
	"cordon/network"
	"cordon/people"
	"cordon/policy"
)

// Parts are what the pages show.
type Parts struct {
	Status  func(context.Context) (console.Status, error)
	HeldBy  func(context.Context) (map[string]custody.HeldSum, error)
	History *history.History
	View    *view.View

	Contained func(device string) string // how; "": it is not. nil: nobody contains

	Devices *asset.Register
	Site    func() policy.Site
	Seen    func(context.Context) ([]network.Seen, error) // by sensors; nil: there is none
}

//go:embed flow.html map.html
var files embed.FS

// pages are the pages, and what several people who look at once share.
type pages struct {
	Parts
	flow, chart *view.Page
	listeners   chan struct{} // a place for each

	mu    sync.Mutex
	last  shown
	at    time.Time
	asked error

	slow  slow // asked for less often: it costs more, and changes less
	since time.Time
}

// slow is what takes a while to count.
type slow struct {
	held   map[string]custody.HeldSum
	hour   map[string]float64 // objects, by device
	strips map[string][]float64
	from   time.Time // of the strips
}

const (
	maxListeners = 64
	freshFor     = time.Second // what was asked is shown to everybody who comes meanwhile
	slowFor      = 10 * time.Second
)

// Routes are the pages of the flow.
func Routes(p Parts) []route.Route {
	s := &pages{Parts: p, flow: p.View.Page(files, "flow.html"), chart: p.View.Page(files, "map.html"), listeners: make(chan struct{}, maxListeners)}
	return []route.Route{
		{Method: "GET", Pattern: "/{$}", May: people.FlowRead, Handler: s.show},
		{Method: "GET", Pattern: "/flow/now", May: people.FlowRead, Handler: s.now},
		{Method: "GET", Pattern: "/flow/events", May: people.FlowRead, Handler: s.events},
		{Method: "GET", Pattern: "/map", May: people.FlowRead, Handler: s.showMap},
		{Method: "GET", Pattern: "/map.svg", May: people.FlowRead, Handler: s.drawMap},
	}
}

// shown is what the page shows.
type shown struct {
	console.Status
	At     time.Time
	Answer string // whether imaging flows
	More   []saying
	Rows   []device
	Past   int // devices that the page has no room for
	Strips strips
	Charts []view.Chart
	Spans  []span
	Span   string // which of them the charts show
}

// device is one row.
type device struct {
	console.Device
	Title     string // its name, or its AE title
	State     view.Badge
	Hour      float64 // objects in the last hour
	Studies   int     // that are incomplete, since something of them is held
	Contained string
}

const maxRows = 100 // devices shown

// state asks for everything, at most once a second however many look.
func (s *pages) state(ctx context.Context) (shown, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.at) < freshFor {
		return s.last, s.asked
	}
	s.last, s.asked = s.ask(ctx)
	s.at = time.Now()
	if ctx.Err() != nil {
		s.at = time.Time{} // whoever asked has gone: the answer is nobody else's
	}
	return s.last, s.asked
}

func (s *pages) ask(ctx context.Context) (d shown, err error) {
	d.At = time.Now()
	if d.Status, err = s.Status(ctx); err != nil {
		return d, err
	}
	d.Answer, d.More = s.sayings(d.Says)
	if d.At.Sub(s.since) > slowFor {
		if s.slow, err = s.count(ctx, d.At); err != nil {
			return d, err
		}
		s.since = d.At
	}
	for _, v := range d.Devices {
		row := device{Device: v, Title: cmp.Or(v.Name, v.AETitle), Contained: s.level(v.Name)}
		row.Hour, row.Studies = s.slow.hour[row.Title], s.slow.held[row.Title].Studies
		row.State = s.stateOf(row, d.Status)
		d.Rows = append(d.Rows, row)
	}
	slices.SortStableFunc(d.Rows, func(a, b device) int {
		return cmp.Or(cmp.Compare(rank(a.State), rank(b.State)), cmp.Compare(a.Title, b.Title))
	})
	d.Past = max(0, len(d.Rows)-maxRows)
	d.Rows = d.Rows[:len(d.Rows)-d.Past]
	d.Strips = s.strips(d.Rows)
	return d, nil
}

// count asks for what is slow.
func (s *pages) count(ctx context.Context, now time.Time) (c slow, err error) {
	if c.held, err = s.HeldBy(ctx); err != nil {
		return c, err
	}
	c.hour, c.strips = map[string]float64{}, map[string][]float64{}
	const half = 30 * time.Minute // whole hours begin with the clock's
	hour, err := s.History.Strips(ctx, deviceSeries, now.Add(-time.Hour), half, 2)
	if err != nil {
		return c, err
	}
	for _, one := range hour {
		c.hour[one.Name] = one.Cells[0] + one.Cells[1]
	}
	c.from = now.Add(-24 * time.Hour).Truncate(cellSpan).Add(cellSpan)
	day, err := s.History.Strips(ctx, deviceSeries, c.from, cellSpan, cells)
	for _, one := range day {
		c.strips[one.Name] = one.Cells
	}
	return c, err
}

// Key is what the register finds the device by, which has names of its own for those
// that nobody declared.
func (d device) Key() string {
	if d.Name == "" || d.Learned {
		return d.AETitle + "@" + d.Address
	}
	return d.Name
}

// level is how a device is contained, "" if it is not.
func (s *pages) level(name string) string {
	if s.Contained == nil {
		return ""
	}
	return s.Contained(name)
}

// rank puts what somebody must look at first.
func rank(b view.Badge) int {
	return slices.Index([]string{"bad", "look", "good", "info", "off"}, b.Class)
}

// stateOf is a device in one word.
func (s *pages) stateOf(d device, now console.Status) view.Badge {
	word := s.View.Text
	switch {
	case d.Contained != "":
		return view.NewBadge("bad", word("flow.contained", word("flow.level_"+d.Contained)))
	case bypassed(now, d.Name):
		return view.NewBadge("bad", word("flow.bypassed"))
	case silent(now, d.Title):
		return view.NewBadge("look", word("flow.silent"))
	case d.Learned:
		return view.NewBadge("look", word("flow.unknown"))
	case d.LastSeen.IsZero():
		return view.NewBadge("off", word("flow.never"))
	}
	return view.NewBadge("good", word("flow.known"))
}

func bypassed(now console.Status, name string) bool {
	for _, b := range now.Bypass {
		if b.Device == "" || b.Device == name {
			return true
		}
	}
	return false
}

func silent(now console.Status, name string) bool {
	for _, m := range now.Silent {
		if m.Name == name {
			return true
		}
	}
	return false
}

func (s *pages) show(w http.ResponseWriter, r *http.Request) {
	d, err := s.state(r.Context())
	if err == nil {
		d.Spans, d.Span = spans, r.URL.Query().Get("span")
		d.Charts, d.Span, err = s.charts(r.Context(), d.At, d.Span)
	}
	if err != nil {
		s.View.Refuse(w, r, err)
		return
	}
	s.flow.Show(w, r, d)
}

// now is the part of the page that is renewed.
func (s *pages) now(w http.ResponseWriter, r *http.Request) {
	d, err := s.state(r.Context())
	if err != nil {
		s.View.Refuse(w, r, err)
		return
	}
	s.flow.Part(w, r, "now", d)
}
