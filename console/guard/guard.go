// Package guard stands before the console's routes: it knows who asks, and turns
// away who may not.
//
// Ordinary use:
//
//	g := guard.New(guard.Config{Accounts: accounts, Refuse: login.Refuse})
//	mux.Handle("GET /held", g.TCP(r))       // on the console's address
//	mux.Handle(…, g.Socket(r))              // at the control socket
//
// Who asks is told by a session's cookie, or by a bearer token (RFC 6750): an API
// token of a person's, or a session of the command line's. The handler finds them in
// people.From. Every route is guarded by itself, behind the mux that found it, so
// that no spelling of a path leads to a handler past its guard.
//
// Until the first account exists, the pages about flow, which show no patient data,
// are open on the console's address and everything else there is closed; whoever can
// open the control socket may do everything, under the names that they give. With
// accounts, the socket still shows everything, and decides by itself only what
// emergencies need (route.Asserted); everything else needs a person's token there
// too.
//
// It will not sign anybody in (console/login does), and believes nothing that a
// proxy says of somebody.
package guard

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"cordon/console/answer"
	"cordon/console/route"
	"cordon/people"
)

// Config is what a Guard needs to know.
type Config struct {
	Accounts *people.Accounts // nil: nobody can have an account
	Refuse   Refuse           // answers people whose request for a page is turned away; nil: as the interface
	Scrapers []netip.Prefix   // who may fetch metrics without a token
	Every    time.Duration    // who reads an answer without an end is looked at again; 0: every 10 s
}

// Refuse answers a request for a page that was turned away.
type Refuse func(w http.ResponseWriter, r *http.Request, why Refusal)

// Refusal is why a request was turned away.
type Refusal struct {
	Status int    // 401: nobody is signed in, or has to say again who they are; 403: may not
	Says   string // a sentence

	Again  bool              // 401: who is signed in has to say again who they are
	Needed people.Permission // 403
	Who    people.Identity
}

// Guard turns away who may not ask. Make one with New; it may be used from any
// goroutine.
type Guard struct {
	config Config
	now    func() time.Time
	denied *denials
}

// New makes a Guard.
func New(c Config) *Guard {
	if c.Every == 0 {
		c.Every = 10 * time.Second
	}
	return &Guard{c, time.Now, newDenials()}
}

// TCP guards a route on the console's address.
func (g *Guard) TCP(rt route.Route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := g.who(r)
		var no *refusal
		if errors.As(err, &no) && rt.May == people.Anybody {
			err = nil // whoever it is
		}
		if err == nil {
			err = g.may(rt, r, id)
		}
		g.pass(w, r, rt, id, err)
	})
}

// Socket guards a route at the control socket.
func (g *Guard) Socket(rt route.Route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := g.atSocket(rt, r)
		if err == nil && id.How != people.Socket {
			err = g.may(rt, r, id)
		}
		g.pass(w, r, rt, id, err)
	})
}

// pass calls the handler, or says why not.
func (g *Guard) pass(w http.ResponseWriter, r *http.Request, rt route.Route, id people.Identity, err error) {
	var no *refusal
	switch {
	case err == nil:
		ctx := people.With(r.Context(), id)
		if streams(r) && id.Account != "" {
			var stop func()
			ctx, stop = g.while(ctx, rt, r)
			defer stop()
		}
		rt.Handler(w, r.WithContext(ctx))
	case !errors.As(err, &no):
		answer.Say(w, http.StatusServiceUnavailable, "the database does not answer; try again in a moment")
	default:
		g.refuse(w, r, rt, no.Refusal)
	}
}

// while is a context that ends when who asks may no longer: their session has ended,
// or their roles are others. The caller stops it.
func (g *Guard) while(ctx context.Context, rt route.Route, r *http.Request) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { // ends with the context
		defer close(ended)
		tick := time.NewTicker(g.config.Every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			id, err := g.who(r)
			if err != nil || g.may(rt, r, id) != nil {
				cancel()
				return
			}
		}
	}()
	return ctx, func() { cancel(); <-ended }
}

// refusal is a Refusal as an error.
type refusal struct{ Refusal }

func (r *refusal) Error() string { return r.Says }

func (g *Guard) refuse(w http.ResponseWriter, r *http.Request, rt route.Route, why Refusal) {
	if why.Status == http.StatusForbidden && why.Who.Account != "" {
		g.denied.add(why.Who.Name, rt.Method+" "+rt.Pattern)
	}
	if why.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="cordon"`)
	}
	if rt.API() || g.config.Refuse == nil {
		answer.Say(w, why.Status, why.Says)
		return
	}
	g.config.Refuse(w, r.WithContext(people.With(r.Context(), why.Who)), why)
}

// who reads by what somebody is known on the console's address. Nobody is no error.
func (g *Guard) who(r *http.Request) (people.Identity, error) {
	a := g.config.Accounts
	if !a.Exist() {
		return people.Identity{}, nil
	}
	if secret, given := bearer(r); given {
		return g.bearer(r, secret)
	}
	secret := Secret(r)
	if secret == "" {
		return people.Identity{}, nil
	}
	id, err := a.Session(r.Context(), secret, quiet(r))
	if errors.Is(err, people.ErrDenied) {
		return people.Identity{}, nil // the session has ended: nobody is signed in
	}
	return id, err
}

// bearer is who shows a token, which must be good.
func (g *Guard) bearer(r *http.Request, secret string) (id people.Identity, err error) {
	if strings.HasPrefix(secret, people.TokenPrefix) {
		id, err = g.config.Accounts.Token(r.Context(), secret)
	} else {
		id, err = g.config.Accounts.Session(r.Context(), secret, quiet(r))
	}
	if errors.Is(err, people.ErrDenied) || errors.Is(err, people.ErrNotFound) {
		err = &refusal{Refusal{Status: http.StatusUnauthorized, Says: err.Error() + ": sign in again (cordon login), or use another token"}}
	}
	return id, err
}

// atSocket is who asks at the control socket, and whether the operating system's word
// for them is enough.
func (g *Guard) atSocket(rt route.Route, r *http.Request) (people.Identity, error) {
	user := people.Identity{Name: answer.Caller(r), Roles: []people.Role{people.Administrator}, How: people.Socket}
	if !g.config.Accounts.Exist() {
		return user, nil
	}
	if secret, given := bearer(r); given && rt.May != people.Anybody {
		return g.bearer(r, secret)
	}
	if rt.Asserted || rt.May == people.Anybody || rt.Method == http.MethodGet {
		return user, nil
	}
	return people.Identity{}, &refusal{Refusal{Status: http.StatusUnauthorized, Says: "people have accounts here, and this is decided by a person: sign in (cordon login), or set CORDON_TOKEN to an API token"}}
}

// may holds somebody against a route.
func (g *Guard) may(rt route.Route, r *http.Request, id people.Identity) error {
	switch {
	case rt.May == people.Anybody:
		return nil
	case !g.config.Accounts.Exist():
		return g.early(rt)
	case rt.May == people.MetricsRead && rt.Method == http.MethodGet && g.scrapes(r):
		return nil
	case id.Name == "":
		return &refusal{Refusal{Status: http.StatusUnauthorized, Says: "nobody is signed in: sign in, or send an API token (Authorization: Bearer cordon_…)"}}
	case id.How == people.Token && personal(rt):
		return &refusal{Refusal{Status: http.StatusForbidden, Says: "this is for a person who is signed in, and not for a token", Needed: rt.May, Who: id}}
	case !id.May(rt.May):
		return &refusal{Refusal{Status: http.StatusForbidden, Says: lacks(rt.May, id), Needed: rt.May, Who: id}}
	case rt.Fresh && !id.Fresh(g.now()):
		return &refusal{Refusal{Status: http.StatusUnauthorized, Again: true, Who: id, Says: "this is a decision, and you said who you are more than 5 minutes ago: say it again (cordon login)"}}
	}
	return nil
}

// scrapes reports whether a request is from where metrics are fetched.
func (g *Guard) scrapes(r *http.Request) bool {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && slices.ContainsFunc(g.config.Scrapers, func(p netip.Prefix) bool { return p.Contains(at.Addr().Unmap()) })
}

// personal are the routes that no token opens: whoever has stolen one must not be
// able to make more of it.
func personal(rt route.Route) bool {
	return rt.May == people.PeopleChange || rt.May == people.SignedIn && rt.Method != http.MethodGet
}

// early is what is open before there are accounts: the pages about flow, and the
// metrics.
func (g *Guard) early(rt route.Route) error {
	if rt.Method == http.MethodGet && !rt.API() && (rt.May == people.FlowRead || rt.May == people.MetricsRead) {
		return nil
	}
	return &refusal{Refusal{Status: http.StatusUnauthorized, Says: "nobody has an account yet: the set-up link is in the data directory, in the file setup-link (and cordon up says it at a terminal)"}}
}

// lacks says which roles have what somebody lacks.
func lacks(p people.Permission, id people.Identity) string {
	if id.Scopes != nil && (people.Identity{Name: id.Name, Roles: id.Roles}).May(p) {
		return "the token has not the scope " + string(p)
	}
	return "your roles do not include this; it is for: " + strings.Join(people.Having(p), ", ")
}

// bearer finds the token of a request.
func bearer(r *http.Request) (secret string, given bool) {
	all := r.Header.Values("Authorization")
	if len(all) == 0 {
		return "", false
	}
	scheme, secret, _ := strings.Cut(all[0], " ")
	if len(all) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return "", true // given, and no good
	}
	return strings.TrimSpace(secret), true
}

// streams reports whether a request is for an answer without an end (server-sent
// events).
func streams(r *http.Request) bool { return r.Header.Get("Accept") == "text/event-stream" }

// quiet reports whether a page makes a request by itself, so that it says nothing of
// whether anybody is there.
func quiet(r *http.Request) bool { return streams(r) || r.Header.Get("Cordon-Quiet") != "" }
