// Package alarms is where people see what they must look at, and say what they do
// about it: the Alarms pages, and the same over the interface.
//
// Ordinary use:
//
//	routes := alarms.Routes(alarms.Parts{Alarms: all, Notices: notices, View: view})
//
// It shows an alarm's text, which stays in this house; who is told outside, and
// what, is package notice's.
package alarms

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"cordon/alarm"
	"cordon/console/answer"
	"cordon/console/route"
	"cordon/console/view"
	"cordon/notice"
	"cordon/people"
)

// Parts are what the pages show and act on.
type Parts struct {
	Alarms  *alarm.Alarms
	Notices func() *notice.Notices // nil, or returns nil: nobody is told outside
	View    *view.View
}

// Request is what a person does about an alarm.
type Request struct {
	By   string `json:"by"`             // of whoever signed in; at the control socket, as asserted
	Note string `json:"note,omitempty"` // needed to close one
	To   string `json:"to,omitempty"`   // to assign one; "" takes it from whoever had it
	For  string `json:"for,omitempty"`  // to snooze one, such as 4h
}

// Asserted is the name that it is made under.
func (r *Request) Asserted() *string { return &r.By }

func (r Request) alarm() alarm.Request { return alarm.Request{By: r.By, Note: r.Note} }

// TestRequest says whom to send a test.
type TestRequest struct {
	Name string `json:"name,omitempty"` // of a recipient; "" means all
}

// Detail is one alarm, what it means, and what was done about it.
type Detail struct {
	alarm.Item
	Means string       `json:"means"`
	Do    string       `json:"do"`
	Steps []alarm.Step `json:"steps,omitempty"` // the latest first
}

// Routes are the pages and the interface.
func Routes(p Parts) []route.Route {
	acts := func(action, summary string, example Request) route.Route {
		return route.Route{Method: "POST", Pattern: "/api/v1/alarms/{id}/" + action, May: people.AlarmHandle, Handler: p.act(action), Doc: route.Doc{
			Summary: summary, Request: Request{}, Response: alarm.Item{}, Example: example}}
	}
	return append(p.pages(),
		route.Route{Method: "GET", Pattern: "/api/v1/alarms", May: people.AlarmRead, Handler: p.list, Doc: route.Doc{
			Summary: "What people must look at, the worst first", Response: alarm.Item{}, Lines: true,
			Query: []route.Param{
				{Name: "severity", Summary: "so bad or worse: info, warning, critical", Example: "warning"},
				{Name: "kind", Summary: "a kind, or what several begin with", Example: "archive"},
				{Name: "history", Summary: "true: instead, what is over, the latest first, a hundred at a time", Example: "true"},
				{Name: "before", Summary: "of history: only what was over before this alarm, by its number", Example: "100"},
			}}},
		route.Route{Method: "GET", Pattern: "/api/v1/alarms/{id}", May: people.AlarmRead, Handler: p.show, Doc: route.Doc{
			Summary: "One alarm, what to do, and what was done about it", Response: Detail{}}},
		acts("acknowledge", "Say that somebody looks at an alarm: nobody else is called", Request{Note: "the switch is being replaced"}),
		acts("assign", "Say who is to see to an alarm", Request{To: "B. Best"}),
		acts("snooze", "Have an alarm be quiet for a while; it comes back then, and at once if it becomes worse", Request{For: "4h", Note: "the archive is being moved"}),
		acts("close", "Say that an alarm is done which does not end by itself", Request{Note: "it was she, on a new keyboard"}),
		route.Route{Method: "GET", Pattern: "/api/v1/alarms/recipients", May: people.AlarmRead, Handler: p.recipients, Doc: route.Doc{
			Summary: "Who is told of alarms outside this machine, and whether that works", Response: notice.State{}, Lines: true}},
		route.Route{Method: "POST", Pattern: "/api/v1/alarms/test", May: people.AlarmHandle, Handler: p.test, Doc: route.Doc{
			Summary: "Send a test to one recipient, or to all, and say what became of it", Request: TestRequest{}, Response: notice.Result{}, Lines: true, Example: TestRequest{}}},
	)
}

// filter is what a query asks for.
func filter(r *http.Request) (f alarm.Filter, history bool, err error) {
	q := r.URL.Query()
	f.Kind = q.Get("kind")
	if text := q.Get("severity"); text != "" {
		if f.Severity, err = alarm.ParseSeverity(text); err != nil {
			return f, false, fmt.Errorf("%w: %w", answer.ErrRequest, err)
		}
	}
	if text := q.Get("before"); text != "" {
		if f.Before, err = strconv.ParseInt(text, 10, 64); err != nil {
			return f, false, fmt.Errorf("%w: before is the number of an alarm", answer.ErrRequest)
		}
	}
	return f, q.Get("history") == "true", nil
}

func (p Parts) list(w http.ResponseWriter, r *http.Request) {
	f, history, err := filter(r)
	var all []alarm.Item
	switch {
	case err != nil:
	case history:
		all, err = p.Alarms.History(r.Context(), f)
	default:
		all = p.Alarms.List(f)
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.List(w, all)
}

// idOf is the number of the alarm that a route is about.
func idOf(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %.80q is not the number of an alarm (cordon alarm list)", answer.ErrRequest, r.PathValue("id"))
	}
	return id, nil
}

func (p Parts) detail(r *http.Request) (Detail, error) {
	id, err := idOf(r)
	if err != nil {
		return Detail{}, err
	}
	one, steps, err := p.Alarms.Get(r.Context(), id)
	kind, _ := alarm.Lookup(one.Kind)
	return Detail{one, kind.Means, kind.Do, steps}, err
}

func (p Parts) show(w http.ResponseWriter, r *http.Request) {
	d, err := p.detail(r)
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, d)
}

func (p Parts) act(action string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var rq Request
		id, err := idOf(r)
		if err == nil {
			err = answer.Read(w, r, &rq)
		}
		var one alarm.Item
		if err == nil {
			one, err = p.do(r.Context(), action, id, rq)
		}
		if err != nil {
			answer.Refuse(w, err)
			return
		}
		answer.JSON(w, one)
	}
}

// do does what a person asks for.
func (p Parts) do(ctx context.Context, action string, id int64, rq Request) (alarm.Item, error) {
	switch action {
	case "acknowledge":
		return p.Alarms.Acknowledge(ctx, id, rq.alarm())
	case "assign":
		return p.Alarms.Assign(ctx, id, rq.To, rq.alarm())
	case "snooze":
		d, err := time.ParseDuration(rq.For)
		if err != nil || d > alarm.MaxSnooze {
			return alarm.Item{}, fmt.Errorf("%w: for how long? a time such as 4h, of 31 days at the most", answer.ErrRequest)
		}
		return p.Alarms.Snooze(ctx, id, time.Now().Add(d), rq.alarm())
	}
	return p.Alarms.Close(ctx, id, rq.alarm())
}

// notices are nil where nobody is told outside.
func (p Parts) notices() *notice.Notices {
	if p.Notices == nil {
		return nil
	}
	return p.Notices()
}

func (p Parts) recipients(w http.ResponseWriter, r *http.Request) {
	var all []notice.State
	var err error
	if n := p.notices(); n != nil {
		all, err = n.States(r.Context())
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.List(w, all)
}

func (p Parts) test(w http.ResponseWriter, r *http.Request) {
	var rq TestRequest
	err := answer.Read(w, r, &rq)
	var results []notice.Result
	if n := p.notices(); err == nil && n != nil {
		results, err = n.Test(r.Context(), rq.Name)
	} else if err == nil && rq.Name != "" {
		err = fmt.Errorf("%w: %.80q: no Cordon runs, or nobody is named in alarms.notify", notice.ErrUnknown, rq.Name)
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.List(w, results)
}
