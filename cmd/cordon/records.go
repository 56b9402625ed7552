package main

import (
	"cmp"
	"context"

	"cordon/console/engines"
	"cordon/console/records"
	"cordon/console/route"
	"cordon/engine"
	"cordon/judge"
)

// recordRoutes are the routes of the ledger, of reviews, and of the engines.
func (p *parts) recordRoutes(c Config) []route.Route {
	all := records.Routes(records.Parts{Ledger: p.ledger, Search: p.search, Reviews: p.reviews, View: p.view})
	return append(all, engines.Routes(engines.Parts{
		States: p.engineStates, Asked: p.asked, Rescan: p.unscanned, Recalls: p.toRecall, Recalled: p.rescan.Done, Search: p.search, Settings: p.settings, Hashes: c.Engines.Hashes, View: p.view,
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

// unscanned is how much was delivered unscanned.
func (p *parts) unscanned(ctx context.Context) (engines.Rescan, error) {
	s, err := p.rescan.Status(ctx)
	return engines.Rescan(s), err
}

// toRecall is what was delivered before it was found harmful.
func (p *parts) toRecall(ctx context.Context) (out []engines.Recall, err error) {
	hits, err := p.rescan.Hits(ctx, false)
	for _, h := range hits {
		out = append(out, engines.Recall{
			ID: h.ID, FoundAt: h.FoundAt, Received: h.ReceivedAt, Device: cmp.Or(h.Device, h.CallingAE), Archive: h.Archive,
			Study: h.StudyInstanceUID, Instance: h.SOPInstanceUID, Reason: h.Reason, VaultID: h.VaultID,
		})
	}
	return out, err
}
