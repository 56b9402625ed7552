package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"cordon/console"
	"cordon/dicom/secure"
	"cordon/metric"
)

// run serves until ctx ends or a part fails.
//
// It stops in the order in which the parts need one another: first the
// gateway, which finishes the objects under way; then the archive that they go
// to and the people's side; the ledger last, with close.
func (d *daemon) run(ctx context.Context, play bool, std stdio) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rest, stopRest := context.WithCancel(context.Background())
	defer stopRest()

	inner := group{ctx: rest, failed: cancel}
	if d.folder != nil {
		inner.run("folder archive", func() error { return d.folder.Serve(rest, d.archive) })
	}
	inner.run("console", func() error { return console.Serve(rest, d.page, d.console.Handler(), d.log) })
	inner.run("control socket", func() error { return console.Serve(rest, d.control, d.console.API(), d.log) })

	if err := d.keepLedger(rest, &inner); err != nil {
		inner.fail(err)
	}
	inner.run("rescan", func() error { return d.parts.rescan.Run(rest, d.rescanWork()) })
	inner.run("index of the ledger", func() error { return d.parts.search.Run(rest, d.log) })
	inner.run("silent sources", func() error { return d.parts.silence.Run(rest, d.log) })
	inner.run("activity review", func() error { return d.parts.reviews.Run(rest) })
	inner.run("devices", func() error { return d.parts.devices.Run(rest, d.log) })
	inner.run("alarms", func() error { return d.parts.alarms.Run(rest, d.log) })
	inner.run("notices", func() error { return d.parts.notices.Run(rest, d.parts.alarms, d.log) })
	inner.run("status", func() error { return d.watchStatus(rest) })
	inner.run("bypass", func() error { return d.parts.bypass.Run(rest, d.log) })
	inner.run("dead-man's bypass", func() error { return d.watchPast(rest) })
	inner.run("people", func() error { return d.parts.people.Run(rest, d.log) })
	inner.run("people", func() error { return d.parts.guard.Run(rest, d.parts.ledger, d.log) })
	inner.run("people", func() error { return d.keepSetup(rest, std.terminal) })
	d.runWatch(rest, &inner)
	d.runLooks(rest, &inner)
	inner.run("history", func() error { return d.parts.history.Run(rest, (&sampler{d: d}).sample, d.log) })
	inner.run("incidents", func() error { return d.parts.incidents.Run(rest, d.overdue, d.log) })
	inner.run("service manager", func() error { return d.beat(rest) })
	inner.run("pki", func() error { return d.parts.pki.Run(rest, d.log) })
	inner.run("certificates", func() error { return d.watchCertificates(rest) })
	for _, e := range d.ends {
		inner.run("tls", func() error { return e.Run(rest) })
	}

	outer := group{ctx: ctx, failed: cancel}
	outer.run("gateway", func() error { return d.gateway.Serve(ctx, d.dicom) })
	if d.dicomTLS != nil {
		outer.run("gateway", func() error { return d.gateway.Serve(ctx, d.dicomTLS) })
	}
	d.runBridges(ctx, rest, &outer, &inner)
	d.runNetwork(ctx, rest, &outer, &inner)
	if d.webgate != nil {
		outer.run("DICOMweb", func() error { return d.serveWeb(ctx) })
	}
	if d.tokens != nil {
		inner.run("tokens", func() error { return d.tokens.Run(rest) })
	}
	if len(d.scanners) > 0 {
		outer.run("engines", func() error { return d.watchEngines(ctx) })
	}
	outer.run("delivery", func() error { return d.gateway.Deliver(ctx) })
	outer.run("storage commitment", func() error { return d.parts.commit.Run(ctx, d.gateway.CommitmentNetwork()) })
	outer.run("accounting", func() error { return d.accounts.Run(ctx) })
	outer.run("procedure steps", func() error { return d.parts.steps.Run(ctx, d.gateway.StepNetwork()) })
	d.parts.metrics.Collect(metric.CertificateExpiry, d.expiry)
	d.parts.metrics.Collect(metric.DevicesProposed, d.waiting)
	d.parts.metrics.Collect(metric.AlarmsOpen, d.alarmsOpen)
	d.parts.metrics.Collect(metric.AlarmsUnseen, func(set metric.Sample) { set(float64(d.parts.alarms.Counts().Unseen)) })
	d.parts.metrics.Collect(metric.NoticesFailing, d.noticesFailing)
	d.accepting.Store(true)
	d.ready(std, play)
	if play {
		outer.run("demo", func() error { return d.demo(ctx) })
	}

	<-ctx.Done()
	d.accepting.Store(false)
	d.tell(d.manager.Stopping())
	d.log.Info("stopping; a second signal stops at once")
	err := outer.wait()
	stopRest()
	err = errors.Join(err, inner.wait())
	if err == nil {
		d.log.Info("stopped")
	}
	return err
}

// ready says where everything is, in a sentence too when a person is there to
// read it.
func (d *daemon) ready(std stdio, play bool) {
	attributes := []any{
		"gateway", d.dicom.Addr().String(),
		"ae_title", string(d.config.Gateway.AETitle),
		"console", d.pageURL(),
		"data", d.config.Data,
	}
	if d.dicomTLS != nil {
		attributes = append(attributes, "tls", d.dicomTLS.Addr().String())
	}
	if d.web != nil {
		attributes = append(attributes, "dicomweb", d.webURL())
	}
	d.log.Info("ready", attributes...)
	d.tell(d.manager.Ready())
	if std.terminal || play {
		fmt.Fprintf(std.out, "\nCordon takes images at %s as %s. See what happens at %s\n\n", d.dicom.Addr(), d.config.Gateway.AETitle, d.pageURL())
	}
}

func (d *daemon) pageURL() string {
	scheme := "http"
	if d.config.Console.TLS != nil {
		scheme = "https"
	}
	return fmt.Sprintf("%s://%s/", scheme, d.page.Addr())
}

// flow describes the gateway to the console.
func (d *daemon) flow(ctx context.Context) (console.Flow, error) {
	s, err := d.gateway.Status(ctx)
	if err != nil {
		return console.Flow{}, err
	}
	f := console.Flow{
		Accepting:    d.accepting.Load() && !s.TurningAway,
		Since:        s.Since,
		Associations: s.Associations,
		Objects:      console.Counts(s.Objects),
		Spent:        s.Spent,
		Engines:      d.engineStates(ctx),
	}
	d.addWeb(&f.Objects)
	if f.Audit, err = d.auditStatus(ctx); err != nil {
		return console.Flow{}, err
	}
	if f.Silent, err = d.parts.silence.Missed(ctx); err != nil {
		return console.Flow{}, err
	}
	issued, err := d.parts.pki.Ending(ctx, secure.WarnBefore)
	if err != nil {
		return f, err
	}
	f.Certificates = d.certificates(issued)
	for _, a := range s.Archives {
		a.Address = d.addressOf(a.Name, a.Address)
		f.Archives = append(f.Archives, console.Archive(a))
	}
	called := map[string]bool{}
	for _, v := range s.Devices {
		called[v.Name] = true
		f.Devices = append(f.Devices, console.Device(v))
	}
	if f.Waiting, err = d.parts.devices.Waiting(ctx); err != nil {
		return console.Flow{}, err
	}
	for _, v := range d.parts.devices.Devices() {
		if !called[v.Name] && !v.Denied {
			f.Devices = append(f.Devices, console.Device{Name: v.Name, AETitle: string(v.AETitle)})
		}
	}
	return f, nil
}

// addWeb counts what came over DICOMweb as well. What the web spooled is delivered by
// the gateway, which counts it then.
func (d *daemon) addWeb(c *console.Counts) {
	for outcome, to := range map[string]*uint64{"received": &c.Received, "delivered": &c.Delivered, "held": &c.Held, "spooled": &c.Spooled, "refused": &c.Refused} {
		*to += uint64(d.parts.metrics.Total(metric.WebObjects, outcome))
	}
	c.BytesReceived += uint64(d.parts.metrics.Total(metric.ReceivedWeb))
}

// group runs parts that stand and fall together.
type group struct {
	ctx    context.Context // its end is the parts'
	failed func()          // called when a part fails
	wg     sync.WaitGroup
	mu     sync.Mutex
	errs   []error
}

// run starts a part. Its goroutine ends when the part does. To be stopped in the
// middle of its work is no failure of a part.
func (g *group) run(name string, part func() error) {
	g.wg.Go(func() {
		err := part()
		if stopped := g.ctx.Err() != nil && errors.Is(err, context.Canceled); err != nil && !stopped {
			g.fail(fmt.Errorf("%s: %w", name, err))
		}
	})
}

// fail ends all of them.
func (g *group) fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.errs = append(g.errs, err)
	g.failed()
}

func (g *group) wait() error {
	g.wg.Wait()
	return errors.Join(g.errs...)
}
