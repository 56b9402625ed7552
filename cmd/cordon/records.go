package main

import (
	"context"

	"cordon/console/engines"
	"cordon/console/records"
	"cordon/console/route"
	"cordon/engine"
	"cordon/judge"
)

// recordRoutes are the routes of the ledger, of reviews, and of the engines.
func (p *parts) recordRoutes(c Config) []route.Route {
	all := records.Routes(records.Parts{Ledger: p.ledger, Search: p.search, Reviews: p.reviews})
	return append(all, engines.Routes(engines.Parts{
		States: p.engineStates, Asked: p.asked, Rescan: p.rescan, Search: p.search, Settings: p.settings, Hashes: c.Engines.Hashes,
	})...)
}

// engineStates asks every engine how it is. A command that opens the data directory
// by itself has none.
func (p *parts) engineStates(ctx context.Context) []engine.State {
	var out []engine.State
	for _, s := range p.scanners {
		out = append(out, s.State(ctx))
	}
	return out
}

// asked is what the engines were asked since the start.
func (p *parts) asked() []judge.Asked {
	if p.judge == nil {
		return nil
	}
	return p.judge.Asked()
}
