package main

import (
	"path"
	"slices"
	"time"

	"github.com/goccy/go-yaml/ast"

	"cordon/asset"
	"cordon/contain"
	"cordon/firewall"
	"cordon/network"
)

// ContainmentConfig is what becomes of devices that may be infected.
type ContainmentConfig struct {
	Paper      bool     // nothing is enforced here: rules are exported for others
	Interfaces []string // through which devices are reached; none: every one
	Solo       bool     // one person may restore a device
	Policy     contain.Policy
}

func (d *document) containment(n ast.Node, c *ContainmentConfig) {
	d.mapping(n, keys{
		"enforce": func(n ast.Node) {
			if s, ok := d.scalar(n); ok && d.word(n, s, "nftables", "none") {
				c.Paper = s == "none"
			}
		},
		"interfaces": d.list("interface", d.interfaceTo(&c.Interfaces)),
		"restore": func(n ast.Node) {
			people := 2
			if d.number(&people, 1, 2)(n); people == 1 {
				c.Solo = true
			}
		},
		"automatic": func(n ast.Node) { d.automatic(n, &c.Policy) },
		"most":      d.number(&c.Policy.Most, 1, 1000),
		"allow":     d.list("device", d.nameTo(&c.Policy.Allow)),
	})
}

func (d *document) automatic(n ast.Node, p *contain.Policy) {
	d.sequence(n, func(_ int, n ast.Node) {
		a := contain.Automatic{Level: firewall.ImageOnly}
		var rules []string
		d.mapping(n, keys{
			"rules": d.oneOrMore(d.networkRule(&rules)),
			"criticality": d.oneOrMoreWords("criticality", []string{string(asset.Low), string(asset.Normal), string(asset.High), string(asset.Life)}, func(s string) {
				a.Criticality = append(a.Criticality, asset.Criticality(s))
			}),
			"modality": d.list("modality", d.textTo(&a.Modality)),
			"do": func(n ast.Node) {
				if s, ok := d.scalar(n); ok && d.word(n, s, string(contain.Propose), string(contain.Confirm), string(contain.AtOnce)) {
					a.Do = contain.Do(s)
				}
			},
			"within": d.duration(&a.Within, time.Minute, 24*time.Hour),
			"level": func(n ast.Node) {
				if s, ok := d.scalar(n); ok && d.word(n, s, string(firewall.Observe), string(firewall.ImageOnly), string(firewall.Cut)) {
					a.Level = firewall.Level(s)
				}
			},
			"for": d.duration(&a.For, time.Minute, 90*24*time.Hour),
		})
		d.need(n, "rules", "do")
		if _, scalar := n.(ast.ScalarNode); !scalar && a.Do != "" && (a.Do == contain.Confirm) != (a.Within != 0) {
			d.wrong(n, "within says how long a person has to say yes: write it with do: confirm, and with nothing else")
		}
		for _, a.Rule = range rules {
			p.Automatic = append(p.Automatic, a)
		}
	})
}

// networkRule reads the id of a rule, or a pattern that at least one fits.
func (d *document) networkRule(to *[]string) func(ast.Node) {
	return func(n ast.Node) {
		s, ok := d.scalar(n)
		if !ok {
			return
		}
		if !slices.ContainsFunc(network.Rules(), func(r network.Rule) bool { fits, err := path.Match(s, r.ID); return err == nil && fits }) {
			d.wrong(n, "no rule fits %q; cordon network rules lists them, and * stands for any text", s)
		}
		*to = append(*to, s)
	}
}

// oneOrMoreWords reads words of a list, or one of them.
func (d *document) oneOrMoreWords(what string, words []string, take func(string)) func(ast.Node) {
	read := func(n ast.Node) {
		if s, ok := d.scalar(n); ok && d.word(n, s, words...) {
			take(s)
		}
	}
	return func(n ast.Node) {
		if _, several := n.(*ast.SequenceNode); several {
			d.list(what, read)(n)
			return
		}
		read(n)
	}
}

// textTo reads one text into a list.
func (d *document) textTo(to *[]string) func(ast.Node) {
	return func(n ast.Node) {
		var s string
		if d.text(&s)(n); s != "" {
			*to = append(*to, s)
		}
	}
}

// wholeContainment looks for what can never happen.
func (d *document) wholeContainment(c *Config) {
	if len(c.Containment.Policy.Automatic) > 0 && !c.Network.watches() {
		d.wrongAt("containment.automatic", "nobody watches the network; add capture, eve or zeek to network, or take this out")
	}
}
