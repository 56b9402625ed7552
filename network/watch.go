package network

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"cordon/asset"
	"cordon/metric"
	"cordon/store"
)

// Declared is what there is to hold a device's traffic against.
type Declared struct {
	Name      string
	Addresses []netip.Prefix
	Hardware  []MAC        // its network cards, where somebody said; else they are learned
	Modality  bool         // it makes images: another one has nothing to say to it
	Flows     []asset.Flow // all that it may talk to, and be called by: what the gateway admits, what anybody declared, the site's for everybody
	Strict    bool         // its own flows were declared, so that nothing has to be learned
}

// Server is one of the site's own that devices talk to: the gateway, an archive.
type Server struct {
	Name      string
	Addresses []netip.Prefix
	Ports     []uint16 // where images arrive
}

// Config is what a Watch is told. The zero value watches nobody.
type Config struct {
	Devices  func() []Declared // asked every few seconds
	Servers  []Server
	Inside   []netip.Prefix     // the hospital's own networks; none: the private ones (RFC 1918, RFC 4193)
	Learn    time.Duration      // how long a device without flows of its own is learned; 0: two weeks
	Settings map[string]Setting // by rule id
	Raise    func(Alert)        // called by Run for each alert; nil: nobody is told
}

// Journal takes records onto the ledger.
type Journal interface {
	Append(tx *store.Tx, kind string, body any) error
}

// Parts are what a Watch works with. All may be nil: then nothing is kept.
type Parts struct {
	DB      *store.DB
	Journal Journal
	Metrics *metric.Metrics
	Log     *slog.Logger
}

// Watch holds what is seen against what was declared. The methods may be called
// from any goroutine.
type Watch struct {
	config Config
	parts  Parts
}

// New returns a Watch that knows what was seen before.
func New(ctx context.Context, c Config, p Parts) (*Watch, error) {
	return &Watch{config: c, parts: p}, nil
}

// Run writes what was seen and raises what is unusual until ctx ends.
func (w *Watch) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Observe takes a flow.
func (w *Watch) Observe(f Flow) {}

// Claim takes a claim of an address.
func (w *Watch) Claim(c Claim) {}

// Detected takes what an intrusion detection system recognised.
func (w *Watch) Detected(d Detection) {}

// Asked takes a name that was looked up.
func (w *Watch) Asked(a Asked) {}

// Seen lists who talks to whom, devices first, the latest first.
func (w *Watch) Seen(ctx context.Context) ([]Seen, error) { return nil, nil }

// Alerts lists the last n alerts, the latest first.
func (w *Watch) Alerts(ctx context.Context, n int) ([]Alert, error) { return nil, nil }
