package firewall

import (
	"fmt"
	"net/netip"
	"slices"
)

// Limits of what is asked for.
const (
	maxContained = 1000
	maxOpenings  = 1000
	maxRules     = 20_000 // of all sections
)

// check says what is wrong with a Ruleset, or nil.
func (rs Ruleset) check() error {
	rules := 0
	seen := map[string]bool{}
	for _, c := range rs.Contained {
		if err := c.check(); err != nil {
			return fmt.Errorf("contained device %q: %w", c.Device, err)
		}
		if seen["device "+c.Device] {
			return fmt.Errorf("contained device %q: twice", c.Device)
		}
		seen["device "+c.Device] = true
		rules += len(c.Allowed) + len(c.Called)
	}
	for _, o := range rs.Openings {
		if o.ID == "" || seen["opening "+o.ID] {
			return fmt.Errorf("opening %q: expected a name of its own", o.ID)
		}
		seen["opening "+o.ID] = true
		if err := o.Rule.check(); err != nil {
			return fmt.Errorf("opening %q: %w", o.ID, err)
		}
		rules++
	}
	for _, r := range rs.Redirects {
		if r.ID == "" || seen["redirect "+r.ID] {
			return fmt.Errorf("redirect %q: expected a name of its own", r.ID)
		}
		seen["redirect "+r.ID] = true
		if err := r.check(); err != nil {
			return err
		}
	}
	if rs.Plan != nil {
		if err := rs.Plan.check(); err != nil {
			return fmt.Errorf("plan: %w", err)
		}
		rules += len(rs.Plan.Allowed)
	}
	if len(rs.Contained) > maxContained || len(rs.Openings) > maxOpenings || rules > maxRules {
		return fmt.Errorf("%d contained devices, %d openings, %d rules: at most %d, %d and %d", len(rs.Contained), len(rs.Openings), rules, maxContained, maxOpenings, maxRules)
	}
	return nil
}

func (c Contained) check() error {
	switch {
	case c.Device == "":
		return fmt.Errorf("expected a name")
	case len(c.Addresses) == 0:
		return fmt.Errorf("no address of it is known")
	case !slices.Contains([]Level{Observe, ImageOnly, Cut}, c.Level):
		return fmt.Errorf("level %q: expected observe, image_only or cut", c.Level)
	case slices.ContainsFunc(c.Addresses, func(p netip.Prefix) bool { return !p.IsValid() || unmapped(p).Bits() == 0 }):
		return fmt.Errorf("address %v: expected one of a device, not every one", c.Addresses)
	}
	for _, r := range slices.Concat(c.Allowed, c.Called) {
		if err := r.check(); err != nil {
			return err
		}
	}
	return nil
}

func (r Rule) check() error {
	if r.PortTo != 0 && r.PortTo < r.Port {
		return fmt.Errorf("ports %d to %d: the last comes before the first", r.Port, r.PortTo)
	}
	if p := slices.Concat(r.From, r.To); slices.ContainsFunc(p, func(p netip.Prefix) bool { return !p.IsValid() }) {
		return fmt.Errorf("an address is not valid")
	}
	return nil
}

func (p *Plan) check() error {
	if p.Mode != Shadow && p.Mode != Enforce {
		return fmt.Errorf("mode %q: expected shadow or enforce", p.Mode)
	}
	seen := map[string]bool{}
	for _, z := range p.Zones {
		if z.Name == "" || seen[z.Name] {
			return fmt.Errorf("zone %q: expected a name of its own", z.Name)
		}
		seen[z.Name] = true
	}
	for i, r := range p.Allowed {
		if err := r.check(); err != nil {
			return fmt.Errorf("rule %d: %w", i+1, err)
		}
	}
	return nil
}
