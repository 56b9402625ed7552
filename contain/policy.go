package contain

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"time"

	"cordon/asset"
	"cordon/firewall"
)

// Do is what becomes of what a sensor saw.
type Do string

const (
	Nothing Do = ""        //
	Propose Do = "propose" // a person decides, at any time
	Confirm Do = "confirm" // a person says yes within a time, else it lapses
	AtOnce  Do = "contain" // it is done, and people are told
)

// Dos are what a policy may say.
var Dos = []Do{Propose, Confirm, AtOnce}

// Automatic is one row of a Policy.
type Automatic struct {
	Rule        string              // of the sensor's: a pattern as of path.Match, such as "network.worm.*"
	Criticality []asset.Criticality // of the device; empty: all but life
	Modality    []string            // of the device; empty: all
	Do          Do
	Within      time.Duration // for Confirm
	Level       firewall.Level
	For         time.Duration // of the containment; 0: until it is restored
}

// Policy says what sensors may lead to. The zero Policy does nothing.
type Policy struct {
	Automatic []Automatic // the first that fits
	Most      int         // devices that are contained by themselves at a time; 0: one
	Allow     []string    // devices that never are
}

// World is what a decision is made in.
type World struct {
	Devices   []Device
	Contained []Containment // in force
}

// Decision is what a Policy says to one Signal.
type Decision struct {
	Do     Do             `json:"do"`
	Level  firewall.Level `json:"level,omitempty"`
	For    time.Duration  `json:"for,omitempty"`
	Within time.Duration  `json:"within,omitempty"`
	Why    string         `json:"why"`
}

// Decide says what is to be done about a signal. It is a pure function, so that what
// it would have done can be shown.
func (p Policy) Decide(s Signal, w World) Decision {
	i := slices.IndexFunc(w.Devices, func(d Device) bool { return d.Name == s.Device && s.Device != "" })
	if i < 0 {
		return Decision{Why: "it is about no device that is known"}
	}
	d := w.Devices[i]
	if why := p.spared(s, d, w); why != "" {
		return Decision{Why: why}
	}
	j := slices.IndexFunc(p.Automatic, func(a Automatic) bool { return a.fits(s, d) })
	if j < 0 {
		return Decision{Why: "no row of containment.automatic fits"}
	}
	a := p.Automatic[j]
	out := Decision{Do: a.Do, Level: a.Level, For: a.For, Within: a.Within, Why: fmt.Sprintf("rule %s", s.Rule)}
	if out.Do == AtOnce {
		if why := p.tooMany(d, w); why != "" {
			out.Do, out.Why = Propose, why
		}
	}
	return out
}

// spared says why nothing is ever done about a signal; "" if something may be.
func (p Policy) spared(s Signal, d Device, w World) string {
	switch {
	case !s.Proven:
		return "it is not proven that the device did it: anybody could have sent that"
	case d.Infrastructure != "":
		return "it is, or shares an address with, " + d.Infrastructure
	case slices.Contains(p.Allow, d.Name):
		return "it is on the allow-list (containment.allow)"
	case s.Address.IsValid() && belongs(whole(s.Address), d.Name, w.Devices):
		return fmt.Sprintf("%s is somebody else's address", s.Address)
	}
	for _, c := range w.Contained {
		if c.Device == d.Name && c.Level != firewall.Observe {
			return "it is contained already"
		}
	}
	return ""
}

func (a Automatic) fits(s Signal, d Device) bool {
	if ok, err := path.Match(a.Rule, s.Rule); err != nil || !ok {
		return false
	}
	if len(a.Modality) > 0 && !slices.Contains(a.Modality, d.Modality) {
		return false
	}
	criticality := d.Criticality
	if criticality == "" {
		criticality = asset.Normal
	}
	if len(a.Criticality) == 0 {
		return criticality != asset.Life
	}
	return slices.Contains(a.Criticality, criticality)
}

// tooMany says why one more device is not contained without a person; "" if it is.
func (p Policy) tooMany(d Device, w World) string {
	most, n := max(p.Most, 1), 0
	contained := map[string]bool{d.Name: true}
	for _, c := range w.Contained {
		if c.Level != firewall.Observe {
			contained[c.Device] = true
			if c.Rule != "" {
				n++
			}
		}
	}
	if n >= most {
		return fmt.Sprintf("%d devices are contained by themselves already, and no more may be (containment.most)", n)
	}
	for _, other := range w.Devices {
		if other.Infrastructure == "" && other.Modality == d.Modality && !contained[other.Name] {
			return ""
		}
	}
	kind := d.Modality
	if kind == "" {
		kind = "no modality that anybody declared"
	}
	return fmt.Sprintf("it is the last device of %s that is not contained", kind)
}

// whole is the network of one address.
func whole(a netip.Addr) netip.Prefix {
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen())
}

// Decided is what would have been done about one signal.
type Decided struct {
	Signal   Signal   `json:"signal"`
	Decision Decision `json:"decision"`
}

// DryRun says what a Policy would have done about signals, in their order, as if each
// containment had been in force from then on, for its time.
func (p Policy) DryRun(signals []Signal, w World) (out []Decided) {
	w.Contained = slices.Clone(w.Contained)
	for _, s := range signals {
		w.Contained = slices.DeleteFunc(w.Contained, func(c Containment) bool { return !c.Until.IsZero() && !s.At.Before(c.Until) })
		d := p.Decide(s, w)
		if d.Do == AtOnce {
			c := Containment{Device: s.Device, Level: d.Level, Rule: s.Rule, Since: s.At}
			if d.For != 0 {
				c.Until = s.At.Add(d.For)
			}
			w.Contained = append(w.Contained, c)
		}
		out = append(out, Decided{s, d})
	}
	return out
}
