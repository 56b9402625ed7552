package settings

import (
	"embed"
	"errors"
	"fmt"
	"net/http"
	"time"

	"cordon/console/answer"
	"cordon/console/route"
	"cordon/console/view"
	"cordon/custody"
	"cordon/finding"
	"cordon/people"
	"cordon/setting"
)

//go:embed *.html
var files embed.FS

// pages are the pages of settings.
type pages struct {
	Parts
	list, preview *view.Page
}

// pageRoutes are the routes of the pages. A preview has an address of its own, so
// that it can be looked at again until it is applied.
func pageRoutes(p Parts) []route.Route {
	s := pages{p, p.View.Page(files, "settings.html"), p.View.Page(files, "preview.html")}
	return []route.Route{
		{Method: "GET", Pattern: "/settings", May: people.SettingsRead, Handler: s.show},
		{Method: "POST", Pattern: "/settings/preview", May: people.SettingsChange, Handler: s.make},
		{Method: "GET", Pattern: "/settings/preview/{digest}", May: people.SettingsRead, Handler: s.showPreview},
		{Method: "POST", Pattern: "/settings/apply", May: people.SettingsChange, Fresh: true, Handler: s.apply},
		{Method: "POST", Pattern: "/settings/changes/{id}/revert", May: people.SettingsChange, Fresh: true, Handler: s.act("settings.undone")},
		{Method: "POST", Pattern: "/settings/changes/{id}/withdraw", May: people.SettingsChange, Fresh: true, Handler: s.act("settings.withdrawn")},
	}
}

// list is what the page of settings shows.
type list struct {
	Settings []setting.Setting
	Acts     []act
	Waiting  []act // for a second person
	Config   Config
	Wrong    string
}

// act is a change with what may still be done about it.
type act struct {
	setting.Act
	Undoable bool
	Expired  bool
}

func (s pages) show(w http.ResponseWriter, r *http.Request) {
	d, err := s.listed(r)
	if err != nil {
		s.View.Refuse(w, r, err)
		return
	}
	s.list.Show(w, r, d)
}

func (s pages) listed(r *http.Request) (d list, err error) {
	if d.Settings, err = s.Settings.List(r.Context()); err != nil {
		return d, err
	}
	d.Config = s.Config
	all, err := s.Settings.History(r.Context(), shownActs)
	in := map[string]int64{} // the change that set each key last
	for _, one := range d.Settings {
		in[one.Key] = one.Change
	}
	for _, a := range all {
		one := act{Act: a, Undoable: a.State == setting.Applied, Expired: a.Expired(time.Now())}
		for _, c := range a.Changes {
			one.Undoable = one.Undoable && in[c.Key] == a.ID
		}
		if a.State == setting.Waiting && !one.Expired {
			d.Waiting = append(d.Waiting, one)
		}
		d.Acts = append(d.Acts, one)
	}
	return d, err
}

// wrong shows the list again, and what was wrong above it.
func (s pages) wrong(w http.ResponseWriter, r *http.Request, why error) {
	d, err := s.listed(r)
	if err != nil {
		s.View.Refuse(w, r, err)
		return
	}
	d.Wrong = why.Error()
	s.list.Again(w, r, why, d)
}

// make makes a preview of all that a form has otherwise than it is.
func (s pages) make(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, answer.MaxRequest)
	if err := r.ParseForm(); err != nil {
		s.View.Refuse(w, r, fmt.Errorf("%w: %w", answer.ErrRequest, err))
		return
	}
	all, err := s.Settings.List(r.Context())
	if err != nil {
		s.View.Refuse(w, r, err)
		return
	}
	var changes []setting.Change
	for _, one := range all {
		now := r.PostForm.Get(one.Key)
		if now != "" && now != one.Value && one.Source != setting.Declared {
			changes = append(changes, setting.Change{Key: one.Key, Now: now})
		}
	}
	if len(changes) == 0 {
		s.wrong(w, r, fmt.Errorf("%w: nothing would be different from what is set now: choose another value first", custody.ErrRequest))
		return
	}
	p, err := s.Settings.Preview(r.Context(), changes)
	if err != nil {
		s.wrong(w, r, err)
		return
	}
	http.Redirect(w, r, "/settings/preview/"+p.Digest, http.StatusSeeOther)
}

// shown is what the page of a preview shows.
type shown struct {
	setting.Preview
	Kinds     map[string]setting.Kind
	Objects   int64
	Otherwise int64
	Devices   int
	Reason    string // that was typed
	Wrong     string
	Stale     string // why the one before does not hold any more
	Mine      bool   // who looks has asked for it already
}

func (s pages) shown(r *http.Request, p setting.Preview) shown {
	d := shown{Preview: p, Kinds: map[string]setting.Kind{}, Objects: p.Objects, Otherwise: p.More}
	for _, k := range setting.Kinds() {
		d.Kinds[k.Key] = k
	}
	devices := map[string]bool{}
	for _, row := range p.Rows {
		d.Otherwise += row.Objects
		devices[row.Device] = true
	}
	d.Devices = len(devices)
	d.Mine = p.Asked != "" && custody.FoldName(p.Asked) == custody.FoldName(people.From(r.Context()).Name)
	return d
}

// Word is what a verdict means for an object.
func (shown) Word(v finding.Verdict) string {
	return map[finding.Verdict]string{finding.Admit: "settings.delivered", finding.Hold: "settings.held", finding.Refuse: "settings.refused"}[v]
}

func (s pages) showPreview(w http.ResponseWriter, r *http.Request) {
	p, ok := s.Settings.Remembered(r.PathValue("digest"))
	if !ok {
		s.View.Say(w, r, http.StatusNotFound, s.View.Text("settings.no_preview"))
		return
	}
	s.preview.Show(w, r, s.shown(r, p))
}

// apply applies a preview. If it does not hold any more the answer is another.
func (s pages) apply(w http.ResponseWriter, r *http.Request) {
	by, err := people.From(r.Context()).By("")
	if err != nil {
		s.View.Refuse(w, r, err)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, answer.MaxRequest)
	digest, reason := r.PostFormValue("digest"), r.PostFormValue("reason")
	p, ok := s.Settings.Remembered(digest)
	if !ok {
		s.View.Say(w, r, http.StatusConflict, s.View.Text("settings.no_preview"))
		return
	}
	a, err := s.Settings.Apply(r.Context(), digest, custody.Request{By: by, Reason: reason})
	var stale *setting.Stale
	switch {
	case errors.As(err, &stale):
		d := s.shown(r, stale.Now)
		d.Reason, d.Stale = reason, stale.Why
		s.preview.Again(w, r, err, d)
	case err != nil:
		d := s.shown(r, p)
		d.Reason, d.Wrong = reason, err.Error()
		s.preview.Again(w, r, err, d)
	case a.State == setting.Waiting:
		s.View.Back(w, r, "/settings", "settings.asked")
	default:
		s.View.Back(w, r, "/settings", "settings.applied")
	}
}

// act undoes or withdraws a change, and says so.
func (s pages) act(said string) http.HandlerFunc {
	do := s.Settings.Revert
	if said == "settings.withdrawn" {
		do = s.Settings.Withdraw
	}
	return func(w http.ResponseWriter, r *http.Request) {
		by, err := people.From(r.Context()).By("")
		id := int64(0)
		if err == nil {
			id, err = number(r)
		}
		var a setting.Act
		if err == nil {
			r.Body = http.MaxBytesReader(w, r.Body, answer.MaxRequest)
			a, err = do(r.Context(), id, custody.Request{By: by, Reason: r.PostFormValue("reason")})
		}
		switch {
		case err != nil:
			s.wrong(w, r, err)
		case a.State == setting.Waiting:
			s.View.Back(w, r, "/settings", "settings.asked")
		default:
			s.View.Back(w, r, "/settings", said)
		}
	}
}
