package contain

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"cordon/custody"
	"cordon/firewall"
	"cordon/store"
)

const (
	longest  = 90 * 24 * time.Hour // of a containment that ends by itself
	shortest = time.Minute
)

// Contain carries an order out: on the ledger, then in effect, then its outcome on
// the ledger. Of a device that is contained already it changes level and end. The
// error is of the order; that it is not enforced is said by what is returned, and
// the order stands.
func (c *Containments) Contain(ctx context.Context, o Order) (Containment, error) {
	rq, err := o.Request.Check()
	if err != nil {
		return Containment{}, err
	}
	o.Request = rq
	if err := o.check(); err != nil {
		return Containment{}, err
	}
	d, all, err := c.device(ctx, o.Device)
	if err != nil {
		return Containment{}, err
	}
	if d.Infrastructure != "" {
		return Containment{}, fmt.Errorf("%s %w: it is, or shares an address with, %s", d.Name, ErrNever, d.Infrastructure)
	}
	if len(d.Addresses) == 0 {
		return Containment{}, fmt.Errorf("%w: no address of %s is known: declare it (devices[].addresses)", ErrState, d.Name)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.order(ctx, o, d, all)
}

func (o Order) check() error {
	if !slices.Contains(levels, o.Level) {
		return fmt.Errorf("%w: level %.40q: expected observe, image_only or cut", custody.ErrRequest, o.Level)
	}
	if o.For != 0 && (o.For < shortest || o.For > longest) {
		return fmt.Errorf("%w: for %s: expected a minute to 90 days, or nothing for until it is restored", custody.ErrRequest, o.For)
	}
	return nil
}

// order writes an order down and has it enforced. The caller holds mu.
func (c *Containments) order(ctx context.Context, o Order, d Device, all []Device) (Containment, error) {
	now := time.Now()
	e := entry{Containment: Containment{Device: d.Name, Since: now.UTC()}}
	i := slices.IndexFunc(c.now, func(e entry) bool { return e.Device == d.Name })
	if i >= 0 {
		if e = c.now[i]; e.State == Restoring {
			return e.Containment, fmt.Errorf("%w: %s is being restored", ErrState, d.Name)
		}
		if e.frees(o, now) {
			return e.Containment, fmt.Errorf("%w: %s is contained (%s), and less or for a shorter time is to restore it, which needs a proof: cordon device restore %s", ErrState, d.Name, e.Level, d.Name)
		}
	}
	e.Level, e.State, e.Rule, e.Reason, e.By = o.Level, Ordered, o.Rule, o.Reason, []string{o.By}
	e.Until, e.ends = time.Time{}, time.Time{}
	if o.For != 0 {
		e.Until, e.ends = now.Add(o.For).UTC().Truncate(time.Microsecond), now.Add(o.For)
	}
	e.addresses = join(e.addresses, c.places(d, all))
	err := c.journal(ctx, "containment.ordered", e.body(), func(tx *store.Tx) error {
		if o.confirms != nil {
			if err := c.close(tx, *o.confirms, "containment.confirmed", o.Request); err != nil {
				return err
			}
		}
		if i < 0 {
			return e.insert(tx)
		}
		return e.update(tx)
	})
	if err != nil {
		return Containment{}, fmt.Errorf("containment not recorded, so it is not in effect: %w", err)
	}
	if o.confirms != nil {
		c.clear(ctx, "device.propose", d.Name)
	}
	if i < 0 {
		c.now = append(c.now, e)
		i = len(c.now) - 1
	} else {
		c.now[i] = e
	}
	c.publish()
	c.remember()
	err = c.enforce(ctx)
	if c.parts.Ordered != nil && c.Paranoid(d.Name) {
		err = errors.Join(err, c.parts.Ordered(ctx, d.Name))
	}
	return c.now[i].Containment, err
}

// frees reports whether an order would give a device its network back without a
// proof that it is clean, or sooner than was said.
func (e entry) frees(o Order, now time.Time) bool {
	if e.Level == firewall.Observe {
		return false
	}
	return o.Level == firewall.Observe || o.For != 0 && (e.ends.IsZero() || now.Add(o.For).Before(e.ends))
}

// Extend gives a containment another end: so long from now, or none if d is 0. It is
// not before the one that it has.
func (c *Containments) Extend(ctx context.Context, device string, d time.Duration, rq custody.Request) (Containment, error) {
	c.mu.Lock()
	i := slices.IndexFunc(c.now, func(e entry) bool { return e.Device == device })
	var level firewall.Level
	if i >= 0 {
		level = c.now[i].Level
	}
	c.mu.Unlock()
	if i < 0 {
		return Containment{}, fmt.Errorf("%w: %.80s is not contained", ErrNotFound, device)
	}
	return c.Contain(ctx, Order{Device: device, Level: level, For: d, Request: rq})
}

// places are a device's addresses, as texts. Those of others are never among them.
func (c *Containments) places(d Device, all []Device) (out []string) {
	for _, p := range d.Addresses {
		if !belongs(p, d.Name, all) {
			out = append(out, p.String())
		}
	}
	return out
}

// belongs reports whether an address is one that somebody else declared, or
// infrastructure: taking it from them because another device says that it has it
// would be what an attacker wants.
func belongs(p netip.Prefix, name string, all []Device) bool {
	return slices.ContainsFunc(all, func(d Device) bool {
		return d.Name != name && slices.ContainsFunc(d.Addresses, func(q netip.Prefix) bool {
			return p.Overlaps(q) && (d.Infrastructure != "" || q.IsSingleIP())
		})
	})
}

// join is a list with what it has not yet.
func join(list, more []string) []string {
	for _, m := range more {
		if !slices.Contains(list, m) {
			list = append(slices.Clip(list), m)
		}
	}
	return list
}
