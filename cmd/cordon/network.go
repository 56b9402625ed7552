package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"cordon/alarm"
	"cordon/console/route"
	pagewatch "cordon/console/watch"
	"cordon/metric"
	"cordon/network"
	"cordon/network/capture"
	"cordon/network/eve"
	"cordon/network/zeek"
)

// watch is what looks at the network: nil parts are not configured.
type watch struct {
	network *network.Watch
	sensor  *capture.Sensor
	eve     *eve.Reader
	zeek    *zeek.Reader
	notify  []func(network.Alert) // further ones who are told of each alert; they must not wait
}

// openNetwork opens the watch over the network and its sensors. Without a sensor what
// was seen can still be looked at.
func (d *daemon) openNetwork(ctx context.Context) error {
	if err := d.describe(ctx); err != nil {
		return err
	}
	c := d.config.Network
	w, err := network.New(ctx, network.Config{
		Devices: d.declaredNow(), Servers: d.servers(), Inside: c.Inside, Learn: c.Learn, Settings: c.Rules, Raise: d.unusual,
	}, network.Parts{DB: d.parts.db, Journal: d.parts.ledger, Metrics: d.parts.metrics, Log: d.log})
	if err != nil {
		return err
	}
	d.parts.watch.network = w
	if c.Capture != nil {
		if d.parts.watch.sensor, err = capture.Open(*c.Capture, w); err != nil {
			return fmt.Errorf("network.capture: %w", err)
		}
		d.meter()
	}
	if c.EVE != nil {
		d.parts.watch.eve = eve.New(w, *c.EVE)
		d.parts.metrics.Collect(metric.NetworkRecords, func(set metric.Sample) { set(float64(d.parts.watch.eve.Status().Records), eve.Name) })
		d.parts.metrics.Collect(metric.NetworkBad, func(set metric.Sample) { set(float64(d.parts.watch.eve.Status().Bad), eve.Name) })
	}
	if c.Zeek != nil {
		d.parts.watch.zeek = zeek.New(w, *c.Zeek)
		d.parts.metrics.Collect(metric.NetworkRecords, func(set metric.Sample) { set(float64(d.parts.watch.zeek.Status().Records), zeek.Name) })
		d.parts.metrics.Collect(metric.NetworkBad, func(set metric.Sample) { set(float64(d.parts.watch.zeek.Status().Bad), zeek.Name) })
	}
	return nil
}

// declaredNow is asked for the devices every few seconds. When the register cannot be
// read what it said last stands.
func (d *daemon) declaredNow() func() []network.Declared {
	var last []network.Declared
	return func() []network.Declared {
		ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout)
		defer cancel()
		if now, err := d.declared(ctx); err == nil {
			last = now
		} else {
			d.log.Error("the network is held against what devices were declared to do before", "error", err)
		}
		return last
	}
}

// meter has the sensor's counts asked for.
func (d *daemon) meter() {
	s, m := d.parts.watch.sensor, d.parts.metrics
	collect := func(id metric.ID, value func(capture.Status) float64) {
		m.Collect(id, func(set metric.Sample) { set(value(s.Status()), s.Name()) })
	}
	collect(metric.NetworkPackets, func(st capture.Status) float64 { return float64(st.Packets) })
	collect(metric.NetworkDrops, func(st capture.Status) float64 { return float64(st.Drops) })
	collect(metric.NetworkTracked, func(st capture.Status) float64 { return float64(st.Flows) })
	collect(metric.NetworkCPU, func(st capture.Status) float64 { return st.CPU.Seconds() })
}

// runWatch runs the watch and its sensors.
func (d *daemon) runWatch(ctx context.Context, g *group) {
	w := d.parts.watch
	g.run("network", func() error { return w.network.Run(ctx) })
	if w.sensor != nil {
		g.run("network sensor", func() error { return w.sensor.Run(ctx) })
	}
	if w.eve != nil {
		g.run("Suricata's records", func() error { return w.eve.Run(ctx) })
	}
	if w.zeek != nil {
		g.run("Zeek's records", func() error { return w.zeek.Run(ctx) })
	}
	if d.config.Network.watches() {
		g.run("network sensors", func() error { return d.checkSensors(ctx) })
	}
}

// unusual tells of an alert: an alarm of its device and rule, and whoever else is to
// know.
func (d *daemon) unusual(a network.Alert) {
	rule, _ := network.Lookup(a.Rule)
	subject := cmp.Or(a.Device, a.Address.String())
	link := "/network"
	if a.Device != "" {
		link = "/devices/" + a.Device
	}
	err := d.parts.alarms.Raise(context.Background(), alarm.Alarm{
		Kind: "network." + a.Rule, Subject: subject, Severity: alarmSeverity(a.Severity), Link: link,
		Text: fmt.Sprintf("%s: %s. %s", subject, rule.Title, a.Detail),
	})
	if err != nil {
		d.log.Error("alarm not raised", "rule", a.Rule, "device", a.Device, "error", err)
	}
	for _, tell := range d.parts.watch.notify {
		tell(a)
	}
}

func alarmSeverity(s network.Severity) alarm.Severity {
	switch s {
	case network.Critical:
		return alarm.Critical
	case network.Warning:
		return alarm.Warning
	}
	return alarm.Info
}

const (
	sensorsEvery = 5 * time.Second
	dropsRecent  = time.Minute
)

// checkSensors has an alarm stand while a sensor does not see what it should.
func (d *daemon) checkSensors(ctx context.Context) error {
	tick := time.NewTicker(sensorsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			if err := d.parts.alarms.Sync(ctx, "network sensors", d.blind(now)); err != nil {
				return err
			}
		}
	}
}

// blind are the sensors that do not see all.
func (d *daemon) blind(now time.Time) (out []alarm.Alarm) {
	w := d.parts.watch
	say := func(kind, subject, text string) {
		out = append(out, alarm.Alarm{Kind: kind, Subject: subject, Text: text, Link: "/network"})
	}
	if w.sensor != nil {
		st := w.sensor.Status()
		for _, i := range st.Interfaces {
			if !i.Heard {
				say("network.sensor_blind", i.Name, "Nothing is heard on an interface: "+i.Why)
			}
		}
		if !st.Dropped.IsZero() && now.Sub(st.Dropped) < dropsRecent {
			say("network.sensor_drops", w.sensor.Name(), fmt.Sprintf("Packets came faster than they could be looked at: %d were not seen so far", st.Drops))
		}
	}
	if w.eve != nil && w.eve.Status().Why != "" {
		say("network.sensor_blind", eve.Name, "Suricata's records are not read: "+w.eve.Status().Why)
	}
	if w.zeek != nil && w.zeek.Status().Why != "" {
		say("network.sensor_blind", zeek.Name, "Zeek's records are not read: "+w.zeek.Status().Why)
	}
	return out
}

// networkRoutes are the console's routes of the network.
func (p *parts) networkRoutes() []route.Route {
	return pagewatch.Routes(pagewatch.Parts{Watch: p.watched, Sensors: p.watch.sensors})
}

// watched is the watch that runs, or one that only knows what was written.
func (p *parts) watched(ctx context.Context) (pagewatch.Network, error) {
	if p.watch.network != nil {
		return p.watch.network, nil
	}
	return network.New(ctx, network.Config{}, network.Parts{DB: p.db})
}

// sensors is how it stands with each.
func (w watch) sensors() (out []pagewatch.Sensor) {
	if w.sensor != nil {
		st := w.sensor.Status()
		one := pagewatch.Sensor{
			Name: w.sensor.Name(), Kind: "capture", Sees: true, Records: st.Packets, Drops: st.Drops, Flows: st.Flows,
			Thinned: st.Thinned, CPU: st.CPU, Overload: st.Overloaded,
		}
		for _, i := range st.Interfaces {
			if !i.Heard {
				one.Sees, one.Why = false, i.Why
			}
		}
		out = append(out, one)
	}
	if w.eve != nil {
		st := w.eve.Status()
		out = append(out, pagewatch.Sensor{Name: eve.Name, Kind: "eve", Sees: st.Why == "", Why: st.Why, Records: st.Records, Drops: st.Bad, LastHeard: st.Last})
	}
	if w.zeek != nil {
		st := w.zeek.Status()
		out = append(out, pagewatch.Sensor{Name: zeek.Name, Kind: "zeek", Sees: st.Why == "", Why: st.Why, Records: st.Records, Drops: st.Bad, LastHeard: st.Last})
	}
	return out
}
