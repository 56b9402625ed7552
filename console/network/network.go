// Package network is the console's part about the network: visitors and remote
// service, the firewall plan, transparent mode.
//
// Ordinary use:
//
//	routes := network.Routes(network.Parts{Tickets: desk, Plan: book, Transparent: mode})
//
// It will not decide anything itself: ticket, plan and transparent do.
package network

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"cordon/console/answer"
	"cordon/console/route"
	"cordon/console/view"
	"cordon/console/watch"
	"cordon/custody"
	"cordon/people"
	"cordon/plan"
	"cordon/ticket"
	"cordon/transparent"
)

// Parts are what the routes show and act on.
type Parts struct {
	Tickets     *ticket.Desk
	Plan        *plan.Book
	Transparent *transparent.Mode
	View        *view.View

	Watch   func(context.Context) (watch.Network, error) // who watches the network
	Sensors func() []watch.Sensor                        // and with what
}

// Routes are those of the network.
func Routes(p Parts) []route.Route {
	all := append(p.pageRoutes(), p.ticketRoutes()...)
	all = append(all, p.planRoutes()...)
	return append(all, p.transparentRoutes()...)
}

// Decision is what somebody decides, and why.
type Decision struct {
	By     string `json:"by"` // as asserted
	Reason string `json:"reason"`
	For    string `json:"for,omitempty"` // such as 2h; to extend a ticket
}

// Asserted is the name that it is made under.
func (r *Decision) Asserted() *string { return &r.By }

func (r Decision) request() custody.Request { return custody.Request{By: r.By, Reason: r.Reason} }

var decision = Decision{By: "A. Able", Reason: "the engineer has left"}

// transparentRoutes are those of transparent mode.
func (p Parts) transparentRoutes() []route.Route {
	return []route.Route{
		{Method: "GET", Pattern: "/api/v1/transparent", May: people.NetworkRead, Handler: p.transparent, Doc: route.Doc{
			Summary: "Whether connections to archives are led here on their way", Response: transparent.State{}}},
		{Method: "POST", Pattern: "/api/v1/transparent/on", May: people.NetworkChange, Fresh: true, Handler: p.turn((*transparent.Mode).On), Doc: route.Doc{
			Summary: "Lead connections to archives here on their way", Request: Decision{}, Response: transparent.State{}, Example: decision}},
		{Method: "POST", Pattern: "/api/v1/transparent/off", May: people.NetworkChange, Asserted: true, Handler: p.turn((*transparent.Mode).Off), Doc: route.Doc{
			Summary: "Undo that", Request: Decision{}, Response: transparent.State{}, Example: decision}},
	}
}

func (p Parts) transparent(w http.ResponseWriter, r *http.Request) {
	answer.JSON(w, p.Transparent.State())
}

func (p Parts) turn(do func(*transparent.Mode, context.Context, custody.Request) (transparent.State, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var rq Decision
		err := answer.Read(w, r, &rq)
		var s transparent.State
		if err == nil {
			s, err = do(p.Transparent, r.Context(), rq.request())
		}
		if err != nil {
			answer.Refuse(w, err)
			return
		}
		answer.JSON(w, s)
	}
}

// lasts reads a time such as 4h.
func lasts(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%w: for how long? %.20q is not a time such as 30m or 4h", answer.ErrRequest, text)
	}
	return d, nil
}

// address reads one, or none.
func address(text string) (netip.Addr, error) {
	if text == "" {
		return netip.Addr{}, nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return a, fmt.Errorf("%w: %.60q is not an address", answer.ErrRequest, text)
	}
	return a, nil
}
