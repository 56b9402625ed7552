package firewall

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/google/nftables"
)

// The base chains of both tables.
const (
	prerouting = "prerouting"
	forward    = "forward"
	input      = "input"
	output     = "output"
)

// compile computes what a Ruleset means: no table at all if it asks for nothing.
// What has ended by now is left out.
func compile(rs Ruleset, o Options, bridged bool, now time.Time) (tables []table) {
	rs = rs.at(now)
	if rs.empty() {
		return nil
	}
	t := newTable(nftables.TableFamilyINet)
	t.messages()
	t.sets = append(t.sets, ports("image_ports", o.ImagePorts))
	if len(rs.Redirects) > 0 {
		t.hook(prerouting, nftables.ChainHookPrerouting, *nftables.ChainPriorityMangle)
		t.redirects(rs.Redirects)
	}
	t.hook(forward, nftables.ChainHookForward, priority)
	t.hook(input, nftables.ChainHookInput, priority)
	t.hook(output, nftables.ChainHookOutput, priority)
	for _, c := range rs.Contained {
		t.contain(c, rs.Redirects)
	}
	t.plan(rs)
	tables = append(tables, t)

	if bridged && (len(rs.Contained) > 0 || rs.Plan != nil) {
		b := newTable(nftables.TableFamilyBridge)
		b.messages()
		b.hook(forward, nftables.ChainHookForward, priority)
		for _, c := range rs.Contained {
			b.containBridged(c)
		}
		b.plan(rs)
		tables = append(tables, b)
	}
	return tables
}

func newTable(f nftables.TableFamily) table {
	t := table{family: f, chains: []chain{about()}, counters: map[string]string{}, v: versions}
	for i := range t.v {
		t.v[i].bridged = f == nftables.TableFamilyBridge
	}
	return t
}

// messages makes the sets of types of ICMP.
func (t *table) messages() {
	for i := range t.v {
		v := &t.v[i]
		t.sets = append(t.sets, types("icmp_errors_"+v.name, v, errorTypes[v.name]))
	}
	t.sets = append(t.sets, types("neighbours", &t.v[1], neighbours))
}

// empty reports whether nothing is asked for.
func (rs Ruleset) empty() bool {
	return len(rs.Contained) == 0 && len(rs.Openings) == 0 && rs.Plan == nil && len(rs.Redirects) == 0
}

// at leaves out what has ended.
func (rs Ruleset) at(now time.Time) Ruleset {
	out := Ruleset{Plan: rs.Plan, Redirects: rs.Redirects}
	if rs.Plan != nil && !rs.Plan.Until.IsZero() && !rs.Plan.Until.After(now) {
		plan := *rs.Plan
		plan.Mode, plan.Until = Shadow, time.Time{}
		out.Plan = &plan
	}
	for _, c := range rs.Contained {
		if c.Until.IsZero() || c.Until.After(now) {
			out.Contained = append(out.Contained, c)
		}
	}
	for _, o := range rs.Openings {
		if o.Until.IsZero() || o.Until.After(now) {
			out.Openings = append(out.Openings, o)
		}
	}
	return out
}

// identifier is a name as nft takes one; two names never have the same one.
func identifier(name string) string {
	const longest = 40
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
			return r
		}
		return '_'
	}, name)
	if clean == name && len(name) > 0 && len(name) <= longest {
		return "d_" + name
	}
	sum := sha256.Sum256([]byte(name))
	return "x_" + clean[:min(len(clean), longest)] + "_" + hex.EncodeToString(sum[:6])
}
