package firewall

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	// glance is how often the kernel is asked whether anybody changed any rules.
	glance = 200 * time.Millisecond
	// truce is how long after a change of somebody else's was undone the next one is
	// left alone, and loudly so: two programs that undo each other serve nobody.
	truce = 10 * time.Minute
)

// Run watches over the table until ctx ends: what somebody else changes is put
// right once, what has ended is taken out, and what lapses is renewed.
func (f *Firewall) Run(ctx context.Context) {
	var listening sync.WaitGroup
	defer listening.Wait()
	listening.Go(func() { f.listen(ctx) }) // ends with ctx
	tick := time.NewTicker(glance)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		f.renew()
		if e := f.look(ctx, time.Now()); e != nil && f.opts.Changed != nil {
			f.opts.Changed(*e)
		}
	}
}

// listen hears who changes rules. What it misses, under a storm of changes, is only a
// name: what the rules are is read.
func (f *Firewall) listen(ctx context.Context) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return
	}
	defer context.AfterFunc(ctx, func() { c.Close() })()
	defer c.Close()
	if err := c.JoinGroup(unix.NFNLGRP_NFTABLES); err != nil {
		return
	}
	for ctx.Err() == nil {
		heard, err := c.Receive()
		if err != nil {
			time.Sleep(10 * time.Millisecond) // too many at a time, or ctx has ended
			continue
		}
		for _, m := range heard {
			if m.Header.Type != netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWGEN) || len(m.Data) < 4 {
				continue
			}
			g, err := decodeGeneration(m.Data[4:])
			if err != nil {
				continue
			}
			if !ours(g.process) {
				f.other.Store(&g)
			}
			f.heard.Store(g.id)
		}
	}
}

// ours reports whether a thread, by which the kernel names who changed rules, is one of
// this process.
func ours(thread uint32) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", thread))
	return err == nil
}

// by is who changed rules last, of all but us, up to a generation: what is read may be
// newer than what was heard.
func (f *Firewall) by(generation uint32) string {
	for range 20 {
		if int32(f.heard.Load()-generation) >= 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if g := f.other.Load(); g != nil {
		return g.by
	}
	return "somebody"
}

// look is one glance: nil if all is well, or is known not to be.
func (f *Firewall) look(ctx context.Context, now time.Time) *Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.collecting {
		return nil
	}
	if left, ended := f.ended(now); ended {
		if err := f.apply(ctx, left); err != nil {
			return nil // the elements have lapsed in any case; the next glance tries again
		}
		f.now = left
	}
	g, err := f.kernel.generation()
	if err != nil || g.id == f.generation {
		return nil // without an answer there is no news; State says why
	}
	have, g, err := f.read()
	if err != nil {
		return nil
	}
	f.generation = g.id
	why := differs(f.want, have, now)
	if why == "" {
		if f.state.Changed {
			f.left, f.state.Changed, f.state.Applied, f.state.Why = false, false, true, ""
			return &Event{At: now, By: f.by(g.id), Restored: true, Why: "the table is as it should be again"}
		}
		return nil
	}
	return f.disturbed(ctx, now, why)
}

// disturbed puts the table right, unless that was done a short time ago.
func (f *Firewall) disturbed(ctx context.Context, now time.Time, why string) *Event {
	e := &Event{At: now, By: f.by(f.generation), Why: why}
	if !f.restored.IsZero() && now.Sub(f.restored) < truce {
		told := f.state.Changed
		f.left, f.state.Changed, f.state.Applied = true, true, false
		f.state.Why = fmt.Sprintf("%s (by %s), again after it was put right at %s; find out who does, then have it applied again: cordon firewall apply", why, e.By, f.restored.Format(time.TimeOnly))
		if e.Why = f.state.Why; told {
			return nil
		}
		return e
	}
	f.restored = now
	if err := f.apply(ctx, f.now); err != nil {
		f.state.Applied, f.state.Changed, f.state.Why = false, true, why+": "+err.Error()
		e.Why += "; it could not be put right: " + err.Error()
		return e
	}
	e.Restored = true
	return e
}

// Reapply writes all again, and forgives who changed it.
func (f *Firewall) Reapply(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.restored = time.Time{}
	return f.apply(ctx, f.now)
}

// ended reports whether something that is in the table has come to its end, and what
// is left then.
func (f *Firewall) ended(now time.Time) (left Ruleset, ended bool) {
	left = f.now.at(now)
	return left, len(left.Contained) != len(f.now.Contained) || len(left.Openings) != len(f.now.Openings) || left.Plan != f.now.Plan
}

// renew gives redirects another while.
func (f *Firewall) renew() {
	f.mu.Lock()
	defer f.mu.Unlock()
	shortest := time.Duration(0)
	for _, r := range f.now.Redirects {
		if r.renewed() && (shortest == 0 || r.Lapses < shortest) {
			shortest = r.Lapses
		}
	}
	if shortest == 0 || f.collecting || time.Since(f.renewed) < shortest/3 {
		return
	}
	f.renewed = time.Now()
	c, err := f.kernel.dial()
	if err != nil {
		return // they end, which is what the site chose
	}
	before, err := f.kernel.generation()
	if err != nil {
		return
	}
	t := f.kernel.of(nftables.TableFamilyINet)
	for _, r := range f.now.Redirects {
		if r.renewed() {
			f.renewOne(c, t, r)
		}
	}
	if c.Flush() != nil {
		return
	}
	// Only if nobody else changed anything before or meanwhile is there nothing to read.
	if g, err := f.kernel.generation(); err == nil && before.id == f.generation && g.id == before.id+1 {
		f.generation = g.id
	}
}

// renewOne takes the elements out and puts them in again, in the one transaction.
func (f *Firewall) renewOne(c *nftables.Conn, t *nftables.Table, r Redirect) {
	for i := range f.want {
		for j, s := range f.want[i].sets {
			v := slices.IndexFunc(versions[:], func(v version) bool { return s.name == redirectSet(r)+v.name+"a" })
			if v < 0 {
				continue
			}
			f.want[i].sets[j].until = r.until()
			ks := &nftables.Set{Table: t, Name: s.name, KeyType: s.key, Interval: true, Concatenation: true, HasTimeout: true}
			c.FlushSet(ks)
			elements := slices.Clone(s.elements)
			for k := range elements {
				elements[k].Timeout = r.Lapses
			}
			for some := range slices.Chunk(elements, chunk) {
				if err := c.SetAddElements(ks, some); err != nil {
					return
				}
			}
		}
	}
}
