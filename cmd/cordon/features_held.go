package main

import (
	"context"

	"cordon/console/device"
	"cordon/console/held"
	"cordon/console/route"
	"cordon/console/study"
	"cordon/policy"
	"cordon/preview"
	"cordon/whereabouts"
)

// looks are what the pages of what is held, of studies and of devices need beside
// what they show.
type looks struct {
	previews *preview.Previewer
	studies  *whereabouts.Index
	pieces   *held.Pieces
	wake     func()       // delivers what is due; nil where nothing is delivered
	find     study.Finder // asks archives; nil where nobody can
}

func (p *parts) openLooks() {
	p.looks = looks{previews: preview.New(preview.Limits{}), studies: whereabouts.New(p.db, p.ledger)}
	p.looks.pieces = held.NewPieces(p.db, p.ledger, p.custody, p.looks.previews)
}

// runLooks keeps what the pages look things up in.
func (d *daemon) runLooks(ctx context.Context, g *group) {
	g.run("whereabouts", func() error { return d.parts.looks.studies.Run(ctx, d.log) })
	g.run("held", func() error { return d.parts.looks.pieces.Run(ctx, d.log) })
}

// heldRoutes are the pages of what is held.
func (p *parts) heldRoutes() []route.Route {
	return held.Routes(held.Parts{
		Custody: p.custody, Ledger: p.ledger, Search: p.search, Exceptions: p.except, Studies: p.looks.studies,
		Previews: p.looks.previews, Pieces: p.looks.pieces, View: p.view, Wake: p.looks.wake,
	})
}

// studyRoutes are the search for studies.
func (p *parts) studyRoutes(c Config) []route.Route {
	all := study.Parts{
		DB: p.db, Ledger: p.ledger, Custody: p.custody, Studies: p.looks.studies, View: p.view,
		Calling: c.Gateway.AETitle, Find: p.looks.find,
	}
	for _, a := range c.Archives {
		if a.does(policy.ServiceQuery) {
			all.Archives = append(all.Archives, a.Name)
		}
	}
	return study.Routes(all)
}

// deviceRoutes are the interface of the register.
func (p *parts) deviceRoutes() []route.Route {
	return device.API(device.Parts{Devices: p.devices})
}
