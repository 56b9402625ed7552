package console

import (
	"fmt"
	"net/http"

	"cordon/console/answer"
	"cordon/console/route"
	"cordon/people"
	"cordon/reconcile"
)

// reconcileRoutes are those of the accounting for what was acknowledged.
func (c *Console) reconcileRoutes() []route.Route {
	if c.parts.Reconcile == nil {
		return nil
	}
	return []route.Route{
		{Method: "GET", Pattern: "/api/v1/reconcile", May: people.LedgerRead, Handler: c.reconciled, Doc: route.Doc{
			Summary: "The last accounting for what was acknowledged", Response: Reconciled{}}},
		{Method: "POST", Pattern: "/api/v1/reconcile", May: people.OperateChange, Handler: c.reconcile, Doc: route.Doc{
			Summary: "Account for everything that was acknowledged, now; it may take minutes", Response: Reconciled{}}},
		{Method: "POST", Pattern: "/api/v1/reconcile/give-up", May: people.OperateChange, Fresh: true, Handler: c.reconcileGiveUp, Doc: route.Doc{
			Summary: "End the alarms about instances that are missing", Request: VaultRequest{}, Response: GivenUp{}, Example: VaultRequest{By: "A. Able", Reason: "deleted in the archive, by the radiologist"}}},
	}
}

// Reconciled is the answer to an accounting: the report, and what it says.
type Reconciled struct {
	reconcile.Report
	Well bool     `json:"well"`
	Says []string `json:"says"` // one sentence each, the answer first
}

func reconciledAs(r reconcile.Report) Reconciled { return Reconciled{r, r.Well(), r.Says()} }

// reconciled shows the last report.
func (c *Console) reconciled(w http.ResponseWriter, _ *http.Request) {
	last := c.lastAccounting()
	if last == nil {
		answer.Refuse(w, fmt.Errorf("%w: nothing has been accounted for since the start yet", answer.ErrRequest))
		return
	}
	answer.JSON(w, last)
}

// reconcile accounts now. It may take minutes: the answer comes at the end, and
// ends with whoever asked.
func (c *Console) reconcile(w http.ResponseWriter, r *http.Request) {
	stop := answer.KeepOpen(r.Context(), http.NewResponseController(w))
	report, err := c.parts.Reconcile.Now(r.Context())
	stop()
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, reconciledAs(report))
}

// GivenUp is how many alarms were ended.
type GivenUp struct {
	Instances int `json:"instances"`
}

func (c *Console) reconcileGiveUp(w http.ResponseWriter, r *http.Request) {
	var rq VaultRequest
	err := answer.Read(w, r, &rq)
	var n int
	if err == nil {
		n, err = c.parts.Reconcile.GiveUp(r.Context(), rq.custody())
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, GivenUp{n})
}

// lastAccounting is the last report, or nil.
func (c *Console) lastAccounting() *Reconciled {
	if c.parts.Reconcile == nil {
		return nil
	}
	last := c.parts.Reconcile.Last()
	if last == nil {
		return nil
	}
	out := reconciledAs(*last)
	return &out
}

// accountedFor says what the last accounting found wrong. What an archive could
// not be asked about is no alarm: it is asked again.
func (s *Status) accountedFor() {
	if s.Accounting != nil && s.Accounting.Alarming() {
		s.degrade("object.missing", "", s.Accounting.Says[0]+" See cordon status --reconcile.")
	}
}
