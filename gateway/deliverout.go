package gateway

import (
	"context"
	"fmt"
	"sync"
	"time"

	"cordon/custody"
)

// deliverOut sends what was released on its way out to the devices that it is
// for, until ctx ends. One that is slow or away keeps no other waiting.
func (g *Gateway) deliverOut(ctx context.Context) {
	var running sync.WaitGroup // one for each device that something waits for; they end with ctx
	defer running.Wait()
	poll := time.NewTicker(min(spoolPoll, g.config.RetryMin))
	defer poll.Stop()
	for {
		for _, name := range g.outletsWaiting(ctx) {
			if g.outlets.begin(name) {
				running.Go(func() {
					defer g.outlets.end(name)
					g.deliverToDevice(ctx, name)
				})
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-g.outlets.wake:
		case <-poll.C:
		}
	}
}

// outletsWaiting names the devices that objects wait for, as custody does.
func (g *Gateway) outletsWaiting(ctx context.Context) (names []string) {
	stats, err := g.parts.Custody.Stats(ctx)
	if err != nil {
		return nil // the deliverers of archives say so
	}
	for _, group := range stats.Groups {
		if _, out := isOutlet(group.Archive); out && group.State == custody.Spooled && group.Objects > 0 {
			names = append(names, group.Archive)
		}
	}
	return names
}

func (g *Gateway) deliverToDevice(ctx context.Context, name string) {
	defer g.survive("delivery")
	device, _ := isOutlet(name)
	if a, ok := g.outlet(device); ok {
		g.deliverAll(ctx, a)
	} else if err := g.stranded(ctx, name); err != nil && ctx.Err() == nil {
		g.parts.Log.Warn("delivery to a device", "device", device, "error", err)
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
