package firewall

import (
	"net"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// contain adds what becomes of the packets of one device:
//
//	chain forward { ip saddr @us1_at4 jump us1_from;  ip daddr @us1_at4 jump us1_to }
//	chain input   { ip saddr @us1_at4 jump us1_here }
//	chain output  { ip daddr @us1_at4 jump us1_back }
//	chain us1_here { its image path to this machine: return;  goto us1_from }
//	chain us1_back { this machine's to it: return;  goto us1_to }
//	chain us1_from { what is allowed: return;  drop }
//	chain us1_to   { the same the other way;  drop }
//
// A further fragment of an IPv4 packet has no ports, and ends as what is not allowed
// does; it is counted apart. Where a plan is applied, the kernel has put packets together
// before (see fresh).
//
// What returns goes on to the device at the other end, if that is contained too, and
// to the plan. Once the elements of us1_at4 have lapsed nothing leads there any more.
func (t *table) contain(c Contained, redirects []Redirect) {
	id := identifier(c.Device)
	t.lead(c, forward, id+"_from", id+"_to")
	t.lead(c, input, id+"_here", "")
	t.lead(c, output, "", id+"_back")
	t.membership(c)

	images := t.counter(id+".images", c.Device+" images")
	if c.Level == ImageOnly {
		t.here(c, redirects, images)
		t.back(c, redirects, images)
	}
	t.add(id+"_here", when(do(goTo(id+"_from"))))
	t.add(id+"_back", when(do(goTo(id+"_to"))))
	t.rest(c)
}

// containBridged adds the same between the ports of a bridge, where no end is this
// machine. Who has which IPv4 address it may ask, and say of its own.
func (t *table) containBridged(c Contained) {
	id := identifier(c.Device)
	t.lead(c, forward, id+"_from", id+"_to")
	t.membership(c)
	if len(c.MACs) > 0 {
		t.add(forward, when(ethernet(hardwareDestination, id+"_mac"), do(jump(id+"_to"))))
	}
	if c.Level == ImageOnly {
		if v := &t.v[0]; len(v.of(c.Addresses)) > 0 {
			t.add(id+"_from", when(arp(), v.sender(id+"_at"+v.name), do(back())))
		}
		t.add(id+"_from", when(arp(), probe(), do(back()))) // in another's address it ends below
		t.add(id+"_to", when(arp(), do(back())))
		for _, name := range []string{id + "_from", id + "_to"} {
			t.add(name, when(t.v[1].message("neighbours"), do(back())))
		}
	}
	t.rest(c)
}

// lead sends the device's packets of a base chain to its own chains.
func (t *table) lead(c Contained, base, from, to string) {
	id := identifier(c.Device)
	for i := range t.v {
		v := &t.v[i]
		if len(v.of(c.Addresses)) == 0 {
			continue
		}
		if from != "" {
			t.add(base, when(v.from(id+"_at"+v.name), do(jump(from))))
		}
		if to != "" {
			t.add(base, when(v.to(id+"_at"+v.name), do(jump(to))))
		}
	}
	if from != "" && len(c.MACs) > 0 {
		t.add(base, when(ethernet(hardwareSource, id+"_mac"), do(jump(from))))
	}
}

// membership makes the sets that say which packets are of the device.
func (t *table) membership(c Contained) {
	id := identifier(c.Device)
	for i := range t.v {
		v := &t.v[i]
		if len(v.of(c.Addresses)) > 0 {
			t.sets = append(t.sets, addresses(id+"_at"+v.name, v, c.Addresses, c.Until))
		}
	}
	if len(c.MACs) > 0 {
		t.sets = append(t.sets, hardware(id+"_mac", c.MACs, c.Until))
	}
}

// hardware is a set of hardware addresses.
func hardware(name string, all []net.HardwareAddr, until time.Time) set {
	s := set{name: name, key: nftables.TypeEtherAddr, until: until}
	seen := map[string]bool{}
	for _, m := range all {
		if len(m) == 6 && !seen[string(m)] {
			seen[string(m)] = true
			s.elements = append(s.elements, nftables.SetElement{Key: net.HardwareAddr(m)})
		}
	}
	return s
}

// here lets in the image path of the device to this machine: associations it opens,
// what goes on of those that this machine opened, and what IP needs for both.
func (t *table) here(c Contained, redirects []Redirect, images expr.Any) {
	id := identifier(c.Device)
	t.add(id+"_here", when(local(), tcp(), port(destinationPort, "image_ports"), do(images, back())))
	for _, m := range marksOf(redirects) {
		t.add(id+"_here", when(carries(m), do(images, back())))
	}
	if len(c.Ports) > 0 {
		t.sets = append(t.sets, ports(id+"_ports", c.Ports))
		t.add(id+"_here", when(local(), going(), port(sourcePort, id+"_ports"), do(images, back())))
	}
	t.control(id + "_here")
}

// back lets the same out.
func (t *table) back(c Contained, redirects []Redirect, images expr.Any) {
	id := identifier(c.Device)
	t.add(id+"_back", when(going(), port(sourcePort, "image_ports"), do(images, back())))
	for i := range t.v {
		if v := &t.v[i]; len(archives(v, redirects)) > 0 {
			t.add(id+"_back", when(v.answers("archives"+v.name+"a"), do(images, back())))
		}
	}
	if len(c.Ports) > 0 {
		t.add(id+"_back", when(tcp(), port(destinationPort, id+"_ports"), do(images, back())))
	}
	t.control(id + "_back")
}

// control lets pass what says that a path is too narrow or broken, and where a
// neighbour is.
func (t *table) control(chain string) {
	for i := range t.v {
		t.add(chain, when(t.v[i].message("icmp_errors_"+t.v[i].name), do(back())))
	}
	t.add(chain, when(t.v[1].message("neighbours"), do(back())))
}

// rest is what the device opens, what others open at it, and the end of all else.
func (t *table) rest(c Contained) {
	id := identifier(c.Device)
	kept, dropped := t.counter(id+".kept", c.Device+" kept"), t.counter(id+".dropped", c.Device+" dropped")
	from, to := id+"_from", id+"_to"
	switch c.Level {
	case Observe:
		t.add(from, when(do(kept, back())))
		t.add(to, when(do(kept, back())))
		return
	case ImageOnly:
		t.pass(from, to, id+"_may", anybodys(c.Allowed, true), kept, c)
		t.pass(to, from, id+"_called", anybodys(c.Called, false), kept, c)
	}
	fragments := t.counter(id+".fragments", c.Device+" fragments")
	for _, chain := range []string{from, to} {
		t.add(chain, when(t.v[0].fragment(), do(fragments, dropped, drop())))
		t.add(chain, when(do(dropped, drop())))
	}
}

// pass lets rules pass in one chain, and their answers in the other.
func (t *table) pass(opens, answers, name string, rules []Rule, kept expr.Any, c Contained) {
	for i := range t.v {
		v := &t.v[i]
		for _, s := range tuples(name, v, rules, c.Until) {
			t.sets = append(t.sets, s)
			t.add(opens, when(v.opens(s.name), do(kept, back())))
			t.add(answers, answer(v, s.name, do(kept, back()))...)
		}
	}
}

// answer matches what comes back of what a set allows: of TCP nothing that opens a
// connection.
func answer(v *version, set string, then []expr.Any) []rule {
	return []rule{
		when(going(), v.answers(set), then),
		when(protocol(expr.CmpOpNeq, 6), v.answers(set), then),
	}
}

// anybodys are rules in which the device's own end is any address: only packets of
// the device come to where they are looked at.
func anybodys(rules []Rule, opens bool) []Rule {
	out := make([]Rule, len(rules))
	for i, r := range rules {
		if out[i] = r; opens {
			out[i].From = nil
		} else {
			out[i].To = nil
		}
	}
	return out
}
