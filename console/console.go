// Package console is where people and programs look at a running Cordon: a
// status page, health answers and metrics for the console's address, and the
// JSON interface that the command line speaks over the control socket.
//
// Ordinary use:
//
//	c := console.New(console.Config{Site: "Example Hospital", Version: version, Flow: flow, Wake: wake},
//		console.Parts{Custody: custody, Ledger: ledger, Exceptions: exceptions})
//	go console.Serve(ctx, tcp, c.Handler(), log)    // pages, and the interface
//	go console.Serve(ctx, socket, c.API(), log)     // the interface: /api/v1/status, vault, ledger
//
// What it answers is a table of routes, each with who may ask for it. A Guard
// stands before them; without one, whoever can open the control socket may see
// and decide everything, under the names that they give, since the operating
// system guards it, and who comes over TCP is asked nothing and shown what is no
// secret: no patient data, no decisions.
//
// It will not decide anything itself (custody does), and it does not know the
// gateway: the roof hands it a function that describes the flow.
package console

import (
	"context"
	"net/http"
	"sync"
	"time"

	"cordon/asset"
	"cordon/backup"
	"cordon/bypass"
	"cordon/commitment"
	"cordon/console/openapi"
	"cordon/console/route"
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

	SignatureAge func() time.Duration // from which an engine's signatures are an alarm; nil: a week
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

	Features []route.Route // pages of the packages below, and what the interface has beside
	Guard    Guard         // nil: see the package comment

	Lost http.HandlerFunc // answers for a page that there is not; nil: a line of text
}

// Console answers for one Cordon. It is safe for concurrent use.
type Console struct {
	config   Config
	parts    Parts
	document func() ([]byte, error) // describes the interface; made when it is first asked for
}

// New returns a Console.
func New(c Config, p Parts) *Console {
	made := &Console{config: c, parts: p}
	made.document = sync.OnceValues(func() ([]byte, error) { return openapi.Document(c.Version, made.Routes()) })
	return made
}

// healthz says whether this process can do its work: its database answers.
func (c *Console) healthz(w http.ResponseWriter, r *http.Request) {
	_, err := c.parts.Custody.Stats(r.Context())
	word(w, err == nil, "healthy", "the database does not answer")
}

// readyz says whether associations are accepted, whether or not an archive is
// up: what is accepted is kept until it is.
func (c *Console) readyz(w http.ResponseWriter, r *http.Request) {
	s, err := c.status(r.Context())
	word(w, err == nil && s.Accepting, "ready", "associations are not accepted")
}

func word(w http.ResponseWriter, good bool, yes, no string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if !good {
		w.WriteHeader(http.StatusServiceUnavailable)
		w.Write([]byte(no + "\n"))
		return
	}
	w.Write([]byte(yes + "\n"))
}
