// Package held is what the vault looks like: the pages on which people find what is
// held, see what it is without a viewer of theirs touching it, and decide.
//
// Ordinary use:
//
//	pieces := held.NewPieces(db, ledger, custody, previews)
//	go pieces.Run(ctx, log)                                     // knows a payload again
//	routes := held.Routes(held.Parts{Custody: custody, …})      // GET /held, /held/{id}; POST /held/{id}/release …
//
// Everything that an object says is hostile text: it is escaped, cut, and never a
// link, a style or an address. Bytes are shown as text in a table, pixels as a
// picture that was rendered here (package preview); neither is ever given to the
// browser to interpret. Whoever looks at an object is recorded, with what of it
// they saw.
//
// A page of the list is read from an index, however much is held. Decisions are
// custody's: two people, or one in an emergency that is reviewed.
package held

import (
	"context"
	"embed"
	"net/http"

	"cordon/console/answer"
	"cordon/console/route"
	"cordon/console/view"
	"cordon/custody"
	"cordon/exception"
	"cordon/ledger"
	"cordon/ledger/search"
	"cordon/people"
	"cordon/preview"
	"cordon/whereabouts"
)

//go:embed *.html
var files embed.FS

// Parts are what the pages show and act on.
type Parts struct {
	Custody    *custody.Custody
	Ledger     *ledger.Ledger
	Search     *search.Index // of the ledger
	Exceptions *exception.Exceptions
	Studies    *whereabouts.Index
	Previews   *preview.Previewer
	Pieces     *Pieces
	View       *view.View
	Wake       func() // something was released, deliver it now; may be nil
}

// pages answers for one Cordon.
type pages struct {
	Parts
	list, item *view.Page
	shelf      shelf
}

// Routes are the pages of what is held, and what the interface has of previews.
func Routes(parts Parts) []route.Route {
	p := &pages{Parts: parts, list: parts.View.Page(files, "held.html", "worst.html"), item: parts.View.Page(files, "item.html", "worst.html")}
	decision := func(action string, fresh bool, may people.Permission) route.Route {
		return route.Route{Method: "POST", Pattern: "/held/{id}/" + action, May: may, Fresh: fresh, Handler: p.decide(action)}
	}
	return []route.Route{
		{Method: "GET", Pattern: "/held", May: people.HeldRead, Handler: p.showList},
		{Method: "GET", Pattern: "/held/{id}", May: people.HeldRead, Handler: p.showItem},
		{Method: "GET", Pattern: "/held/{id}/bytes", May: people.HeldRead, Handler: p.showBytes},
		{Method: "GET", Pattern: "/held/{id}/frame.png", May: people.ImageRead, Handler: p.showFrame},
		decision(release, true, people.HeldDecide),
		decision(destroy, true, people.HeldDecide),
		decision(review, false, people.HeldDecide),
		decision(retry, false, people.OperateChange),
		{Method: "POST", Pattern: "/held/{id}/export", May: people.HeldDecide, Fresh: true, Handler: p.export},
		{Method: "GET", Pattern: "/api/v1/vault/{id}/frame", May: people.ImageRead, Handler: p.showFrame, Doc: route.Doc{
			Summary: "One frame as a small picture, rendered here; that somebody saw it is recorded", Media: "image/png",
			Query: []route.Param{{Name: "frame", Summary: "its number, from 0", Example: "0"}}}},
		{Method: "GET", Pattern: "/api/v1/vault/{id}/bytes", May: people.HeldRead, Handler: p.apiBytes, Doc: route.Doc{
			Summary: "The bytes around a finding; that somebody saw them is recorded", Response: Bytes{},
			Query: []route.Param{
				{Name: "finding", Summary: "its number among the object's findings, from 0", Example: "0"},
				{Name: "from", Summary: "instead of around the finding: from this offset on", Example: "0"},
			}}},
	}
}

// seen records that somebody looks at an object, before they see it.
func (p *pages) seen(r *http.Request, o custody.Object, what string) error {
	return p.Ledger.Record(r.Context(), "object.shown", map[string]any{
		"id": o.ID, "by": answer.Caller(r), "what": what, "sop_instance_uid": o.SOPInstanceUID, "study_instance_uid": o.StudyInstanceUID,
	})
}

// refused answers an error as the page or the interface does.
func (p *pages) refused(w http.ResponseWriter, r *http.Request, err error) { p.View.Refuse(w, r, err) }

// names of the decisions, as their addresses have them.
const (
	release = "release"
	destroy = "destroy"
	review  = "review"
	retry   = "retry"
)

// acts performs a decision.
func (p *pages) act(ctx context.Context, action, id string, rq custody.Request, except bool) (custody.Decision, error) {
	done := func(err error) (custody.Decision, error) {
		return custody.Decision{Done: err == nil, By: []string{rq.By}}, err
	}
	switch action {
	case release:
		return Release(ctx, p.Custody, p.Exceptions, id, rq, except)
	case destroy:
		return p.Custody.Destroy(ctx, id, rq)
	case review:
		return done(p.Custody.Review(ctx, id, rq))
	}
	return done(p.Custody.Retry(ctx, id, rq))
}
