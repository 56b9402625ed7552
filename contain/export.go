package contain

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"cordon/firewall"
)

// Format is how rules are written for somebody else's switch.
type Format string

const (
	ACL   Format = "acl"   // an extended access list, as many switches take it
	Table Format = "table" // one line a rule, for whoever types them in
	MUD   Format = "mud"   // a manufacturer usage description (RFC 8520)
)

// Formats lists them.
var Formats = []Format{ACL, Table, MUD}

// Export writes what a containment of a device means, for an enforcement point that
// a person looks after. Gateways are this machine's addresses and image ports, as the
// device reaches them.
func (c *Containments) Export(ctx context.Context, device string, level firewall.Level, f Format, gateways []netip.AddrPort) (string, error) {
	if err := (Order{Level: level}).check(); err != nil {
		return "", err
	}
	d, _, err := c.device(ctx, device)
	if err != nil {
		return "", err
	}
	rules := paper(d, level, gateways)
	switch f {
	case ACL:
		return acl(d, level, rules), nil
	case Table:
		return table(d, level, rules), nil
	case MUD:
		return mud(d, level, rules)
	}
	return "", fmt.Errorf("%w: format %.20q: expected acl, table or mud", ErrState, f)
}

// line is one rule as it is written down: the device at one end.
type line struct {
	out      bool // the device sends
	protocol string
	peer     netip.Prefix // not valid: anybody
	port     uint16       // at whoever is called; 0: all
	portTo   uint16
	opens    bool // it opens the connection; else these are answers
	purpose  string
}

// paper lists what stays allowed, both ways; all else is denied.
func paper(d Device, level firewall.Level, gateways []netip.AddrPort) (out []line) {
	if level == firewall.Cut {
		return nil
	}
	both := func(l line) {
		answer := l
		answer.out, answer.opens = !l.out, false
		out = append(out, l, answer)
	}
	for _, g := range gateways {
		both(line{true, "tcp", whole(g.Addr()), g.Port(), 0, true, "images to Cordon"})
		for _, p := range d.Ports {
			both(line{false, "tcp", whole(g.Addr()), p, 0, true, "images and reports from Cordon"})
		}
	}
	for _, f := range d.Flows {
		if !f.Needed || f.Purpose == "dicom" {
			continue
		}
		to := f.To
		if len(to) == 0 {
			to = []netip.Prefix{{}}
		}
		for _, peer := range to {
			both(line{!f.Inbound, f.Protocol, peer, f.Port, f.PortTo, true, f.Purpose})
		}
	}
	return out
}

// acl writes an extended access list of each direction.
func acl(d Device, level firewall.Level, rules []line) string {
	var b strings.Builder
	fmt.Fprintf(&b, "! %s (%s), written by Cordon on %s\n! Applied to the port of the device: the first list to what it sends, the second to what it gets.\n",
		d.Name, level, time.Now().UTC().Format(time.DateTime))
	for _, out := range []bool{true, false} {
		for _, v6 := range []bool{false, true} {
			addresses := own(d, v6)
			if len(addresses) == 0 {
				continue
			}
			writeList(&b, d, rules, out, v6, addresses)
		}
	}
	return b.String()
}

func writeList(b *strings.Builder, d Device, rules []line, out, v6 bool, addresses []netip.Prefix) {
	direction, ip := map[bool]string{true: "OUT", false: "IN"}[out], map[bool]string{false: "ip", true: "ipv6"}[v6]
	name := "CORDON-" + strings.ToUpper(plain(d.Name)) + "-" + direction
	if v6 {
		fmt.Fprintf(b, "ipv6 access-list %s-6\n", name)
		fmt.Fprintf(b, " permit icmp any any nd-ns\n permit icmp any any nd-na\n")
	} else {
		fmt.Fprintf(b, "ip access-list extended %s\n", name)
	}
	for _, l := range rules {
		if l.out != out || l.peer.IsValid() && l.peer.Addr().Is6() != v6 {
			continue
		}
		for _, a := range addresses {
			fmt.Fprintf(b, " %s\n", l.permit(a, v6))
		}
	}
	log := " log"
	fmt.Fprintf(b, " deny %s any any%s\n", ip, log)
}

// permit is one entry of an access list.
func (l line) permit(own netip.Prefix, v6 bool) string {
	device, peer := host(own, v6), host(l.peer, v6)
	from, to := device, peer
	if !l.out {
		from, to = peer, device
	}
	ports := l.ports()
	switch {
	case ports == "":
	case l.opens:
		to += " " + ports
	default:
		from += " " + ports
	}
	if !l.opens && l.protocol == "tcp" {
		to += " established"
	}
	return fmt.Sprintf("permit %s %s %s", l.protocol, from, to)
}

func (l line) ports() string {
	switch {
	case l.port == 0 && l.portTo == 0:
		return ""
	case l.portTo > l.port:
		return fmt.Sprintf("range %d %d", l.port, l.portTo)
	}
	return fmt.Sprintf("eq %d", l.port)
}

// host writes an address as access lists do: with the inverse mask for a network.
func host(p netip.Prefix, v6 bool) string {
	switch {
	case !p.IsValid():
		return "any"
	case p.IsSingleIP():
		return "host " + p.Addr().String()
	case v6:
		return p.Masked().String()
	}
	var inverse [4]byte
	for i := p.Bits(); i < 32; i++ {
		inverse[i/8] |= 0x80 >> (i % 8)
	}
	return p.Masked().Addr().String() + " " + netip.AddrFrom4(inverse).String()
}

func own(d Device, v6 bool) (out []netip.Prefix) {
	for _, p := range d.Addresses {
		if p.Addr().Unmap().Is6() == v6 {
			out = append(out, p)
		}
	}
	return out
}

// plain is a name of letters, digits and hyphens.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, name)
}

// table writes one line a rule.
func table(d Device, level firewall.Level, rules []line) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s (%s), written by Cordon on %s. What is not listed is denied, both ways.\naction\tdirection\tprotocol\tdevice\tpeer\tport\topens\tpurpose\n", d.Name, level, time.Now().UTC().Format(time.DateTime))
	for _, l := range rules {
		for _, a := range d.Addresses {
			if l.peer.IsValid() && l.peer.Addr().Is6() != a.Addr().Is6() {
				continue
			}
			fmt.Fprintf(&b, "permit\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", map[bool]string{true: "from device", false: "to device"}[l.out], l.protocol, a, anybody(l.peer),
				or(strings.TrimPrefix(l.ports(), "eq "), "any"), map[bool]string{true: "yes", false: "answers"}[l.opens], l.purpose)
		}
	}
	for _, a := range d.Addresses {
		fmt.Fprintf(&b, "deny\tfrom device\tany\t%s\tany\tany\t\t\ndeny\tto device\tany\t%s\tany\tany\t\t\n", a, a)
	}
	return b.String()
}

func anybody(p netip.Prefix) string {
	if !p.IsValid() {
		return "any"
	}
	return p.String()
}

func or(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// mud writes a MUD file: RFC 8520 §2, with the access lists of RFC 8519.
func mud(d Device, level firewall.Level, rules []line) (string, error) {
	type object = map[string]any
	lists, policies := []object{}, map[bool][]object{}
	for _, v6 := range []bool{false, true} {
		for _, out := range []bool{true, false} {
			name := fmt.Sprintf("cordon-%s-%s-%s", plain(d.Name), map[bool]string{true: "from", false: "to"}[out], map[bool]string{false: "v4", true: "v6"}[v6])
			entries := []object{}
			for i, l := range rules {
				if l.out == out && !(l.peer.IsValid() && l.peer.Addr().Is6() != v6) {
					entries = append(entries, object{"name": fmt.Sprintf("%s-%d", l.purpose, i), "matches": l.matches(v6), "actions": object{"forwarding": "accept"}})
				}
			}
			if len(entries) == 0 {
				continue
			}
			lists = append(lists, object{"name": name, "type": map[bool]string{false: "ipv4-acl-type", true: "ipv6-acl-type"}[v6], "aces": object{"ace": entries}})
			policies[out] = append(policies[out], object{"name": name})
		}
	}
	text, err := json.MarshalIndent(object{
		"ietf-mud:mud": object{
			"mud-version": 1, "mud-url": "https://cordon.invalid/contained/" + plain(d.Name) + ".json", "last-update": time.Now().UTC().Format(time.RFC3339),
			"cache-validity": 1, "is-supported": true, "systeminfo": fmt.Sprintf("%s, contained (%s)", plain(d.Name), level),
			"from-device-policy": object{"access-lists": object{"access-list": policies[true]}},
			"to-device-policy":   object{"access-lists": object{"access-list": policies[false]}},
		},
		"ietf-access-control-list:acls": object{"acl": lists},
	}, "", "  ")
	return string(text) + "\n", err
}

// matches is what an entry of RFC 8519 matches.
func (l line) matches(v6 bool) map[string]any {
	ip := map[string]any{"protocol": protocols[l.protocol]}
	version, network := "ipv4", "ipv4-network"
	if v6 {
		version, network = "ipv6", "ipv6-network"
	}
	if l.peer.IsValid() {
		ip[map[bool]string{true: "destination-", false: "source-"}[l.out]+network] = l.peer.String()
	}
	out := map[string]any{version: ip}
	if l.protocol == "icmp" {
		return out
	}
	transport := map[string]any{}
	if l.port != 0 || l.portTo != 0 {
		port := map[string]any{"operator": "eq", "port": l.port}
		if l.portTo > l.port {
			port = map[string]any{"lower-port": l.port, "upper-port": l.portTo}
		}
		transport[map[bool]string{true: "destination-port", false: "source-port"}[l.opens]] = port
	}
	if l.protocol == "tcp" {
		transport["ietf-mud:direction-initiated"] = map[bool]string{true: "from-device", false: "to-device"}[l.out == l.opens]
	}
	if len(transport) > 0 {
		out[l.protocol] = transport
	}
	return out
}
