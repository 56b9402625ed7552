package firewall

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// redirects leads connections to this machine before they are routed:
//
//	chain prerouting {
//	  tcp of a socket here that is transparent: mark, accept
//	  what the redirect is about: tproxy to its port at the loopback address, mark, accept
//	  what the redirect is about and does not lapse, or lapses once: drop
//	}
//
// The first is for what goes on, and for the answers to what Cordon opened under a
// device's address. The second matches nothing when nobody listens; then what lapses
// goes its own way, and what does not comes to its end.
func (t *table) redirects(all []Redirect) {
	for _, m := range marksOf(all) {
		t.add(prerouting, when(tcp(), transparent(), marks(m), do(accept())))
	}
	for _, r := range all {
		t.redirect(r)
	}
	for i := range t.v {
		v := &t.v[i]
		if rules := archives(v, all); len(rules) > 0 {
			t.sets = append(t.sets, tuples("archives", v, rules, time.Time{})...)
		}
	}
}

func (t *table) redirect(r Redirect) {
	id := identifier(r.ID)
	led := t.counter("redirect_"+id, "redirect "+r.ID)
	for i := range t.v {
		v := &t.v[i]
		if r.To.Addr().Unmap().Is4() != (v.length == 4) {
			continue
		}
		for _, s := range tuples(redirectSet(r), v, []Rule{{From: r.From, To: []netip.Prefix{whole(r.To.Addr())}, Protocol: unix.IPPROTO_TCP, Port: r.To.Port()}}, r.until()) {
			t.sets = append(t.sets, s)
			t.add(prerouting, when(v.opens(s.name), v.tproxy(r.Port), marks(r.mark()), do(led, accept())))
			if r.Lapses == 0 || r.Once {
				t.add(prerouting, when(v.opens(s.name), do(drop())))
			}
		}
	}
}

func redirectSet(r Redirect) string { return "redirect_" + identifier(r.ID) + "_" }

// until is when a redirect ends unless it is renewed.
func (r Redirect) until() time.Time {
	if r.Lapses == 0 {
		return time.Time{}
	}
	return time.Now().Add(r.Lapses)
}

// renewed reports whether it is given another while, again and again.
func (r Redirect) renewed() bool { return r.Lapses > 0 && !r.Once }

func (r Redirect) mark() uint32 {
	if r.Mark == 0 {
		return DefaultMark
	}
	return r.Mark
}

// marksOf are the marks of redirects, each once.
func marksOf(all []Redirect) (marks []uint32) {
	for _, r := range all {
		marks = append(marks, r.mark())
	}
	slices.Sort(marks)
	return slices.Compact(marks)
}

// archives are where redirected connections were meant to go.
func archives(v *version, all []Redirect) (rules []Rule) {
	for _, r := range all {
		if r.To.Addr().Unmap().Is4() == (v.length == 4) {
			rules = append(rules, Rule{To: []netip.Prefix{whole(r.To.Addr())}, Protocol: unix.IPPROTO_TCP, Port: r.To.Port()})
		}
	}
	return rules
}

// whole is the network of one address.
func whole(a netip.Addr) netip.Prefix {
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen())
}

// transparent matches packets of a socket that takes other addresses' connections.
func transparent() []expr.Any {
	return []expr.Any{
		&expr.Socket{Key: expr.SocketKeyTransparent, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{1}},
	}
}

// tproxy gives a packet to the socket that listens at a port of the loopback address.
func (v *version) tproxy(port uint16) []expr.Any {
	family, loopback := byte(unix.NFPROTO_IPV4), netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if v.length == 16 {
		family, loopback = unix.NFPROTO_IPV6, netip.IPv6Loopback()
	}
	return []expr.Any{
		&expr.Immediate{Register: 1, Data: loopback.AsSlice()},
		&expr.Immediate{Register: 2, Data: binaryutil.BigEndian.PutUint16(port)},
		&expr.TProxy{Family: family, TableFamily: unix.NFPROTO_INET, RegAddr: 1, RegPort: 2},
	}
}

func (r Redirect) check() error {
	if !r.To.IsValid() || r.Port == 0 || r.To.Port() == 0 {
		return fmt.Errorf("redirect %q: expected an archive's address and port, and a port here", r.ID)
	}
	if r.Once && r.Lapses == 0 {
		return fmt.Errorf("redirect %q: expected a time after which it ends", r.ID)
	}
	return nil
}
