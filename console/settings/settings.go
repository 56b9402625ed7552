// Package settings is the console's view of what people may change while Cordon
// runs, and of the whole configuration in effect: what it is, where it comes from,
// what a change would have done, who changed what.
//
//	all = append(all, settings.Routes(settings.Parts{Settings: s, Config: config})...)
//
// A change takes two steps: a preview, and applying what the preview showed. It
// shows no secret, and no patient.
package settings

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"cordon/console/answer"
	"cordon/console/route"
	"cordon/console/view"
	"cordon/custody"
	"cordon/people"
	"cordon/setting"
)

// Parts are what the routes work on.
type Parts struct {
	Settings *setting.Settings
	Config   Config
	View     *view.View
}

// Config is the configuration file, as pages show it.
type Config struct {
	File string `json:"file"` // "" without one
	Said []Said `json:"said"` // what it sets, in its order; secrets masked
}

// Said is one value that the configuration file sets.
type Said struct {
	Path  string `json:"path"` // "devices[0].archive"
	Value string `json:"value"`
	Line  int    `json:"line"`
}

// Effective is the answer to "what holds, and why?".
type Effective struct {
	Settings []setting.Setting `json:"settings"`
	Config   Config            `json:"configuration"`
}

// PreviewRequest asks what changes would have changed.
type PreviewRequest struct {
	Changes []setting.Change `json:"changes"`
}

// Request applies, undoes or withdraws a change.
type Request struct {
	By     string `json:"by,omitempty"`
	Reason string `json:"reason"`
	Digest string `json:"digest,omitempty"` // of the preview that is applied
}

// Asserted is the name at the control socket.
func (r *Request) Asserted() *string { return &r.By }

func (r Request) custody() custody.Request { return custody.Request{By: r.By, Reason: r.Reason} }

// shownActs is how many changes are listed.
const shownActs = 100

// Routes are the routes of settings.
func Routes(p Parts) []route.Route {
	const base, one = "/api/v1/settings", "/api/v1/settings/changes/{id}"
	why := Request{By: "A. Able", Reason: "the new scanner writes it; Acme confirms"}
	return append(pageRoutes(p), []route.Route{
		{Method: "GET", Pattern: base, May: people.SettingsRead, Handler: p.list, Doc: route.Doc{
			Summary: "The settings in effect, where each comes from, and what the configuration file says", Response: Effective{}}},
		{Method: "GET", Pattern: base + "/changes", May: people.SettingsRead, Handler: p.history, Doc: route.Doc{
			Summary: "The last changes of settings, the newest first", Response: setting.Act{}, Lines: true}},
		{Method: "POST", Pattern: base + "/preview", May: people.SettingsChange, Handler: p.preview, Doc: route.Doc{
			Summary: "What changes would have changed in the last seven days; its digest applies them",
			Request: PreviewRequest{}, Response: setting.Preview{}, Example: PreviewRequest{[]setting.Change{{Key: "policy.unscanned", Now: "hold"}}}}},
		{Method: "POST", Pattern: base + "/apply", May: people.SettingsChange, Fresh: true, Handler: p.apply, Doc: route.Doc{
			Summary: "Apply what a preview showed; what weakens waits for a second person", Request: Request{}, Response: setting.Act{},
			Example: Request{By: "A. Able", Reason: "an engine is away too often", Digest: "0f"}}},
		{Method: "POST", Pattern: one + "/revert", May: people.SettingsChange, Fresh: true, Handler: p.one(p.Settings.Revert), Doc: route.Doc{
			Summary: "Put back what was before a change", Request: Request{}, Response: setting.Act{}, Example: why}},
		{Method: "POST", Pattern: one + "/withdraw", May: people.SettingsChange, Fresh: true, Handler: p.one(p.Settings.Withdraw), Doc: route.Doc{
			Summary: "Withdraw a change that waits for a second person", Request: Request{}, Response: setting.Act{}, Example: why}},
	}...)
}

func (p Parts) list(w http.ResponseWriter, r *http.Request) {
	all, err := p.Settings.List(r.Context())
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, Effective{all, p.Config})
}

func (p Parts) history(w http.ResponseWriter, r *http.Request) {
	all, err := p.Settings.History(r.Context(), shownActs)
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.List(w, all)
}

func (p Parts) preview(w http.ResponseWriter, r *http.Request) {
	var rq PreviewRequest
	err := answer.Read(w, r, &rq)
	var v setting.Preview
	if err == nil {
		v, err = p.Settings.Preview(r.Context(), rq.Changes)
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, v)
}

func (p Parts) apply(w http.ResponseWriter, r *http.Request) {
	var rq Request
	err := answer.Read(w, r, &rq)
	var a setting.Act
	if err == nil {
		a, err = p.Settings.Apply(r.Context(), rq.Digest, rq.custody())
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, a)
}

// number reads the number of a change in the path.
func number(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %.40q is not the number of a change", answer.ErrRequest, r.PathValue("id"))
	}
	return id, nil
}

// one answers a request about one change.
func (p Parts) one(do func(context.Context, int64, custody.Request) (setting.Act, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var rq Request
		id, err := number(r)
		if err == nil {
			err = answer.Read(w, r, &rq)
		}
		var a setting.Act
		if err == nil {
			a, err = do(r.Context(), id, rq.custody())
		}
		if err != nil {
			answer.Refuse(w, err)
			return
		}
		answer.JSON(w, a)
	}
}
