package firewall

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/nftables"
)

// Options are how the firewall is set up.
type Options struct {
	Table      string      // its name; "": cordon
	Owner      string      // tells this Cordon's table from another one's on the same machine, over restarts: at most 40 bytes
	ImagePorts []uint16    // at which the gateway takes associations and web requests, on this machine's own addresses
	Interfaces []string    // through which devices are reached, for Covers; none: every one
	Changed    func(Event) // told by Run; nil: nobody is
	Collect    bool        // changes are kept and not applied until Start
}

// Firewall is the table. It may be used by several goroutines.
type Firewall struct {
	opts   Options
	kernel kernel

	mu         sync.Mutex // over a change, from the first message to what was read back
	collecting bool
	now        Ruleset
	want       []table          // what now means
	last       map[string]Count // of the counters, as they were read last
	generation uint32           // of the kernel's rules, when they were read last
	state      State            // without Counters
	restored   time.Time        // when somebody else's change was undone
	left       bool             // what somebody else made of it is left to a person to end
	renewed    time.Time        // when the elements of redirects were

	other atomic.Pointer[generation] // the last transaction that was not ours, as far as it was heard of
	heard atomic.Uint32              // the generation that the last transaction made that was heard of
}

// Open returns the firewall. It neither reads nor writes anything yet.
func Open(opts Options) (*Firewall, error) {
	if opts.Table == "" {
		opts.Table = "cordon"
	}
	if len(opts.Table) > 32 || identifier(opts.Table) != "d_"+opts.Table {
		return nil, fmt.Errorf("the table's name %.40q: expected at most 32 letters, digits and underscores", opts.Table)
	}
	return &Firewall{opts: opts, kernel: kernel{table: opts.Table, comment: comment + clip(opts.Owner)}, collecting: opts.Collect, state: State{Empty: true}}, nil
}

// Start applies what was collected. What a run before left in the table goes then,
// and not before: at no time a contained device is free because Cordon starts.
func (f *Firewall) Start(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.collecting = false
	return f.apply(ctx, f.now)
}

// Change replaces the rules by what change leaves of the sections: all of them, or
// none and an error. After an error the sections are as they were, and so is what
// the kernel has; only an error that wraps ErrElsewhere leaves that open.
func (f *Firewall) Change(ctx context.Context, change func(*Ruleset)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	next := f.now.clone()
	change(&next)
	if err := next.check(); err != nil {
		return err
	}
	if !f.collecting {
		if err := f.apply(ctx, next); err != nil {
			return err
		}
	}
	f.now = next
	return nil
}

// ErrElsewhere means that the kernel has something else than it was given: somebody
// else changes the table.
var ErrElsewhere = errors.New("the table is not what was written")

// Remove takes the table out, and forgets all sections.
func (f *Firewall) Remove(ctx context.Context) error {
	return f.Change(ctx, func(rs *Ruleset) { *rs = Ruleset{} })
}

// clone copies the sections, not what is in them: a writer replaces its own.
func (rs Ruleset) clone() Ruleset {
	rs.Contained, rs.Openings, rs.Redirects = slices.Clone(rs.Contained), slices.Clone(rs.Openings), slices.Clone(rs.Redirects)
	return rs
}

// The pauses between tries, while somebody else keeps the rules busy.
var pauses = [...]time.Duration{0, 10 * time.Millisecond, 30 * time.Millisecond, 100 * time.Millisecond, 300 * time.Millisecond}

// apply makes the kernel have what a Ruleset means.
func (f *Firewall) apply(ctx context.Context, rs Ruleset) (err error) {
	began := time.Now()
	for _, pause := range pauses {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		var want []table
		if want, err = f.try(rs); err == nil {
			f.want, f.renewed, f.left = want, began, false
			f.forget()
			f.state = State{Applied: true, Empty: len(want) == 0, Bridged: slices.ContainsFunc(want, func(t table) bool { return t.family == nftables.TableFamilyBridge }), Since: time.Now(), Took: time.Since(began)}
			return nil
		}
		if !passing(err) && !errors.Is(err, ErrElsewhere) {
			break
		}
	}
	err = explain(err)
	f.state.Why = err.Error()
	f.state.Applied = f.state.Applied && !errors.Is(err, ErrElsewhere)
	return err
}

// try does it once.
func (f *Firewall) try(rs Ruleset) ([]table, error) {
	had, g, err := f.read()
	if err != nil {
		return nil, err
	}
	bridged, err := bridges()
	if err != nil {
		return nil, err
	}
	want := compile(rs, f.opts, bridged, time.Now())
	for _, t := range had {
		if !t.ours && !t.lost && len(want) > 0 && len(t.chains)+len(t.sets) > 0 {
			return nil, fmt.Errorf("%w: there is a table %s that this Cordon has not written (nft list table inet %s says who has); remove it if nobody needs it", ErrNotEnforced, f.opts.Table, f.opts.Table)
		}
	}
	if differs(want, had, time.Now()) == "" && !lapsing(want) {
		f.generation = g.id
		return want, nil // it is there already
	}
	wrote := f.kernel.replace(want, had, f.last)
	have, g, err := f.read()
	if err != nil {
		return nil, errors.Join(wrote, err)
	}
	why := differs(want, have, time.Now())
	switch {
	case why == "":
		f.generation = g.id
		return want, nil // whatever was said about it
	case wrote != nil:
		return nil, wrote
	}
	return nil, fmt.Errorf("%w: %s", ErrElsewhere, why)
}

// lapsing reports whether elements are to get another time.
func lapsing(all []table) bool {
	return slices.ContainsFunc(all, func(t table) bool {
		return slices.ContainsFunc(t.sets, func(s set) bool { return !s.until.IsZero() })
	})
}

// read is what the kernel has; its counters are remembered.
func (f *Firewall) read() ([]found, generation, error) {
	have, g, err := f.kernel.read()
	if err != nil {
		return nil, g, err
	}
	for i := range have {
		have[i].lost = f.lost(have[i])
	}
	if len(f.want) == 0 {
		f.last = nil
	}
	for _, t := range f.want {
		i := slices.IndexFunc(have, func(h found) bool { return h.family == t.family })
		if i < 0 {
			continue
		}
		if f.last == nil {
			f.last = map[string]Count{}
		}
		for name, key := range t.counters {
			if n, there := have[i].counts[name]; there {
				f.last[countKey(t.family, key)] = n
			}
		}
	}
	return have, g, nil
}

// lost reports whether a table is ours all the same that has nobody's mark: this
// Firewall wrote it, or it is what flushing one of Cordon's leaves, chains without a
// rule.
func (f *Firewall) lost(t found) bool {
	if t.mark != "" {
		return false
	}
	if slices.ContainsFunc(f.want, func(w table) bool { return w.family == t.family }) {
		return true
	}
	marked := slices.ContainsFunc(t.chains, func(c chain) bool { return c.name == mark })
	return marked && !slices.ContainsFunc(t.chains, func(c chain) bool { return len(c.rules) > 0 })
}

// forget drops what is remembered of counters that are no more.
func (f *Firewall) forget() {
	kept := map[string]bool{}
	for _, t := range f.want {
		for _, key := range t.counters {
			kept[countKey(t.family, key)] = true
		}
	}
	maps.DeleteFunc(f.last, func(key string, _ Count) bool { return !kept[key] })
}

// countKey tells the counters of the two tables apart.
func countKey(family nftables.TableFamily, key string) string { return string(rune(family)) + key }

// State is what the kernel has now.
func (f *Firewall) State(ctx context.Context) (State, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.state
	have, _, err := f.read()
	if err != nil {
		err = explain(err)
		s.Applied, s.Why = false, err.Error()
		return s, err
	}
	if why := differs(f.want, have, time.Now()); why != "" && !f.collecting {
		s.Applied, s.Why = false, why
	}
	s.Counters = f.counters()
	return s, nil
}

// Standing is nil while the rules that were applied last are there, as Run last saw
// it. If somebody else has changed them and that is left alone, it wraps ErrElsewhere:
// a person is to have them applied again. It asks nobody.
func (f *Firewall) Standing() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.left:
		return fmt.Errorf("%w: %s", ErrElsewhere, f.state.Why)
	case f.state.Changed:
		return errors.New(f.state.Why)
	}
	return nil
}

// Contained names the devices that are contained.
func (f *Firewall) Contained(each func(device string)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.now.Contained {
		each(c.Device)
	}
}

// counters adds up those of both tables.
func (f *Firewall) counters() map[string]Count {
	out := map[string]Count{}
	for _, t := range f.want {
		for key := range maps.Values(t.counters) {
			n := f.last[countKey(t.family, key)]
			out[key] = Count{out[key].Packets + n.Packets, out[key].Bytes + n.Bytes}
		}
	}
	return out
}

// Able is an error that wraps ErrNotEnforced where this machine cannot enforce
// anything. It makes an empty table of another name and removes it, in one
// transaction.
func (f *Firewall) Able(ctx context.Context) error {
	if _, err := os.Stat("/proc/self/ns/net"); err != nil {
		return fmt.Errorf("%w: %w", ErrNotEnforced, err)
	}
	c, err := f.kernel.dial()
	if err != nil {
		return explain(err)
	}
	t := &nftables.Table{Family: nftables.TableFamilyINet, Name: f.opts.Table + "_able"}
	c.AddTable(t)
	c.DelTable(t)
	return explain(c.Flush())
}
