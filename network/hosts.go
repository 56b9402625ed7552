package network

import (
	"net/netip"
	"slices"

	"cordon/asset"
)

// host is what is known of an address.
type host struct {
	name   string  // of the device or server; "": neither
	device *device // nil: no device
	server *Server // nil: no server
	inside bool    // the hospital's
}

// device is a declared one, ready to be asked.
type device struct {
	Declared
	permits []permit
}

// permit is one declared flow.
type permit struct {
	to       []netip.Prefix // empty: anybody
	icmp     bool
	protocol Protocol
	low      uint16
	high     uint16 // 65535 with low 0: every port
	inbound  bool
	purpose  string
}

func permitOf(f asset.Flow) permit {
	p := permit{to: f.To, low: f.Port, high: max(f.Port, f.PortTo), inbound: f.Inbound, purpose: f.Purpose}
	if f.Port == 0 && f.PortTo == 0 {
		p.high = 65535
	}
	switch f.Protocol {
	case "tcp":
		p.protocol = TCP
	case "udp":
		p.protocol = UDP
	case "icmp":
		p.icmp, p.low, p.high = true, 0, 65535
	}
	return p
}

// allows reports whether a permit covers a flow of the device to or, inbound, from a
// peer.
func (p permit) allows(peer netip.Addr, inbound bool, protocol Protocol, port uint16) bool {
	if p.inbound != inbound || port < p.low || port > p.high || !p.speaks(protocol) {
		return false
	}
	return len(p.to) == 0 || p.names(peer)
}

func (p permit) speaks(protocol Protocol) bool {
	if p.icmp {
		return protocol == ICMP || protocol == ICMPv6
	}
	return p.protocol == protocol
}

func (p permit) names(peer netip.Addr) bool {
	return slices.ContainsFunc(p.to, func(n netip.Prefix) bool { return n.Contains(peer) })
}

// hosts finds who has an address. It is never changed, so that it needs no lock but
// for what it remembers.
type hosts struct {
	exact  map[netip.Addr]host
	nets   []subnet // the narrowest first
	inside []netip.Prefix
	found  map[netip.Addr]host // looked up before
}

type subnet struct {
	prefix netip.Prefix
	host   host
}

// private are the networks of nobody in particular (RFC 1918, RFC 4193), and of one
// link (RFC 3927, RFC 4291).
var private = [...]netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("::1/128"),
}

const maxFound = 1 << 14

func newHosts(devices []Declared, servers []Server, inside []netip.Prefix) *hosts {
	h := &hosts{exact: map[netip.Addr]host{}, found: map[netip.Addr]host{}, inside: inside}
	if len(inside) == 0 {
		h.inside = private[:]
	}
	for i := range servers {
		h.add(servers[i].Addresses, host{name: servers[i].Name, server: &servers[i], inside: true})
	}
	for _, v := range devices {
		d := &device{Declared: v}
		for _, f := range v.Flows {
			d.permits = append(d.permits, permitOf(f))
		}
		h.add(v.Addresses, host{name: v.Name, device: d, inside: true})
	}
	slices.SortStableFunc(h.nets, func(a, b subnet) int { return b.prefix.Bits() - a.prefix.Bits() })
	return h
}

// add notes who has addresses. Who was noted first keeps them: servers come before
// devices.
func (h *hosts) add(addresses []netip.Prefix, who host) {
	for _, p := range addresses {
		if !p.IsSingleIP() {
			h.nets = append(h.nets, subnet{p, who})
			continue
		}
		if _, taken := h.exact[p.Addr()]; !taken {
			h.exact[p.Addr()] = who
		}
	}
}

// of finds the host of an address.
func (h *hosts) of(a netip.Addr) host {
	if who, ok := h.exact[a]; ok {
		return who
	}
	if who, ok := h.found[a]; ok {
		return who
	}
	who := host{inside: slices.ContainsFunc(h.inside, func(p netip.Prefix) bool { return p.Contains(a) })}
	if i := slices.IndexFunc(h.nets, func(n subnet) bool { return n.prefix.Contains(a) }); i >= 0 {
		who = h.nets[i].host
	}
	if len(h.found) >= maxFound {
		clear(h.found)
	}
	h.found[a] = who
	return who
}

// known reports whether anybody is to be told of an address at all.
func (h host) known() bool { return h.device != nil || h.server != nil }

// allowed finds the declaration that covers a flow: the caller's, or that of whoever
// is called.
func allowed(f *Flow, src, dst host) (purpose string, ok bool) {
	if src.device != nil {
		for _, p := range src.device.permits {
			if p.allows(f.Dst, false, f.Protocol, f.DstPort) {
				return p.purpose, true
			}
		}
	}
	if dst.device != nil {
		for _, p := range dst.device.permits {
			if p.allows(f.Src, true, f.Protocol, f.DstPort) {
				return p.purpose, true
			}
		}
	}
	return "", false
}

// mentions reports whether a device's declarations name a peer for anything.
func (d *device) mentions(peer netip.Addr) bool {
	return slices.ContainsFunc(d.permits, func(p permit) bool { return !p.inbound && p.names(peer) })
}

// images reports whether a flow is of images on their way to one of the site's
// servers.
func images(f *Flow, dst host, purpose string) bool {
	return purpose == "dicom" || dst.server != nil && slices.Contains(dst.server.Ports, f.DstPort)
}

// nobody reports whether an address is no host's: of a group, or of none.
func nobody(a netip.Addr) bool {
	return !a.IsValid() || a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}
