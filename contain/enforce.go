package contain

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"cordon/asset"
	"cordon/firewall"

	"golang.org/x/sys/unix"
)

// enforce makes the enforcement point have what is in force, and records what became
// of each that was ordered or changed. The caller holds mu. An error is the
// database's, or the register's; that something is not enforced is none.
func (c *Containments) enforce(ctx context.Context) error {
	devices, err := c.parts.Devices(ctx)
	if err != nil {
		return err
	}
	wanted, coverage := c.wanted(devices)
	failed := c.parts.Enforcer.Enforce(ctx, wanted)
	for i := range c.now {
		if err := c.outcome(ctx, &c.now[i], coverage[c.now[i].Device], failed); err != nil {
			return err
		}
	}
	c.publish()
	c.tell(ctx)
	return nil
}

// wanted is what is in force, as the enforcement point takes it.
func (c *Containments) wanted(devices []Device) (out []firewall.Contained, coverage map[string]Coverage) {
	coverage = map[string]Coverage{}
	var heard []firewall.Neighbour
	if c.parts.Neighbours != nil {
		heard, _ = c.parts.Neighbours() // without them it is contained at its addresses alone
	}
	for _, e := range c.now {
		i := slices.IndexFunc(devices, func(d Device) bool { return d.Name == e.Device })
		d := Device{Name: e.Device}
		if i >= 0 {
			d = devices[i]
		}
		d.Addresses = nil
		for _, text := range e.addresses {
			if p, err := netip.ParsePrefix(text); err == nil && !belongs(p, e.Device, devices) {
				d.Addresses = append(d.Addresses, p)
			}
		}
		cover := c.parts.Enforcer.Covers(d)
		coverage[e.Device] = cover
		if e.State == Restoring || len(d.Addresses) == 0 {
			continue
		}
		w := firewall.Contained{Device: e.Device, Addresses: d.Addresses, Level: e.Level, Ports: d.Ports, Until: e.ends}
		if cover.OnLink {
			w.MACs = parsed(machines(e, heard, devices))
		}
		if e.Level == firewall.ImageOnly {
			w.Allowed, w.Called = needed(d.Flows)
		}
		out = append(out, w)
	}
	return out, coverage
}

// needed are the declared flows without which a device makes no images. Its image
// path is the gateway's, whatever is declared of it.
func needed(flows []asset.Flow) (allowed, called []firewall.Rule) {
	for _, f := range flows {
		if !f.Needed || f.Purpose == "dicom" {
			continue
		}
		r := firewall.Rule{Protocol: protocols[f.Protocol], Port: f.Port, PortTo: f.PortTo}
		if f.Inbound {
			r.From = f.To
			called = append(called, r)
			continue
		}
		r.To = f.To
		allowed = append(allowed, r)
	}
	return allowed, called
}

var protocols = map[string]uint8{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP, "icmp": unix.IPPROTO_ICMP}

// outcome records what became of one, if that is news.
func (c *Containments) outcome(ctx context.Context, e *entry, cover Coverage, failed error) error {
	if e.State == Restoring {
		return nil
	}
	was, next := *e, *e
	next.Enforcer, next.Enforced, next.Why = c.parts.Enforcer.Name(), failed == nil && cover.Covered, cover.Why
	if failed != nil {
		next.Why = clip(failed.Error())
	}
	next.State = Contained
	if next.Enforced && (!was.Enforced || was.State == Ordered) {
		next.Applied = time.Now().UTC()
	}
	if was.State == Contained && was.Enforced == next.Enforced && was.Why == next.Why {
		return nil
	}
	kind := "containment.applied"
	body := next.body()
	body["enforcer"], body["enforced"] = next.Enforcer, next.Enforced
	if next.Why != "" {
		body["why"] = next.Why
	}
	if !next.Enforced {
		kind = "containment.not_enforced"
	}
	err := c.journal(ctx, kind, body, next.update)
	if err != nil {
		return fmt.Errorf("the outcome of a containment is not recorded: %w", err)
	}
	*e = next
	c.count(kind)
	if next.Enforced {
		c.parts.Log.Warn("device contained", "device", e.Device, "level", e.Level, "until", e.Until)
	} else {
		c.parts.Log.Error("device is to be contained, and its packets are not", "device", e.Device, "why", e.Why)
	}
	return nil
}

// finish completes what a crash left half done, and ends what is over. The caller
// holds mu.
func (c *Containments) finish(ctx context.Context) error {
	var errs []error
	for _, e := range slices.Clone(c.now) {
		switch {
		case e.State == Restoring:
			errs = append(errs, c.over(ctx, e, Restored, "containment.restored"))
		case !e.ends.IsZero() && !time.Now().Before(e.ends):
			errs = append(errs, c.over(ctx, e, Ended, "containment.ended"))
		}
	}
	return errors.Join(errs...)
}

// over takes the effect of one away, then records that it is over. The caller holds
// mu.
func (c *Containments) over(ctx context.Context, e entry, state State, kind string) error {
	if counts, err := c.parts.Enforcer.Counts(ctx); err == nil {
		e.Counts = counts[e.Device]
	}
	left := slices.DeleteFunc(slices.Clone(c.now), func(x entry) bool { return x.ID == e.ID })
	was := c.now
	c.now = left
	devices, err := c.parts.Devices(ctx)
	if err == nil {
		wanted, _ := c.wanted(devices)
		err = c.parts.Enforcer.Enforce(ctx, wanted)
	}
	if err != nil && (!e.Applied.IsZero() || !errors.Is(err, firewall.ErrNotEnforced)) { // what was in effect may still be
		c.now = was
		return fmt.Errorf("%s is not given back what was taken from it: %w", e.Device, err)
	}
	e.State, e.Over = state, time.Now().UTC()
	body := e.body()
	body["counts"] = e.Counts
	if e.Proof != nil {
		body["proof"] = e.Proof
	}
	if err := c.journal(ctx, kind, body, e.update); err != nil {
		c.now = was
		return fmt.Errorf("the end of a containment is not recorded: %w", err)
	}
	c.publish()
	c.remember()
	c.count(kind)
	c.tell(ctx)
	c.parts.Log.Warn("containment is over", "device", e.Device, "how", state)
	return nil
}

// clip bounds a sentence that is kept.
func clip(text string) string { return strings.ToValidUTF8(text[:min(len(text), 500)], "") }
