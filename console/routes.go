package console

import (
	"net/http"
	"slices"
	"strings"

	"cordon/console/answer"
	"cordon/console/route"
	"cordon/people"
)

// Guard knows who asks for a route, and turns away who may not.
type Guard interface {
	TCP(route.Route) http.Handler    // what is served on the console's address
	Socket(route.Route) http.Handler // what is served at the control socket
}

// Routes is the table of everything that this Console answers.
func (c *Console) Routes() []route.Route {
	return slices.Concat(
		c.openRoutes(),
		c.firstPage(),
		[]route.Route{
			{Method: "GET", Pattern: "/api/v1/openapi.json", May: people.SignedIn, Handler: c.openapi, Doc: route.Doc{
				Summary: "This interface as OpenAPI 3.1", Response: map[string]any{}}},
			{Method: "GET", Pattern: "/metrics", May: people.MetricsRead, Handler: c.metrics},
			{Method: "GET", Pattern: "/api/v1/status", May: people.FlowRead, Handler: c.apiStatus, Doc: route.Doc{
				Summary: "Is imaging flowing, and what must somebody look at", Response: Status{}}},
		},
		c.vaultRoutes(),
		c.exceptionRoutes(),
		c.importRoutes(),
		c.ledgerRoutes(),
		c.pkiRoutes(),
		c.waitingRoutes(),
		c.reviewRoutes(),
		c.reconcileRoutes(),
		c.evidenceRoutes(),
		c.backupRoutes(),
		c.deadmanRoutes(),
		c.recallRoutes(),
		c.bypassRoutes(),
		c.parts.Features,
	)
}

// openapi describes the interface.
func (c *Console) openapi(w http.ResponseWriter, _ *http.Request) {
	text, err := c.document()
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(text)
}

// openRoutes are those of monitors.
func (c *Console) openRoutes() []route.Route {
	return []route.Route{
		{Method: "GET", Pattern: "/healthz", May: people.Anybody, Handler: c.healthz},
		{Method: "GET", Pattern: "/readyz", May: people.Anybody, Handler: c.readyz},
	}
}

// firstPage is the page that shows no secret, unless a feature has a better one.
func (c *Console) firstPage() []route.Route {
	if slices.ContainsFunc(c.parts.Features, func(r route.Route) bool { return r.Pattern == "/{$}" }) {
		return nil
	}
	return c.pageRoutes()
}

// pageRoutes are those of the page that shows no secret.
func (c *Console) pageRoutes() []route.Route {
	return []route.Route{
		{Method: "GET", Pattern: "/{$}", May: people.FlowRead, Handler: c.page},
		{Method: "GET", Pattern: "/style.css", May: people.Anybody, Handler: style},
	}
}

// Handler serves the console's address.
func (c *Console) Handler() http.Handler {
	if c.parts.Guard == nil {
		return guarded(c.unguarded())
	}
	mux := http.NewServeMux()
	for _, r := range c.Routes() {
		mux.Handle(r.Method+" "+r.Pattern, c.parts.Guard.TCP(r))
	}
	return guarded(problems(mux, c.lost()))
}

// lost answers browsers that ask for a page that there is not.
func (c *Console) lost() http.Handler {
	if c.parts.Lost == nil {
		return http.NotFoundHandler()
	}
	return c.parts.Guard.TCP(route.Route{Method: "GET", May: people.Anybody, Handler: c.parts.Lost})
}

// unguarded serves those who are asked nothing: it changes nothing and shows no
// patient data.
func (c *Console) unguarded() http.Handler {
	mux := http.NewServeMux()
	for _, r := range slices.Concat(c.openRoutes(), c.pageRoutes()) {
		mux.HandleFunc(r.Method+" "+r.Pattern, r.Handler)
	}
	mux.HandleFunc("GET /metrics", c.metrics)
	return mux
}

// API serves the control socket.
func (c *Console) API() http.Handler {
	mux := http.NewServeMux()
	for _, r := range c.Routes() {
		if !r.API() && r.Pattern != "/healthz" {
			continue
		}
		var h http.Handler = r.Handler
		if c.parts.Guard != nil {
			h = c.parts.Guard.Socket(r)
		}
		mux.Handle(r.Method+" "+r.Pattern, h)
	}
	return problems(mux, http.NotFoundHandler())
}

// problems answers what no route of the interface is for with a problem, as its
// handlers do, and leaves pages that there are not to lost.
func problems(mux *http.ServeMux, lost http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		none, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		h := head{w, http.StatusOK}
		none.ServeHTTP(&h, r)
		if !strings.HasPrefix(r.URL.Path, "/api/") {
			if h.status == http.StatusNotFound {
				none = lost
			}
			none.ServeHTTP(w, r)
			return
		}
		says := "there is nothing at this address (cordon --help, or GET /api/v1/openapi.json)"
		if h.status == http.StatusMethodNotAllowed {
			says = "this address takes " + w.Header().Get("Allow")
		}
		answer.Say(w, h.status, says)
	})
}

// head takes the head of an answer alone.
type head struct {
	http.ResponseWriter
	status int
}

func (h *head) WriteHeader(status int) { h.status = status }

func (h *head) Write(p []byte) (int, error) { return len(p), nil }
