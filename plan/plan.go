// Package plan computes which connections a hospital's imaging network needs, and
// has the firewall let those pass and no others.
//
// Ordinary use:
//
//	p := plan.Compute(sources)                     // proposed rules; what is unused; what would break
//	b, err := plan.Open(ctx, plan.Parts{DB: db, Journal: ledger, Firewall: f, Sources: …})
//	err = b.Restore(ctx)                           // before ready: as it was
//	s, err := b.Apply(ctx, plan.Order{Mode: firewall.Shadow, Digest: p.Digest, …})
//	s, err = b.Confirm(ctx, by)                    // within two minutes of enforcing
//	go b.Run(ctx)
//
// # Life of a plan
//
// Compute takes the register, what devices are declared to talk to, the archives and
// this machine, and makes one rule of each thing that is needed; beside each stands
// when it was last seen to be used, and beside all of them what was seen and no rule
// allows: what would break. It is the same for the same input, line by line, so that
// two plans can be compared. A person applies the one that they have read, which its
// digest proves: in shadow first, where what no rule allows passes and is counted by
// who sent it to whom; then enforced, where it is dropped. Enforced, it is undone
// after two minutes, by the kernel, unless a person confirms it: who has locked
// themselves out need do nothing. Each step is on the ledger. After a restart the
// plan is as it was applied, whatever the register says by then.
//
// Some rules are there whatever anybody says: this machine and the archives, the
// devices and this machine, and the addresses of management, the one included from
// which the plan is applied. What comes to this machine itself is never touched: only
// what it passes on.
package plan

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"cordon/asset"
	"cordon/firewall"
)

// Zone is a part of the network.
type Zone struct {
	Name     string         `json:"name"`
	Networks []netip.Prefix `json:"networks"`
	Closed   bool           `json:"closed,omitempty"` // nobody there reaches anybody without a ticket
}

// Device is one of the register, as far as a plan needs it.
type Device struct {
	Name      string
	Addresses []netip.Prefix
	Zone      string // as people said; "": the one that its address is in
	Outlet    uint16 // the port that this machine calls it at; 0: none
	Flows     []asset.Flow
}

// Archive is an upstream.
type Archive struct {
	Name      string
	Addresses []netip.Prefix // where it listens, and calls from
	Port      uint16
	Direct    []netip.Prefix // devices that call it themselves, and are led here (transparent mode)
}

// Seen is something that was seen on the network.
type Seen struct {
	From, To netip.Addr
	Protocol uint8
	Port     uint16
	Last     time.Time
	Times    uint64 // conversations
}

// Sources are what a plan is computed from.
type Sources struct {
	Zones      []Zone
	Devices    []Device
	Archives   []Archive
	Gateway    []netip.Prefix // this machine's own addresses
	Ports      []uint16       // at which it takes associations and web requests
	Management []netip.Prefix // whence people administer, never shut out
	Seen       []Seen
	Watching   time.Time // since when the network is watched; zero: it is not
}

// Rule is one thing that is allowed.
type Rule struct {
	ID       string         `json:"id"`   // the same for the same rule
	Zone     string         `json:"zone"` // of From
	Device   string         `json:"device,omitempty"`
	Purpose  string         `json:"purpose"`
	Why      string         `json:"why"` // who says that it is needed
	From     []netip.Prefix `json:"from,omitempty"`
	To       []netip.Prefix `json:"to,omitempty"`
	Protocol uint8          `json:"protocol"` // of IP; 0: every one
	Port     uint16         `json:"port,omitempty"`
	PortTo   uint16         `json:"port_to,omitempty"`
	Fixed    bool           `json:"fixed,omitempty"` // there whatever anybody says

	LastSeen time.Time `json:"last_seen,omitzero"` // not part of the digest
	Times    uint64    `json:"times,omitempty"`
}

// Break is something that was seen, and that no rule allows.
type Break struct {
	Device   string     `json:"device,omitempty"` // that sent it
	Zone     string     `json:"zone,omitempty"`
	From     netip.Addr `json:"from"`
	Peer     string     `json:"peer,omitempty"` // the device that To is
	PeerZone string     `json:"peer_zone,omitempty"`
	To       netip.Addr `json:"to"`
	Protocol uint8      `json:"protocol"`
	Port     uint16     `json:"port"`
	Last     time.Time  `json:"last"`
	Times    uint64     `json:"times"`
}

// Plan is who may talk to whom. The order of everything in it is fixed.
type Plan struct {
	Digest string   `json:"digest"` // of zones and rules; 16 hexadecimal digits
	Zones  []Zone   `json:"zones"`
	Rules  []Rule   `json:"rules"`
	Unused []Rule   `json:"unused"` // declared, and not seen
	Breaks []Break  `json:"breaks"`
	Notes  []string `json:"notes,omitempty"` // what the plan cannot know

	Watching time.Time `json:"watching,omitzero"`
}

// IP protocol numbers (IANA).
const (
	icmp = 1
	tcp  = 6
	udp  = 17
)

// Compute makes the plan of what is declared and what was seen.
func Compute(s Sources) Plan {
	p := Plan{Zones: slices.Clone(s.Zones), Watching: s.Watching}
	slices.SortFunc(p.Zones, func(a, b Zone) int { return cmp.Compare(a.Name, b.Name) })
	for i := range p.Zones {
		p.Zones[i].Networks = sorted(p.Zones[i].Networks)
	}
	p.Rules = s.rules()
	p.Digest = digest(p.Zones, p.Rules)
	for i := range p.Rules {
		p.Rules[i].use(s.Seen)
		if r := p.Rules[i]; r.Times == 0 && !r.Fixed {
			p.Unused = append(p.Unused, r)
		}
	}
	p.Breaks = s.breaks(p)
	p.Notes = s.notes()
	return p
}

// rules are all that is needed, in their order.
func (s Sources) rules() []Rule {
	var all []Rule
	add := func(r Rule) {
		if r.Fixed && r.Purpose != "management" && (len(r.From) == 0 || len(r.To) == 0) {
			return // an end without an address would be anybody
		}
		r.From, r.To = sorted(r.From), sorted(r.To)
		r.Zone = cmp.Or(r.Zone, s.zoneOf(r.From))
		r.ID = id(r)
		all = append(all, r)
	}
	for _, d := range s.Devices {
		for _, r := range s.ofDevice(d) {
			r.Device, r.Zone = d.Name, cmp.Or(r.Zone, d.Zone, s.zoneOf(d.Addresses))
			add(r)
		}
	}
	for _, a := range s.Archives {
		add(Rule{Purpose: "images", Why: "archive " + a.Name, From: s.Gateway, To: a.Addresses, Protocol: tcp, Port: a.Port, Fixed: true})
		for _, port := range s.Ports {
			add(Rule{Purpose: "moves, reports", Why: "archive " + a.Name, From: a.Addresses, To: s.Gateway, Protocol: tcp, Port: port, Fixed: true})
		}
		if len(a.Direct) > 0 {
			add(Rule{Purpose: "images", Why: "transparent mode, archive " + a.Name, From: a.Direct, To: a.Addresses, Protocol: tcp, Port: a.Port, Fixed: true})
		}
	}
	for _, m := range sorted(s.Management) {
		add(Rule{Purpose: "management", Why: "nobody is locked out", From: []netip.Prefix{m}, Fixed: true})
	}
	slices.SortFunc(all, func(a, b Rule) int {
		return cmp.Or(cmp.Compare(a.Zone, b.Zone), cmp.Compare(a.Device, b.Device), cmp.Compare(a.Purpose, b.Purpose), cmp.Compare(a.ID, b.ID))
	})
	return slices.CompactFunc(all, func(a, b Rule) bool { return a.ID == b.ID })
}

// ofDevice are what a device needs: its way here, and what it is declared to need.
func (s Sources) ofDevice(d Device) (all []Rule) {
	if len(d.Addresses) == 0 {
		return nil
	}
	for _, port := range s.Ports {
		all = append(all, Rule{Purpose: "images", Why: "sends through Cordon", From: d.Addresses, To: s.Gateway, Protocol: tcp, Port: port, Fixed: true})
	}
	if d.Outlet != 0 {
		all = append(all, Rule{Purpose: "images", Why: "receives from Cordon", From: s.Gateway, To: d.Addresses, Protocol: tcp, Port: d.Outlet, Fixed: true})
	}
	for _, f := range d.Flows {
		r := Rule{Purpose: f.Purpose, Why: why(f), From: d.Addresses, To: f.To, Protocol: protocol(f.Protocol), Port: f.Port, PortTo: f.PortTo}
		if f.Inbound {
			r.From, r.To = f.To, d.Addresses
		}
		all = append(all, r)
	}
	return all
}

// why says who declared a flow.
func why(f asset.Flow) string {
	says := map[asset.Source]string{
		asset.FromConfig: "the configuration", asset.FromPeople: "a person said so", asset.FromMUD: "its manufacturer (MUD)", asset.FromMDS2: "its manufacturer (MDS2)",
	}[f.Source]
	if says == "" {
		says = string(f.Source)
	}
	if f.Needed {
		says += "; needed to scan at all"
	}
	return says
}

func protocol(name string) uint8 {
	return map[string]uint8{"tcp": tcp, "udp": udp, "icmp": icmp}[name]
}

// zoneOf is the zone that all of the addresses are in, "" where there is none.
func (s Sources) zoneOf(all []netip.Prefix) string {
	found := ""
	for i, p := range all {
		z := s.zoneAt(p)
		if i > 0 && z != found {
			return ""
		}
		found = z
	}
	return found
}

// zoneAt is the zone of the smallest network that holds p.
func (s Sources) zoneAt(p netip.Prefix) (name string) {
	bits := -1
	for _, z := range s.Zones {
		for _, n := range z.Networks {
			if n.Bits() > bits && n.Bits() <= p.Bits() && n.Contains(p.Addr()) {
				name, bits = z.Name, n.Bits()
			}
		}
	}
	return name
}

// id names a rule by what it allows.
func id(r Rule) string {
	text, _ := json.Marshal([]any{r.From, r.To, r.Protocol, r.Port, r.PortTo, r.Purpose, r.Why, r.Device})
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:4])
}

// digest is of what is enforced, not of what was seen.
func digest(zones []Zone, rules []Rule) string {
	text, _ := json.Marshal([]any{zones, rules})
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// sorted is a copy in the order of addresses, each once.
func sorted(all []netip.Prefix) []netip.Prefix {
	out := slices.Clone(all)
	slices.SortFunc(out, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	return slices.Compact(out)
}

// use notes what was seen of a rule.
func (r *Rule) use(seen []Seen) {
	for _, s := range seen {
		if !r.Allows(s.From, s.To, s.Protocol, s.Port) {
			continue
		}
		r.Times += s.Times
		if s.Last.After(r.LastSeen) {
			r.LastSeen = s.Last
		}
	}
}

// Allows reports whether a rule lets somebody open something.
func (r Rule) Allows(from, to netip.Addr, protocol uint8, port uint16) bool {
	if r.Protocol != 0 && r.Protocol != protocol && !(r.Protocol == icmp && protocol == 58) || !within(r.From, from) || !within(r.To, to) {
		return false
	}
	last := max(r.Port, r.PortTo)
	return r.Port == 0 || protocol == icmp || protocol == 58 || port >= r.Port && port <= last
}

// within reports whether an address is in one of the networks, or nobody asks.
func within(all []netip.Prefix, a netip.Addr) bool {
	return len(all) == 0 || slices.ContainsFunc(all, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) })
}

// breaks are what was seen that no rule allows, of which either end is in a zone.
// What this machine itself sends or is sent passes in any case.
func (s Sources) breaks(p Plan) []Break {
	var out []Break
	for _, seen := range s.Seen {
		from, to := host(seen.From), host(seen.To)
		zone, peer := s.zoneAt(from), s.zoneAt(to)
		if zone == "" && peer == "" || contains(s.Gateway, seen.From) || contains(s.Gateway, seen.To) || !seen.To.IsGlobalUnicast() || !seen.From.IsGlobalUnicast() {
			continue
		}
		if slices.ContainsFunc(p.Rules, func(r Rule) bool { return r.Allows(seen.From, seen.To, seen.Protocol, seen.Port) }) {
			continue
		}
		out = append(out, Break{
			Device: s.deviceAt(seen.From), Zone: zone, From: seen.From, Peer: s.deviceAt(seen.To), PeerZone: peer, To: seen.To,
			Protocol: seen.Protocol, Port: seen.Port, Last: seen.Last, Times: seen.Times,
		})
	}
	slices.SortFunc(out, func(a, b Break) int {
		return cmp.Or(cmp.Compare(a.Zone, b.Zone), a.From.Compare(b.From), a.To.Compare(b.To), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Port, b.Port))
	})
	return out
}

func host(a netip.Addr) netip.Prefix {
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen())
}

func contains(all []netip.Prefix, a netip.Addr) bool { return len(all) > 0 && within(all, a) }

// deviceAt is the device of an address, "" if it is nobody's.
func (s Sources) deviceAt(a netip.Addr) string {
	for _, d := range s.Devices {
		if contains(d.Addresses, a) {
			return d.Name
		}
	}
	return ""
}

// notes say what the plan cannot know.
func (s Sources) notes() (notes []string) {
	var homeless []string
	for _, d := range s.Devices {
		if len(d.Addresses) == 0 {
			homeless = append(homeless, d.Name)
		}
	}
	slices.Sort(homeless)
	if len(homeless) > 0 {
		notes = append(notes, fmt.Sprintf("no rule is made for devices without an address (devices[].addresses): %s", strings.Join(homeless, ", ")))
	}
	if s.Watching.IsZero() {
		notes = append(notes, "nobody watches the network here, so that it is not known what is used, and what would break: configure a sensor (docs/network.md), or let a shadow run for weeks")
	}
	if len(s.Zones) == 0 {
		notes = append(notes, "there are no zones, so that nothing would be stopped: write plan.zones in the configuration")
	}
	return notes
}

// firewall is the plan as the firewall takes it.
func (p Plan) firewall(mode firewall.Mode, until time.Time) *firewall.Plan {
	out := &firewall.Plan{Mode: mode, Until: until, Closed: closed(p.Zones)}
	for _, z := range p.Zones {
		if !z.Closed {
			out.Zones = append(out.Zones, firewall.Zone{Name: z.Name, Prefixes: z.Networks})
		}
	}
	for _, r := range p.Rules {
		out.Allowed = append(out.Allowed, firewall.Rule{From: r.From, To: r.To, Protocol: r.Protocol, Port: r.Port, PortTo: r.PortTo})
	}
	return out
}

// closed are the networks of zones that nobody leaves without a ticket.
func closed(zones []Zone) (all []netip.Prefix) {
	for _, z := range zones {
		if z.Closed {
			all = append(all, z.Networks...)
		}
	}
	return sorted(all)
}
