package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"cordon/asset"
	"cordon/network"
	"cordon/network/capture"
	"cordon/network/eve"
	"cordon/network/zeek"
)

// NetworkConfig is what watches the network. The zero value watches nothing.
type NetworkConfig struct {
	Capture        *capture.Config // nil: no sensor of our own
	EVE            *eve.Config     // nil: no Suricata
	Zeek           *zeek.Config    // nil: no Zeek
	Inside         []netip.Prefix  // the hospital's networks; none: the private ones
	Infrastructure []asset.Flow    // what every device may talk to
	Learn          time.Duration   // 0: the default; negative: nothing is learned
	Rules          map[string]network.Setting
}

// watches reports whether anybody looks at the network.
func (c NetworkConfig) watches() bool { return c.Capture != nil || c.EVE != nil || c.Zeek != nil }

// AboutConfig is what the file says of a device beside what admission needs.
type AboutConfig struct {
	Name      string
	Inventory asset.Inventory
	Flows     []asset.Flow
	Hardware  []network.MAC
	MUD       *MUDConfig // nil: none
	Ports     string     // file of a list of ports; "": none
}

// MUDConfig is a manufacturer usage description.
type MUDConfig struct {
	File        string
	Signature   string // file; "": it is not asked for
	Authorities string // PEM file of who may sign
	Controllers map[string][]netip.Prefix
	Mine        []netip.Prefix
}

func (d *document) network(n ast.Node, c *NetworkConfig) {
	d.mapping(n, keys{
		"capture": func(n ast.Node) { d.capture(n, c) },
		"eve":     func(n ast.Node) { d.eve(n, c) },
		"zeek": func(n ast.Node) {
			c.Zeek = &zeek.Config{}
			d.mapping(n, keys{"path": d.path(&c.Zeek.Path)})
			d.need(n, "path")
		},
		"inside":         d.list("network", d.prefix(&c.Inside)),
		"infrastructure": func(n ast.Node) { d.flows(n, &c.Infrastructure) },
		"learn":          d.learn(&c.Learn),
		"rules":          func(n ast.Node) { d.networkRules(n, c) },
	})
}

func (d *document) capture(n ast.Node, c *NetworkConfig) {
	s := &capture.Config{}
	c.Capture = s
	var ring int64
	d.mapping(n, keys{
		"interfaces":  d.list("interface", d.interfaceTo(&s.Interfaces)),
		"promiscuous": d.yes(&s.Promiscuous),
		"ignore":      d.list("network", d.prefix(&s.Ignore)),
		"cpu":         d.number(&s.CPU, 1, 100),
		"flows":       d.number(&s.Flows, 1024, 1<<20),
		"ring_mib":    d.mebibytes(&ring, 1024),
	})
	s.Ring = int(ring)
	d.need(n, "interfaces")
}

// interfaceTo reads the name of a network interface, at most 15 bytes on Linux.
func (d *document) interfaceTo(to *[]string) func(ast.Node) {
	return func(n ast.Node) {
		s, ok := d.scalar(n)
		switch {
		case !ok:
		case s == "" || len(s) > 15 || strings.ContainsAny(s, "/ \t"):
			d.wrong(n, "%q is no name of an interface; write one that ip link shows, such as eth1", s)
		case slices.Contains(*to, s):
			d.wrong(n, "%q is in this list already; take it out", s)
		default:
			*to = append(*to, s)
		}
	}
}

func (d *document) eve(n ast.Node, c *NetworkConfig) {
	c.EVE = &eve.Config{}
	d.mapping(n, keys{"path": d.path(&c.EVE.Path), "socket": d.path(&c.EVE.Socket)})
	if _, scalar := n.(ast.ScalarNode); !scalar && (c.EVE.Path == "") == (c.EVE.Socket == "") {
		d.wrong(n, "write either path, the file that Suricata writes, or socket, where it connects to")
	}
}

// learn reads how long devices are learned, in days.
func (d *document) learn(to *time.Duration) func(ast.Node) {
	return func(n ast.Node) {
		days := -1
		if d.number(&days, 0, 366)(n); days >= 0 {
			*to = time.Duration(days) * 24 * time.Hour
		}
		if days == 0 {
			*to = -1
		}
	}
}

// networkRules reads what the site says about rules, by their ids.
func (d *document) networkRules(n ast.Node, c *NetworkConfig) {
	c.Rules = map[string]network.Setting{}
	known := keys{}
	for _, r := range network.Rules() {
		known[r.ID] = func(n ast.Node) {
			var s network.Setting
			var severity string
			settings := keys{"off": d.yes(&s.Off), "severity": d.severity(&severity)}
			if r.Threshold > 0 {
				settings["threshold"] = d.number(&s.Threshold, 1, 100_000)
			}
			d.mapping(n, settings)
			s.Severity = network.Severity(severity)
			c.Rules[r.ID] = s
		}
	}
	d.mapping(n, known)
}

func (d *document) severity(to *string) func(ast.Node) {
	return func(n ast.Node) {
		if s, ok := d.scalar(n); ok && d.word(n, s, string(network.Notice), string(network.Warning), string(network.Critical)) {
			*to = s
		}
	}
}

// about is what a device can say of itself beside what admission needs.
func (d *document) about(v *AboutConfig) keys {
	return keys{
		"inventory": func(n ast.Node) { d.inventory(n, &v.Inventory) },
		"flows":     func(n ast.Node) { d.flows(n, &v.Flows) },
		"hardware":  d.list("hardware address", d.hardware(&v.Hardware)),
		"mud":       func(n ast.Node) { d.mud(n, v) },
		"ports":     d.path(&v.Ports),
	}
}

func (d *document) inventory(n ast.Node, v *asset.Inventory) {
	criticality := d.text((*string)(&v.Criticality))
	d.mapping(n, keys{
		"owner": d.text(&v.Owner), "vendor": d.text(&v.Vendor), "model": d.text(&v.Model), "modality": d.text(&v.Modality),
		"serial": d.text(&v.Serial), "location": d.text(&v.Location), "os": d.text(&v.OS), "zone": d.text(&v.Zone),
		"vendor_access": d.text(&v.VendorAccess), "antivirus": d.text(&v.Antivirus), "note": d.text(&v.Note),
		"criticality": func(n ast.Node) {
			if s, ok := d.scalar(n); ok && d.word(n, s, string(asset.Low), string(asset.Normal), string(asset.High), string(asset.Life)) {
				criticality(n)
			}
		},
		"software": d.list("software", func(n ast.Node) {
			if s, ok := d.scalar(n); ok {
				v.Software = append(v.Software, s)
			}
		}),
	})
	if err := v.Check(); err != nil {
		d.wrong(n, "%v", err)
	}
}

// flows reads what a device talks to.
func (d *document) flows(n ast.Node, to *[]asset.Flow) {
	d.sequence(n, func(_ int, n ast.Node) {
		f := asset.Flow{Protocol: "tcp", Purpose: "other"}
		d.mapping(n, keys{
			"purpose":  d.text(&f.Purpose),
			"to":       d.oneOrMore(d.prefix(&f.To)),
			"protocol": d.text(&f.Protocol),
			"port":     d.portRange(&f.Port, &f.PortTo),
			"needed":   d.yes(&f.Needed),
			"inbound":  d.yes(&f.Inbound),
			"note":     d.text(&f.Note),
		})
		d.need(n, "purpose")
		if err := f.Check(); err != nil {
			d.wrong(n, "%v", err)
		}
		*to = append(*to, f)
	})
}

// oneOrMore reads one value, or a list of them.
func (d *document) oneOrMore(read func(ast.Node)) func(ast.Node) {
	return func(n ast.Node) {
		if _, several := n.(*ast.SequenceNode); several {
			d.list("address", read)(n)
			return
		}
		read(n)
	}
}

// portRange reads a port, or a range such as 5900-5910.
func (d *document) portRange(low, high *uint16) func(ast.Node) {
	return func(n ast.Node) {
		s, ok := d.scalar(n)
		if !ok {
			return
		}
		first, last, isRange := strings.Cut(s, "-")
		if !isRange {
			last = first
		}
		a, err := strconv.ParseUint(first, 10, 16)
		b, err2 := strconv.ParseUint(last, 10, 16)
		if err != nil || err2 != nil || a == 0 || b < a {
			d.wrong(n, "%q is neither a port from 1 to 65535 nor a range; write 443 or 5900-5910", s)
			return
		}
		if *low = uint16(a); isRange {
			*high = uint16(b)
		}
	}
}

func (d *document) hardware(to *[]network.MAC) func(ast.Node) {
	return func(n ast.Node) {
		s, ok := d.scalar(n)
		if !ok {
			return
		}
		m, err := network.ParseMAC(s)
		if err != nil {
			d.wrong(n, "%v", err)
			return
		}
		*to = append(*to, m)
	}
}

// mud reads the name of a file, or more about it.
func (d *document) mud(n ast.Node, v *AboutConfig) {
	m := &MUDConfig{Controllers: map[string][]netip.Prefix{}}
	v.MUD = m
	if _, scalar := n.(ast.ScalarNode); scalar {
		d.path(&m.File)(n)
	} else {
		d.mapping(n, keys{
			"file": d.path(&m.File), "signature": d.path(&m.Signature), "authorities": d.path(&m.Authorities),
			"my_controller": d.oneOrMore(d.prefix(&m.Mine)),
			"controllers":   func(n ast.Node) { d.controllers(n, m) },
		})
		d.need(n, "file")
		if (m.Signature == "") != (m.Authorities == "") {
			d.wrong(n, "a signature is worth nothing without authorities, the PEM file of who may sign, nor the other way round; write both")
		}
	}
	if m.File == "" {
		return
	}
	if _, err := m.read(); err != nil {
		d.wrong(n, "%v", err)
	}
}

// controllers reads who the controllers are that a description names by a URI.
func (d *document) controllers(n ast.Node, m *MUDConfig) {
	for _, p := range pairs(n) {
		uri := p.Key.GetToken().Value
		d.within(fmt.Sprintf("[%q]", uri), p.Value, func(n ast.Node) {
			var to []netip.Prefix
			d.oneOrMore(d.prefix(&to))(n)
			m.Controllers[uri] = to
		})
	}
}

// wholeNetwork looks for rules and devices that nobody watches.
func (d *document) wholeNetwork(c *Config) {
	if len(c.Network.Rules) > 0 && !c.Network.watches() {
		d.wrongAt("network.rules", "nobody watches the network; add capture, eve or zeek, or take this out")
	}
}
