package console

import (
	"context"
	"fmt"
	"net/http"

	"cordon/console/answer"
	"cordon/console/held"
	"cordon/console/route"
	"cordon/custody"
	"cordon/finding"
	"cordon/people"
)

// vaultRoutes are those of what is held.
func (c *Console) vaultRoutes() []route.Route {
	decision := func(summary string) route.Doc {
		return route.Doc{Summary: summary, Request: VaultRequest{}, Response: custody.Decision{}, Example: VaultRequest{By: "A. Able", Reason: "the vendor confirms that this is its own preamble"}}
	}
	return []route.Route{
		{Method: "GET", Pattern: "/api/v1/vault", May: people.HeldRead, Handler: c.vaultList, Doc: route.Doc{
			Summary: "What is held, the oldest first", Response: custody.VaultItem{}, Lines: true,
			Query: []route.Param{
				{Name: "all", Summary: "true: also what was released or destroyed", Example: "true"},
				{Name: "study", Summary: "of one study alone: its Study Instance UID (0020,000D)", Example: "1.2.3"},
				{Name: "attention", Summary: "true: instead, what an archive refused", Example: "false"},
			}}},
		{Method: "GET", Pattern: "/api/v1/vault/{id}", May: people.HeldRead, Handler: c.vaultShow, Doc: route.Doc{
			Summary: "All about one object; that somebody saw it is recorded", Response: VaultDetail{}}},
		{Method: "POST", Pattern: "/api/v1/vault/{id}/release", May: people.HeldDecide, Fresh: true, Handler: c.decide(c.release), Doc: decision("Ask for an object to be released, or agree: two people, but in an emergency")},
		{Method: "POST", Pattern: "/api/v1/vault/{id}/destroy", May: people.HeldDecide, Fresh: true, Handler: c.decide(plain(c.parts.Custody.Destroy)), Doc: decision("Ask for an object to be destroyed, or agree: two people")},
		{Method: "POST", Pattern: "/api/v1/vault/{id}/review", May: people.HeldDecide, Handler: c.decide(plain(done(c.parts.Custody.Review))), Doc: decision("Review an emergency release of somebody else's")},
		{Method: "POST", Pattern: "/api/v1/vault/{id}/retry", May: people.OperateChange, Handler: c.decide(plain(done(c.parts.Custody.Retry))), Doc: decision("Deliver an object again that its archive refused")},
		{Method: "POST", Pattern: "/api/v1/vault/{id}/export", May: people.HeldDecide, Fresh: true, Handler: c.vaultExport, Doc: route.Doc{
			Summary: "The object as a file, as it came; that is recorded", Request: VaultRequest{}, Media: "application/octet-stream", Example: VaultRequest{By: "A. Able", Reason: "for the vendor's laboratory"}}},
	}
}

// vaultPage is how many objects are read from the database at a time.
const vaultPage = 100

// VaultRequest is what a person asks of an object in the vault.
type VaultRequest struct {
	By        string `json:"by"` // of whoever signed in; at the control socket, as asserted
	Reason    string `json:"reason"`
	Emergency bool   `json:"emergency,omitempty"`
	Except    bool   `json:"except,omitempty"` // release only: from now on, what was found is excepted for the device
}

func (r VaultRequest) custody() custody.Request {
	return custody.Request{By: r.By, Reason: r.Reason, Emergency: r.Emergency}
}

// Asserted is the name that it is made under.
func (r *VaultRequest) Asserted() *string { return &r.By }

// VaultDetail is all that there is to say about one object.
type VaultDetail struct {
	custody.VaultItem
	TransferSyntaxUID string                 `json:"transfer_syntax_uid"`
	Engines           []finding.EngineResult `json:"engines,omitempty"`
	Asked             []custody.Asked        `json:"asked,omitempty"`      // by one person, while a second is awaited
	DecidedBy         []string               `json:"decided_by,omitempty"` // who released or destroyed it
	Attempts          int                    `json:"attempts"`             // to deliver it
	NeedsAttention    bool                   `json:"needs_attention,omitempty"`
	LastError         string                 `json:"last_error,omitempty"`
	Alarm             string                 `json:"alarm,omitempty"` // what is wrong with the copy here
}

// detail describes an object. One that was never held is in its own state: the
// vault has no word for it.
func detail(o custody.Object, asked []custody.Asked) VaultDetail {
	d := VaultDetail{
		VaultItem:         o.VaultItem(),
		TransferSyntaxUID: o.TransferSyntaxUID,
		Engines:           o.Engines,
		Asked:             asked,
		DecidedBy:         o.DecidedBy,
		Attempts:          o.Attempts,
		NeedsAttention:    o.NeedsAttention,
		LastError:         o.LastError,
		Alarm:             o.Alarm,
	}
	if o.HeldAt.IsZero() {
		d.State = o.State
	}
	return d
}

// vaultList writes what is held, the oldest first; with ?all=true also what
// was released or destroyed; with ?study=UID of one study; with
// ?attention=true instead what an archive refused.
func (c *Console) vaultList(w http.ResponseWriter, r *http.Request) {
	f := custody.Filter{
		Vault:            true,
		StudyInstanceUID: r.URL.Query().Get("study"),
		Limit:            vaultPage,
	}
	show := func(o custody.Object) any { return o.VaultItem() }
	switch query := r.URL.Query(); {
	case query.Get("attention") == "true":
		f.Vault, f.NeedsAttention = false, true
		show = func(o custody.Object) any { return detail(o, nil) }
	case query.Get("all") != "true":
		f.States = []custody.State{custody.Held}
	}
	out := answer.NewLines(w)
	for {
		page, err := c.parts.Custody.List(r.Context(), f)
		if err != nil {
			answer.Refuse(w, err)
			return
		}
		for _, o := range page {
			if err := out.Write(show(o)); err != nil {
				return // the reader has gone
			}
			f.After = o.ID
		}
		if len(page) < vaultPage {
			return
		}
	}
}

func (c *Console) vaultShow(w http.ResponseWriter, r *http.Request) {
	o, err := c.parts.Custody.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	asked, err := c.parts.Custody.Asked(r.Context(), o.ID)
	if err == nil {
		err = c.parts.Ledger.Record(r.Context(), "object.shown", map[string]any{
			"id": o.ID, "by": answer.Caller(r), "sop_instance_uid": o.SOPInstanceUID, "study_instance_uid": o.StudyInstanceUID,
		})
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, detail(o, asked))
}

// decide answers a request that a person decides on with act, and has what may
// be due for delivery now delivered.
func (c *Console) decide(act func(context.Context, string, VaultRequest) (custody.Decision, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var rq VaultRequest
		if err := answer.Read(w, r, &rq); err != nil {
			answer.Refuse(w, err)
			return
		}
		d, err := act(r.Context(), r.PathValue("id"), rq)
		if err != nil {
			answer.Refuse(w, err)
			return
		}
		if d.Done && c.config.Wake != nil {
			c.config.Wake()
		}
		answer.JSON(w, d)
	}
}

// release releases an object, perhaps with an exception for its device.
func (c *Console) release(ctx context.Context, id string, rq VaultRequest) (custody.Decision, error) {
	return held.Release(ctx, c.parts.Custody, c.parts.Exceptions, id, rq.custody(), rq.Except)
}

// plain is a decision about the object alone.
func plain(act func(context.Context, string, custody.Request) (custody.Decision, error)) func(context.Context, string, VaultRequest) (custody.Decision, error) {
	return func(ctx context.Context, id string, rq VaultRequest) (custody.Decision, error) {
		if rq.Except {
			return custody.Decision{}, fmt.Errorf("%w: only a release makes an exception", answer.ErrRequest)
		}
		return act(ctx, id, rq.custody())
	}
}

// done is a decision that takes one person.
func done(act func(context.Context, string, custody.Request) error) func(context.Context, string, custody.Request) (custody.Decision, error) {
	return func(ctx context.Context, id string, r custody.Request) (custody.Decision, error) {
		return custody.Decision{Done: true, By: []string{r.By}}, act(ctx, id, r)
	}
}

// vaultExport writes the object as a Part 10 file. One that came as a file is
// written as it came.
func (c *Console) vaultExport(w http.ResponseWriter, r *http.Request) {
	var rq VaultRequest
	if err := answer.Read(w, r, &rq); err != nil {
		answer.Refuse(w, err)
		return
	}
	o, err := c.parts.Custody.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	out := answer.NewStream(w)
	out.End(held.Export(r.Context(), c.parts.Custody, o, rq.custody(), out))
}
