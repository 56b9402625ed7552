package containment

import (
	"embed"
	"net/http"
	"net/url"
	"time"

	"cordon/console/route"
	"cordon/console/view"
	"cordon/contain"
	"cordon/firewall"
	"cordon/people"
)

//go:embed list.html device.html
var files embed.FS

// pages are those that a browser is shown.
type pages struct {
	Parts
	all, one *view.Page
}

func (p Parts) pages() []route.Route {
	if p.View == nil {
		return nil
	}
	s := pages{p, p.View.Page(files, "list.html"), p.View.Page(files, "device.html")}
	form := func(path, done string, do func(r *http.Request, rq Request) error) route.Route {
		return route.Route{Method: "POST", Pattern: "/devices/{name}/" + path, May: people.Contain, Fresh: true, Handler: s.form(done, do)}
	}
	return []route.Route{
		{Method: "GET", Pattern: "/contained", May: people.NetworkRead, Handler: s.list},
		{Method: "GET", Pattern: "/devices/{name}/contain", May: people.NetworkRead, Handler: s.device},
		form("contain", "containment.said_contained", func(r *http.Request, rq Request) error { _, err := p.contain(r, rq); return err }),
		form("containment/extend", "containment.said_extended", func(r *http.Request, rq Request) error { _, err := p.extend(r, rq); return err }),
		form("containment/confirm", "containment.said_contained", func(r *http.Request, rq Request) error { _, err := p.confirm(r, rq); return err }),
		form("containment/dismiss", "containment.said_dismissed", func(r *http.Request, rq Request) error { _, err := p.dismiss(r, rq); return err }),
		form("containment/pass", "containment.said_passed", func(r *http.Request, rq Request) error { _, err := p.pass(r, rq); return err }),
		{Method: "POST", Pattern: "/devices/{name}/restore", May: people.Contain, Fresh: true, Handler: s.restore},
	}
}

// listed is what the list shows.
type listed struct {
	Now, Before []contain.Containment
	Proposals   []contain.Proposal
	Firewall    firewall.State
}

func (s pages) list(w http.ResponseWriter, r *http.Request) {
	all, err := s.Contained.List(r.Context())
	if err != nil {
		s.View.Refuse(w, r, err)
		return
	}
	var d listed
	for _, c := range all {
		if c.Over.IsZero() {
			d.Now = append(d.Now, c)
		} else if len(d.Before) < 50 {
			d.Before = append(d.Before, c)
		}
	}
	if d.Proposals, err = s.Contained.Proposals(r.Context(), false); err != nil {
		s.View.Refuse(w, r, err)
		return
	}
	d.Firewall, _ = s.Firewall(r.Context()) // it says why itself
	s.all.Show(w, r, d)
}

// shown is what a device's page shows.
type shown struct {
	contain.Preview
	Is       *contain.Containment // it is contained
	Proposal *contain.Proposal
	Levels   []firewall.Level
	Waiting  int // objects to be scanned
	Since    time.Time
	Export   Exported

	Request Request
	Proof   contain.Proof
	Wrong   string
}

func (s pages) device(w http.ResponseWriter, r *http.Request) {
	d, err := s.shown(r)
	if err != nil {
		s.View.Refuse(w, r, err)
		return
	}
	s.one.Show(w, r, d)
}

func (s pages) shown(r *http.Request) (d shown, err error) {
	ctx, name := r.Context(), r.PathValue("name")
	at := level(r.URL.Query().Get("level"))
	d = shown{Levels: []firewall.Level{firewall.Observe, firewall.ImageOnly, firewall.Cut}}
	if d.Preview, err = s.Contained.Preview(ctx, name, at); err != nil {
		return d, err
	}
	if d.Now != "" {
		one, err := s.Contained.Get(ctx, name)
		if err != nil {
			return d, err
		}
		d.Is = &one
	}
	proposals, err := s.Contained.Proposals(ctx, false)
	if err != nil {
		return d, err
	}
	for _, p := range proposals {
		if p.Device == name {
			d.Proposal = &p
		}
	}
	if d.Waiting, d.Since, err = s.Parts.Waiting(ctx, name); err != nil {
		return d, err
	}
	if !d.Coverage.Covered && d.Refused == "" {
		d.Export.Format = contain.ACL
		d.Export.Text, err = s.Contained.Export(ctx, name, at, contain.ACL, s.Gateways())
	}
	return d, err
}

// form takes a form about a device. What is wrong with it is said beside what was
// typed.
func (s pages) form(done string, do func(r *http.Request, rq Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		rq, err := requestOf(r)
		if err == nil {
			err = do(r, rq)
		}
		s.after(w, r, rq, contain.Proof{}, done, err)
	}
}

func requestOf(r *http.Request) (Request, error) {
	rq := Request{Reason: r.PostFormValue("reason"), Level: r.PostFormValue("level"), For: r.PostFormValue("for")}
	var err error
	rq.By, err = people.From(r.Context()).By("")
	return rq, err
}

// after goes back to the device's page, or shows it again with what was wrong.
func (s pages) after(w http.ResponseWriter, r *http.Request, rq Request, p contain.Proof, done string, err error) {
	if err == nil {
		s.View.Back(w, r, "/devices/"+url.PathEscape(r.PathValue("name"))+"/contain", done)
		return
	}
	d, failed := s.shown(r)
	if failed != nil {
		s.View.Refuse(w, r, failed)
		return
	}
	d.Request, d.Proof, d.Wrong = rq, p, err.Error()
	s.one.Again(w, r, err, d)
}

func (s pages) restore(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, contain.MaxProof+(64<<10))
	err := r.ParseMultipartForm(1 << 20)
	var rq Request
	var p contain.Proof
	if err == nil {
		rq, err = requestOf(r)
		p = contain.Proof{Checked: r.PostFormValue("checked"), Tool: r.PostFormValue("tool"), Signatures: r.PostFormValue("signatures")}
	}
	if text := r.PostFormValue("dated"); err == nil && text != "" {
		p.Dated, err = time.Parse(time.DateOnly, text)
	}
	if err == nil {
		p.Files, err = attached(r)
	}
	if err == nil {
		_, err = s.Contained.Restore(r.Context(), r.PathValue("name"), p, rq.custody())
	}
	if r.MultipartForm != nil {
		defer r.MultipartForm.RemoveAll()
	}
	p.Files = nil
	s.after(w, r, rq, p, "containment.said_restored", err)
}
