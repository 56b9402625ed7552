package login

import (
	"net/http"

	"cordon/console/guard"
	"cordon/console/route"
	"cordon/people"
	"cordon/people/openid"
)

func (l *Login) issuerRoutes() []route.Route {
	if l.Issuer == nil {
		return nil
	}
	return []route.Route{
		{Method: "GET", Pattern: "/login/oidc", May: people.Anybody, Handler: l.issuerStart},
		{Method: "GET", Pattern: "/login/oidc/back", May: people.Anybody, Handler: l.issuerBack},
	}
}

// away is somebody at the issuer.
type away struct {
	Attempt openid.Attempt `json:"attempt"`
	Then    string         `json:"then"`
	Account string         `json:"account,omitempty"` // of who was signed in, and their session's
	Session string         `json:"session,omitempty"`
}

// issuerStart sends a browser to the issuer. What has to come back with it is sealed
// in a cookie that it sends also when another site leads it here.
func (l *Login) issuerStart(w http.ResponseWriter, r *http.Request) {
	id := people.From(r.Context())
	a, err := l.Issuer.Start(id.Session != "")
	var sealed string
	if err == nil {
		sealed, err = l.seal.seal("oidc", away{a, local(r.URL.Query().Get("then")), id.Account, id.Session})
	}
	if err != nil {
		l.View.Refuse(w, r, err)
		return
	}
	guard.Lend(w, r, sealed, sealedFor)
	http.Redirect(w, r, a.URL, http.StatusSeeOther)
}

// issuerBack signs in whom the issuer vouches for.
func (l *Login) issuerBack(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	sealed := guard.Lent(r)
	guard.Lend(w, r, "", 0)
	var a away
	err := l.seal.open("oidc", sealed, &a)
	var who people.Elsewhere
	if err == nil {
		who, err = l.Issuer.Finish(r.Context(), a.Attempt, q.Get("state"), q.Get("code"))
	}
	var e people.Entry
	if err == nil {
		l.seal.spend(sealed)
		e, err = l.Accounts.EnterFrom(r.Context(), people.Identity{Account: a.Account, Session: a.Session}, who, origin(r))
	}
	if err != nil {
		p := l.loginPage(r)
		p.Then, p.Error = local(a.Then), err.Error()
		l.show(w, r, l.pages.login, p, err)
		return
	}
	guard.Keep(w, r, e.Secret, e.Browser, people.BrowserTerm)
	// The browser comes from another site, and would keep the session's cookie from a
	// redirect; a page of ours that leads on does not.
	l.leadOn(w, a.Then)
}
