package network

import (
	"embed"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"cordon/console/answer"
	"cordon/console/route"
	"cordon/console/view"
	"cordon/console/watch"
	"cordon/custody"
	"cordon/firewall"
	"cordon/network"
	"cordon/people"
	"cordon/plan"
	"cordon/ticket"
	"cordon/transparent"
)

//go:embed network.html plan.html tickets.html ticket.html shared.html
var files embed.FS

// pages are those that a browser is shown.
type pages struct {
	Parts
	network, plan, tickets, ticket *view.Page
}

func (p Parts) pageRoutes() []route.Route {
	s := pages{p, p.View.Page(files, "network.html", "shared.html"), p.View.Page(files, "plan.html", "shared.html"), p.View.Page(files, "tickets.html", "shared.html"), p.View.Page(files, "ticket.html", "shared.html")}
	get := func(pattern string, h http.HandlerFunc) route.Route {
		return route.Route{Method: "GET", Pattern: pattern, May: people.NetworkRead, Handler: h}
	}
	post := func(pattern string, may people.Permission, fresh bool, h http.HandlerFunc) route.Route {
		return route.Route{Method: "POST", Pattern: pattern, May: may, Fresh: fresh, Handler: h}
	}
	return []route.Route{
		get("/network", s.showNetwork),
		post("/network/transparent", people.NetworkChange, true, s.turnTransparent),
		get("/plan", s.showPlan),
		post("/plan/apply", people.NetworkChange, true, s.applyPlan),
		post("/plan/confirm", people.NetworkChange, false, s.confirmPlan),
		post("/plan/off", people.NetworkChange, false, s.planOff),
		get("/tickets", s.showTickets),
		post("/tickets", people.NetworkChange, true, s.openTicket),
		get("/tickets/{id}", s.showTicket),
		get("/tickets/{id}/documents/{what}", p.document),
		post("/tickets/{id}/approve", people.NetworkChange, true, s.onTicket("network.said_approved", func(r *http.Request, id string, rq custody.Request) error {
			_, err := s.Tickets.Approve(r.Context(), id, rq)
			return err
		})),
		post("/tickets/{id}/confirm", people.DeviceChange, false, s.onTicket("network.said_confirmed", func(r *http.Request, id string, rq custody.Request) error {
			_, err := s.Tickets.Confirm(r.Context(), id, rq.By)
			return err
		})),
		post("/tickets/{id}/extend", people.DeviceChange, true, s.onTicket("network.said_extended", func(r *http.Request, id string, rq custody.Request) error {
			d, err := lasts(r.PostFormValue("for"))
			if err == nil {
				_, err = s.Tickets.Extend(r.Context(), id, d, rq)
			}
			return err
		})),
		post("/tickets/{id}/close", people.DeviceChange, false, s.onTicket("network.said_closed", func(r *http.Request, id string, rq custody.Request) error {
			_, err := s.Tickets.Close(r.Context(), id, rq)
			return err
		})),
	}
}

// requestOf is who decides, and why.
func requestOf(r *http.Request) (custody.Request, error) {
	by, err := people.From(r.Context()).By("")
	return custody.Request{By: by, Reason: r.PostFormValue("reason")}, err
}

// zone is one of the network, as its page shows it.
type zone struct {
	plan.Zone
	Devices []string
	Stopped uint64 // packets of it that the plan does not allow
}

// overview is what the network's page shows.
type overview struct {
	State       plan.State
	Plan        plan.Plan
	Zones       []zone
	Homeless    []string // devices in no zone
	Hits        []plan.Hit
	MoreHits    int
	Tickets     []ticket.Ticket
	Transparent transparent.State
	Sensors     []watch.Sensor
	Alerts      []network.Alert // the latest
	Wrong       string
}

const shownHits = 25

func (s pages) overview(r *http.Request) (d overview, err error) {
	ctx := r.Context()
	if d.State, err = s.Plan.State(ctx); err != nil {
		return d, err
	}
	if d.Plan, err = s.Plan.Compute(ctx); err != nil {
		return d, err
	}
	if d.Tickets, err = s.Tickets.Tickets(ctx, false, 0); err != nil {
		return d, err
	}
	d.Hits, err = s.Plan.Hits(ctx)
	if errors.Is(err, firewall.ErrNotEnforced) {
		err = nil // the state says why
	}
	if len(d.Hits) > shownHits {
		d.MoreHits, d.Hits = len(d.Hits)-shownHits, d.Hits[:shownHits]
	}
	d.Transparent = s.Transparent.State()
	d.zones()
	if err != nil {
		return d, err
	}
	return d, s.watched(r, &d)
}

const shownAlerts = 10

// watched adds what was noticed on the network, and by what.
func (s pages) watched(r *http.Request, d *overview) error {
	w, err := s.Watch(r.Context())
	if err != nil {
		return err
	}
	d.Sensors = s.Sensors()
	d.Alerts, err = w.Alerts(r.Context(), shownAlerts)
	return err
}

// zones are those of the plan, with the devices in each.
func (d *overview) zones() {
	in := map[string][]string{}
	for _, r := range d.Plan.Rules {
		if r.Device == "" {
			continue
		}
		if r.Zone == "" && !slices.Contains(d.Homeless, r.Device) {
			d.Homeless = append(d.Homeless, r.Device)
		}
		if r.Zone != "" && !slices.Contains(in[r.Zone], r.Device) {
			in[r.Zone] = append(in[r.Zone], r.Device)
		}
	}
	for _, z := range d.Plan.Zones {
		d.Zones = append(d.Zones, zone{z, in[z.Name], d.State.Counters[z.Name].Packets})
	}
}

func (s pages) showNetwork(w http.ResponseWriter, r *http.Request) {
	d, err := s.overview(r)
	if err != nil {
		s.View.Refuse(w, r, err)
		return
	}
	s.network.Show(w, r, d)
}

func (s pages) turnTransparent(w http.ResponseWriter, r *http.Request) {
	rq, err := requestOf(r)
	said := "network.said_on"
	if err == nil && r.PostFormValue("to") == "off" {
		said = "network.said_off"
		_, err = s.Transparent.Off(r.Context(), rq)
	} else if err == nil {
		_, err = s.Transparent.On(r.Context(), rq)
	}
	if err == nil {
		s.View.Back(w, r, "/network", said)
		return
	}
	d, failed := s.overview(r)
	if failed != nil {
		s.View.Refuse(w, r, failed)
		return
	}
	d.Wrong = err.Error()
	s.network.Again(w, r, err, d)
}

// planned is what the plan's page shows.
type planned struct {
	State  plan.State
	Plan   plan.Plan
	Hits   []plan.Hit
	Reason string
	Wrong  string
	Waits  time.Duration // until it is undone unless it is confirmed; 0: it does not wait
}

func (s pages) planned(r *http.Request) (d planned, err error) {
	if d.State, err = s.Plan.State(r.Context()); err != nil {
		return d, err
	}
	if d.Plan, err = s.Plan.Compute(r.Context()); err != nil {
		return d, err
	}
	d.Hits, err = s.Plan.Hits(r.Context())
	if errors.Is(err, firewall.ErrNotEnforced) {
		err = nil
	}
	if !d.State.Confirm.IsZero() {
		d.Waits = time.Until(d.State.Confirm).Round(time.Second)
	}
	return d, err
}

func (s pages) showPlan(w http.ResponseWriter, r *http.Request) {
	d, err := s.planned(r)
	if err != nil {
		s.View.Refuse(w, r, err)
		return
	}
	s.plan.Show(w, r, d)
}

func (s pages) applyPlan(w http.ResponseWriter, r *http.Request) {
	mode := plan.Mode(r.PostFormValue("mode"))
	said := "network.said_shadow"
	if mode == plan.Enforce {
		said = "network.said_enforced"
	}
	s.onPlan(w, r, said, func(rq custody.Request) error {
		_, err := s.Plan.Apply(r.Context(), plan.Order{Request: rq, Mode: mode, Digest: r.PostFormValue("digest"), From: cameFrom(r)})
		return err
	})
}

// cameFrom is the address of whoever asks, so that they are not shut out.
func cameFrom(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{} // the control socket
	}
	return at.Addr().Unmap().WithZone("")
}

func (s pages) confirmPlan(w http.ResponseWriter, r *http.Request) {
	s.onPlan(w, r, "network.said_plan_confirmed", func(rq custody.Request) error {
		_, err := s.Plan.Confirm(r.Context(), rq)
		return err
	})
}

func (s pages) planOff(w http.ResponseWriter, r *http.Request) {
	s.onPlan(w, r, "network.said_plan_off", func(rq custody.Request) error {
		_, err := s.Plan.Apply(r.Context(), plan.Order{Request: rq, Mode: plan.Off})
		return err
	})
}

func (s pages) onPlan(w http.ResponseWriter, r *http.Request, said string, do func(custody.Request) error) {
	rq, err := requestOf(r)
	if err == nil {
		err = do(rq)
	}
	if err == nil {
		s.View.Back(w, r, "/plan", said)
		return
	}
	d, failed := s.planned(r)
	if failed != nil {
		s.View.Refuse(w, r, failed)
		return
	}
	d.Wrong, d.Reason = err.Error(), rq.Reason
	s.plan.Again(w, r, err, d)
}

// desk is what the tickets' page shows.
type desk struct {
	All   []ticket.Ticket
	Ended bool // also what has ended
	Older string
	Kinds []ticket.Kind
	Asked TicketRequest // what somebody has filled in
	To    string
	Wrong string
}

func (s pages) desk(r *http.Request) (d desk, err error) {
	before, err := number(r.URL.Query().Get("before"))
	if err != nil {
		return d, err
	}
	d.Kinds, d.Ended = ticket.Kinds(), r.URL.Query().Get("all") == "true"
	d.All, err = s.Tickets.Tickets(r.Context(), d.Ended, before)
	if n := len(d.All); n > shownTickets {
		d.All = d.All[:shownTickets]
		d.Older = d.All[shownTickets-1].ID
	}
	return d, err
}

const shownTickets = 50

func (s pages) showTickets(w http.ResponseWriter, r *http.Request) {
	d, err := s.desk(r)
	if err != nil {
		s.View.Refuse(w, r, err)
		return
	}
	d.Asked.For = "4h"
	s.tickets.Show(w, r, d)
}

// openTicket reads the form with the documents.
func (s pages) openTicket(w http.ResponseWriter, r *http.Request) {
	rq, err := formOf(w, r)
	var asked ticket.Request
	if err == nil {
		asked, err = rq.request()
	}
	var t ticket.Ticket
	if err == nil {
		t, err = s.Tickets.Open(r.Context(), asked)
	}
	if err == nil {
		said := "network.said_opened"
		if t.State == ticket.Asked {
			said = "network.said_asked"
		}
		s.View.Back(w, r, "/tickets/"+t.ID, said)
		return
	}
	d, failed := s.desk(r)
	if failed != nil {
		s.View.Refuse(w, r, failed)
		return
	}
	d.Wrong, d.Asked, d.To = err.Error(), rq, strings.Join(rq.To, " ")
	s.tickets.Again(w, r, err, d)
}

// formOf is a request as a form says it: multipart/form-data, with two files.
func formOf(w http.ResponseWriter, r *http.Request) (rq TicketRequest, err error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxTicket)
	if err := r.ParseMultipartForm(maxTicket); err != nil {
		return rq, errors.Join(answer.ErrRequest, err)
	}
	defer r.MultipartForm.RemoveAll()
	v := func(name string) string { return r.PostFormValue(name) }
	rq = TicketRequest{
		Kind: ticket.Kind(v("kind")), Sponsor: v("sponsor"), Visitor: v("visitor"), Purpose: v("purpose"), Address: v("address"), MAC: v("mac"),
		To: strings.FieldsFunc(v("to"), func(c rune) bool { return c == ',' || c == ' ' || c == '\n' || c == '\r' }), For: v("for"), Reason: v("reason"),
	}
	if rq.By, err = people.From(r.Context()).By(""); err != nil {
		return rq, err
	}
	if rq.Declaration, err = fileOf(r, "declaration"); err != nil {
		return rq, err
	}
	rq.Report, err = fileOf(r, "report")
	return rq, err
}

func fileOf(r *http.Request, name string) (Attached, error) {
	f, head, err := r.FormFile(name)
	if errors.Is(err, http.ErrMissingFile) {
		return Attached{}, nil
	}
	if err != nil {
		return Attached{}, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, ticket.MaxDocument+1))
	return Attached{Name: head.Filename, Text: text}, err
}

// shown is what one ticket's page shows.
type shown struct {
	ticket.Ticket
	Wrong string
}

// Waits, Open and Over say how far it is.
func (s shown) Waits() bool { return s.State == ticket.Asked }
func (s shown) Open() bool  { return s.State == ticket.Opened }
func (s shown) Over() bool  { return s.State == ticket.Closed }

// IsRemote reports whether its sponsor has to be there.
func (s shown) IsRemote() bool { return s.Kind == ticket.Remote }

func (s pages) showTicket(w http.ResponseWriter, r *http.Request) {
	t, err := s.Tickets.Ticket(r.Context(), r.PathValue("id"))
	if err != nil {
		s.View.Refuse(w, r, err)
		return
	}
	s.ticket.Show(w, r, shown{Ticket: t})
}

// onTicket does one thing with a ticket, and shows it again.
func (s pages) onTicket(said string, do func(r *http.Request, id string, rq custody.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		rq, err := requestOf(r)
		if rq.Reason == "" {
			rq.Reason = "asked for"
		}
		if err == nil {
			err = do(r, id, rq)
		}
		if err == nil {
			if _, failed := strconv.ParseInt(id, 10, 64); failed != nil {
				id = ""
			}
			s.View.Back(w, r, "/tickets/"+id, said)
			return
		}
		t, failed := s.Tickets.Ticket(r.Context(), id)
		if failed != nil {
			s.View.Refuse(w, r, failed)
			return
		}
		s.ticket.Again(w, r, err, shown{t, err.Error()})
	}
}
