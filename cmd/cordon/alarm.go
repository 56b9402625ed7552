package main

import (
	"context"
	"time"
)

// alarmEvery is how often what the status says becomes alarms.
const alarmEvery = 5 * time.Second

// watchStatus makes alarms of what the status says, until ctx ends.
func (d *daemon) watchStatus(ctx context.Context) error {
	tick := time.NewTicker(alarmEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if !d.accepting.Load() {
			continue // it starts or stops, which is no alarm
		}
		all, err := d.console.Alarms(ctx)
		if err == nil {
			err = d.parts.alarms.Sync(ctx, "status", all)
		}
		if err != nil && ctx.Err() == nil {
			d.log.Error("alarms cannot be told from the status", "error", err)
		}
	}
}
