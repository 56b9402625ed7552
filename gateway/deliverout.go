package gateway

import (
	"context"
	"fmt"
	"time"

	"cordon/custody"
)

// deliverOut sends what was released on its way out to the devices that it is
// for, until ctx ends.
func (g *Gateway) deliverOut(ctx context.Context) {
	poll := time.NewTicker(min(spoolPoll, g.config.RetryMin))
	defer poll.Stop()
	for {
		g.deliverAllOut(ctx)
		select {
		case <-ctx.Done():
			return
		case <-g.outlets.wake:
		case <-poll.C:
		}
	}
}

func (g *Gateway) deliverAllOut(ctx context.Context) {
	defer g.survive("delivery")
	stats, err := g.parts.Custody.Stats(ctx)
	if err != nil {
		return // the deliverers of archives say so
	}
	for _, group := range stats.Groups {
		device, out := isOutlet(group.Archive)
		if !out || group.State != custody.Spooled || group.Objects == 0 {
			continue
		}
		if a, ok := g.outlet(device); ok {
			g.deliverAll(ctx, a)
		} else if err := g.stranded(ctx, group.Archive); err != nil && ctx.Err() == nil {
			g.parts.Log.Warn("delivery to a device", "device", device, "error", err)
		}
	}
}

// stranded makes objects for a device that nothing can be sent to visible as
// work for a person.
func (g *Gateway) stranded(ctx context.Context, name string) error {
	due, err := g.parts.Custody.Due(ctx, name, time.Now(), batch)
	if err != nil {
		return err
	}
	for _, o := range due {
		err := fmt.Errorf("%s has no address to send to, or is denied: give it one address and a port in the configuration, or approve it", name)
		if err := g.needsPerson(ctx, o, custody.Failure{Err: err}); err != nil {
			return err
		}
	}
	return nil
}
