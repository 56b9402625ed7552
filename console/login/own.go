package login

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"cordon/console/answer"
	"cordon/console/guard"
	"cordon/console/route"
	"cordon/custody"
	"cordon/people"
)

// ownRoutes are of one's own account.
func (l *Login) ownRoutes() []route.Route {
	return []route.Route{
		{Method: "GET", Pattern: "/me", May: people.SignedIn, Handler: l.own},
		{Method: "POST", Pattern: "/me/password", May: people.SignedIn, Fresh: true, Handler: l.ownPassword},
		{Method: "POST", Pattern: "/me/tokens", May: people.SignedIn, Fresh: true, Handler: l.ownToken},
		{Method: "POST", Pattern: "/me/tokens/{id}/end", May: people.SignedIn, Handler: l.form(l.endToken)},
		{Method: "POST", Pattern: "/me/sessions/{id}/end", May: people.SignedIn, Handler: l.form(l.endSession)},
		{Method: "POST", Pattern: "/me/passkeys/{id}/remove", May: people.SignedIn, Fresh: true, Handler: l.form(l.endKey)},
		{Method: "POST", Pattern: "/me/role", May: people.SignedIn, Fresh: true, Handler: l.form(l.formRole)},
		{Method: "POST", Pattern: "/me/role/back", May: people.SignedIn, Handler: l.form(l.giveBack)},

		{Method: "GET", Pattern: "/api/v1/me", May: people.SignedIn, Handler: l.apiOwn, Doc: route.Doc{
			Summary: "Who asks, with their sessions, passkeys and API tokens", Response: Own{}}},
		{Method: "POST", Pattern: "/api/v1/me/tokens", May: people.SignedIn, Fresh: true, Handler: l.apiToken, Doc: route.Doc{
			Summary: "Make an API token of one's own; its secret is shown once", Request: TokenRequest{}, Response: Token{},
			Example: TokenRequest{Label: "Prometheus", Scopes: []people.Permission{people.MetricsRead}, Days: 365}}},
		{Method: "POST", Pattern: "/api/v1/me/tokens/{id}/end", May: people.SignedIn, Handler: l.api(l.endToken), Doc: route.Doc{Summary: "End one of one's API tokens"}},
		{Method: "POST", Pattern: "/api/v1/me/sessions/{id}/end", May: people.SignedIn, Handler: l.api(l.endSession), Doc: route.Doc{Summary: "End one of one's sessions"}},
		{Method: "POST", Pattern: "/api/v1/me/role", May: people.SignedIn, Fresh: true, Handler: l.apiRole, Doc: route.Doc{
			Summary: "Take one more role in an emergency, for an hour at the most; another person reviews it", Request: RoleRequest{}, Response: people.Glass{},
			Example: RoleRequest{Role: people.PACS, Reason: "nobody of the PACS team can be reached, and the emergency room waits", Minutes: 30}}},
		{Method: "POST", Pattern: "/api/v1/me/role/back", May: people.SignedIn, Handler: l.api(l.giveBack), Doc: route.Doc{Summary: "Give back the role that was taken in an emergency"}},
	}
}

// Own is what people see of their own account.
type Own struct {
	people.Identity
	Sessions []people.Session  `json:"sessions"`
	Tokens   []people.APIToken `json:"tokens"`
	Passkeys []people.Key      `json:"passkeys"`
}

// TokenRequest asks for an API token.
type TokenRequest struct {
	Label  string              `json:"label"`
	Scopes []people.Permission `json:"scopes"`
	Days   int                 `json:"days"` // until it expires, 1 to 366
}

// Token is one that was made.
type Token struct {
	people.APIToken
	Secret string `json:"secret"` // shown now, and never again
}

// RoleRequest asks for one more role.
type RoleRequest struct {
	Role    people.Role `json:"role"`
	Reason  string      `json:"reason"`
	Minutes int         `json:"minutes"` // 1 to 60
}

// act is something that people do to their own account.
type act func(r *http.Request, id people.Identity) error

// form does it for a form of one's own page.
func (l *Login) form(do act) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !parse(w, r) {
			return
		}
		if err := do(r, people.From(r.Context())); err != nil {
			l.showOwn(w, r, nil, err)
			return
		}
		http.Redirect(w, r, "/me", http.StatusSeeOther)
	}
}

// api does it for a program.
func (l *Login) api(do act) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := do(r, people.From(r.Context())); err != nil {
			answer.Refuse(w, err)
			return
		}
		answer.JSON(w, struct{}{})
	}
}

// oneself is why people change what is theirs.
func oneself(id people.Identity) custody.Request {
	return custody.Request{By: id.Name, Reason: "one's own"}
}

func (l *Login) endToken(r *http.Request, id people.Identity) error {
	return l.Accounts.EndToken(r.Context(), id.Name, r.PathValue("id"), oneself(id))
}

func (l *Login) endSession(r *http.Request, id people.Identity) error {
	return l.Accounts.EndSession(r.Context(), id.Name, r.PathValue("id"), oneself(id))
}

func (l *Login) endKey(r *http.Request, id people.Identity) error {
	key, err := base64.RawURLEncoding.DecodeString(r.PathValue("id"))
	if err != nil {
		return people.ErrNotFound
	}
	return l.Accounts.RemoveKey(r.Context(), id, key, oneself(id))
}

func (l *Login) giveBack(r *http.Request, id people.Identity) error {
	return l.Accounts.GiveBack(r.Context(), id)
}

func (l *Login) formRole(r *http.Request, id people.Identity) error {
	minutes, _ := strconv.Atoi(r.PostForm.Get("minutes")) // 0 is asked about
	_, err := l.Accounts.Break(r.Context(), id, people.Role(r.PostForm.Get("role")), time.Duration(minutes)*time.Minute, r.PostForm.Get("reason"))
	return err
}

func (l *Login) apiRole(w http.ResponseWriter, r *http.Request) {
	var rq RoleRequest
	err := answer.Read(w, r, &rq)
	var g people.Glass
	if err == nil {
		g, err = l.Accounts.Break(r.Context(), people.From(r.Context()), rq.Role, minutesOf(rq.Minutes), rq.Reason)
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, g)
}

// minutesOf and daysOf are a time of which a person said the number; too many to be
// one are too long.
func minutesOf(n int) time.Duration { return time.Duration(min(n, 1e6)) * time.Minute }
func daysOf(n int) time.Duration    { return time.Duration(min(n, 1e4)) * 24 * time.Hour }

func (l *Login) apiToken(w http.ResponseWriter, r *http.Request) {
	var rq TokenRequest
	err := answer.Read(w, r, &rq)
	var t Token
	if err == nil {
		t.APIToken, t.Secret, err = l.Accounts.MakeToken(r.Context(), people.From(r.Context()), rq.Label, rq.Scopes, daysOf(rq.Days))
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, t)
}

func (l *Login) apiOwn(w http.ResponseWriter, r *http.Request) {
	o, err := l.ownOf(r)
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, o)
}

func (l *Login) ownOf(r *http.Request) (o Own, err error) {
	ctx := r.Context()
	o.Identity = people.From(ctx)
	o.Sessions, err = l.Accounts.Sessions(ctx, o.Account)
	if err == nil {
		o.Tokens, err = l.Accounts.Tokens(ctx, o.Account)
	}
	if err == nil {
		o.Passkeys, err = l.Accounts.Keys(ctx, o.Account)
	}
	return o, err
}

// ownPage is what one's own page shows.
type ownPage struct {
	Own
	HasPassword bool
	Issuer      string
	Scopes      []people.Permission // that a token may have
	Takes       []people.Role
	Taken       bool   // a role that is not the account's
	Made        *Token // just now
	Error       string
	CanPasskey  bool
	Min         int
	Now         time.Time
}

func (l *Login) own(w http.ResponseWriter, r *http.Request) { l.showOwn(w, r, nil, nil) }

func (l *Login) showOwn(w http.ResponseWriter, r *http.Request, made *Token, why error) {
	o, err := l.ownOf(r)
	var v people.Account
	if err == nil && o.Account != "" {
		v, err = l.Accounts.Get(r.Context(), o.Name)
	}
	if err != nil {
		l.View.Refuse(w, r, err)
		return
	}
	p := ownPage{Own: o, HasPassword: v.Password, Issuer: v.Issuer, Scopes: people.ScopesOf(v.Roles), Takes: taking(o.Identity), Taken: o.Account != "" && len(o.Roles) > len(v.Roles), Made: made, CanPasskey: l.Passkeys != nil, Min: people.MinPassword, Now: time.Now()}
	if why == nil {
		l.pages.own.Show(w, r, p)
		return
	}
	p.Error = why.Error()
	l.show(w, r, l.pages.own, p, why)
}

// taking are the roles that somebody could take.
func taking(id people.Identity) (out []people.Role) {
	for _, g := range people.Grants() {
		if people.CanTake(id.Roles, g.Role) {
			out = append(out, g.Role)
		}
	}
	return out
}

func (l *Login) ownToken(w http.ResponseWriter, r *http.Request) {
	if !parse(w, r) {
		return
	}
	var scopes []people.Permission
	for _, s := range r.PostForm["scope"] {
		scopes = append(scopes, people.Permission(s))
	}
	days, _ := strconv.Atoi(r.PostForm.Get("days")) // 0 is asked about
	var t Token
	var err error
	t.APIToken, t.Secret, err = l.Accounts.MakeToken(r.Context(), people.From(r.Context()), r.PostForm.Get("label"), scopes, daysOf(days))
	if err != nil {
		l.showOwn(w, r, nil, err)
		return
	}
	l.showOwn(w, r, &t, nil)
}

var errTwice = fmt.Errorf("%w: the two passwords differ: type the same one twice", people.ErrRequest)

func (l *Login) ownPassword(w http.ResponseWriter, r *http.Request) {
	if !parse(w, r) {
		return
	}
	err := errTwice
	var e people.Entry
	if password := r.PostForm.Get("password"); password == r.PostForm.Get("password-again") {
		e, err = l.Accounts.SetPassword(r.Context(), people.From(r.Context()), password)
	}
	if err != nil {
		l.showOwn(w, r, nil, err)
		return
	}
	guard.Keep(w, r, e.Secret, "", 0)
	http.Redirect(w, r, "/me", http.StatusSeeOther)
}
