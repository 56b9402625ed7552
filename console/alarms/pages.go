package alarms

import (
	"embed"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"cordon/alarm"
	"cordon/console/route"
	"cordon/console/view"
	"cordon/notice"
	"cordon/people"
)

//go:embed list.html show.html
var files embed.FS

// pageSize is how many alarms one page shows.
const pageSize = 100

// screens are the pages that a browser is shown.
type screens struct {
	Parts
	all, one *view.Page
}

func (p Parts) pages() []route.Route {
	if p.View == nil {
		return nil
	}
	s := screens{p, p.View.Page(files, "list.html"), p.View.Page(files, "show.html")}
	all := []route.Route{
		{Method: "GET", Pattern: "/alarms", May: people.AlarmRead, Handler: s.list},
		{Method: "GET", Pattern: "/alarms/{id}", May: people.AlarmRead, Handler: s.show},
		{Method: "POST", Pattern: "/alarms/recipients/test", May: people.AlarmHandle, Handler: s.test},
	}
	for _, a := range []struct{ does, said string }{
		{"acknowledge", "alarms.said_acknowledged"}, {"assign", "alarms.said_assigned"}, {"snooze", "alarms.said_snoozed"}, {"close", "alarms.said_closed"},
	} {
		all = append(all, route.Route{Method: "POST", Pattern: "/alarms/{id}/" + a.does, May: people.AlarmHandle, Handler: s.act(a.does, a.said)})
	}
	return all
}

// listed is what the list shows.
type listed struct {
	History    bool
	Severity   string
	Kind       string
	Counts     alarm.Counts
	Rows       []row
	More       int    // open ones that do not fit
	Older      string // address of the next page of history
	Recipients []notice.State
	Results    []notice.Result
	Wrong      string
}

// row is one alarm of the list.
type row struct {
	alarm.Item
	Means string
}

// Class is how a row is marked.
func (r row) Class() string { return class(r.Item) }

// StateKey is how far people are with it: a key of the texts.
func (r row) StateKey(now time.Time) string { return stateKey(r.Item, now) }

// SeverityKey is how bad it is: a key of the texts.
func (r row) SeverityKey() string { return severityKey(r.Severity) }

// class is the mark of an alarm's severity.
func class(i alarm.Item) string {
	switch {
	case i.Over():
		return "off"
	case i.Severity == alarm.Critical:
		return "bad"
	case i.Severity == alarm.Warning:
		return "look"
	}
	return "info"
}

// stateKey and severityKey are the texts that say it.
func stateKey(i alarm.Item, now time.Time) string {
	if i.Snoozed(now) {
		return "alarms.snoozed"
	}
	return map[alarm.State]string{
		alarm.Unseen: "alarms.open", alarm.Acknowledged: "alarms.acknowledged", alarm.Ended: "alarms.ended", alarm.Closed: "alarms.closed",
	}[i.State]
}

func severityKey(s alarm.Severity) string {
	return map[alarm.Severity]string{alarm.Info: "alarms.is_info", alarm.Warning: "alarms.is_warning", alarm.Critical: "alarms.is_critical"}[s]
}

func (s screens) list(w http.ResponseWriter, r *http.Request) {
	d, err := s.listed(r)
	if err != nil {
		s.View.Refuse(w, r, err)
		return
	}
	s.all.Show(w, r, d)
}

func (s screens) listed(r *http.Request) (listed, error) {
	f, history, err := filter(r)
	d := listed{History: history, Kind: f.Kind, Counts: s.Alarms.Counts()}
	if f.Severity != 0 {
		d.Severity = f.Severity.String()
	}
	var all []alarm.Item
	switch {
	case err != nil:
		return d, err
	case history:
		f.Limit = pageSize + 1
		all, err = s.Alarms.History(r.Context(), f)
		if len(all) > pageSize {
			all = all[:pageSize]
			q := url.Values{"history": {"true"}, "kind": {f.Kind}, "severity": {d.Severity}, "before": {strconv.FormatInt(all[pageSize-1].ID, 10)}}
			d.Older = "/alarms?" + q.Encode()
		}
	default:
		all = s.Alarms.List(f)
		if d.More = len(all) - pageSize; d.More > 0 {
			all = all[:pageSize]
		}
	}
	for _, i := range all {
		kind, _ := alarm.Lookup(i.Kind)
		d.Rows = append(d.Rows, row{i, kind.Means})
	}
	if n := s.notices(); err == nil && n != nil {
		d.Recipients, err = n.States(r.Context())
	}
	return d, err
}

// test sends a test, and shows what became of it above the list.
func (s screens) test(w http.ResponseWriter, r *http.Request) {
	d, err := s.listed(r)
	if n := s.notices(); err == nil && n != nil {
		d.Results, err = n.Test(r.Context(), r.PostFormValue("name"))
	}
	if err != nil {
		s.View.Refuse(w, r, err)
		return
	}
	s.all.Show(w, r, d)
}

// shown is what one alarm's page shows.
type shown struct {
	Detail
	Request
	Wrong string
	Now   time.Time
}

// Class is how it is marked.
func (s shown) Class() string { return class(s.Item) }

// StateKey is how far people are with it: a key of the texts.
func (s shown) StateKey() string { return stateKey(s.Item, s.Now) }

// SeverityKey is how bad it is: a key of the texts.
func (s shown) SeverityKey() string { return severityKey(s.Severity) }

func (s screens) show(w http.ResponseWriter, r *http.Request) {
	d, err := s.detail(r)
	if err != nil {
		s.View.Refuse(w, r, err)
		return
	}
	s.one.Show(w, r, shown{Detail: d, Now: time.Now()})
}

// act takes a form about an alarm. What is wrong with it is said beside what was
// typed.
func (s screens) act(action, said string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		rq := Request{Note: r.PostFormValue("note"), To: r.PostFormValue("to"), For: r.PostFormValue("for")}
		id, err := idOf(r)
		if err == nil {
			rq.By, err = people.From(r.Context()).By("")
		}
		if err == nil {
			_, err = s.do(r.Context(), action, id, rq)
		}
		if err == nil {
			s.View.Back(w, r, "/alarms", said)
			return
		}
		d, failed := s.detail(r)
		if failed != nil {
			s.View.Refuse(w, r, failed)
			return
		}
		s.one.Again(w, r, err, shown{Detail: d, Request: rq, Wrong: err.Error(), Now: time.Now()})
	}
}
