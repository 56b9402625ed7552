package contain

import (
	"context"
	"net/netip"

	"cordon/firewall"
)

// NFTables is the enforcement point on this machine.
type NFTables struct{ Firewall *firewall.Firewall }

// Name implements Enforcer.
func (NFTables) Name() string { return "nftables" }

// Enforce implements Enforcer.
func (n NFTables) Enforce(ctx context.Context, all []firewall.Contained) error {
	return n.Firewall.Change(ctx, func(rs *firewall.Ruleset) { rs.Contained = all })
}

// Standing implements Enforcer.
func (n NFTables) Standing() error { return n.Firewall.Standing() }

// Covers implements Enforcer. A device is covered as its least covered address.
func (n NFTables) Covers(d Device) Coverage {
	out := Coverage{Why: "no address of it is known"}
	first := true
	for _, p := range d.Addresses {
		a := p.Addr()
		if !p.IsSingleIP() {
			a = within(p)
		}
		one := n.Firewall.Coverage(a)
		here := Coverage{one.Covered, one.Segment, one.OnLink, one.Why}
		if first || !here.Covered && out.Covered || here.Covered == out.Covered && !here.Segment && out.Segment {
			out, first = here, false
		}
	}
	return out
}

// within is an address of a network that is not the network's own.
func within(p netip.Prefix) netip.Addr {
	if next := p.Masked().Addr().Next(); p.Contains(next) {
		return next
	}
	return p.Addr()
}

// Counts implements Enforcer.
func (n NFTables) Counts(ctx context.Context) (map[string]Counts, error) {
	s, err := n.Firewall.State(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]Counts{}
	n.Firewall.Contained(func(device string) {
		out[device] = Counts{Images: s.Counters[device+" images"], Kept: s.Counters[device+" kept"], Dropped: s.Counters[device+" dropped"]}
	})
	return out, nil
}

// Paper is what there is without an enforcement point: containment is stricter
// inspection, and texts that a person gives to the switches (Export).
type Paper struct{}

// Name implements Enforcer.
func (Paper) Name() string { return "none" }

// Enforce implements Enforcer.
func (Paper) Enforce(context.Context, []firewall.Contained) error { return nil }

// Standing implements Enforcer.
func (Paper) Standing() error { return nil }

// Covers implements Enforcer.
func (Paper) Covers(Device) Coverage {
	return Coverage{Why: "Cordon enforces nothing here (containment.enforce: none): give the exported rules to the switch or router that the device is behind"}
}

// Counts implements Enforcer.
func (Paper) Counts(context.Context) (map[string]Counts, error) { return nil, nil }
