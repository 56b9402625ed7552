package login

import (
	_ "embed"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"cordon/console/answer"
	"cordon/console/guard"
	"cordon/console/route"
	"cordon/people"
)

//go:embed passkey.js
var passkeyScript string

// script is what a page needs to ask the browser's authenticator.
func script(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
	http.ServeContent(w, r, "passkey.js", time.Time{}, strings.NewReader(passkeyScript))
}

func (l *Login) passkeyRoutes() []route.Route {
	if l.Passkeys == nil {
		return nil
	}
	return []route.Route{
		{Method: "POST", Pattern: "/login/passkey/begin", May: people.Anybody, Handler: l.keyAsk},
		{Method: "POST", Pattern: "/login/passkey/end", May: people.Anybody, Handler: l.keyAsked},
		{Method: "POST", Pattern: "/setup/passkey/begin", May: people.Anybody, Handler: l.keyJoin},
		{Method: "POST", Pattern: "/setup/passkey/end", May: people.Anybody, Handler: l.keyJoined},
		{Method: "POST", Pattern: "/me/passkeys/begin", May: people.SignedIn, Fresh: true, Handler: l.keyMake},
		{Method: "POST", Pattern: "/me/passkeys/end", May: people.SignedIn, Fresh: true, Handler: l.keyMade},
	}
}

// begun is what a script asks the browser's authenticator with.
type begun struct {
	Options any    `json:"options"`
	State   string `json:"state"`
}

// ended is what the authenticator answered.
type ended struct {
	State  string          `json:"state"`
	Answer json.RawMessage `json:"answer"`
	Label  string          `json:"label"`
}

// ceremony is what is sealed meanwhile.
type ceremony struct {
	Session json.RawMessage `json:"session"`
	Account string          `json:"account,omitempty"`
	Name    string          `json:"name,omitempty"`
	Link    string          `json:"link,omitempty"`
}

// begin answers with options, and the ceremony sealed.
func (l *Login) begin(w http.ResponseWriter, purpose string, options any, c ceremony, err error) {
	var state string
	if err == nil {
		state, err = l.seal.seal(purpose, c)
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, begun{options, state})
}

// end reads what a browser answered.
func (l *Login) end(w http.ResponseWriter, r *http.Request, purpose string) (e ended, c ceremony, ok bool) {
	err := answer.Read(w, r, &e)
	if err == nil {
		err = l.seal.open(purpose, e.State, &c)
	}
	if err != nil {
		answer.Refuse(w, err)
	}
	return e, c, err == nil
}

func (l *Login) keyAsk(w http.ResponseWriter, r *http.Request) {
	options, session, err := l.Passkeys.Ask()
	l.begin(w, "ask", options, ceremony{Session: session}, err)
}

// keyAsked signs in who has shown a passkey, or takes it for saying so again.
func (l *Login) keyAsked(w http.ResponseWriter, r *http.Request) {
	e, c, ok := l.end(w, r, "ask")
	if !ok {
		return
	}
	key, err := l.Passkeys.Asked(r.Context(), c.Session, e.Answer, l.known)
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	l.seal.spend(e.State)
	entry, err := l.Accounts.EnterByKey(r.Context(), people.From(r.Context()), key, origin(r))
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	guard.Keep(w, r, entry.Secret, entry.Browser, people.BrowserTerm)
	answer.JSON(w, struct{}{})
}

// joining is who wants to use a link up by a passkey.
type joining struct {
	Link string `json:"link"`
	Name string `json:"name"`
}

func (l *Login) keyJoin(w http.ResponseWriter, r *http.Request) {
	var j joining
	if err := answer.Read(w, r, &j); err != nil {
		answer.Refuse(w, err)
		return
	}
	link, err := l.Accounts.Linked(r.Context(), j.Link)
	if err == nil && link.Purpose == people.Setup {
		link.Name, err = people.CleanName(j.Name)
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	options, session, err := l.Passkeys.Make(link.Account, link.Name, nil)
	l.begin(w, "join", options, ceremony{session, link.Account, link.Name, j.Link}, err)
}

func (l *Login) keyJoined(w http.ResponseWriter, r *http.Request) {
	e, c, ok := l.end(w, r, "join")
	if !ok {
		return
	}
	key, err := l.Passkeys.Made(c.Account, c.Name, c.Session, e.Answer)
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	key.Label = e.Label
	entry, err := l.Accounts.Join(r.Context(), c.Link, c.Name, people.Proof{Key: &key}, origin(r))
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	l.joined(w, r, entry)
	answer.JSON(w, struct{}{})
}

func (l *Login) keyMake(w http.ResponseWriter, r *http.Request) {
	id := people.From(r.Context())
	keys, err := l.Accounts.Keys(r.Context(), id.Account)
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	options, session, err := l.Passkeys.Make(id.Account, id.Name, keys)
	l.begin(w, "make", options, ceremony{Session: session, Account: id.Account, Name: id.Name}, err)
}

func (l *Login) keyMade(w http.ResponseWriter, r *http.Request) {
	e, c, ok := l.end(w, r, "make")
	if !ok {
		return
	}
	id := people.From(r.Context())
	if c.Account != id.Account {
		answer.Refuse(w, errSeal)
		return
	}
	key, err := l.Passkeys.Made(id.Account, id.Name, c.Session, e.Answer)
	if err == nil {
		l.seal.spend(e.State)
		key.Label = e.Label
		err = l.Accounts.AddKey(r.Context(), id, key)
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, struct{}{})
}
