// Package mud reads what a manufacturer says that a device talks to: a Manufacturer
// Usage Description (RFC 8520, with the access lists of RFC 8519), or a list of ports
// as CSV, as one is copied out of an MDS2 form (ANSI/NEMA HN 1).
//
// Ordinary use:
//
//	d, err := mud.Parse(text)
//	signer, err := mud.Verify(text, signature, roots, time.Now()) // the .p7s beside it
//	flows, left := d.Flows(mud.Site{Resolve: …, Local: networks}) // left: what could not be said
//
// What a description leaves to the site (controllers, the local network) comes from
// Site; what it names by a DNS name is looked up once. An entry that means "anybody" is
// only made of one that says so: one that cannot be resolved is left out and said. It
// fetches nothing: the file is the site's, taken from where its mud-url points.
package mud

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode"

	"cordon/asset"
)

// Description is a MUD file.
type Description struct {
	URL      string
	Updated  time.Time
	Valid    time.Duration // after Updated it should be fetched again
	Info     string        // for people
	Maker    string
	Model    string
	Software string
	from, to []entry // policies of what the device sends, and of what it is sent
}

const (
	maxFile    = 1 << 20
	maxEntries = 500
	maxText    = 150 // bytes
)

// Parse reads a MUD file.
func Parse(text []byte) (*Description, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("MUD file: %d bytes; at most %d", len(text), maxFile)
	}
	var f file
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, fmt.Errorf("MUD file: %w", err)
	}
	m := f.MUD
	if m == nil {
		return nil, errors.New(`MUD file: no "ietf-mud:mud" (RFC 8520 §2.1)`)
	}
	if m.Version != 1 {
		return nil, fmt.Errorf("MUD file: version %d; expected 1", m.Version)
	}
	d := &Description{
		URL: short(m.URL), Valid: time.Duration(min(max(m.Hours, 0), 168)) * time.Hour,
		Info: short(m.Info), Maker: short(m.Maker), Model: short(m.Model), Software: short(m.Software),
	}
	d.Updated, _ = time.Parse(time.RFC3339, m.Updated) // only told to people
	lists := map[string][]ace{}
	for _, a := range f.ACLs.ACL {
		lists[a.Name] = append(lists[a.Name], a.ACEs.ACE...)
	}
	var err error
	if d.from, err = entries(m.From, lists); err != nil {
		return nil, err
	}
	d.to, err = entries(m.To, lists)
	return d, err
}

// short is foreign text, without control characters and not too long.
func short(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}

// file is the JSON of RFC 8520 and RFC 8519 (YANG in RFC 7951's form), as far as it is
// read.
type file struct {
	MUD *struct {
		Version  int    `json:"mud-version"`
		URL      string `json:"mud-url"`
		Updated  string `json:"last-update"`
		Hours    int    `json:"cache-validity"`
		Info     string `json:"systeminfo"`
		Maker    string `json:"mfg-name"`
		Model    string `json:"model-name"`
		Software string `json:"software-rev"`
		From     policy `json:"from-device-policy"`
		To       policy `json:"to-device-policy"`
	} `json:"ietf-mud:mud"`
	ACLs struct {
		ACL []struct {
			Name string `json:"name"`
			ACEs struct {
				ACE []ace `json:"ace"`
			} `json:"aces"`
		} `json:"acl"`
	} `json:"ietf-access-control-list:acls"`
}

type policy struct {
	Lists struct {
		List []struct {
			Name string `json:"name"`
		} `json:"access-list"`
	} `json:"access-lists"`
}

type ace struct {
	Name    string  `json:"name"`
	Matches matches `json:"matches"`
	Actions struct {
		Forwarding string `json:"forwarding"`
	} `json:"actions"`
}

type matches struct {
	IPv4 *internet `json:"ipv4"`
	IPv6 *internet `json:"ipv6"`
	TCP  *ports    `json:"tcp"`
	UDP  *ports    `json:"udp"`
	ICMP *struct{} `json:"icmp"`
	MUD  *who      `json:"ietf-mud:mud"`
}

type internet struct {
	Protocol     *uint8 `json:"protocol"`
	DstName      string `json:"ietf-acldns:dst-dnsname"`
	SrcName      string `json:"ietf-acldns:src-dnsname"`
	Destination4 string `json:"destination-ipv4-network"`
	Source4      string `json:"source-ipv4-network"`
	Destination6 string `json:"destination-ipv6-network"`
	Source6      string `json:"source-ipv6-network"`
}

type ports struct {
	Direction   string    `json:"ietf-mud:direction-initiated"`
	Destination *portspan `json:"destination-port"`
	Source      *portspan `json:"source-port"`
}

type portspan struct {
	Operator string `json:"operator"`
	Port     uint16 `json:"port"`
	Lower    uint16 `json:"lower-port"`
	Upper    uint16 `json:"upper-port"`
}

// who is a class of hosts that the site knows (RFC 8520 §4). A member that is there
// without a value is [null] (RFC 7951 §6.9).
type who struct {
	Controller   string          `json:"controller"`
	Mine         json.RawMessage `json:"my-controller"`
	Local        json.RawMessage `json:"local-networks"`
	Same         json.RawMessage `json:"same-manufacturer"`
	Manufacturer string          `json:"manufacturer"`
	Model        string          `json:"model"`
}

// entry is one permission.
type entry struct {
	name    string
	matches matches
}

// entries are those of a policy's lists that permit something.
func entries(p policy, lists map[string][]ace) (out []entry, err error) {
	for _, l := range p.Lists.List {
		all, ok := lists[l.Name]
		if !ok {
			return nil, fmt.Errorf("MUD file: the policy names access list %.40q, which is not there", l.Name)
		}
		for _, a := range all {
			if a.Actions.Forwarding != "accept" && a.Actions.Forwarding != "ietf-access-control-list:accept" {
				continue // what is not permitted is forbidden anyhow (RFC 8520 §3)
			}
			if out = append(out, entry{short(a.Name), a.Matches}); len(out) > maxEntries {
				return nil, fmt.Errorf("MUD file: more than %d entries", maxEntries)
			}
		}
	}
	return out, nil
}

// Site is what a description leaves to whoever has the device.
type Site struct {
	Resolve     func(name string) ([]netip.Addr, error) // of DNS names; nil: none is resolved
	Controllers map[string][]netip.Prefix               // by the URI or URN that a description calls them
	Mine        []netip.Prefix                          // this device's own controllers
	Local       []netip.Prefix                          // the hospital's networks
}

// Flows are what the description permits, and in words what of it could not be used.
func (d *Description) Flows(s Site) (flows []asset.Flow, left []string) {
	for _, e := range d.from {
		f, err := e.flow(s, false)
		flows, left = add(flows, left, e, f, err)
	}
	for _, e := range d.to {
		if e.answers() {
			continue // what it permits is the other half of a flow that the device begins
		}
		f, err := e.flow(s, true)
		flows, left = add(flows, left, e, f, err)
	}
	return flows, left
}

func add(flows []asset.Flow, left []string, e entry, f []asset.Flow, err error) ([]asset.Flow, []string) {
	if err != nil {
		return flows, append(left, fmt.Sprintf("%s: %v", e.name, err))
	}
	return append(flows, f...), left
}

// answers reports whether an entry of what the device is sent is about answers.
func (e entry) answers() bool {
	p := e.transport()
	switch {
	case p == nil:
		return false
	case p.Direction != "":
		return p.Direction == "from-device"
	}
	return p.Destination == nil
}

func (e entry) transport() *ports {
	if e.matches.TCP != nil {
		return e.matches.TCP
	}
	return e.matches.UDP
}

// flow makes flows of an entry, one for each protocol that it may mean.
func (e entry) flow(s Site, toDevice bool) ([]asset.Flow, error) {
	p := e.transport()
	inbound := toDevice
	if p != nil && p.Direction == "to-device" {
		inbound = true
	}
	if inbound && !toDevice {
		return nil, nil // its other half is among what the device is sent
	}
	if p != nil && p.Destination == nil && p.Source != nil {
		return nil, nil // what answers; its other half says to whom
	}
	to, err := e.peers(s, toDevice)
	if err != nil {
		return nil, err
	}
	f := asset.Flow{Purpose: "other", To: to, Inbound: inbound, Note: "MUD " + e.name}
	if p != nil && p.Destination != nil {
		if f.Port, f.PortTo, err = p.Destination.span(); err != nil {
			return nil, err
		}
	}
	var out []asset.Flow
	for _, name := range e.protocols() {
		f.Protocol = name
		f.Purpose = purpose(name, f.Port)
		out = append(out, f)
	}
	if len(out) == 0 {
		return nil, errors.New("a protocol other than TCP, UDP and ICMP")
	}
	return out, nil
}

// purpose is what a well-known port is for.
func purpose(protocol string, port uint16) string {
	switch {
	case port == 53:
		return "dns"
	case port == 123 && protocol == "udp":
		return "time"
	case port == 67 || port == 547:
		return "dhcp"
	case port == 104 || port == 11112 || port == 2762:
		return "dicom"
	}
	return "other"
}

// protocols are those that an entry speaks of.
func (e entry) protocols() []string {
	m := e.matches
	switch {
	case m.TCP != nil:
		return []string{"tcp"}
	case m.UDP != nil:
		return []string{"udp"}
	case m.ICMP != nil:
		return []string{"icmp"}
	}
	for _, ip := range []*internet{m.IPv4, m.IPv6} {
		if ip != nil && ip.Protocol != nil {
			return map[uint8][]string{1: {"icmp"}, 6: {"tcp"}, 17: {"udp"}, 58: {"icmp"}}[*ip.Protocol]
		}
	}
	return []string{"tcp", "udp", "icmp"}
}

func (p *portspan) span() (low, high uint16, err error) {
	switch {
	case p.Lower != 0 || p.Upper != 0:
		low, high = p.Lower, p.Upper
	case p.Operator == "" || p.Operator == "eq":
		low, high = p.Port, p.Port
	case p.Operator == "lte":
		low, high = 1, p.Port
	case p.Operator == "gte":
		low, high = p.Port, 65535
	default:
		return 0, 0, fmt.Errorf("ports %.20q: not understood", p.Operator)
	}
	if low == 0 || high < low {
		return 0, 0, errors.New("ports: none")
	}
	if high == low {
		high = 0
	}
	return low, high, nil
}

// peers are the other ends of an entry; none without an error means anybody, and is
// what the entry says.
func (e entry) peers(s Site, toDevice bool) (out []netip.Prefix, err error) {
	named := false
	if w := e.matches.MUD; w != nil {
		more, err := w.peers(s)
		if err != nil {
			return nil, err
		}
		out, named = append(out, more...), true
	}
	for _, ip := range []*internet{e.matches.IPv4, e.matches.IPv6} {
		if ip == nil {
			continue
		}
		more, is, err := ip.peers(s, toDevice)
		if err != nil {
			return nil, err
		}
		out, named = append(out, more...), named || is
	}
	if named && len(out) == 0 {
		return nil, errors.New("the other end is nobody here")
	}
	return out, nil
}

func (ip *internet) peers(s Site, toDevice bool) (out []netip.Prefix, named bool, err error) {
	name, networks := ip.DstName, []string{ip.Destination4, ip.Destination6}
	if toDevice {
		name, networks = ip.SrcName, []string{ip.Source4, ip.Source6}
	}
	for _, n := range networks {
		if n == "" {
			continue
		}
		p, err := netip.ParsePrefix(n)
		if err != nil {
			return nil, false, fmt.Errorf("network %.40q: %w", n, err)
		}
		out, named = append(out, p.Masked()), true
	}
	if name == "" {
		return out, named, nil
	}
	if s.Resolve == nil {
		return nil, true, fmt.Errorf("%s: names are not looked up here", short(name))
	}
	addrs, err := s.Resolve(name)
	if err != nil {
		return nil, true, fmt.Errorf("%s: %w", short(name), err)
	}
	for _, a := range addrs {
		a = a.Unmap().WithZone("")
		out = append(out, netip.PrefixFrom(a, a.BitLen()))
	}
	return out, true, nil
}

// peers are the hosts of a class.
func (w *who) peers(s Site) ([]netip.Prefix, error) {
	switch {
	case w.Controller != "":
		if known, ok := s.Controllers[w.Controller]; ok {
			return known, nil
		}
		return nil, fmt.Errorf("controller %.80q is not known here", w.Controller)
	case w.Mine != nil:
		if len(s.Mine) == 0 {
			return nil, errors.New("its own controller is not known here")
		}
		return s.Mine, nil
	case w.Local != nil:
		return s.Local, nil
	}
	return nil, errors.New("devices of a manufacturer or model are not told apart here; declare the flow itself")
}
