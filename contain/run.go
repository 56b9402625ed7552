package contain

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"cordon/alarm"
	"cordon/firewall"
	"cordon/metric"
)

const (
	look  = time.Second      // at what ends, and who has another address
	again = 10 * time.Second // what is not enforced is tried
	late  = 5 * time.Minute  // for what a contained device sent to be scanned
)

// Run decides about signals, ends what is over, follows devices that take other
// addresses and tries again what is not enforced, until ctx ends.
func (c *Containments) Run(ctx context.Context) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	var tried, written time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-c.signals:
			c.say(ctx, c.decide(ctx, s))
		case now := <-tick.C:
			c.say(ctx, c.follow(ctx))
			c.say(ctx, c.stands(ctx))
			if now.Sub(tried) >= again {
				tried = now
				c.say(ctx, c.retry(ctx))
			}
			c.say(ctx, c.lapse(ctx))
			c.say(ctx, c.expire(ctx))
			if now.Sub(written) >= remember {
				written = now
				c.say(ctx, c.tick(ctx))
			}
		}
	}
}

func (c *Containments) say(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		c.parts.Log.Error("containment", "error", err)
	}
}

// expire ends what is over.
func (c *Containments) expire(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.finish(ctx)
}

// tick keeps the time of what is in force.
func (c *Containments) tick(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.keepTime(ctx)
}

// stands says of whatever was enforced that it is not, once somebody else has taken it
// away.
func (c *Containments) stands(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	gone := c.parts.Enforcer.Standing()
	if gone == nil {
		return nil
	}
	var errs []error
	for i := range c.now {
		if c.now[i].Enforced {
			errs = append(errs, c.outcome(ctx, &c.now[i], Coverage{}, gone))
		}
	}
	return errors.Join(errs...)
}

// retry enforces again whatever is not, but where two programs would undo each other's
// work.
func (c *Containments) retry(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.tell(ctx)
	if errors.Is(c.parts.Enforcer.Standing(), firewall.ErrElsewhere) {
		return nil
	}
	if len(c.now) == 0 || !slices.ContainsFunc(c.now, func(e entry) bool { return !e.Enforced }) {
		return nil
	}
	return c.enforce(ctx)
}

// follow adds the addresses that contained devices were heard of at, by their
// hardware addresses. It never adds one that is somebody else's.
func (c *Containments) follow(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.parts.Neighbours == nil || len(c.now) == 0 {
		return nil
	}
	heard, err := c.parts.Neighbours()
	if err != nil {
		return err
	}
	devices, err := c.parts.Devices(ctx)
	if err != nil {
		return err
	}
	var moved []error
	for i := range c.now {
		more, less := strangers(c.now[i], heard, devices), others(c.now[i], heard, devices)
		if len(more)+len(less) > 0 {
			moved = append(moved, c.move(ctx, &c.now[i], more, less))
		}
	}
	if len(moved) == 0 {
		return nil
	}
	return errors.Join(append(moved, c.enforce(ctx))...)
}

// move records that a contained device has further addresses, and no longer some that
// it had taken.
func (c *Containments) move(ctx context.Context, e *entry, more, less []string) error {
	next := *e
	next.addresses, next.State = join(e.addresses, more), Ordered
	next.addresses = slices.DeleteFunc(slices.Clone(next.addresses), func(text string) bool { return slices.Contains(less, text) })
	body := next.body()
	body["addresses"] = next.addresses
	if err := c.journal(ctx, "containment.followed", body, next.update); err != nil {
		return err
	}
	*e = next
	return nil
}

// maxFollowed bounds the addresses of one device: one that takes a new one every
// second does not fill the table.
const maxFollowed = 64

// strangers are addresses that a contained device has and is not yet contained at.
func strangers(e entry, heard []firewall.Neighbour, devices []Device) (more []string) {
	if e.State == Restoring {
		return nil
	}
	for _, mac := range machines(e, heard, devices) {
		for _, n := range heard {
			p := whole(n.Addr)
			if len(e.addresses)+len(more) >= maxFollowed {
				return more
			}
			if n.MAC.String() == mac && !slices.ContainsFunc(e.addresses, func(text string) bool { return holds(text, n.Addr) }) &&
				!belongs(p, e.Device, devices) && !slices.Contains(more, p.String()) {
				more = append(more, p.String())
			}
		}
	}
	return more
}

// others are addresses that a contained device had taken, and that somebody else
// answers for now: they may have been the others' all the time.
func others(e entry, heard []firewall.Neighbour, devices []Device) (less []string) {
	own, known := machines(e, heard, devices), owned(e, devices)
	for _, text := range e.addresses {
		answered := slices.ContainsFunc(heard, func(n firewall.Neighbour) bool {
			return holds(text, n.Addr) && !slices.Contains(own, n.MAC.String())
		})
		if e.State != Restoring && answered && len(own) > 0 && !slices.Contains(known, text) {
			less = append(less, text)
		}
	}
	return less
}

// owned are the addresses that a device is known to have, whatever it says.
func owned(e entry, devices []Device) (out []string) {
	for _, d := range devices {
		if d.Name == e.Device {
			for _, p := range d.Addresses {
				out = append(out, p.String())
			}
		}
	}
	return out
}

// machines are the hardware addresses of a device: those declared, and those that
// answer for the addresses that it is known to have, each declared by itself: a network
// has others' in it. One that answers for others too is a router's. What it has taken since tells nothing: it may be another machine's,
// which is not to be contained for answering.
func machines(e entry, heard []firewall.Neighbour, devices []Device) (out []string) {
	for _, d := range devices {
		if d.Name == e.Device {
			for _, m := range d.MACs {
				out = join(out, []string{m.String()})
			}
		}
	}
	known := owned(e, devices)
	for _, n := range heard {
		if slices.Contains(known, whole(n.Addr).String()) {
			out = join(out, []string{n.MAC.String()})
		}
	}
	return slices.DeleteFunc(out, func(mac string) bool {
		return slices.ContainsFunc(heard, func(n firewall.Neighbour) bool {
			return n.MAC.String() == mac && belongs(whole(n.Addr), e.Device, devices)
		})
	})
}

func holds(prefix string, a netip.Addr) bool {
	p, err := netip.ParsePrefix(prefix)
	return err == nil && p.Contains(a.Unmap())
}

// parsed are hardware addresses again.
func parsed(all []string) (out []net.HardwareAddr) {
	for _, text := range all {
		if m, err := net.ParseMAC(text); err == nil {
			out = append(out, m)
		}
	}
	return out
}

// tell makes alarms of what is in force. The caller holds mu.
func (c *Containments) tell(ctx context.Context) {
	var all []alarm.Alarm
	enforced := 0
	for _, e := range c.now {
		until := "until it is restored"
		if !e.Until.IsZero() {
			until = fmt.Sprintf("restored by itself at %s unless extended", e.Until.Local().Format("15:04 on 2 January"))
		}
		link := "/devices/" + e.Device + "/contain"
		if e.Enforced {
			enforced++
			all = append(all, alarm.Alarm{Kind: "device.contained", Subject: e.Device, Text: fmt.Sprintf("%s is contained (%s), %s.", e.Device, e.Level, until), Link: link})
		} else {
			all = append(all, alarm.Alarm{Kind: "containment.not_enforced", Subject: e.Device, Text: fmt.Sprintf("%s is to be contained and its packets are not: %s.", e.Device, e.Why), Link: link})
		}
	}
	if c.parts.Metrics != nil {
		c.parts.Metrics.Set(metric.Contained, float64(enforced), "yes")
		c.parts.Metrics.Set(metric.Contained, float64(len(c.now)-enforced), "no")
	}
	if c.parts.Alarms == nil {
		return
	}
	for _, e := range c.now {
		if c.parts.Waiting == nil {
			break
		}
		if n, since := c.parts.Waiting(ctx, e.Device); n > 0 && time.Since(since) > late {
			all = append(all, alarm.Alarm{Kind: "containment.unscanned", Subject: e.Device, Link: "/devices/" + e.Device + "/contain",
				Text: fmt.Sprintf("%d objects of %s wait since %s to be scanned, and are not delivered before.", n, e.Device, since.Local().Format("15:04"))})
		}
	}
	c.say(ctx, c.parts.Alarms.Sync(ctx, "contain", all))
}

func (c *Containments) raise(ctx context.Context, one alarm.Alarm) {
	if c.parts.Alarms != nil {
		c.say(ctx, c.parts.Alarms.Raise(ctx, one))
	}
}

func (c *Containments) clear(ctx context.Context, kind, subject string) {
	if c.parts.Alarms != nil {
		c.say(ctx, c.parts.Alarms.Clear(ctx, kind, subject))
	}
}

func (c *Containments) count(kind string) {
	if c.parts.Metrics != nil {
		c.parts.Metrics.Count(metric.Containments, 1, strings.TrimPrefix(kind, "containment."))
	}
}
