package contain

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"cordon/asset"
	"cordon/firewall"
)

// Seen is a path that a device was seen to use.
type Seen struct {
	Device   string     `json:"device"`
	Peer     netip.Addr `json:"peer"`
	Name     string     `json:"name,omitempty"` // of the peer, if it has one
	Protocol string     `json:"protocol"`
	Port     uint16     `json:"port"`    // of whoever is called
	Inbound  bool       `json:"inbound"` // the peer calls
	Purpose  string     `json:"purpose,omitempty"`
	Last     time.Time  `json:"last"`
	Packets  uint64     `json:"packets"`
	Bytes    uint64     `json:"bytes"`
	Gateway  bool       `json:"gateway,omitempty"` // it is the image path: to the gateway, or from it
}

// Preview says what a containment would do.
type Preview struct {
	Device  string         `json:"device"`
	Level   firewall.Level `json:"level"`
	Now     firewall.Level `json:"now,omitempty"` // of the containment that is in force
	Stops   []Seen         `json:"stops"`         // paths that were seen, the last used first
	GoesOn  []Seen         `json:"goes_on"`       // the same, that it keeps
	Allowed []asset.Flow   `json:"allowed"`       // declared flows that it keeps, seen or not
	Watched bool           `json:"watched"`       // paths are watched at all; else Stops and GoesOn say nothing
	Depends []string       `json:"depends"`       // what examinations depend on it

	Enforcer string   `json:"enforcer"`
	Coverage Coverage `json:"coverage"`
	Refused  string   `json:"refused,omitempty"` // it would be refused, because of this
}

// Preview computes what a containment of a device would stop, and what would go on.
// It changes nothing.
func (c *Containments) Preview(ctx context.Context, device string, level firewall.Level) (Preview, error) {
	if err := (Order{Level: level}).check(); err != nil {
		return Preview{}, err
	}
	d, all, err := c.device(ctx, device)
	if err != nil {
		return Preview{}, err
	}
	p := Preview{Device: d.Name, Level: level, Now: c.Of(d.Name), Enforcer: c.parts.Enforcer.Name(), Coverage: c.parts.Enforcer.Covers(d), Watched: c.parts.Seen != nil}
	switch {
	case d.Infrastructure != "":
		p.Refused = fmt.Sprintf("%s %s: it is, or shares an address with, %s", d.Name, ErrNever, d.Infrastructure)
	case len(c.places(d, all)) == 0:
		p.Refused = fmt.Sprintf("no address of %s is known that is not another's too", d.Name)
	}
	if level == firewall.ImageOnly {
		for _, f := range d.Flows {
			if f.Needed && f.Purpose != "dicom" {
				p.Allowed = append(p.Allowed, f)
			}
		}
	}
	if c.parts.Depends != nil {
		p.Depends = c.parts.Depends(ctx, d.Name)
	}
	if c.parts.Seen == nil {
		return p, nil
	}
	seen, err := c.parts.Seen(ctx)
	if err != nil {
		return p, err
	}
	for _, s := range seen {
		switch {
		case s.Device != d.Name:
		case s.keeps(level, d):
			p.GoesOn = append(p.GoesOn, s)
		default:
			p.Stops = append(p.Stops, s)
		}
	}
	for _, list := range [][]Seen{p.Stops, p.GoesOn} {
		slices.SortFunc(list, func(a, b Seen) int { return b.Last.Compare(a.Last) })
	}
	return p, nil
}

// keeps reports whether a path goes on at a level.
func (s Seen) keeps(level firewall.Level, d Device) bool {
	switch level {
	case firewall.Observe:
		return true
	case firewall.Cut:
		return false
	}
	return s.Gateway || slices.ContainsFunc(d.Flows, func(f asset.Flow) bool {
		return f.Needed && f.Purpose != "dicom" && f.Inbound == s.Inbound && f.Protocol == s.Protocol &&
			(f.Port == 0 && f.PortTo == 0 || s.Port >= f.Port && s.Port <= max(f.Port, f.PortTo)) &&
			(len(f.To) == 0 || slices.ContainsFunc(f.To, func(p netip.Prefix) bool { return p.Contains(s.Peer.Unmap()) }))
	})
}
