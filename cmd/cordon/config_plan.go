package main

import (
	"fmt"
	"net/netip"

	"cordon/plan"

	"github.com/goccy/go-yaml/ast"
)

// PlanConfig is the network as a firewall plan sees it.
type PlanConfig struct {
	Zones      []plan.Zone
	Management []netip.Prefix // whence people administer: never shut out
}

// closed are the networks that nobody leaves without a ticket.
func (c PlanConfig) closed() (all []netip.Prefix) {
	for _, z := range c.Zones {
		if z.Closed {
			all = append(all, z.Networks...)
		}
	}
	return all
}

func (d *document) plan(n ast.Node, c *PlanConfig) {
	d.mapping(n, keys{
		"zones":      func(n ast.Node) { d.zones(n, c) },
		"management": d.list("network", d.prefix(&c.Management)),
	})
}

func (d *document) zones(n ast.Node, c *PlanConfig) {
	names := map[string]int{}
	d.sequence(n, func(i int, n ast.Node) {
		var z plan.Zone
		var said *bool
		d.mapping(n, keys{
			"name":     d.name(&z.Name),
			"networks": d.list("network", d.prefix(&z.Networks)),
			"closed":   func(n ast.Node) { said = new(bool); d.yes(said)(n) },
		})
		d.need(n, "name", "networks")
		z.Closed = z.Name == "visitors"
		if said != nil {
			z.Closed = *said
		}
		d.once(names, z.Name, i, fmt.Sprintf("plan.zones[%d].name", i))
		c.Zones = append(c.Zones, z)
	})
}
