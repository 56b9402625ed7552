package network

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"cordon/console/answer"
	"cordon/console/route"
	"cordon/people"
	"cordon/ticket"
)

// TicketRequest asks for a ticket.
type TicketRequest struct {
	Kind        ticket.Kind `json:"kind"` // laptop, evaluation, vendor, remote
	Sponsor     string      `json:"sponsor"`
	Visitor     string      `json:"visitor,omitempty"`
	Purpose     string      `json:"purpose"`
	Address     string      `json:"address"` // of the visitor's machine
	MAC         string      `json:"mac,omitempty"`
	To          []string    `json:"to"` // DEVICE:PORT
	For         string      `json:"for"`
	Declaration Attached    `json:"declaration"`
	Report      Attached    `json:"report,omitzero"` // of cordon import or inspect
	By          string      `json:"by"`              // as asserted
	Reason      string      `json:"reason,omitempty"`
}

// Attached is a file; its bytes in base64.
type Attached struct {
	Name string `json:"name"`
	Text []byte `json:"text"`
}

// Asserted is the name that it is made under.
func (r *TicketRequest) Asserted() *string { return &r.By }

// maxTicket bounds a request: two documents in base64, and the rest.
const maxTicket = 2*ticket.MaxDocument*4/3 + 64<<10

func (r TicketRequest) request() (ticket.Request, error) {
	at, err := address(r.Address)
	if err != nil {
		return ticket.Request{}, err
	}
	d, err := lasts(r.For)
	if err != nil {
		return ticket.Request{}, err
	}
	return ticket.Request{
		Kind: r.Kind, Sponsor: r.Sponsor, Visitor: r.Visitor, Purpose: r.Purpose, Address: at, MAC: r.MAC, To: r.To, For: d, By: r.By, Reason: r.Reason,
		Declaration: ticket.File(r.Declaration), Report: ticket.File(r.Report),
	}, nil
}

// ticketRoutes are those of visitors and remote service.
func (p Parts) ticketRoutes() []route.Route {
	decide := func(name, summary string, may people.Permission, fresh bool, do func(context.Context, string, Decision) (ticket.Ticket, error)) route.Route {
		return route.Route{Method: "POST", Pattern: "/api/v1/tickets/{id}/" + name, May: may, Fresh: fresh, Handler: p.decide(do), Doc: route.Doc{
			Summary: summary, Request: Decision{}, Response: ticket.Ticket{}, Example: Decision{By: "A. Able", Reason: "not ready yet", For: "2h"}}}
	}
	return []route.Route{
		{Method: "GET", Pattern: "/api/v1/tickets", May: people.NetworkRead, Handler: p.tickets, Doc: route.Doc{
			Summary: "Visitors and remote service that are let in, the latest first", Response: ticket.Ticket{}, Lines: true,
			Query: []route.Param{{Name: "all", Summary: "also what has ended", Example: "true"}, {Name: "before", Summary: "go on below this number", Example: "100"}}}},
		{Method: "GET", Pattern: "/api/v1/tickets/{id}", May: people.NetworkRead, Handler: p.ticket, Doc: route.Doc{
			Summary: "One ticket", Response: ticket.Ticket{}}},
		{Method: "GET", Pattern: "/api/v1/tickets/{id}/documents/{what}", May: people.NetworkRead, Handler: p.document, Doc: route.Doc{
			Summary: "What came with a ticket: declaration or report", Media: "application/octet-stream"}},
		{Method: "POST", Pattern: "/api/v1/tickets", May: people.NetworkChange, Fresh: true, Handler: p.open, Doc: route.Doc{
			Summary: "Let a visitor or a remote service in, for a time", Request: TicketRequest{}, Response: ticket.Ticket{},
			Example: TicketRequest{Kind: ticket.Laptop, Sponsor: "A. Able", Purpose: "probe adjustment", Address: "10.9.0.5", To: []string{"us-3:104"}, For: "4h",
				Declaration: Attached{Name: "declaration.pdf", Text: []byte("…")}, Report: Attached{Name: "report.json", Text: []byte("…")}, By: "A. Able"}}},
		decide("approve", "Agree to a ticket, as the second person", people.NetworkChange, true, func(ctx context.Context, id string, d Decision) (ticket.Ticket, error) {
			return p.Tickets.Approve(ctx, id, d.request())
		}),
		decide("confirm", "Say that one is there, as the sponsor of a remote service", people.DeviceChange, false, func(ctx context.Context, id string, d Decision) (ticket.Ticket, error) {
			return p.Tickets.Confirm(ctx, id, d.By)
		}),
		decide("extend", "Make a ticket last so long from now, as its sponsor", people.DeviceChange, true, func(ctx context.Context, id string, d Decision) (ticket.Ticket, error) {
			span, err := lasts(d.For)
			if err != nil {
				return ticket.Ticket{}, err
			}
			return p.Tickets.Extend(ctx, id, span, d.request())
		}),
		decide("close", "End a ticket", people.DeviceChange, false, func(ctx context.Context, id string, d Decision) (ticket.Ticket, error) {
			return p.Tickets.Close(ctx, id, d.request())
		}),
	}
}

func (p Parts) tickets(w http.ResponseWriter, r *http.Request) {
	before, err := number(r.FormValue("before"))
	var all []ticket.Ticket
	if err == nil {
		all, err = p.Tickets.Tickets(r.Context(), r.FormValue("all") == "true", before)
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.List(w, all)
}

// number reads one, or 0.
func number(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%w: before %.20q is not a number", answer.ErrRequest, text)
	}
	return n, nil
}

func (p Parts) ticket(w http.ResponseWriter, r *http.Request) {
	t, err := p.Tickets.Ticket(r.Context(), r.PathValue("id"))
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, t)
}

// document gives out what came with a ticket. A browser saves it, and shows nothing
// of it: it came from outside.
func (p Parts) document(w http.ResponseWriter, r *http.Request) {
	d, text, err := p.Tickets.Document(r.Context(), r.PathValue("id"), r.PathValue("what"))
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", "attachment; filename=\"ticket-"+r.PathValue("id")+"-"+d.SHA256[:min(8, len(d.SHA256))]+".bin\"")
	w.Write(text)
}

func (p Parts) open(w http.ResponseWriter, r *http.Request) {
	var rq TicketRequest
	if err := answer.ReadUpTo(w, r, &rq, maxTicket); err != nil {
		answer.Refuse(w, err)
		return
	}
	asked, err := rq.request()
	var t ticket.Ticket
	if err == nil {
		t, err = p.Tickets.Open(r.Context(), asked)
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, t)
}

// decide answers one decision about a ticket.
func (p Parts) decide(do func(context.Context, string, Decision) (ticket.Ticket, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var rq Decision
		err := answer.Read(w, r, &rq)
		var t ticket.Ticket
		if err == nil {
			if rq.Reason == "" {
				rq.Reason = "asked for"
			}
			t, err = do(r.Context(), r.PathValue("id"), rq)
		}
		if err != nil {
			answer.Refuse(w, err)
			return
		}
		answer.JSON(w, t)
	}
}
