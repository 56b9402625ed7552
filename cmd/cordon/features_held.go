package main

import (
	"cmp"
	"context"
	"slices"

	"cordon/console/device"
	"cordon/console/held"
	"cordon/console/route"
	pagestudy "cordon/console/study"
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
	wake     func()           // delivers what is due; nil where nothing is delivered
	find     pagestudy.Finder // asks archives; nil where nobody can
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
	all := pagestudy.Parts{
		DB: p.db, Ledger: p.ledger, Custody: p.custody, Studies: p.looks.studies, View: p.view,
		Calling: c.Gateway.AETitle, Find: p.looks.find,
	}
	for _, a := range c.Archives {
		if a.does(policy.ServiceQuery) {
			all.Archives = append(all.Archives, a.Name)
		}
	}
	return pagestudy.Routes(all)
}

// deviceRoutes are the pages of the register, and its interface.
func (p *parts) deviceRoutes() []route.Route {
	return device.Routes(device.Parts{
		Devices: p.devices, Exceptions: p.except, View: p.view, Paths: p.pathsOf,
		Level: func(name string) string { return string(p.contained.Of(name)) },
	})
}

// pathsOf are the ways over the network that a device was seen to use, the latest
// first; none where nobody watches.
func (p *parts) pathsOf(ctx context.Context, name string) (out []device.Path, err error) {
	if p.watch.network == nil {
		return nil, nil
	}
	all, err := p.watch.network.Seen(ctx)
	for _, s := range all {
		if s.Device != name && s.Peer != name {
			continue
		}
		v := device.Path{
			Out: s.Device == name, Peer: cmp.Or(s.Peer, s.Dst.String()), Protocol: s.Protocol.String(), Port: s.Port,
			Last: s.Last, Times: s.Attempts, Allowed: s.Allowed, Purpose: s.Purpose,
		}
		if !v.Out {
			v.Peer = cmp.Or(s.Device, s.Src.String())
		}
		out = append(out, v)
	}
	slices.SortStableFunc(out, func(a, b device.Path) int { return b.Last.Compare(a.Last) })
	return out, err
}
