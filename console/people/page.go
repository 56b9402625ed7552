package people

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"cordon/console/answer"
	"cordon/console/route"
	"cordon/people"
)

func (d *desk) pageRoutes() []route.Route {
	return []route.Route{
		{Method: "GET", Pattern: "/people", May: people.PeopleRead, Handler: d.list},
		{Method: "POST", Pattern: "/people", May: people.PeopleChange, Fresh: true, Handler: d.invite},
		{Method: "GET", Pattern: "/people/{name}", May: people.PeopleRead, Handler: d.show},
		{Method: "POST", Pattern: "/people/{name}/roles", May: people.PeopleChange, Fresh: true, Handler: d.form(d.roles)},
		{Method: "POST", Pattern: "/people/{name}/disable", May: people.PeopleChange, Fresh: true, Handler: d.form(d.disable)},
		{Method: "POST", Pattern: "/people/{name}/enable", May: people.PeopleChange, Fresh: true, Handler: d.form(d.enable)},
		{Method: "POST", Pattern: "/people/{name}/recover", May: people.PeopleChange, Fresh: true, Handler: d.recover},
		{Method: "POST", Pattern: "/people/{name}/sessions/{id}/end", May: people.PeopleChange, Fresh: true, Handler: d.form(d.endSession)},
		{Method: "POST", Pattern: "/people/{name}/tokens/{id}/end", May: people.PeopleChange, Fresh: true, Handler: d.form(d.endToken)},
		{Method: "POST", Pattern: "/people/emergencies/{id}/review", May: people.ReviewSign, Fresh: true, Handler: d.review},
	}
}

// listPage is what the page People shows.
type listPage struct {
	Who     people.Identity
	All     []people.Account
	Grants  []people.Grant
	Glasses []people.Glass
	Link    *Invited // made just now
	Error   string
	Typed   Request // in the form of an invitation
	Now     time.Time
}

func (d *desk) list(w http.ResponseWriter, r *http.Request) { d.showList(w, r, listPage{}, nil) }

func (d *desk) showList(w http.ResponseWriter, r *http.Request, p listPage, why error) {
	all, err := d.Accounts.List(r.Context())
	if err == nil {
		p.Glasses, err = d.Accounts.Glasses(r.Context())
	}
	if err != nil {
		d.View.Refuse(w, r, err)
		return
	}
	p.Who, p.All, p.Grants, p.Now = people.From(r.Context()), all, people.Grants(), time.Now()
	if why != nil {
		p.Error = why.Error()
		d.pages.list.Again(w, r, why, p)
		return
	}
	d.pages.list.Show(w, r, p)
}

// typed reads the form of a request, under the name of whoever signed in.
func typed(w http.ResponseWriter, r *http.Request) (rq Request, err error) {
	r.Body = http.MaxBytesReader(w, r.Body, answer.MaxRequest)
	if err := r.ParseForm(); err != nil {
		return rq, err
	}
	rq.Name, rq.Reason = r.PostForm.Get("name"), r.PostForm.Get("reason")
	for _, role := range r.PostForm["role"] {
		rq.Roles = append(rq.Roles, people.Role(role))
	}
	for _, p := range strings.Split(r.PostForm.Get("products"), ",") {
		if p = strings.TrimSpace(p); p != "" {
			rq.Products = append(rq.Products, p)
		}
	}
	rq.By, err = people.From(r.Context()).By("")
	return rq, err
}

func (d *desk) invite(w http.ResponseWriter, r *http.Request) {
	rq, err := typed(w, r)
	var l people.Link
	if err == nil {
		_, l, err = d.Accounts.Invite(r.Context(), rq.Name, people.Change{Roles: rq.Roles, Products: rq.Products}, rq.request())
	}
	if err != nil {
		d.showList(w, r, listPage{Typed: rq}, err)
		return
	}
	link := d.invited(l)
	d.showList(w, r, listPage{Link: &link}, nil)
}

// review signs what somebody did with a role that they took.
func (d *desk) review(w http.ResponseWriter, r *http.Request) {
	rq, err := typed(w, r)
	if err == nil {
		_, err = d.Accounts.Review(r.Context(), r.PathValue("id"), rq.request())
	}
	if err != nil {
		d.showList(w, r, listPage{}, err)
		return
	}
	http.Redirect(w, r, "/people#emergencies", http.StatusSeeOther)
}

// showPage is what the page of somebody shows.
type showPage struct {
	Detail
	Who    people.Identity
	Grants []people.Grant
	Link   *Invited
	Error  string
}

// Has reports whether somebody has a role.
func (p showPage) Has(role people.Role) bool {
	for _, r := range p.Roles {
		if r == role {
			return true
		}
	}
	return false
}

func (d *desk) show(w http.ResponseWriter, r *http.Request) { d.showOne(w, r, nil, nil) }

func (d *desk) showOne(w http.ResponseWriter, r *http.Request, link *Invited, why error) {
	v, err := d.detail(r)
	if err != nil {
		d.View.Refuse(w, r, err)
		return
	}
	p := showPage{Detail: v, Who: people.From(r.Context()), Grants: people.Grants(), Link: link}
	if why != nil {
		p.Error = why.Error()
		d.pages.show.Again(w, r, why, p)
		return
	}
	d.pages.show.Show(w, r, p)
}

// form does a change for a form of somebody's page.
func (d *desk) form(fn do) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		rq, err := typed(w, r)
		if err == nil {
			_, err = fn(r, &rq)
		}
		if err != nil {
			d.showOne(w, r, nil, err)
			return
		}
		http.Redirect(w, r, "/people/"+url.PathEscape(r.PathValue("name")), http.StatusSeeOther)
	}
}

func (d *desk) recover(w http.ResponseWriter, r *http.Request) {
	rq, err := typed(w, r)
	var l people.Link
	if err == nil {
		l, err = d.Accounts.Recover(r.Context(), r.PathValue("name"), rq.request())
	}
	if err != nil {
		d.showOne(w, r, nil, err)
		return
	}
	link := d.invited(l)
	d.showOne(w, r, &link, nil)
}
