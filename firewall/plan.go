package firewall

import (
	"net/netip"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// plan adds openings and the plan to what is forwarded:
//
//	chain forward { …;  jump openings;  jump plan }
//	chain openings { what an opening allows, and its answers: accept }
//	chain plan { from or to the closed: drop;  what is allowed: accept;  from or to a zone: drop }
//
// In shadow, zones count where they would drop.
func (t *table) plan(rs Ruleset) {
	if len(rs.Openings) == 0 && rs.Plan == nil {
		return
	}
	if rs.Plan != nil && t.family == nftables.TableFamilyINet { // the kernel may know no connections on bridges
		t.add(forward, when(fresh(), do(t.counter("plan.fresh", "plan connections"))))
	}
	t.add("openings")
	t.add(forward, when(do(jump("openings"))))
	for _, o := range rs.Openings {
		t.opening(o)
	}
	if rs.Plan == nil {
		return
	}
	t.add("plan")
	t.add(forward, when(do(jump("plan"))))
	t.closed(rs.Plan.Closed)
	t.allowed(rs.Plan.Allowed)
	t.zones(rs.Plan)
}

func (t *table) opening(o Opening) {
	id := identifier(o.ID)
	passed := t.counter("opening_"+id, "opening "+o.ID)
	var who []expr.Any
	if len(o.MACs) > 0 {
		t.sets = append(t.sets, hardware("opening_"+id+"_mac", o.MACs, o.Until))
		who = ethernet(hardwareSource, "opening_"+id+"_mac")
	}
	for i := range t.v {
		v := &t.v[i]
		for _, s := range tuples("opening_"+id+"_", v, []Rule{o.Rule}, o.Until) {
			t.sets = append(t.sets, s)
			t.add("openings", when(who, v.opens(s.name), do(passed, accept())))
			t.add("openings", answer(v, s.name, do(passed, accept()))...)
		}
	}
}

func (t *table) closed(all []netip.Prefix) {
	if len(all) == 0 {
		return
	}
	dropped := t.counter("plan.closed", "plan closed")
	t.members("closed_", all, time.Time{}, func(match []expr.Any) { t.add("plan", when(match, do(dropped, drop()))) })
}

// members makes sets of networks, and has each way of matching them used.
func (t *table) members(name string, all []netip.Prefix, until time.Time, use func(match []expr.Any)) {
	for i := range t.v {
		v := &t.v[i]
		if len(v.of(all)) == 0 {
			continue
		}
		t.sets = append(t.sets, addresses(name+v.name, v, all, until))
		use(v.from(name + v.name))
		use(v.to(name + v.name))
	}
}

func (t *table) allowed(rules []Rule) {
	passed := t.counter("plan.allowed", "plan allowed")
	for i := range t.v {
		v := &t.v[i]
		t.add("plan", when(v.message("icmp_errors_"+v.name), do(accept())))
		for _, s := range tuples("plan", v, rules, time.Time{}) {
			t.sets = append(t.sets, s)
			t.add("plan", when(v.opens(s.name), do(passed, accept())))
			t.add("plan", answer(v, s.name, do(passed, accept()))...)
		}
	}
	t.add("plan", when(t.v[1].message("neighbours"), do(accept())))
}

func (t *table) zones(p *Plan) {
	verdict := drop()
	if p.Mode != Enforce {
		verdict = accept()
	}
	refused := ""
	if len(p.Zones) > 0 {
		refused = t.refused(verdict)
	}
	for _, z := range p.Zones {
		id := identifier(z.Name)
		stopped := t.counter("plan_"+id, "plan "+z.Name)
		t.members("zone_"+id+"_", z.Prefixes, p.Until, func(match []expr.Any) { t.add("plan", when(match, do(stopped, goTo(refused)))) })
	}
}
