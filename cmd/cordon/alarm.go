package main

import (
	"context"
	"time"

	"cordon/metric"
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

// alarmsOpen counts them for whoever scrapes.
func (d *daemon) alarmsOpen(set metric.Sample) {
	c := d.parts.alarms.Counts()
	set(float64(c.Critical), "critical")
	set(float64(c.Warning), "warning")
	set(float64(c.Info), "info")
}

// noticesFailing says which recipients of notices cannot be reached.
func (d *daemon) noticesFailing(set metric.Sample) {
	ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout)
	defer cancel()
	states, err := d.parts.notices.States(ctx)
	if err != nil {
		return
	}
	for _, s := range states {
		failing := 0.0
		if !s.Failing.IsZero() {
			failing = 1
		}
		set(failing, s.Name)
	}
}
