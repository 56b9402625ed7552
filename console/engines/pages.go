package engines

import (
	"embed"
	"net/http"
	"time"

	"cordon/console/answer"
	"cordon/console/route"
	"cordon/console/view"
	"cordon/people"
)

//go:embed engines.html
var files embed.FS

// pages is the page of the engines.
type pages struct {
	Parts
	list *view.Page
}

func pageRoutes(p Parts) []route.Route {
	s := pages{p, p.View.Page(files, "engines.html")}
	return []route.Route{
		{Method: "GET", Pattern: "/engines", May: people.EngineRead, Handler: s.show},
		{Method: "POST", Pattern: "/engines/recalls/{id}/done", May: people.OperateChange, Fresh: true, Handler: s.recalled},
	}
}

// shown is what the page shows.
type shown struct {
	Health
	Recalls []Recall
	More    int // recalls that are not shown
	Down    int // engines
	Old     int
	Wrong   string
}

// shownRecalls is how many objects to recall a page has.
const shownRecalls = 100

func (s pages) show(w http.ResponseWriter, r *http.Request) {
	d, err := s.shown(r)
	if err != nil {
		s.View.Refuse(w, r, err)
		return
	}
	s.list.Show(w, r, d)
}

func (s pages) shown(r *http.Request) (d shown, err error) {
	if d.Health, err = s.health(r.Context(), time.Now()); err != nil {
		return d, err
	}
	for _, e := range d.Engines {
		if !e.Up {
			d.Down++
		}
		if e.Old {
			d.Old++
		}
	}
	if d.Recalls, err = s.Recalls(r.Context()); err != nil {
		return d, err
	}
	if n := len(d.Recalls); n > shownRecalls {
		d.Recalls, d.More = d.Recalls[:shownRecalls], n-shownRecalls
	}
	return d, nil
}

// recalled records that a person has seen to a late hit.
func (s pages) recalled(w http.ResponseWriter, r *http.Request) {
	by, err := people.From(r.Context()).By("")
	if err == nil {
		r.Body = http.MaxBytesReader(w, r.Body, answer.MaxRequest)
		err = s.Recalled(r.Context(), r.PathValue("id"), by, r.PostFormValue("reason"))
	}
	if err == nil {
		s.View.Back(w, r, "/engines", "engines.recalled")
		return
	}
	d, err2 := s.shown(r)
	if err2 != nil {
		s.View.Refuse(w, r, err2)
		return
	}
	d.Wrong = err.Error()
	s.list.Again(w, r, err, d)
}

// Percent is a share in whole percent, rounded down: 99.9 % is not 100.
func (Health) Percent(share float64) int { return int(100 * share) }

// Five is a share in steps of five percent, for the width of a bar.
func (Health) Five(share float64) int { return int(100*share) / 5 * 5 }

// Long is a number of hours in their largest unit.
func (Health) Long(hours float64) string { return view.Span(time.Duration(hours * float64(time.Hour))) }

// Days is a number of hours in days.
func (Health) Days(hours float64) int { return int(hours / 24) }
