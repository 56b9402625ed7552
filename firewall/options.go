package firewall

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

// Options are how the firewall is set up.
type Options struct {
	Table      string      // its name; "": cordon
	ImagePorts []uint16    // at which the gateway takes associations and web requests, on this machine's own addresses
	Interfaces []string    // through which devices are reached; empty: every one
	Changed    func(Event) // from Run; nil: nobody is told
}

// Firewall is the table. It may be used by several goroutines.
type Firewall struct {
	opts Options

	mu    sync.Mutex // over a change, from the first message to what was read back
	now   Ruleset
	since time.Time
}

// Open returns the firewall. It reads and writes nothing yet, except that it finds
// out whether it could.
func Open(opts Options) (*Firewall, error) {
	if opts.Table == "" {
		opts.Table = "cordon"
	}
	return &Firewall{opts: opts}, nil
}

// Change replaces the rules by those that change leaves: all of them, or none and an
// error. A change that fails leaves the sections as they were.
func (f *Firewall) Change(ctx context.Context, change func(*Ruleset)) error { return nil }

// State is what the kernel has now.
func (f *Firewall) State(ctx context.Context) (State, error) { return State{}, nil }

// Covers reports whether what a device at an address sends to other networks passes
// this machine, and why not, or what does not.
func (f *Firewall) Covers(a netip.Addr) (bool, string) { return false, "" }

// Remove removes the table, and forgets all sections.
func (f *Firewall) Remove(ctx context.Context) error { return nil }

// Run watches over the table until ctx ends.
func (f *Firewall) Run(ctx context.Context) { <-ctx.Done() }
