package console

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"cordon/reconcile"
)

// reconcileRoutes are those of the accounting for what was acknowledged.
func (c *Console) reconcileRoutes(mux *http.ServeMux) {
	if c.parts.Reconcile == nil {
		return
	}
	mux.HandleFunc("GET /api/v1/reconcile", c.reconciled)
	mux.HandleFunc("POST /api/v1/reconcile", c.reconcile)
	mux.HandleFunc("POST /api/v1/reconcile/give-up", c.reconcileGiveUp)
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
		refuse(w, fmt.Errorf("%w: nothing has been accounted for since the start yet", errRequest))
		return
	}
	reply(w, last)
}

// reconcile accounts now. It may take minutes: the answer comes at the end, and
// ends with whoever asked.
func (c *Console) reconcile(w http.ResponseWriter, r *http.Request) {
	stop := keepOpen(r.Context(), http.NewResponseController(w))
	report, err := c.parts.Reconcile.Now(r.Context())
	stop()
	if err != nil {
		refuse(w, err)
		return
	}
	reply(w, reconciledAs(report))
}

// keepOpen moves the deadline of an answer on until it is stopped.
func keepOpen(ctx context.Context, control *http.ResponseController) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { // ends with stop, or with the request
		defer close(ended)
		for patience(control) == nil {
			select {
			case <-ctx.Done():
				return
			case <-time.After(10 * time.Second):
			}
		}
	}()
	return func() { cancel(); <-ended }
}

// GivenUp is how many alarms were ended.
type GivenUp struct {
	Instances int `json:"instances"`
}

func (c *Console) reconcileGiveUp(w http.ResponseWriter, r *http.Request) {
	var rq VaultRequest
	err := read(w, r, &rq)
	var n int
	if err == nil {
		n, err = c.parts.Reconcile.GiveUp(r.Context(), rq.custody())
	}
	if err != nil {
		refuse(w, err)
		return
	}
	reply(w, GivenUp{n})
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
		s.degrade(s.Accounting.Says[0] + " See cordon status --reconcile.")
	}
}
