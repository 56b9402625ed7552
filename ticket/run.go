package ticket

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"cordon/custody"
	"cordon/firewall"
)

// opening names one target of a ticket in the firewall.
func opening(t Ticket, n int) string { return fmt.Sprintf("ticket %s %d", t.ID, n+1) }

// ends is when the kernel closes a ticket by itself: at its end, or, of a remote
// service, when its sponsor has not been seen for too long.
func (d *Desk) ends(t Ticket) time.Time {
	if alone := t.Confirmed.Add(d.c.Confirm + d.c.Patience); t.remote() && alone.Before(t.Until) {
		return alone
	}
	return t.Until
}

// apply makes the firewall open what the open tickets name, and nothing else. It
// needs mu.
func (d *Desk) apply(ctx context.Context) error {
	var open []firewall.Opening
	for _, t := range d.all {
		if t.State != Opened || !d.ends(t).After(time.Now()) {
			continue
		}
		for n, to := range t.To {
			open = append(open, firewall.Opening{ID: opening(t, n), Until: d.ends(t), Rule: to.rule(t.Address), MACs: t.macs()})
		}
	}
	slices.SortFunc(open, func(a, b firewall.Opening) int { return strings.Compare(a.ID, b.ID) })
	err := d.p.Firewall.Change(ctx, func(r *firewall.Ruleset) { r.Openings = open })
	d.due = err != nil
	return err
}

// macs are those that packets of the visitor have where this machine sees them.
func (t Ticket) macs() []net.HardwareAddr {
	mac, err := net.ParseMAC(t.MAC)
	if !t.Linked || err != nil {
		return nil
	}
	return []net.HardwareAddr{mac}
}

// rule is what the firewall lets pass for a target.
func (t Target) rule(from netip.Addr) firewall.Rule {
	protocol := uint8(6)
	if t.Protocol == "udp" {
		protocol = 17
	}
	return firewall.Rule{From: []netip.Prefix{netip.PrefixFrom(from, from.BitLen())}, To: t.To, Protocol: protocol, Port: t.Port, PortTo: t.PortTo}
}

// Restore closes what is over, and opens what is left of the others: at every start,
// before anybody is told that Cordon is ready. That the firewall cannot be changed
// is no reason not to start: nothing is open then.
func (d *Desk) Restore(ctx context.Context) error {
	d.look(ctx, time.Now())
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.all) == 0 {
		return nil
	}
	if err := d.apply(ctx); err != nil {
		d.p.Log.Error("open tickets cannot be opened in the firewall; it is tried again", "error", err)
	}
	return nil
}

// lookEvery is how often tickets are looked at.
const lookEvery = 5 * time.Second

// Run closes what is over, until ctx ends. What it has not come to, the kernel has
// closed.
func (d *Desk) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			d.look(ctx, time.Now())
		}
	}
}

// look sees to every ticket that stands.
func (d *Desk) look(ctx context.Context, now time.Time) {
	for _, t := range d.standing() {
		if err := d.see(ctx, t, now); err != nil && ctx.Err() == nil {
			d.p.Log.Error("a ticket could not be seen to; it is tried again", "ticket", t.ID, "error", err)
		}
	}
	d.again(ctx)
}

// again changes the firewall where that failed before: what was closed must not stay
// open until its time is over.
func (d *Desk) again(ctx context.Context) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.due {
		return
	}
	if err := d.apply(ctx); err != nil && ctx.Err() == nil {
		d.p.Log.Error("the firewall does not have what the tickets say; it is tried again", "error", err)
	}
}

// see does what the time asks for with one ticket.
func (d *Desk) see(ctx context.Context, t Ticket, now time.Time) error {
	switch {
	case t.State == Asked && now.Sub(t.Asked) > waits:
		return d.end(ctx, t, "nobody agreed within an hour", false)
	case t.State == Asked:
		return nil
	case !now.Before(t.Until):
		return d.end(ctx, t, "its time is over", false)
	}
	if has, known := d.p.Link(t.Address); known && t.MAC != "" && has != t.MAC {
		return d.end(ctx, t, fmt.Sprintf("another machine has its address: %s, not %s", has, t.MAC), true)
	}
	if t.remote() {
		return d.attended(ctx, t, now)
	}
	return nil
}

// attended sees to it that the sponsor of a remote service is there.
func (d *Desk) attended(ctx context.Context, t Ticket, now time.Time) error {
	seen := d.seen(ctx, t)
	gone := now.Sub(seen)
	switch {
	case gone > d.c.Confirm+d.c.Patience:
		return d.end(ctx, t, "its sponsor was not there", true)
	case gone > d.c.Confirm && t.Warned.IsZero():
		says := fmt.Sprintf("the sponsor %s has not been seen for %s: it closes at %s unless they confirm (cordon ticket confirm %s)", t.Sponsor, gone.Round(time.Second), seen.Add(d.c.Confirm+d.c.Patience).UTC().Format(time.RFC3339), t.ID)
		err := d.alter(ctx, t.ID, "ticket.unattended", says, func(t *Ticket) { t.Warned = now })
		d.alarm(ctx, t, says)
		return err
	case seen.After(t.Confirmed.Add(time.Minute)) || seen.After(t.Confirmed) && !t.Warned.IsZero():
		return d.alter(ctx, t.ID, "", "", func(t *Ticket) { t.Confirmed, t.Warned = seen, time.Time{} })
	}
	return nil
}

// end closes a ticket without a person.
func (d *Desk) end(ctx context.Context, t Ticket, why string, alarming bool) error {
	err := d.alter(ctx, t.ID, "ticket.closed", "", func(t *Ticket) { t.State, t.Ended, t.Why = Closed, time.Now(), why })
	if err == nil && alarming {
		d.alarm(ctx, t, "closed: "+why)
	}
	return err
}

func (d *Desk) alarm(ctx context.Context, t Ticket, says string) {
	d.p.Log.Warn("ticket", "ticket", t.ID, "kind", t.Kind, "address", t.Address, "says", says)
	if d.p.Alarm != nil {
		d.p.Alarm(ctx, t, says)
	}
}

// alter changes a ticket that still stands, with its record.
func (d *Desk) alter(ctx context.Context, id, kind, why string, fn func(*Ticket)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.IndexFunc(d.all, func(t Ticket) bool { return t.ID == id })
	if i < 0 {
		return nil // somebody has closed it meanwhile
	}
	t := d.all[i]
	fn(&t)
	return d.put(ctx, i, t, kind, custody.Request{Reason: why})
}
