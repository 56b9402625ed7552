package main

import (
	"context"
	"net/http"

	"cordon/console/view"
)

// newView is what the console's pages share.
func (p *parts) newView(c Config) *view.View {
	return view.New(view.Config{Site: c.Site, Version: version, Counts: p.waitingFor})
}

// waitingFor is how much waits for people, by the page that it is on.
func (p *parts) waitingFor(ctx context.Context) map[string]int {
	out := map[string]int{"/alarms": p.alarms.Counts().Unseen}
	if s, err := p.custody.Stats(ctx); err == nil {
		out["/held"] = int(s.Held)
	}
	return out
}

// noPage answers browsers that ask for a page that there is not.
func (p *parts) noPage(w http.ResponseWriter, r *http.Request) {
	p.view.Say(w, r, http.StatusNotFound, p.view.Text("view.no_page"))
}
