// Package asset is the register of devices: what each peer of the gateway was
// seen to do, the least that it needs to go on doing it, and what people
// decided about it.
//
// Ordinary use:
//
//	r, err := asset.Open(ctx, db, ledger, site)
//	go r.Run(ctx, log)                                      // writes what was seen, in groups
//	r.Observe(asset.Observation{…})                         // for each association and message; asks no disk
//	site.Devices = r.Devices()                              // declared and decided on, for admission
//	d, err := r.Approve(ctx, "ct1", asset.Approval{Request: custody.Request{By: "A. Able", Reason: "…"}})
//
// The life of a device: a peer that nobody declared associates, and has a row
// from then on, under a name made from its AE title. What it does is counted:
// its services, SOP classes, archives, move destinations and hours. From this
// comes a proposal: the least set of permissions under which all of it goes on,
// on the ledger after a day. One named person approves it, and from the next
// association on the peer is a declared device with just these permissions; or
// denies it, and its associations are rejected. Either is undone by the other.
// What is approved is on the ledger before it takes effect. A device of the
// configuration stands above all of this: nobody decides on it here, its name is
// never taken, and what was decided about a peer that it could be has no effect.
//
// What is learned is bounded, per peer, per address and in all, since anybody
// can make up AE titles; what people decided is never displaced by it. It is
// written within seconds, and what a crash forgets is learned again. It holds
// no patient data. It will not admit or refuse anybody itself (policy does).
package asset

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cordon/custody"
	"cordon/policy"
	"cordon/store"
)

var (
	// ErrNotFound means that no device or peer has that name.
	ErrNotFound = errors.New("no such device")
	// ErrDeclared means that the device is the configuration's.
	ErrDeclared = errors.New("declared in the configuration, which decides: change it there")
)

// State says what a device is to the gateway.
type State string

const (
	Declared State = "declared" // in the configuration
	Approved State = "approved" // by a person
	Denied   State = "denied"   // by a person
	Learned  State = "learned"  // not declared, and admitted: it waits for a person
	Rejected State = "refused"  // not declared, and rejected whenever it came

	Superseded State = "superseded" // decided on by a person, and declared in the configuration since: what was decided has no effect
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes this package's tables.
func Migrations() store.Migrations { return store.Embedded("asset", migrations) }

// Register is every device there is. The methods may be called from any
// goroutine.
type Register struct {
	db      *store.DB
	journal custody.Journal
	site    policy.Site // of the configuration

	loading sync.Mutex // held while live is made
	live    atomic.Pointer[[]policy.Device]

	mu      sync.Mutex
	pending map[key]*delta // seen and not written yet
	fresh   map[string]int // of these, peers that are not declared, by address
	full    chan struct{}  // asks Run to write now

	dropped atomic.Int64 // peers that there was no room for, since Run last said so
}

// Open reads what people decided. site is the configuration's: the names of its
// devices stand above those here.
func Open(ctx context.Context, db *store.DB, j custody.Journal, site policy.Site) (*Register, error) {
	r := &Register{
		db: db, journal: j, site: site,
		pending: map[key]*delta{}, fresh: map[string]int{}, full: make(chan struct{}, 1),
	}
	if err := r.refresh(ctx); err != nil {
		return nil, fmt.Errorf("opening the register of devices: %w", err)
	}
	return r, nil
}

// Devices are the declared devices, then those that people decided on. The
// caller must not change them.
func (r *Register) Devices() []policy.Device { return *r.live.Load() }

// refresh makes what is in the database take effect.
func (r *Register) refresh(ctx context.Context) error {
	r.loading.Lock()
	defer r.loading.Unlock()
	devices := slices.Clone(r.site.Devices)
	err := r.db.View(ctx, func(tx *store.Tx) error {
		all, err := decisions(tx)
		for _, d := range all {
			if _, ok := r.declared(d.device); !ok {
				devices = append(devices, d.device)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	r.live.Store(&devices)
	return nil
}

func (r *Register) isDeclared(name string) bool {
	_, ok := r.site.Device(name)
	return ok
}

// declared is the device of the configuration that speaks for one that people
// decided on: that of its name, or one of its AE title that a peer could be just
// as well. Beside it a decision could let a peer in without what the
// configuration asks of it.
func (r *Register) declared(d policy.Device) (name string, ok bool) {
	i := slices.IndexFunc(r.site.Devices, func(c policy.Device) bool { return c.Name == d.Name || c.Meets(d) })
	if i < 0 {
		return "", false
	}
	return r.site.Devices[i].Name, true
}

// decision is what a person decided about a device.
type decision struct {
	Name   string
	State  State
	By     string
	At     time.Time
	Reason string
	device policy.Device
}

func decisions(tx *store.Tx) ([]decision, error) {
	rows, err := tx.Query(`SELECT name, state, device, decided_by, decided_at, reason FROM asset_decision ORDER BY name`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []decision
	for rows.Next() {
		var d decision
		var text string
		var at int64
		if err := rows.Scan(&d.Name, &d.State, &text, &d.By, &at, &d.Reason); err != nil {
			return nil, err
		}
		var p Permissions
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			return nil, fmt.Errorf("device %s: %w", d.Name, err)
		}
		if d.device, err = p.device(d.Name); err != nil {
			return nil, fmt.Errorf("device %s: %w", d.Name, err)
		}
		d.device.Denied = d.State == Denied
		d.At = time.UnixMicro(at).UTC()
		out = append(out, d)
	}
	return out, rows.Err()
}
