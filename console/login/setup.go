package login

import (
	"net/http"

	"cordon/console/guard"
	"cordon/people"
)

// setupPage is what the page behind a link of one use shows.
type setupPage struct {
	Link     people.Link
	Name     string // typed, of the first administrator
	Error    string
	Passkeys bool
	Min      int
}

func (l *Login) setupPage(w http.ResponseWriter, r *http.Request) {
	l.showSetup(w, r, r.URL.Query().Get("link"), "", nil)
}

func (l *Login) showSetup(w http.ResponseWriter, r *http.Request, secret, name string, why error) {
	p := setupPage{Name: name, Passkeys: l.Passkeys != nil, Min: people.MinPassword}
	link, err := l.Accounts.Linked(r.Context(), secret)
	if err == nil {
		p.Link, err = link, why
	}
	if err == nil {
		l.pages.setup.Show(w, r, p)
		return
	}
	p.Error = err.Error()
	l.show(w, r, l.pages.setup, p, err)
}

// setup uses a link up, by a password.
func (l *Login) setup(w http.ResponseWriter, r *http.Request) {
	if !parse(w, r) {
		return
	}
	link, name, password := r.PostForm.Get("link"), r.PostForm.Get("name"), r.PostForm.Get("password")
	err := errTwice
	var e people.Entry
	if password == r.PostForm.Get("password-again") {
		e, err = l.Accounts.Join(r.Context(), link, name, people.Proof{Password: password}, origin(r))
	}
	if err != nil {
		l.showSetup(w, r, link, name, err)
		return
	}
	l.joined(w, r, e)
	http.Redirect(w, r, "/me", http.StatusSeeOther)
}

// joined gives the browser of somebody who took an account its session.
func (l *Login) joined(w http.ResponseWriter, r *http.Request, e people.Entry) {
	guard.Keep(w, r, e.Secret, e.Browser, people.BrowserTerm)
	if l.Joined != nil {
		l.Joined()
	}
}
