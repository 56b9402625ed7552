package ticket

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"cordon/custody"
	"cordon/store"
)

// Open gives a ticket out, or has it wait for a second person.
func (d *Desk) Open(ctx context.Context, rq Request) (Ticket, error) {
	ctx = context.WithoutCancel(ctx)
	if !rq.Address.IsValid() && rq.MAC != "" {
		return Ticket{}, fmt.Errorf("%w; it lacks: the address that %.40s has (--address): plug the machine in and look at cordon network, or at the DHCP server", ErrRequest, rq.MAC)
	}
	t, err := d.check(ctx, rq)
	if err != nil {
		return Ticket{}, err
	}
	two, err := d.needsTwo(ctx, t)
	if err != nil {
		return Ticket{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if other, ok := d.at(t.Address); ok {
		return Ticket{}, fmt.Errorf("%w: %s has ticket %s already, %s; close or extend that one", ErrState, t.Address, other.ID, other.standing())
	}
	now := time.Now()
	t.State, t.Asked = Asked, now
	if !two {
		if err := d.begin(ctx, &t, now); err != nil {
			return Ticket{}, err
		}
	}
	kind := "ticket.asked"
	if !two {
		kind = "ticket.opened"
	}
	if err := d.insert(ctx, &t, kind, rq); err != nil {
		return Ticket{}, fmt.Errorf("no ticket, since it could not be recorded: %w", err)
	}
	d.all = append(d.all, t)
	return t, d.settle(ctx, t)
}

// needsTwo reports whether a second person has to agree: to remote service, and to
// whoever reaches a device whose patient cannot wait.
func (d *Desk) needsTwo(ctx context.Context, t Ticket) (bool, error) {
	if t.remote() {
		return true, nil
	}
	for _, to := range t.To {
		place, err := d.p.Lookup(ctx, to.Name)
		if err != nil || place.Critical {
			return true, err
		}
	}
	return false, nil
}

// begin starts the clock of a ticket. A remote service does not begin without its
// sponsor.
func (d *Desk) begin(ctx context.Context, t *Ticket, now time.Time) error {
	if t.remote() {
		if t.Confirmed = d.seen(ctx, *t); now.Sub(t.Confirmed) > d.c.Confirm {
			return fmt.Errorf("%w: the sponsor %.80q is not there: they sign in to the console, or say so by cordon ticket confirm %s", ErrState, t.Sponsor, t.ID)
		}
	}
	t.State, t.Since, t.Until = Opened, now, now.Add(t.For)
	return nil
}

// seen is when the sponsor of a ticket was last known to be there.
func (d *Desk) seen(ctx context.Context, t Ticket) time.Time {
	if d.p.Online == nil {
		return t.Confirmed
	}
	if at := d.p.Online(ctx, t.Sponsor); at.After(t.Confirmed) {
		return at
	}
	return t.Confirmed
}

// Approve is the second person's agreement.
func (d *Desk) Approve(ctx context.Context, id string, rq custody.Request) (Ticket, error) {
	return d.change(ctx, id, rq, "ticket.opened", func(t *Ticket, rq custody.Request, now time.Time) error {
		switch {
		case t.State != Asked:
			return fmt.Errorf("%w: ticket %s is %s", ErrState, id, t.standing())
		case slices.ContainsFunc(t.By, func(by string) bool { return d.p.SamePerson(by, rq.By) }):
			return fmt.Errorf("%w: %s asked for ticket %s; somebody else has to agree", ErrState, rq.By, id)
		}
		if other, ok := d.at(t.Address); ok && other.ID != t.ID {
			return fmt.Errorf("%w: %s has ticket %s, %s", ErrState, t.Address, other.ID, other.standing())
		}
		t.By = append(t.By, rq.By)
		if t.remote() && d.p.SamePerson(t.Sponsor, rq.By) {
			t.Confirmed = now
		}
		return d.begin(ctx, t, now)
	})
}

// Confirm says that the sponsor of a remote service is there. Only they can.
func (d *Desk) Confirm(ctx context.Context, id, by string) (Ticket, error) {
	return d.change(ctx, id, custody.Request{By: by, Reason: "the sponsor is there"}, "", func(t *Ticket, rq custody.Request, now time.Time) error {
		switch {
		case t.State == Closed:
			return fmt.Errorf("%w: ticket %s is %s", ErrState, id, t.standing())
		case !d.p.SamePerson(t.Sponsor, rq.By):
			return fmt.Errorf("%w: the sponsor of ticket %s is %s, and only they can say that they are there", ErrState, id, t.Sponsor)
		}
		t.Confirmed, t.Warned = now, time.Time{}
		return nil
	})
}

// Extend makes an open ticket last so long from now. Its sponsor asks.
func (d *Desk) Extend(ctx context.Context, id string, lasts time.Duration, rq custody.Request) (Ticket, error) {
	return d.change(ctx, id, rq, "ticket.extended", func(t *Ticket, rq custody.Request, now time.Time) error {
		switch most := d.c.longest(t.Kind); {
		case t.State != Opened:
			return fmt.Errorf("%w: ticket %s is %s", ErrState, id, t.standing())
		case !d.p.SamePerson(t.Sponsor, rq.By):
			return fmt.Errorf("%w: the sponsor of ticket %s is %s, and only they can have it extended", ErrState, id, t.Sponsor)
		case lasts < time.Minute || lasts > most:
			return fmt.Errorf("%w: for how long from now: from 1m to %s (--for 2h)", ErrRequest, span(most))
		}
		t.Until = now.Add(lasts)
		return nil
	})
}

// Close ends a ticket, or withdraws one that waits.
func (d *Desk) Close(ctx context.Context, id string, rq custody.Request) (Ticket, error) {
	return d.change(ctx, id, rq, "ticket.closed", func(t *Ticket, rq custody.Request, now time.Time) error {
		if t.State == Closed {
			return fmt.Errorf("%w: ticket %s is %s", ErrState, id, t.standing())
		}
		t.State, t.Ended, t.EndedBy, t.Why = Closed, now, rq.By, rq.Reason
		return nil
	})
}

// change changes one ticket, with its record, and then what the firewall opens.
func (d *Desk) change(ctx context.Context, id string, rq custody.Request, kind string, fn func(*Ticket, custody.Request, time.Time) error) (Ticket, error) {
	rq, err := rq.Check()
	if err != nil {
		return Ticket{}, err
	}
	ctx = context.WithoutCancel(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.IndexFunc(d.all, func(t Ticket) bool { return t.ID == id })
	if i < 0 {
		return d.none(ctx, id)
	}
	t := d.all[i]
	t.By = slices.Clone(t.By)
	if err := fn(&t, rq, time.Now()); err != nil {
		return d.all[i], err
	}
	return t, d.put(ctx, i, t, kind, rq)
}

// none says why a ticket is not among those that stand.
func (d *Desk) none(ctx context.Context, id string) (Ticket, error) {
	t, err := d.Ticket(ctx, id)
	if err == nil {
		err = fmt.Errorf("%w: ticket %s is %s", ErrState, id, t.standing())
	}
	return t, err
}

// put makes a changed ticket durable, and the firewall open what stands. It needs
// mu.
func (d *Desk) put(ctx context.Context, i int, t Ticket, kind string, rq custody.Request) error {
	if err := d.update(ctx, t, kind, rq); err != nil {
		return fmt.Errorf("ticket %s is not changed, since that could not be recorded: %w", t.ID, err)
	}
	d.all[i] = t
	if t.State == Closed {
		d.all = slices.Delete(d.all, i, i+1)
	}
	return d.settle(ctx, t)
}

// settle has the firewall open what stands. It needs mu.
func (d *Desk) settle(ctx context.Context, t Ticket) error {
	if err := d.apply(ctx); err != nil {
		return fmt.Errorf("ticket %s stands, and the firewall could not be changed; it is tried again: %w", t.ID, err)
	}
	return nil
}

// at is the ticket that an address has. It needs mu.
func (d *Desk) at(a netip.Addr) (Ticket, bool) {
	i := slices.IndexFunc(d.all, func(t Ticket) bool { return t.State == Opened && t.Address == a })
	if i < 0 {
		return Ticket{}, false
	}
	return d.all[i], true
}

// standing says how a ticket stands.
func (t Ticket) standing() string {
	switch t.State {
	case Asked:
		return "not open yet: a second person is awaited"
	case Opened:
		return "open until " + t.Until.UTC().Format(time.RFC3339)
	}
	return "closed since " + t.Ended.UTC().Format(time.RFC3339)
}

// record is what the ledger holds of a ticket: the same at its beginning and at its
// end, so that a reader finds in either what was open.
func (t Ticket) record(rq custody.Request) map[string]any {
	var to []string
	for _, target := range t.To {
		to = append(to, target.String())
	}
	body := map[string]any{
		"id": t.ID, "ticket": string(t.Kind), "sponsor": t.Sponsor, "purpose": t.Purpose, "address": t.Address.String(), "to": to,
		"by": t.By, "declaration": t.Declaration.SHA256,
	}
	for key, value := range map[string]string{"visitor": t.Visitor, "mac": t.MAC, "report": t.Inspection.SHA256, "reason": rq.Reason, "ended_by": t.EndedBy, "why": t.Why} {
		if value != "" {
			body[key] = value
		}
	}
	if t.Inspection.SHA256 != "" {
		body["verified"] = t.Inspection.Verified
	}
	for key, at := range map[string]time.Time{"since": t.Since, "until": t.Until, "ended": t.Ended} {
		if !at.IsZero() {
			body[key] = at.UTC().Format(time.RFC3339)
		}
	}
	return body
}

// journal puts a record beside a change. No kind, no record.
func (d *Desk) journal(tx *store.Tx, kind string, t Ticket, rq custody.Request) error {
	if kind == "" {
		return nil
	}
	return d.p.Journal.Append(tx, kind, t.record(rq))
}
