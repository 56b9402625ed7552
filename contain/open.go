package contain

import (
	"context"
	"embed"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cordon/alarm"
	"cordon/custody"
	"cordon/firewall"
	"cordon/metric"
	"cordon/store"
)

// Alarms tells people. An *alarm.Alarms is one.
type Alarms interface {
	Raise(ctx context.Context, one alarm.Alarm) error
	Clear(ctx context.Context, kind, subject string) error
	Sync(ctx context.Context, source string, all []alarm.Alarm) error
}

// Parts are what containment works with.
type Parts struct {
	DB       *store.DB
	Journal  custody.Journal
	Enforcer Enforcer
	Devices  func(context.Context) ([]Device, error)
	Log      *slog.Logger
	Policy   Policy
	Solo     bool // one person may restore a device; else two

	awake func() (awake, error) // how long the machine is; nil: this one

	// The rest may be nil.
	Dir        string // where File is; "": what time a containment has left is not known after a restart, and begins anew
	Alarms     Alarms
	Metrics    *metric.Metrics
	Seen       func(context.Context) ([]Seen, error)                     // for previews
	Depends    func(ctx context.Context, device string) []string         // what examinations, in sentences without patient data
	Neighbours func() ([]firewall.Neighbour, error)                      // for addresses that a contained device takes
	Waiting    func(ctx context.Context, device string) (int, time.Time) // objects of it that wait to be scanned, since when
	Ordered    func(ctx context.Context, device string) error            // a device is contained from now on: what of it still waits for its archive is to be scanned first
}

// Containments are those of one data directory. The methods may be called from any
// goroutine.
type Containments struct {
	parts   Parts
	levels  atomic.Pointer[map[string]firewall.Level] // of what is in force, by device
	at      atomic.Pointer[[]netip.Prefix]            // at which the devices are that Paranoid is about
	signals chan Signal
	lost    atomic.Int64 // signals that found no room

	mu      sync.Mutex // over an order and its effect: one at a time
	now     []entry    // what is in force
	written bool       // there may be something in File
}

// entry is one that is in force, with what is only known here.
type entry struct {
	Containment
	addresses []string  // at which it is contained
	ends      time.Time // Until, by a clock that nobody sets (see clock.go)
}

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes this package's tables.
func Migrations() store.Migrations { return store.Embedded("contain", migrations) }

// signalsWaiting is how many signals may wait; further ones are counted.
const signalsWaiting = 1024

// Open reads what is in force. Nothing is enforced before Start, but Paranoid
// answers at once.
func Open(ctx context.Context, p Parts) (*Containments, error) {
	if p.awake == nil {
		p.awake = thisMachine
	}
	c := &Containments{parts: p, signals: make(chan Signal, signalsWaiting), written: true}
	all, err := c.rows(ctx, `WHERE state IN ('ordered', 'contained', 'restoring') ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("opening containment: %w", err)
	}
	m, err := p.awake()
	if err != nil {
		p.Log.Error("how long this machine runs is not known: the time of containments begins anew", "error", err)
	}
	known := c.recall()
	for _, e := range all {
		if !e.Until.IsZero() {
			e.ends = time.Now().Add(known.remains(e, m))
		}
		c.now = append(c.now, e)
	}
	c.publish()
	return c, nil
}

// Prepare tells the enforcement point what is in force, before it applies anything
// (see firewall.Options.Collect). What has come of it is for Start.
func (c *Containments) Prepare(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	devices, err := c.parts.Devices(ctx)
	if err != nil {
		return err
	}
	wanted, _ := c.wanted(devices)
	return c.parts.Enforcer.Enforce(ctx, wanted)
}

// Start enforces what is in force and completes what a crash has left half done:
// orders without an effect are carried out, and so are restorations; what has ended
// meanwhile is recorded as ended. What cannot be enforced is no error here: it is
// tried again by Run, and said.
func (c *Containments) Start(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.finish(ctx); err != nil {
		return err
	}
	if err := c.keepTime(ctx); err != nil {
		return err
	}
	return c.enforce(ctx)
}

// publish makes levels be what is in force. The caller holds mu, or is alone.
func (c *Containments) publish() {
	levels := make(map[string]firewall.Level, len(c.now))
	var places []netip.Prefix
	for _, e := range c.now {
		levels[e.Device] = e.Level
		for _, text := range e.addresses {
			if p, err := netip.ParsePrefix(text); err == nil && e.Level != firewall.Observe {
				places = append(places, p)
			}
		}
	}
	c.levels.Store(&levels)
	c.at.Store(&places)
}

// Of is the level at which a device is contained; "" if it is not. It asks no disk.
func (c *Containments) Of(device string) firewall.Level { return (*c.levels.Load())[device] }

// Paranoid reports whether what a device sends is to be held to the strictest rules
// and scanned before it is delivered. It asks no disk.
func (c *Containments) Paranoid(device string) bool {
	l := c.Of(device)
	return l == firewall.ImageOnly || l == firewall.Cut
}

// Suspect is Paranoid of whoever says that it is a device, at an address: one that is
// contained is that under the name of another one, too. It asks no disk.
func (c *Containments) Suspect(device string, at netip.Addr) bool {
	return c.Paranoid(device) || slices.ContainsFunc(*c.at.Load(), func(p netip.Prefix) bool { return p.Contains(at.Unmap().WithZone("")) })
}

// List returns all there were, the latest first, what is in force with its counts.
func (c *Containments) List(ctx context.Context) ([]Containment, error) {
	all, err := c.rows(ctx, `ORDER BY id DESC LIMIT 1000`)
	if err != nil {
		return nil, err
	}
	counts, err := c.parts.Enforcer.Counts(ctx)
	if err != nil { // then they are not known
		counts = nil
	}
	out := make([]Containment, len(all))
	for i, e := range all {
		out[i] = e.Containment
		if n, ok := counts[e.Device]; ok && e.inForce() {
			out[i].Counts = n
		}
	}
	return out, nil
}

// Get is the containment of a device that is in force.
func (c *Containments) Get(ctx context.Context, device string) (Containment, error) {
	all, err := c.List(ctx)
	if err != nil {
		return Containment{}, err
	}
	i := slices.IndexFunc(all, func(x Containment) bool { return x.Device == device && x.inForce() })
	if i < 0 {
		return Containment{}, fmt.Errorf("%w: %s is not contained", ErrNotFound, device)
	}
	return all[i], nil
}

func (c Containment) inForce() bool {
	return c.State == Ordered || c.State == Contained || c.State == Restoring
}

// device finds one by its name.
func (c *Containments) device(ctx context.Context, name string) (Device, []Device, error) {
	all, err := c.parts.Devices(ctx)
	if err != nil {
		return Device{}, nil, err
	}
	for _, d := range all {
		if d.Name == name && name != "" {
			return d, all, nil
		}
	}
	return Device{}, all, fmt.Errorf("%w: %.80q", ErrNotFound, name)
}
