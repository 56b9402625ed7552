package firewall

import (
	"bytes"
	"net/netip"
	"slices"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
)

// addresses is a set of networks.
func addresses(name string, v *version, all []netip.Prefix, until time.Time) set {
	s := set{name: name, key: v.key, interval: true, until: until}
	for _, p := range apart(v.of(all)) {
		first, last := ends(p)
		s.elements = append(s.elements, nftables.SetElement{Key: first})
		if after, ok := following(last); ok { // what ends the space has no end
			s.elements = append(s.elements, nftables.SetElement{Key: after, IntervalEnd: true})
		}
	}
	return s
}

// apart drops prefixes that others hold.
func apart(all []netip.Prefix) (kept []netip.Prefix) {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b netip.Prefix) int {
		if c := a.Addr().Compare(b.Addr()); c != 0 {
			return c
		}
		return a.Bits() - b.Bits()
	})
	for _, p := range all {
		if n := len(kept); n > 0 && kept[n-1].Contains(p.Addr()) {
			continue
		}
		kept = append(kept, p)
	}
	return kept
}

// ends are the first and the last address of a network.
func ends(p netip.Prefix) (first, last []byte) {
	first = p.Masked().Addr().AsSlice()
	last = slices.Clone(first)
	for i := p.Bits(); i < 8*len(last); i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	return first, last
}

// following is the address after one; false after the last.
func following(a []byte) ([]byte, bool) {
	next := slices.Clone(a)
	for i := len(next) - 1; i >= 0; i-- {
		if next[i]++; next[i] != 0 {
			return next, true
		}
	}
	return nil, false
}

// tuple is a range of each: source, destination, protocol, port.
type tuple struct{ first, last [4][]byte }

// overlaps reports whether anything is in both.
func (t tuple) overlaps(u tuple) bool {
	for i := range t.first {
		if bytes.Compare(t.first[i], u.last[i]) > 0 || bytes.Compare(u.first[i], t.last[i]) > 0 {
			return false
		}
	}
	return true
}

// holds reports whether all of u is in t.
func (t tuple) holds(u tuple) bool {
	for i := range t.first {
		if bytes.Compare(t.first[i], u.first[i]) > 0 || bytes.Compare(t.last[i], u.last[i]) < 0 {
			return false
		}
	}
	return true
}

// tuples are what a rule allows, of one version of IP.
func (r Rule) tuples(v *version) (all []tuple) {
	from, to := v.of(r.From), v.of(r.To)
	if len(r.From) == 0 {
		from = []netip.Prefix{v.any}
	}
	if len(r.To) == 0 {
		to = []netip.Prefix{v.any}
	}
	protocol, lastProtocol := r.Protocol, r.Protocol
	switch r.Protocol {
	case 0:
		lastProtocol = 255
	case 1, 58:
		protocol, lastProtocol = v.icmp, v.icmp
	}
	port, lastPort := r.Port, max(r.Port, r.PortTo)
	if r.Port == 0 && r.PortTo == 0 {
		lastPort = 65535
	}
	for _, f := range from {
		for _, t := range to {
			var u tuple
			u.first[0], u.last[0] = ends(f)
			u.first[1], u.last[1] = ends(t)
			u.first[2], u.last[2] = []byte{protocol}, []byte{lastProtocol}
			u.first[3], u.last[3] = binaryutil.BigEndian.PutUint16(port), binaryutil.BigEndian.PutUint16(lastPort)
			all = append(all, u)
		}
	}
	return all
}

// tuples are sets of what rules allow: as few as there can be when in none anything
// is in two elements, which the kernel takes for an error.
func tuples(name string, v *version, rules []Rule, until time.Time) (sets []set) {
	var all []tuple
	for _, r := range rules {
		for _, t := range r.tuples(v) {
			if !slices.ContainsFunc(all, func(u tuple) bool { return u.holds(t) }) {
				all = append(slices.DeleteFunc(all, t.holds), t)
			}
		}
	}
	var groups [][]tuple
next:
	for _, t := range all {
		for i, g := range groups {
			if !slices.ContainsFunc(g, t.overlaps) {
				groups[i] = append(g, t)
				continue next
			}
		}
		groups = append(groups, []tuple{t})
	}
	for i, g := range groups {
		s := set{name: name + v.name + string(rune('a'+min(i, 25))) + nth(i/26), key: v.tuple, interval: true, concat: true, until: until}
		for _, t := range g {
			s.elements = append(s.elements, nftables.SetElement{Key: concat(t.first), KeyEnd: concat(t.last)})
		}
		sets = append(sets, s)
	}
	return sets
}

// nth tells sets apart beyond the letters.
func nth(i int) string {
	if i == 0 {
		return ""
	}
	return string(rune('0'+i%10)) + nth(i/10)
}

// concat pads each field to words of 4 bytes.
func concat(fields [4][]byte) (key []byte) {
	for _, f := range fields {
		key = append(key, f...)
		key = append(key, make([]byte, (4-len(f)%4)%4)...)
	}
	return key
}

// ports is a set of them.
func ports(name string, all []uint16) set {
	s := set{name: name, key: nftables.TypeInetService}
	for _, p := range slices.Compact(slices.Sorted(slices.Values(all))) {
		s.elements = append(s.elements, nftables.SetElement{Key: binaryutil.BigEndian.PutUint16(p)})
	}
	return s
}
