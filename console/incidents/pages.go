package incidents

import (
	"embed"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"cordon/console/route"
	"cordon/console/view"
	"cordon/incident"
	"cordon/people"
)

//go:embed list.html show.html
var files embed.FS

// pages are those that a browser is shown.
type pages struct {
	Parts
	all, one *view.Page
}

// routes are the pages of incidents.
func (p Parts) routes() []route.Route {
	s := pages{p, p.View.Page(files, "list.html"), p.View.Page(files, "show.html")}
	form := func(path, done string, say func(r *http.Request, id int64, rq Request) error) route.Route {
		return route.Route{Method: "POST", Pattern: "/incidents/{id}" + path, May: people.DeviceChange, Handler: s.say(done, say)}
	}
	return []route.Route{
		{Method: "GET", Pattern: "/incidents", May: people.NetworkRead, Handler: s.list},
		{Method: "POST", Pattern: "/incidents", May: people.DeviceChange, Handler: s.begin},
		{Method: "GET", Pattern: "/incidents/{id}", May: people.NetworkRead, Handler: s.show},
		form("/told", "incidents.said_told", p.told),
		form("/promise", "incidents.said_promise", p.promise),
		form("/note", "incidents.said_note", p.note),
		form("/close", "incidents.said_closed", p.close),
		{Method: "POST", Pattern: "/incidents/{id}/export", May: people.LedgerRead, Handler: s.export},
	}
}

// listed is what the list shows.
type listed struct {
	All    []incident.Incident
	Open   bool
	Before int64 // of the next page; 0: there is none
	Device string
	Reason string
	Wrong  string
	Now    time.Time
}

const listPage = 50

func (s pages) list(w http.ResponseWriter, r *http.Request) {
	d, err := s.listed(r)
	if err != nil {
		s.View.Refuse(w, r, err)
		return
	}
	s.all.Show(w, r, d)
}

func (s pages) listed(r *http.Request) (listed, error) {
	q := r.URL.Query()
	d := listed{Open: q.Get("open") == "true", Device: q.Get("device"), Now: time.Now()}
	before, _ := strconv.ParseInt(q.Get("before"), 10, 64) // what is no number is the first page
	var err error
	d.All, err = s.Incidents.List(r.Context(), incident.Filter{Open: d.Open, Before: before, Limit: listPage + 1})
	if len(d.All) > listPage {
		d.All = d.All[:listPage]
		d.Before = d.All[listPage-1].ID
	}
	return d, err
}

// requestOf is what a form says.
func requestOf(r *http.Request) (Request, error) {
	v := func(name string) string { return r.PostFormValue(name) }
	rq := Request{Reason: v("reason"), Device: v("device"), Whom: v("whom"), How: v("how"), Vendor: v("vendor"), What: v("what"), Due: v("due")}
	var err error
	rq.By, err = people.From(r.Context()).By("")
	return rq, err
}

func (s pages) begin(w http.ResponseWriter, r *http.Request) {
	rq, err := requestOf(r)
	if err == nil {
		err = s.Incidents.Begin(r.Context(), rq.Device, rq.custody())
	}
	if err == nil {
		s.View.Back(w, r, "/incidents", "incidents.said_opened")
		return
	}
	d, failed := s.listed(r)
	if failed != nil {
		s.View.Refuse(w, r, failed)
		return
	}
	d.Device, d.Reason, d.Wrong = rq.Device, rq.Reason, err.Error()
	s.all.Again(w, r, err, d)
}

// shown is what one incident's page shows.
type shown struct {
	incident.Story
	Request
	Wrong string
	Now   time.Time
}

// Device is whose incident it is: forms of this page name none.
func (s shown) Device() string { return s.Story.Device }

// Late reports whether the vendor is.
func (s shown) Late() bool { return s.Story.Late(s.Now) }

// Unanswered reports whether nobody has promised anything in time.
func (s shown) Unanswered() bool { return s.Story.Unanswered(s.Now) }

// ContainedFor is how long the device is, or was.
func (s shown) ContainedFor() string {
	if s.Contained.IsZero() {
		return ""
	}
	end := s.Now
	if !s.Restored.IsZero() {
		end = s.Restored
	}
	return view.Span(end.Sub(s.Contained))
}

// Reaction is the time from the first sign to containment.
func (s shown) Reaction() string {
	if s.Contained.IsZero() {
		return ""
	}
	took := s.Contained.Sub(s.First)
	if took < time.Minute {
		return took.Round(time.Millisecond).String()
	}
	return took.Round(time.Second).String()
}

func (s pages) show(w http.ResponseWriter, r *http.Request) {
	d, err := s.shown(r)
	if err != nil {
		s.View.Refuse(w, r, err)
		return
	}
	s.one.Show(w, r, d)
}

func (s pages) shown(r *http.Request) (shown, error) {
	id, err := idOf(r)
	if err != nil {
		return shown{}, err
	}
	story, err := s.Incidents.Show(r.Context(), id)
	return shown{Story: story, Now: time.Now()}, err
}

// say takes a form about an incident. What is wrong with it is said beside what was
// typed.
func (s pages) say(done string, say func(r *http.Request, id int64, rq Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		rq, err := requestOf(r)
		if err == nil {
			err = s.said(r, rq, say)
		}
		if err == nil {
			s.View.Back(w, r, fmt.Sprintf("/incidents/%s", r.PathValue("id")), done)
			return
		}
		d, failed := s.shown(r)
		if failed != nil {
			s.View.Refuse(w, r, failed)
			return
		}
		d.Request, d.Wrong = rq, err.Error()
		s.one.Again(w, r, err, d)
	}
}

func (s pages) export(w http.ResponseWriter, r *http.Request) {
	rq, err := requestOf(r)
	if err != nil {
		s.View.Refuse(w, r, err)
		return
	}
	if rq.Reason == "" {
		rq.Reason = s.View.Text("incidents.export_reason")
	}
	s.write(w, r, rq)
}
