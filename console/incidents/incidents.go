// Package incidents is the console's view of incidents: the list, each one's story,
// and what people add to it.
//
//	all = append(all, incidents.Routes(incidents.Parts{Incidents: i, View: v})...)
//
// It names no patient: studies by their UIDs.
package incidents

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"cordon/console/answer"
	"cordon/console/route"
	"cordon/console/view"
	"cordon/custody"
	"cordon/incident"
	"cordon/people"
)

// Parts are what the routes work on.
type Parts struct {
	Incidents *incident.Incidents
	View      *view.View
}

// Request is what a person says about an incident.
type Request struct {
	By     string `json:"by,omitempty"`
	Reason string `json:"reason"`           // or the note
	Device string `json:"device,omitempty"` // that an incident is opened for
	Whom   string `json:"whom,omitempty"`   // was told
	How    string `json:"how,omitempty"`
	Vendor string `json:"vendor,omitempty"` // that promised
	What   string `json:"what,omitempty"`
	Due    string `json:"due,omitempty"` // 2006-01-02
}

// Asserted is the name at the control socket.
func (r *Request) Asserted() *string { return &r.By }

func (r Request) custody() custody.Request { return custody.Request{By: r.By, Reason: r.Reason} }

// Done is the answer to what a person said: the ledger has it, and the story will
// within a moment.
type Done struct {
	Done bool `json:"done"`
}

// Routes are the routes of incidents.
func Routes(p Parts) []route.Route {
	const one = "/api/v1/incidents/{id}"
	said := func(path, summary string, example Request, say func(r *http.Request, id int64, rq Request) error) route.Route {
		return route.Route{
			Method: "POST", Pattern: one + path, May: people.DeviceChange, Handler: p.say(say),
			Doc: route.Doc{Summary: summary, Request: Request{}, Response: Done{}, Example: example},
		}
	}
	return append(p.routes(), []route.Route{
		{Method: "GET", Pattern: "/api/v1/incidents", May: people.NetworkRead, Handler: p.list, Doc: route.Doc{
			Summary: "List incidents, the latest first", Response: incident.Incident{}, Lines: true,
			Query: []route.Param{{Name: "open", Summary: "only those that nobody has closed", Example: "true"}, {Name: "device", Summary: "only of this device", Example: "us-1"}, {Name: "before", Summary: "only lower numbers", Example: "100"}},
		}},
		{Method: "POST", Pattern: "/api/v1/incidents", May: people.DeviceChange, Handler: p.begin, Doc: route.Doc{
			Summary: "Open an incident of a device", Request: Request{}, Response: Done{}, Example: Request{Device: "us-1", Reason: "shows windows that nobody opened"},
		}},
		{Method: "GET", Pattern: one, May: people.NetworkRead, Handler: p.show, Doc: route.Doc{
			Summary: "An incident's story: what happened, who was told, what was imaged meanwhile", Response: incident.Story{},
		}},
		said("/told", "Write down that somebody was told", Request{Whom: "Acme service", How: "telephone", Reason: "asked for a tested patch"}, p.told),
		said("/promise", "Write down when a vendor says that the device will be in order", Request{Vendor: "Acme", What: "a tested patch", Due: "2030-01-31", Reason: "ticket 4711"}, p.promise),
		said("/note", "Write a note into the story", Request{Reason: "disk taken out and sealed"}, p.note),
		said("/close", "Close an incident", Request{Reason: "patched, scanned and restored"}, p.close),
		{Method: "POST", Pattern: one + "/export", May: people.LedgerRead, Handler: p.export, Doc: route.Doc{
			Summary: "An incident's story with proofs that anyone can verify", Request: Request{}, Media: "application/zip", Example: Request{Reason: "for the regulator"},
		}},
	}...)
}

func (p Parts) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	f := incident.Filter{Open: q.Get("open") == "true", Device: q.Get("device")}
	if before := q.Get("before"); before != "" {
		n, err := strconv.ParseInt(before, 10, 64)
		if err != nil {
			answer.Refuse(w, fmt.Errorf("%w: before is the number of an incident", answer.ErrRequest))
			return
		}
		f.Before = n
	}
	all, err := p.Incidents.List(r.Context(), f)
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.List(w, all)
}

func (p Parts) begin(w http.ResponseWriter, r *http.Request) {
	var rq Request
	err := answer.Read(w, r, &rq)
	if err == nil {
		err = p.Incidents.Begin(r.Context(), rq.Device, rq.custody())
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, Done{true})
}

// idOf is the incident that a path names.
func idOf(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id < 1 {
		return 0, fmt.Errorf("%w: %.40q is not the number of an incident", incident.ErrNotFound, r.PathValue("id"))
	}
	return id, nil
}

func (p Parts) show(w http.ResponseWriter, r *http.Request) {
	id, err := idOf(r)
	var story incident.Story
	if err == nil {
		story, err = p.Incidents.Show(r.Context(), id)
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, story)
}

// say answers with what a person says about an incident.
func (p Parts) say(say func(r *http.Request, id int64, rq Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var rq Request
		err := answer.Read(w, r, &rq)
		if err == nil {
			err = p.said(r, rq, say)
		}
		if err != nil {
			answer.Refuse(w, err)
			return
		}
		answer.JSON(w, Done{true})
	}
}

func (p Parts) said(r *http.Request, rq Request, say func(r *http.Request, id int64, rq Request) error) error {
	id, err := idOf(r)
	if err != nil {
		return err
	}
	return say(r, id, rq)
}

func (p Parts) told(r *http.Request, id int64, rq Request) error {
	return p.Incidents.Told(r.Context(), id, incident.Telling{Whom: rq.Whom, How: rq.How}, rq.custody())
}

func (p Parts) note(r *http.Request, id int64, rq Request) error {
	return p.Incidents.Note(r.Context(), id, rq.custody())
}

func (p Parts) close(r *http.Request, id int64, rq Request) error {
	return p.Incidents.Close(r.Context(), id, rq.custody())
}

func (p Parts) promise(r *http.Request, id int64, rq Request) error {
	due, err := time.ParseInLocation(time.DateOnly, rq.Due, time.Local)
	if err != nil {
		return fmt.Errorf("%w: due %.40q: expected a day such as 2030-01-31", answer.ErrRequest, rq.Due)
	}
	end := due.AddDate(0, 0, 1).Add(-time.Second) // the whole day
	return p.Incidents.Promise(r.Context(), id, incident.Promised{Vendor: rq.Vendor, What: rq.What, Due: end}, rq.custody())
}

func (p Parts) export(w http.ResponseWriter, r *http.Request) {
	var rq Request
	err := answer.Read(w, r, &rq)
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	p.write(w, r, rq)
}

// write hands a story out.
func (p Parts) write(w http.ResponseWriter, r *http.Request, rq Request) {
	id, err := idOf(r)
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="incident-%d.zip"`, id))
	out := answer.NewStream(w)
	out.End(p.Incidents.Export(r.Context(), id, out, rq.custody()))
}
