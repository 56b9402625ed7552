package main

import (
	"context"

	"cordon/console/device"
	"cordon/console/held"
	"cordon/console/route"
	"cordon/preview"
	"cordon/whereabouts"
)

// looks are what the pages of what is held, of studies and of devices need beside
// what they show.
type looks struct {
	previews *preview.Previewer
	studies  *whereabouts.Index
	pieces   *held.Pieces
	wake     func() // delivers what is due; nil where nothing is delivered
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

// deviceRoutes are the interface of the register.
func (p *parts) deviceRoutes() []route.Route {
	return device.API(device.Parts{Devices: p.devices})
}
