// Package console is where people and programs look at a running Cordon: a
// status page, health answers and metrics for the console's address, and the
// JSON interface that the command line speaks over the control socket.
//
// Ordinary use:
//
//	c := console.New(console.Config{Site: "Example Hospital", Version: version, Flow: flow, Wake: wake},
//		console.Parts{Custody: custody, Ledger: ledger, Exceptions: exceptions})
//	go console.Serve(ctx, tcp, c.Handler(), log)    // GET / /healthz /readyz /metrics; changes nothing
//	go console.Serve(ctx, socket, c.API(), log)     // /api/v1/status, vault, ledger
//
// Whoever can open the control socket may see and decide everything, under the
// names that they give; the operating system guards it. What listens on TCP
// asks nobody who they are, so it only shows: no patient data, no decisions.
//
// It will not decide anything itself (custody does), and it does not know the
// gateway: the roof hands it a function that describes the flow.
package console

import (
	"context"
	"net/http"

	"cordon/asset"
	"cordon/backup"
	"cordon/bypass"
	"cordon/commitment"
	"cordon/custody"
	"cordon/deadman"
	"cordon/evidence"
	"cordon/exception"
	"cordon/ledger"
	"cordon/metric"
	"cordon/mpps"
	"cordon/pki"
	"cordon/reconcile"
	"cordon/review"
)

// Config is what a Console is told of the house around it.
type Config struct {
	Site    string                              // shown at the top of the page
	Version string                              // of this Cordon
	Flow    func(context.Context) (Flow, error) // what passes through; nil when nothing does
	Wake    func()                              // something was released, deliver it now; may be nil
}

// Parts are what a Console shows and acts on.
type Parts struct {
	Custody *custody.Custody
	Ledger  *ledger.Ledger
	Recalls *Recalls         // nil if nothing is judged again
	Bypass  *bypass.Bypasses // nil if there is no override

	WitnessKey string // opens this Cordon's cosignatures; "" if it is no witness

	Metrics *metric.Metrics // what is counted elsewhere; may be nil
	Reviews *review.Reviews // nil if there are no activity reviews

	Evidence *evidence.Maker // nil if no packs are made

	Commitment *commitment.Commitment // nil if storage commitment is not offered
	Steps      *mpps.Spool            // nil if no message about a procedure step is kept

	Exceptions *exception.Exceptions
	Devices    *asset.Register

	Reconcile *reconcile.Reconciler // nil if nobody accounts for what was acknowledged

	PKI *pki.PKI // nil if there can be no certificate authority

	Backup  *backup.Maker // nil if no backups are made
	Deadman *deadman.Past // nil if nothing leads past Cordon
}

// Console answers for one Cordon. It is safe for concurrent use.
type Console struct {
	config Config
	parts  Parts
}

// New returns a Console.
func New(c Config, p Parts) *Console { return &Console{c, p} }

// Handler serves the console's address. It changes nothing and shows no
// patient data.
func (c *Console) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", c.page)
	mux.HandleFunc("GET /style.css", style)
	mux.HandleFunc("GET /healthz", c.healthz)
	mux.HandleFunc("GET /readyz", c.readyz)
	mux.HandleFunc("GET /metrics", c.metrics)
	return guarded(mux)
}

// API serves the control socket.
func (c *Console) API() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/status", c.apiStatus)
	mux.HandleFunc("GET /api/v1/vault", c.vaultList)
	mux.HandleFunc("GET /api/v1/vault/{id}", c.vaultShow)
	mux.HandleFunc("POST /api/v1/vault/{id}/release", c.decide(c.release))
	mux.HandleFunc("POST /api/v1/vault/{id}/destroy", c.decide(plain(c.parts.Custody.Destroy)))
	mux.HandleFunc("POST /api/v1/vault/{id}/review", c.decide(plain(done(c.parts.Custody.Review))))
	mux.HandleFunc("POST /api/v1/vault/{id}/retry", c.decide(plain(done(c.parts.Custody.Retry))))
	mux.HandleFunc("POST /api/v1/vault/{id}/export", c.vaultExport)
	mux.HandleFunc("GET /api/v1/exceptions", c.exceptions)
	mux.HandleFunc("POST /api/v1/exceptions", c.exception(c.propose))
	mux.HandleFunc("POST /api/v1/exceptions/{id}/approve", c.exception(c.approve))
	mux.HandleFunc("POST /api/v1/exceptions/{id}/revoke", c.exception(c.revoke))
	mux.HandleFunc("GET /api/v1/devices", c.deviceList)
	mux.HandleFunc("GET /api/v1/devices/{name}", c.deviceShow)
	mux.HandleFunc("POST /api/v1/devices/{name}/approve", c.device(c.deviceApprove))
	mux.HandleFunc("POST /api/v1/devices/{name}/deny", c.device(c.deviceDeny))
	mux.HandleFunc("POST /api/v1/import", c.importDone)
	mux.HandleFunc("POST /api/v1/import/held", c.importHeld)
	c.ledgerRoutes(mux)
	c.pkiRoutes(mux)
	c.waitingRoutes(mux)
	c.reviewRoutes(mux)
	c.reconcileRoutes(mux)
	if c.parts.Evidence != nil {
		mux.HandleFunc("POST /api/v1/evidence", c.evidencePack)
	}
	if c.parts.Backup != nil {
		mux.HandleFunc("POST /api/v1/backup", c.backup)
	}
	if c.parts.Deadman != nil {
		mux.HandleFunc("GET /api/v1/deadman", c.deadmanList)
		mux.HandleFunc("POST /api/v1/deadman/review", c.deadmanReview)
	}
	mux.HandleFunc("GET /healthz", c.healthz)
	if c.parts.Recalls != nil {
		mux.HandleFunc("GET /api/v1/recall", c.recallList)
		mux.HandleFunc("POST /api/v1/recall/{id}/done", c.recallDone)
	}
	if c.parts.Bypass != nil {
		mux.HandleFunc("GET /api/v1/bypass", c.bypassList)
		mux.HandleFunc("POST /api/v1/bypass", c.bypassStart)
		mux.HandleFunc("POST /api/v1/bypass/off", c.bypassStop)
	}
	return mux
}

// healthz says whether this process can do its work: its database answers.
func (c *Console) healthz(w http.ResponseWriter, r *http.Request) {
	_, err := c.parts.Custody.Stats(r.Context())
	answer(w, err == nil, "healthy", "the database does not answer")
}

// readyz says whether associations are accepted, whether or not an archive is
// up: what is accepted is kept until it is.
func (c *Console) readyz(w http.ResponseWriter, r *http.Request) {
	s, err := c.status(r.Context())
	answer(w, err == nil && s.Accepting, "ready", "associations are not accepted")
}

func answer(w http.ResponseWriter, good bool, yes, no string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if !good {
		w.WriteHeader(http.StatusServiceUnavailable)
		w.Write([]byte(no + "\n"))
		return
	}
	w.Write([]byte(yes + "\n"))
}
