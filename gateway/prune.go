package gateway

import (
	"context"
	"time"
)

const (
	// keepDelivered is how long the row of an object that went through the spool
	// is kept after its delivery: longer than a device asks for its commitment.
	keepDelivered = 100 * 24 * time.Hour
	pruneEvery    = time.Hour
)

// prune deletes the rows of old deliveries, until ctx ends.
func (g *Gateway) prune(ctx context.Context) {
	every := time.NewTicker(pruneEvery)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		n, err := g.parts.Custody.Prune(ctx, time.Now().Add(-keepDelivered))
		switch {
		case ctx.Err() != nil:
		case err != nil:
			g.parts.Log.Warn("rows of old deliveries not deleted", "error", err)
		case n > 0:
			g.parts.Log.Info("rows of old deliveries deleted", "rows", n)
		}
	}
}
