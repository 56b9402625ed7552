package network

import (
	"net/http"

	"cordon/console/answer"
	"cordon/console/route"
	"cordon/custody"
	"cordon/people"
	"cordon/plan"
)

// PlanRequest puts the firewall plan in shadow, enforces it, or takes it out.
type PlanRequest struct {
	Mode   plan.Mode `json:"mode"`             // off, shadow, enforce
	Digest string    `json:"digest,omitempty"` // of the plan that was read; not of off
	From   string    `json:"from,omitempty"`   // the address that whoever asks comes from, which is never shut out
	By     string    `json:"by"`               // as asserted
	Reason string    `json:"reason"`
}

// Asserted is the name that it is made under.
func (r *PlanRequest) Asserted() *string { return &r.By }

// planRoutes are those of the firewall plan.
func (p Parts) planRoutes() []route.Route {
	return []route.Route{
		{Method: "GET", Pattern: "/api/v1/plan", May: people.NetworkRead, Handler: p.plan, Doc: route.Doc{
			Summary: "Who needs to talk to whom, what of it is used, and what would break", Response: plan.Plan{}}},
		{Method: "GET", Pattern: "/api/v1/plan/state", May: people.NetworkRead, Handler: p.planState, Doc: route.Doc{
			Summary: "How the plan stands", Response: plan.State{}}},
		{Method: "GET", Pattern: "/api/v1/plan/hits", May: people.NetworkRead, Handler: p.planHits, Doc: route.Doc{
			Summary: "What the plan that is applied stopped, or in shadow would have stopped, in seven days", Response: plan.Hit{}, Lines: true}},
		{Method: "POST", Pattern: "/api/v1/plan/apply", May: people.NetworkChange, Fresh: true, Handler: p.planApply, Doc: route.Doc{
			Summary: "Put the plan that was read in shadow, or enforce it until it is confirmed within two minutes", Request: PlanRequest{}, Response: plan.State{},
			Example: PlanRequest{Mode: plan.Shadow, Digest: "e3f98d3b159b2ba0", By: "A. Able", Reason: "segmentation, step one"}}},
		{Method: "POST", Pattern: "/api/v1/plan/off", May: people.NetworkChange, Asserted: true, Handler: p.planOff, Doc: route.Doc{
			Summary: "Take the plan out", Request: Decision{}, Response: plan.State{}, Example: decision}},
		{Method: "POST", Pattern: "/api/v1/plan/confirm", May: people.NetworkChange, Handler: p.planConfirm, Doc: route.Doc{
			Summary: "Say that everything that has to be reached is, with the plan enforced", Request: Decision{}, Response: plan.State{}, Example: decision}},
	}
}

func (p Parts) plan(w http.ResponseWriter, r *http.Request) {
	now, err := p.Plan.Compute(r.Context())
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, now)
}

func (p Parts) planState(w http.ResponseWriter, r *http.Request) {
	s, err := p.Plan.State(r.Context())
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, s)
}

func (p Parts) planHits(w http.ResponseWriter, r *http.Request) {
	all, err := p.Plan.Hits(r.Context())
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.List(w, all)
}

func (p Parts) planApply(w http.ResponseWriter, r *http.Request) {
	var rq PlanRequest
	if err := answer.Read(w, r, &rq); err != nil {
		answer.Refuse(w, err)
		return
	}
	from, err := address(rq.From)
	var s plan.State
	if err == nil {
		s, err = p.Plan.Apply(r.Context(), plan.Order{Request: custody.Request{By: rq.By, Reason: rq.Reason}, Mode: rq.Mode, Digest: rq.Digest, From: from})
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, s)
}

func (p Parts) planOff(w http.ResponseWriter, r *http.Request) {
	p.planDecision(w, r, func(d Decision) (plan.State, error) {
		return p.Plan.Apply(r.Context(), plan.Order{Request: d.request(), Mode: plan.Off})
	})
}

func (p Parts) planConfirm(w http.ResponseWriter, r *http.Request) {
	p.planDecision(w, r, func(d Decision) (plan.State, error) { return p.Plan.Confirm(r.Context(), d.request()) })
}

func (p Parts) planDecision(w http.ResponseWriter, r *http.Request, do func(Decision) (plan.State, error)) {
	var rq Decision
	err := answer.Read(w, r, &rq)
	var s plan.State
	if err == nil {
		s, err = do(rq)
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, s)
}
