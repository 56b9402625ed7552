package network

import (
	"context"
	"hash/maphash"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"cordon/asset"
	"cordon/metric"
	"cordon/quota"
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
	Devices  func() []Declared // asked every few seconds; nil: none
	Servers  []Server
	Inside   []netip.Prefix     // the hospital's own networks; none: the private ones (RFC 1918, RFC 4193)
	Learn    time.Duration      // how long a device without flows of its own is learned; 0: two weeks, negative: not at all
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
	rules  map[string]Rule // as the site has them
	seed   maphash.Seed
	quota  *quota.Quota // of records of one address
	wake   chan struct{}

	mu      sync.Mutex // guards what follows
	hosts   *hosts
	talkers map[netip.Addr]*talker

	rows        map[netip.Addr]map[pairing]*row // by caller
	rowCount    int
	changedRows []pairing // not written yet
	gone        []pairing // to be deleted

	since        map[string]time.Time // each device has been learned
	sinceChanged []string

	cards        map[netip.Addr]card // of devices
	cardsChanged map[netip.Addr]bool
	carriers     map[MAC]*carrier

	proofs  map[talk]time.Time // conversations of devices that are proven
	doubts  map[talk]doubt
	matters map[matterKey]*matter
	groups  map[[2]string]int // of matters, by rule and subject
	due     []*matter

	begun time.Time // of slot 0
	slot  int64
	alive day             // the sensors saw somebody
	days  map[string]*day // by device
}

const (
	defaultLearn = 14 * 24 * time.Hour
	refreshEvery = 2 * time.Second // devices are asked for, and what was seen is written
	remindEvery  = 10 * time.Second
)

// New returns a Watch that knows what was seen before.
func New(ctx context.Context, c Config, p Parts) (*Watch, error) {
	if c.Learn == 0 {
		c.Learn = defaultLearn
	}
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	w := &Watch{
		config: c, parts: p, rules: map[string]Rule{}, seed: maphash.MakeSeed(), wake: make(chan struct{}, 1),
		quota:   quota.New(recordBurst, recordEvery),
		talkers: map[netip.Addr]*talker{}, rows: map[netip.Addr]map[pairing]*row{}, since: map[string]time.Time{},
		cards: map[netip.Addr]card{}, cardsChanged: map[netip.Addr]bool{}, carriers: map[MAC]*carrier{},
		proofs: map[talk]time.Time{}, doubts: map[talk]doubt{}, matters: map[matterKey]*matter{}, groups: map[[2]string]int{}, days: map[string]*day{},
	}
	for _, r := range rules {
		if t := c.Settings[r.ID].Threshold; t > 0 {
			r.Threshold = t
		}
		w.rules[r.ID] = r
	}
	w.Refresh()
	return w, w.load(ctx)
}

// Refresh asks for the devices. Run does so by itself.
func (w *Watch) Refresh() {
	var devices []Declared
	if w.config.Devices != nil {
		devices = w.config.Devices()
	}
	h := newHosts(devices, w.config.Servers, w.config.Inside)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hosts = h
}

// Run raises what is unusual and writes what was seen until ctx ends.
func (w *Watch) Run(ctx context.Context) error {
	refresh, remind := time.NewTicker(refreshEvery), time.NewTicker(remindEvery)
	defer refresh.Stop()
	defer remind.Stop()
	for {
		select {
		case <-ctx.Done():
			w.raise(context.WithoutCancel(ctx))
			return w.write(context.WithoutCancel(ctx))
		case <-w.wake:
			w.raise(ctx)
		case <-refresh.C:
			w.Refresh()
			if err := w.write(ctx); err != nil && ctx.Err() == nil {
				w.parts.Log.Error("what was seen on the network was not written; it is tried again", "error", err)
			}
		case now := <-remind.C:
			w.remind(now)
		}
	}
}
