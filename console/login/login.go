// Package login is how people come in and go out: signing in by password, passkey or
// OpenID Connect, the links of one use, saying again who one is before a decision, and
// one's own page with sessions, passkeys, API tokens and roles taken in an emergency.
//
// Ordinary use:
//
//	l := login.New(login.Parts{Accounts: accounts, Passkeys: passkeys, View: v})
//	routes := l.Routes()
//	g := guard.New(guard.Config{Accounts: accounts, Refuse: l.Refuse})
//
// A form that was sent too late, when a session had ended or a decision needed its
// maker to say again who they are, is not lost: the page that asks for that has it,
// and brings it back to be sent once more. What is on its way is in the page or
// sealed in a cookie, and nothing in memory grows with those who never come back.
//
// It decides nothing about passwords, sessions or waits (people does). It never sends
// a browser anywhere but to itself and the issuer of the configuration.
package login

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"

	"cordon/console/answer"
	"cordon/console/guard"
	"cordon/console/route"
	"cordon/console/view"
	"cordon/people"
	"cordon/people/openid"
	"cordon/people/passkey"
)

// Parts are what a Login works with.
type Parts struct {
	Accounts *people.Accounts
	Passkeys *passkey.Passkeys // nil: none
	Issuer   *openid.Provider  // nil: nobody signs in elsewhere
	View     *view.View

	Joined func() // somebody took an account by a link; may be nil
}

// Login is the door. Make one with New.
type Login struct {
	Parts
	pages pages
	seal  *sealer
}

// New makes a Login.
func New(p Parts) *Login { return &Login{Parts: p, pages: newPages(p.View), seal: newSealer()} }

// Routes are those of the console's table.
func (l *Login) Routes() []route.Route {
	routes := []route.Route{
		{Method: "GET", Pattern: "/login", May: people.Anybody, Handler: l.page},
		{Method: "POST", Pattern: "/login", May: people.Anybody, Handler: l.enter},
		{Method: "GET", Pattern: "/login/passkey.js", May: people.Anybody, Handler: script},
		{Method: "GET", Pattern: "/setup", May: people.Anybody, Handler: l.setupPage},
		{Method: "POST", Pattern: "/setup", May: people.Anybody, Handler: l.setup},
		{Method: "POST", Pattern: "/logout", May: people.SignedIn, Handler: l.leave},
		{Method: "GET", Pattern: "/again", May: people.SignedIn, Handler: l.againPage},
		{Method: "POST", Pattern: "/again", May: people.SignedIn, Handler: l.again},

		{Method: "POST", Pattern: "/api/v1/login", May: people.Anybody, Handler: l.apiEnter, Doc: route.Doc{
			Summary: "Sign in with a password; the secret is for the header Authorization: Bearer", Request: Credentials{}, Response: Entered{},
			Example: Credentials{Name: "A. Able", Password: "four words of your own"}}},
		{Method: "POST", Pattern: "/api/v1/logout", May: people.SignedIn, Handler: l.apiLeave, Doc: route.Doc{Summary: "End this session"}},
	}
	routes = append(routes, l.passkeyRoutes()...)
	routes = append(routes, l.issuerRoutes()...)
	return append(routes, l.ownRoutes()...)
}

// Credentials are a name and a password.
type Credentials struct {
	Name     string `json:"name"`
	Password string `json:"password"`
}

// Entered is a session of a program's.
type Entered struct {
	Name   string `json:"name"`
	Secret string `json:"secret"`
}

// origin is from where a request comes.
func origin(r *http.Request) people.Origin {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = "" // the control socket's
	}
	return people.Origin{Address: host, Agent: r.UserAgent(), Browser: guard.Browser(r)}
}

// loginPage is what the page to sign in shows.
type loginPage struct {
	Then     string
	Kept     *Kept
	Files    bool            // the form was not kept, since files came with it
	Who      people.Identity // who is signed in, and has to say so again
	Name     string
	Error    string
	Passkeys bool
	Issuer   string
	At       string // the issuer's host
	First    bool   // nobody has an account
	Password bool   // they have one
}

func (l *Login) loginPage(r *http.Request) loginPage {
	p := loginPage{Passkeys: l.Passkeys != nil, First: !l.Accounts.Exist(), Password: true}
	if l.Issuer != nil {
		p.Issuer, p.At = l.Issuer.Issuer(), host(l.Issuer.Issuer())
	}
	return p
}

// host is what people know an issuer by.
func host(issuer string) string {
	if u, err := url.Parse(issuer); err == nil && u.Host != "" {
		return u.Host
	}
	return issuer
}

func (l *Login) page(w http.ResponseWriter, r *http.Request) {
	p := l.loginPage(r)
	p.Then = local(r.URL.Query().Get("then"))
	if id := people.From(r.Context()); id.Session != "" {
		http.Redirect(w, r, p.Then, http.StatusSeeOther)
		return
	}
	l.pages.login.Show(w, r, p)
}

// enter signs somebody in by password.
func (l *Login) enter(w http.ResponseWriter, r *http.Request) {
	if !parse(w, r) {
		return
	}
	p := l.loginPage(r)
	p.Then, p.Kept, p.Name = local(r.PostForm.Get("then")), keptIn(r.PostForm), r.PostForm.Get("name")
	e, err := l.Accounts.SignIn(r.Context(), p.Name, r.PostForm.Get("password"), origin(r))
	if err != nil {
		p.Error = err.Error()
		l.show(w, r, l.pages.login, p, err)
		return
	}
	guard.Keep(w, r, e.Secret, e.Browser, people.BrowserTerm)
	l.goOn(w, r, p.Then, p.Kept)
}

// goOn sends a browser where it wanted to, or shows the form that it had sent.
func (l *Login) goOn(w http.ResponseWriter, r *http.Request, then string, kept *Kept) {
	if kept == nil {
		http.Redirect(w, r, then, http.StatusSeeOther)
		return
	}
	l.pages.goOn.Show(w, r, kept)
}

// show shows a page again with what was wrong.
func (l *Login) show(w http.ResponseWriter, r *http.Request, p *view.Page, data any, err error) {
	var wait *people.Wait
	if errors.As(err, &wait) {
		w.Header().Set("Retry-After", seconds(wait.For))
	}
	if answer.Status(err) == http.StatusInternalServerError {
		l.View.Refuse(w, r, err)
		return
	}
	p.Again(w, r, err, data)
}

func (l *Login) leave(w http.ResponseWriter, r *http.Request) {
	if err := l.Accounts.Leave(r.Context(), people.From(r.Context())); err != nil && !errors.Is(err, people.ErrNotFound) {
		l.View.Refuse(w, r, err)
		return
	}
	guard.Forget(w, r)
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

func (l *Login) apiEnter(w http.ResponseWriter, r *http.Request) {
	var c Credentials
	if err := answer.Read(w, r, &c); err != nil {
		answer.Refuse(w, err)
		return
	}
	e, err := l.Accounts.SignIn(r.Context(), c.Name, c.Password, origin(r))
	if err != nil {
		l.refuse(w, err)
		return
	}
	answer.JSON(w, Entered{e.Account.Name, e.Secret})
}

// refuse answers a program.
func (l *Login) refuse(w http.ResponseWriter, err error) {
	var wait *people.Wait
	if errors.As(err, &wait) {
		w.Header().Set("Retry-After", seconds(wait.For))
	}
	answer.Refuse(w, err)
}

func (l *Login) apiLeave(w http.ResponseWriter, r *http.Request) {
	if err := l.Accounts.Leave(r.Context(), people.From(r.Context())); err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, struct{}{})
}

// known finds the account of a passkey, and all that it has.
func (l *Login) known(ctx context.Context, key []byte) (people.Account, []people.Key, error) {
	v, err := l.Accounts.ByKey(ctx, key)
	if err != nil {
		return v, nil, err
	}
	keys, err := l.Accounts.Keys(ctx, v.ID)
	return v, keys, err
}
