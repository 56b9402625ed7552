package firewall

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// Coverage is which paths of a device cross this machine, as far as its routes say.
// They do not say whether the device takes this machine for its router.
type Coverage struct {
	Covered bool   `json:"covered"` // paths to other networks do
	Segment bool   `json:"segment"` // and those to its neighbours on the segment
	OnLink  bool   `json:"on_link"` // it is on a segment with this machine, which knows its hardware address then
	Link    string `json:"interface,omitempty"`
	Why     string `json:"why,omitempty"` // what is not, and why not
}

// Covers reports whether what a device at an address sends to other networks passes
// this machine, and why not, or what does not all the same.
func (f *Firewall) Covers(a netip.Addr) (bool, string) {
	c := f.Coverage(a)
	return c.Covered, c.Why
}

// Coverage is which paths of the device at an address cross this machine.
func (f *Firewall) Coverage(a netip.Addr) Coverage {
	a = a.Unmap()
	ways, err := routes()
	if err != nil {
		return Coverage{Why: "the routes cannot be read: " + err.Error()}
	}
	all, err := links()
	if err != nil {
		return Coverage{Why: "the interfaces cannot be read: " + err.Error()}
	}
	way, ok := routeTo(ways, a)
	switch {
	case !ok:
		return Coverage{Why: fmt.Sprintf("this machine has no route to %s", a)}
	case way.local:
		return Coverage{Why: fmt.Sprintf("%s is this machine's own address", a)}
	}
	i := slices.IndexFunc(all, func(l link) bool { return l.index == way.link })
	if i < 0 {
		return Coverage{Why: fmt.Sprintf("the interface to %s is gone", a)}
	}
	return f.coverage(a, way, all[i], all)
}

func (f *Firewall) coverage(a netip.Addr, way route, via link, all []link) Coverage {
	c := Coverage{OnLink: !way.gateway.IsValid(), Link: via.name}
	if len(f.opts.Interfaces) > 0 && !slices.Contains(f.opts.Interfaces, via.name) {
		c.Why = fmt.Sprintf("it is reached through %s, which is not one of containment.interfaces", via.name)
		return c
	}
	ports := 0
	for _, l := range all {
		if l.master == via.index {
			ports++
		}
	}
	c.Segment = c.OnLink && via.bridge && ports > 1
	name, on := forwarding(a)
	c.Covered = on || c.Segment
	switch {
	case !c.Covered:
		c.Why = fmt.Sprintf("this machine passes no packets on (%s is 0): what the device sends to anybody but this machine goes another way", name)
	case !on:
		c.Why = fmt.Sprintf("other networks are reached another way (%s is 0)", name)
	case !c.OnLink:
		c.Why = fmt.Sprintf("it is behind %s: what does not pass that router towards this machine is not stopped", way.gateway)
	case !c.Segment:
		c.Why = fmt.Sprintf("its neighbours on the segment %s (%s) are reached without this machine", way.to, via.name)
	}
	return c
}

// forwarding reports whether the machine passes packets on, and the setting's name.
func forwarding(a netip.Addr) (name string, on bool) {
	name, path := "net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward"
	if a.Is6() {
		name, path = "net.ipv6.conf.all.forwarding", "/proc/sys/net/ipv6/conf/all/forwarding"
	}
	text, err := os.ReadFile(path)
	return name, err == nil && strings.TrimSpace(string(text)) != "0"
}
