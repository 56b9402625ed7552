// Package people is who has an account, for those who see to it: the page People, and
// the same for programs.
//
// Ordinary use:
//
//	routes := people.Routes(people.Parts{Accounts: accounts, Link: link, View: v})
//
// An administrator invites somebody by a link, gives roles, disables, ends sessions
// and tokens, and makes a link for who cannot sign in any more. Nobody ever sets
// another's password. What people did with roles that they took in an emergency is
// reviewed here, by somebody else.
//
// It decides nothing (package people does).
package people

import (
	"net/http"
	"slices"

	"cordon/console/answer"
	"cordon/console/route"
	"cordon/console/view"
	"cordon/custody"
	"cordon/people"
)

// Parts are what the page shows and changes.
type Parts struct {
	Accounts *people.Accounts
	Link     func(secret string) string // the address of a link of one use
	View     *view.View
}

type desk struct {
	Parts
	pages pages
}

// Routes are those of the console's table.
func Routes(p Parts) []route.Route {
	d := &desk{p, newPages(p.View)}
	return append(d.pageRoutes(), d.apiRoutes()...)
}

func (d *desk) apiRoutes() []route.Route {
	return []route.Route{
		{Method: "GET", Pattern: "/api/v1/people", May: people.PeopleRead, Handler: d.apiList, Doc: route.Doc{
			Summary: "Everybody who has an account", Response: people.Account{}, Lines: true}},
		{Method: "GET", Pattern: "/api/v1/people/{name}", May: people.PeopleRead, Handler: d.apiShow, Doc: route.Doc{
			Summary: "Somebody, with sessions and API tokens", Response: Detail{}}},
		{Method: "POST", Pattern: "/api/v1/people", May: people.PeopleChange, Fresh: true, Handler: d.apiInvite, Doc: route.Doc{
			Summary: "Invite somebody by a link of one use", Request: Request{}, Response: Invited{},
			Example: Request{Name: "B. Baker", Roles: []people.Role{people.PACS}, Reason: "new in the PACS team"}}},
		{Method: "POST", Pattern: "/api/v1/people/{name}/roles", May: people.PeopleChange, Fresh: true, Handler: d.change(d.roles), Doc: route.Doc{
			Summary: "Give somebody other roles; sessions end", Request: Request{}, Response: people.Account{},
			Example: Request{Roles: []people.Role{people.PACS, people.Security}, Reason: "covers for C. Clark in August"}}},
		{Method: "POST", Pattern: "/api/v1/people/{name}/disable", May: people.PeopleChange, Fresh: true, Handler: d.change(d.disable), Doc: route.Doc{
			Summary: "Let somebody in no more; sessions and tokens end", Request: Request{}, Response: people.Account{}, Example: Request{Reason: "has left"}}},
		{Method: "POST", Pattern: "/api/v1/people/{name}/enable", May: people.PeopleChange, Fresh: true, Handler: d.change(d.enable), Doc: route.Doc{
			Summary: "Let somebody in again who was disabled", Request: Request{}, Response: people.Account{}, Example: Request{Reason: "is back"}}},
		{Method: "POST", Pattern: "/api/v1/people/{name}/recover", May: people.PeopleChange, Fresh: true, Asserted: true, Handler: d.apiRecover, Doc: route.Doc{
			Summary: "Make a link of one use for somebody who cannot sign in any more", Request: Request{}, Response: Invited{}, Example: Request{Reason: "lost the key"}}},
		{Method: "POST", Pattern: "/api/v1/people/{name}/sessions/{id}/end", May: people.PeopleChange, Fresh: true, Handler: d.change(d.endSession), Doc: route.Doc{
			Summary: "End a session of somebody's", Request: Request{}, Response: people.Account{}, Example: Request{Reason: "left the machine unlocked"}}},
		{Method: "POST", Pattern: "/api/v1/people/{name}/tokens/{id}/end", May: people.PeopleChange, Fresh: true, Handler: d.change(d.endToken), Doc: route.Doc{
			Summary: "End an API token of somebody's", Request: Request{}, Response: people.Account{}, Example: Request{Reason: "the script is gone"}}},
		{Method: "GET", Pattern: "/api/v1/emergencies", May: people.PeopleRead, Handler: d.apiGlasses, Doc: route.Doc{
			Summary: "Roles that people took in emergencies, those to review first", Response: people.Glass{}, Lines: true}},
		{Method: "POST", Pattern: "/api/v1/emergencies/{id}/review", May: people.ReviewSign, Fresh: true, Handler: d.apiReview, Doc: route.Doc{
			Summary: "Say that one has looked at what somebody else did with a role taken in an emergency", Request: Request{}, Response: people.Glass{},
			Example: Request{Reason: "released one study for the emergency room, as the ledger says"}}},
	}
}

// Request is what somebody asks for about somebody.
type Request struct {
	By       string        `json:"by,omitempty"` // at the control socket; else whoever signed in
	Reason   string        `json:"reason"`
	Name     string        `json:"name,omitempty"` // of an invitation
	Roles    []people.Role `json:"roles,omitempty"`
	Products []string      `json:"products,omitempty"` // of a vendor: VENDOR or VENDOR/MODEL
}

// Asserted implements answer.Named.
func (rq *Request) Asserted() *string { return &rq.By }

// Has is whether a role was ticked.
func (rq Request) Has(role people.Role) bool { return slices.Contains(rq.Roles, role) }

func (rq *Request) request() custody.Request { return custody.Request{By: rq.By, Reason: rq.Reason} }

// Invited is a link for somebody.
type Invited struct {
	Name    string         `json:"name"`
	Link    string         `json:"link"` // of one use; give it to nobody else
	Expires string         `json:"expires"`
	Purpose people.Purpose `json:"purpose"`
}

func (d *desk) invited(l people.Link) Invited {
	return Invited{Name: l.Name, Link: d.Link(l.Secret), Expires: l.Expires.Format("2006-01-02T15:04:05Z07:00"), Purpose: l.Purpose}
}

// Detail is somebody, with what they have open.
type Detail struct {
	people.Account
	Sessions []people.Session  `json:"sessions"`
	Tokens   []people.APIToken `json:"tokens"`
}

func (d *desk) apiList(w http.ResponseWriter, r *http.Request) {
	all, err := d.Accounts.List(r.Context())
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.List(w, all)
}

func (d *desk) detail(r *http.Request) (v Detail, err error) {
	if v.Account, err = d.Accounts.Get(r.Context(), r.PathValue("name")); err != nil {
		return v, err
	}
	if v.Sessions, err = d.Accounts.Sessions(r.Context(), v.ID); err != nil {
		return v, err
	}
	v.Tokens, err = d.Accounts.Tokens(r.Context(), v.ID)
	return v, err
}

func (d *desk) apiShow(w http.ResponseWriter, r *http.Request) {
	v, err := d.detail(r)
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, v)
}

func (d *desk) apiInvite(w http.ResponseWriter, r *http.Request) {
	var rq Request
	err := answer.Read(w, r, &rq)
	var l people.Link
	if err == nil {
		_, l, err = d.Accounts.Invite(r.Context(), rq.Name, people.Change{Roles: rq.Roles, Products: rq.Products}, rq.request())
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, d.invited(l))
}

func (d *desk) apiRecover(w http.ResponseWriter, r *http.Request) {
	var rq Request
	err := answer.Read(w, r, &rq)
	var l people.Link
	if err == nil {
		l, err = d.Accounts.Recover(r.Context(), r.PathValue("name"), rq.request())
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, d.invited(l))
}

// do is a change of somebody's account.
type do func(r *http.Request, rq *Request) (people.Account, error)

func (d *desk) roles(r *http.Request, rq *Request) (people.Account, error) {
	return d.Accounts.Roles(r.Context(), r.PathValue("name"), people.Change{Roles: rq.Roles, Products: rq.Products}, rq.request())
}

func (d *desk) disable(r *http.Request, rq *Request) (people.Account, error) {
	return d.Accounts.Disable(r.Context(), r.PathValue("name"), rq.request())
}

func (d *desk) enable(r *http.Request, rq *Request) (people.Account, error) {
	return d.Accounts.Enable(r.Context(), r.PathValue("name"), rq.request())
}

func (d *desk) endSession(r *http.Request, rq *Request) (people.Account, error) {
	if err := d.Accounts.EndSession(r.Context(), r.PathValue("name"), r.PathValue("id"), rq.request()); err != nil {
		return people.Account{}, err
	}
	return d.Accounts.Get(r.Context(), r.PathValue("name"))
}

func (d *desk) endToken(r *http.Request, rq *Request) (people.Account, error) {
	if err := d.Accounts.EndToken(r.Context(), r.PathValue("name"), r.PathValue("id"), rq.request()); err != nil {
		return people.Account{}, err
	}
	return d.Accounts.Get(r.Context(), r.PathValue("name"))
}

// change answers a program that changes somebody's account.
func (d *desk) change(fn do) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var rq Request
		err := answer.Read(w, r, &rq)
		var v people.Account
		if err == nil {
			v, err = fn(r, &rq)
		}
		if err != nil {
			answer.Refuse(w, err)
			return
		}
		answer.JSON(w, v)
	}
}

func (d *desk) apiGlasses(w http.ResponseWriter, r *http.Request) {
	all, err := d.Accounts.Glasses(r.Context())
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.List(w, all)
}

func (d *desk) apiReview(w http.ResponseWriter, r *http.Request) {
	var rq Request
	err := answer.Read(w, r, &rq)
	var g people.Glass
	if err == nil {
		g, err = d.Accounts.Review(r.Context(), r.PathValue("id"), rq.request())
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, g)
}
