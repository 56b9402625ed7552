// Package monoculture counts how many devices one attack would take: those that
// share a model, an operating system, a piece of software, an anti-virus engine or
// a way in for the vendor.
//
// Ordinary use:
//
//	all, err := register.Inventories(ctx)
//	r := monoculture.Of([]monoculture.Device{{Name: "ct-1", Inventory: all["ct-1"]}, …})
//	fmt.Println(r.Worst.Says)                  // "One attack on Windows 7 takes 5 of 12 devices (42 %) …"
//	for _, a := range r.Attributes { … }       // each with its groups, its index and a sentence
//
// The index of an attribute is the Herfindahl–Hirschman index, the sum of the
// squares of the groups' shares: 1 when all devices are alike, near 0 when all
// differ. It is computed twice, since nobody has described every device: once as
// if each of which nothing is known were unlike all others, which errs towards
// variety, and once as if all of them were of the largest group. The words for it
// are those of the Horizontal Merger Guidelines (US DoJ and FTC, 2010, §5.3): below
// 0.15 varied, up to 0.25 somewhat alike, above that alike.
//
// It depends on what people said of devices (asset.Inventory) alone. It will not
// guess, and it does not leave out silently what nobody has said.
package monoculture

import (
	"cmp"
	"slices"
	"strings"

	"cordon/asset"
)

// Device is one device and what people said of it.
type Device struct {
	Name string
	asset.Inventory
}

// Report is what devices have in common.
type Report struct {
	Devices    int         `json:"devices"`
	Described  int         `json:"described"` // of which anybody has said anything that counts here
	Attributes []Attribute `json:"attributes"`
	Worst      *Group      `json:"worst,omitempty"` // the attack that takes most; nil if nothing is known
}

// Attribute is one thing that devices may share.
type Attribute struct {
	ID      string   `json:"id"`
	Title   string   `json:"title"`
	Groups  []Group  `json:"groups"`  // the largest first
	Unknown []string `json:"unknown"` // devices of which nobody has said it
	Index   float64  `json:"index"`   // if those are all unlike the others
	Worst   float64  `json:"index_worst"`
	Many    bool     `json:"many"` // a device may be in several groups, so that there is no index
	Says    string   `json:"says"`
	devices int
}

// Group is the devices of one value.
type Group struct {
	Attribute string   `json:"attribute"`
	Value     string   `json:"value"`
	Devices   []string `json:"devices"`
	Share     float64  `json:"share"` // of all devices
	Stops     []Stop   `json:"stops"` // what examinations lose
	Says      string   `json:"says"`
}

// Stop is what one modality loses when a group is taken.
type Stop struct {
	Modality string `json:"modality"` // "" where nobody has said
	Lost     int    `json:"lost"`
	Of       int    `json:"of"`
	Critical int    `json:"critical"` // of the lost, of high criticality or on which a life may hang
}

// Still reports whether nothing of the modality is left.
func (s Stop) Still() bool { return s.Lost == s.Of }

// property reads what a device has of an attribute; nothing if nobody has said.
type property struct {
	id, title string
	noun      string // "Windows 7 as its operating system"
	many      bool
	of        func(Device) []string
}

// properties are what one attack goes by, in the order in which people ask.
var properties = []property{
	{"os_family", "Operating system, without its version", "the operating system", false, func(d Device) []string { return one(family(d.OS)) }},
	{"os", "Operating system", "the operating system", false, func(d Device) []string { return one(d.OS) }},
	{"model", "Make and model", "the model", false, func(d Device) []string { return one(strings.TrimSpace(d.Vendor + " " + d.Model)) }},
	{"vendor", "Vendor", "the vendor", false, func(d Device) []string { return one(d.Vendor) }},
	{"software", "Software", "the software", true, func(d Device) []string { return d.Software }},
	{"antivirus", "Anti-virus on the device", "the anti-virus", false, func(d Device) []string { return one(d.Antivirus) }},
	{"vendor_access", "Way in for the vendor", "the way in", false, func(d Device) []string { return one(d.VendorAccess) }},
}

func one(s string) []string {
	if strings.TrimSpace(s) == "" {
		return nil
	}
	return []string{s}
}

// family is an operating system without its version: the words before the first
// that has a digit in it, or the first word.
func family(os string) string {
	words := strings.Fields(os)
	for i, w := range words {
		if i > 0 && strings.ContainsAny(w, "0123456789") {
			return strings.Join(words[:i], " ")
		}
	}
	return strings.Join(words, " ")
}

// Of counts what devices share.
func Of(devices []Device) Report {
	r := Report{Devices: len(devices)}
	for _, d := range devices {
		if slices.ContainsFunc(properties, func(p property) bool { return len(p.of(d)) > 0 }) {
			r.Described++
		}
	}
	for _, p := range properties {
		a := p.count(devices)
		r.Attributes = append(r.Attributes, a)
		if len(a.Groups) > 0 && (r.Worst == nil || len(a.Groups[0].Devices) > len(r.Worst.Devices)) {
			worst := a.Groups[0]
			r.Worst = &worst
		}
	}
	return r
}

// count groups the devices by one attribute. Values that differ in case and spaces
// alone are one.
func (p property) count(devices []Device) Attribute {
	a := Attribute{ID: p.id, Title: p.title, Groups: []Group{}, Unknown: []string{}, Many: p.many, devices: len(devices)}
	at := map[string]int{}
	for _, d := range devices {
		values := p.of(d)
		if len(values) == 0 {
			a.Unknown = append(a.Unknown, d.Name)
		}
		for _, v := range values {
			key := fold(v)
			i, known := at[key]
			if !known {
				i = len(a.Groups)
				at[key] = i
				a.Groups = append(a.Groups, Group{Attribute: p.id, Value: strings.Join(strings.Fields(v), " ")})
			}
			if !slices.Contains(a.Groups[i].Devices, d.Name) {
				a.Groups[i].Devices = append(a.Groups[i].Devices, d.Name)
			}
		}
	}
	slices.SortStableFunc(a.Groups, func(x, y Group) int {
		return cmp.Or(cmp.Compare(len(y.Devices), len(x.Devices)), strings.Compare(x.Value, y.Value))
	})
	for i := range a.Groups {
		g := &a.Groups[i]
		g.Share = float64(len(g.Devices)) / float64(len(devices))
		g.Stops = stops(g.Devices, devices)
		g.Says = g.sentence(p, len(devices))
	}
	a.index()
	a.Says = a.sentence()
	return a
}

func fold(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }

// index computes both indices.
func (a *Attribute) index() {
	if a.Many || a.devices == 0 {
		return
	}
	n, unknown := float64(a.devices), float64(len(a.Unknown))
	a.Index = unknown / (n * n) // each alone
	for i, g := range a.Groups {
		share, size := g.Share, float64(len(g.Devices))
		a.Index += share * share
		if i == 0 {
			share = (size + unknown) / n
		}
		a.Worst += share * share
	}
	if len(a.Groups) == 0 {
		a.Worst = 1
	}
}

// stops counts what each modality loses, those first of which nothing is left.
func stops(taken []string, devices []Device) []Stop {
	var out []Stop
	at := map[string]int{}
	for _, d := range devices {
		key := strings.ToUpper(strings.TrimSpace(d.Modality))
		i, known := at[key]
		if !known {
			i = len(out)
			at[key] = i
			out = append(out, Stop{Modality: key})
		}
		out[i].Of++
		if slices.Contains(taken, d.Name) {
			out[i].Lost++
			if d.Criticality == asset.High || d.Criticality == asset.Life {
				out[i].Critical++
			}
		}
	}
	out = slices.DeleteFunc(out, func(s Stop) bool { return s.Lost == 0 })
	slices.SortFunc(out, func(x, y Stop) int {
		return cmp.Or(compareTrue(y.Still(), x.Still()), cmp.Compare(y.Lost, x.Lost), strings.Compare(x.Modality, y.Modality))
	})
	return out
}

func compareTrue(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
