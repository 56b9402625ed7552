package main

import (
	"cmp"
	"context"
	"time"

	"cordon/console"
	"cordon/console/flow"
	"cordon/console/route"
	"cordon/history"
	"cordon/metric"
	"cordon/network"
)

// sampler measures what plots and reports are made of. It belongs to one goroutine.
type sampler struct {
	d      *daemon
	before []uint64 // verdicts, by how long they took
}

// sample is what is measured now. The names of the series are those that the first
// page and the report ask for.
func (m *sampler) sample(ctx context.Context) (history.Sample, error) {
	d := m.d
	s, err := d.console.Status(ctx)
	if err != nil {
		return history.Sample{}, err
	}
	out := history.Sample{
		Totals: map[string]float64{
			"objects.received":  float64(s.Objects.Received),
			"objects.delivered": float64(s.Objects.Delivered),
			"objects.held":      float64(s.Objects.Held),
			"objects.spooled":   float64(s.Objects.Spooled),
			"objects.refused":   float64(s.Objects.Refused),
			"objects.sent":      d.parts.metrics.Total(metric.InstancesSent),
			"bytes.received":    float64(s.Objects.BytesReceived),
			"rejected":          float64(s.Objects.Rejected),
		},
		Standing: map[string]float64{},
		Levels: map[string]float64{
			"accepting":    truth(s.Accepting),
			"bypass":       truth(len(s.Bypass) > 0),
			"queue":        float64(s.Spooled),
			"queue.oldest": oldestQueued(s.Archives),
			"held.now":     float64(s.Held),
		},
	}
	for _, v := range s.Devices {
		out.Standing["device."+cmp.Or(v.Name, v.AETitle)] += float64(v.Objects)
	}
	for _, a := range s.Archives {
		if a.Asked {
			out.Levels["archive."+a.Name] = truth(a.Up)
		}
	}
	m.latency(out.Levels)
	return out, nil
}

func truth(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// oldestQueued is how long the oldest object waits for an archive, in seconds.
func oldestQueued(all []console.Archive) (most float64) {
	for _, a := range all {
		if a.OldestQueued != nil {
			most = max(most, time.Since(*a.OldestQueued).Seconds())
		}
	}
	return most
}

// latency adds how long verdicts took since the last sample, in milliseconds: half of
// them, and 95 of 100, at most so long. It knows no better than the bounds of the
// histogram, so it says too much rather than too little.
func (m *sampler) latency(levels map[string]float64) {
	bounds, now := m.d.parts.metrics.Observed(metric.VerdictDuration)
	before := m.before
	m.before = now
	if before == nil {
		before = make([]uint64, len(now))
	}
	all := now[len(now)-1] - before[len(before)-1]
	if all == 0 {
		return
	}
	for name, share := range map[string]float64{"latency.p50": 0.5, "latency.p95": 0.95} {
		for i, bound := range bounds {
			if float64(now[i]-before[i]) >= share*float64(all) {
				levels[name] = bound * 1000
				break
			}
		}
	}
}

// flowRoutes are the first page and the map.
func (d *daemon) flowRoutes() []route.Route {
	p := flow.Parts{
		Status:  func(ctx context.Context) (console.Status, error) { return d.console.Status(ctx) },
		HeldBy:  d.parts.custody.HeldBy,
		History: d.parts.history,
		View:    d.parts.view,
		Devices: d.parts.devices,
		Site:    d.site,

		Contained: func(device string) string { return string(d.parts.contained.Of(device)) },
		Seen: func(ctx context.Context) ([]network.Seen, error) {
			if d.parts.watch.network == nil {
				return nil, nil
			}
			return d.parts.watch.network.Seen(ctx)
		},
	}
	return flow.Routes(p)
}
