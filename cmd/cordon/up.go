package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"cordon/console"
	"cordon/dicom/secure"
	"cordon/dicom/ul"
	"cordon/dicom/web"
	"cordon/folder"
	"cordon/gateway"
	"cordon/judge"
	"cordon/notify"
	"cordon/policy"
	"cordon/reconcile"
	"cordon/token"
	"cordon/webgate"
)

type upCommand struct {
	Demo bool `help:"Play a small hospital: clean studies and harmless hostile ones."`
}

// Run is the daemon: 0 after SIGTERM or SIGINT, 2 if it could not start, 1 if
// something failed while it ran.
func (c upCommand) Run(ctx context.Context, at place, std stdio) error {
	err := c.up(ctx, at, std)
	var f failure
	if errors.As(err, &f) && f.code == 2 {
		pause(ctx, std, err)
	}
	return err
}

// pause keeps a service manager, which starts Cordon again at once for ever, from
// doing so five times a second for what only a person, or another program, can put
// right. What has run and failed is started again without it.
func pause(ctx context.Context, std stdio, why error) {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return
	}
	logger(std).Error("Cordon cannot start; it is tried again in seconds", "error", why)
	select {
	case <-time.After(startAgain):
	case <-ctx.Done():
	}
}

// startAgain is how long a start that failed is rested from.
const startAgain = 5 * time.Second

func (c upCommand) up(ctx context.Context, at place, std stdio) error {
	config, err := at.config()
	if err != nil {
		return err
	}
	if c.Demo && len(config.Archives) > 0 {
		return failure{2, errDemoArchives}
	}
	log := logger(std)
	limit := limitMemory(log)
	config.Arriving, config.Shared = arriving(limit), sharedMemory(limit)
	d, err := start(ctx, config, log)
	switch {
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		log.Info("stopped before it was ready", "while", err)
		return nil
	case err != nil:
		return failure{2, err}
	}
	err = d.run(ctx, c.Demo, std)
	d.parts.why = cmp.Or(err, context.Cause(ctx))
	return errors.Join(err, d.close())
}

// logger writes text for a person at a terminal, else JSON.
func logger(std stdio) *slog.Logger {
	if std.terminal {
		return slog.New(slog.NewTextHandler(std.err, nil))
	}
	return slog.New(slog.NewJSONHandler(std.err, nil))
}

// daemon is everything that one machine runs, wired but not yet running.
type daemon struct {
	config    Config
	log       *slog.Logger
	parts     *parts
	gateway   *gateway.Gateway
	folder    *folder.Archive // nil if archives are configured
	console   *console.Console
	accounts  *reconcile.Reconciler
	judge     *judge.Judge
	scanners  []judge.Engine
	ends      []*secure.Endpoint // of TLS
	devices   *secure.Endpoint   // of these, the one towards devices; nil without gateway.tls
	accepting atomic.Bool
	manager   *notify.Manager // nil: nobody to be told

	webgate     *webgate.Server        // nil without gateway.web
	webTLS      *secure.Endpoint       // of gateway.web; nil: plain HTTP
	tokens      *token.Verifier        // of gateway.web; nil: no token is believed
	webArchives map[string]*web.Client // archives that speak DICOMweb, by name
	bridges     []bridged              // archives that speak DICOMweb alone

	dicom, dicomTLS, web, page, control, archive, witness net.Listener   // dicomTLS, web, archive and witness may be nil
	ledHere                                               []net.Listener // of transparent mode
}

// start opens the data directory and every listener, so that whatever is wrong
// with the configuration is known before the first association.
func start(ctx context.Context, config Config, log *slog.Logger) (*daemon, error) {
	parts, err := openParts(ctx, config, log)
	if err != nil {
		return nil, err
	}
	d := &daemon{config: config, log: log, parts: parts}
	d.openManager()
	if err := d.wire(ctx); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *daemon) wire(ctx context.Context) error {
	if err := d.listen(); err != nil {
		return err
	}
	if err := d.defaultArchive(); err != nil {
		return err
	}
	d.callers(ctx)
	d.unknownArchives()
	config := d.config.gateway()
	if err := d.tlsOut(&config); err != nil {
		return err
	}
	if err := d.webClients(); err != nil {
		return err
	}
	d.bridgeArchives(&config)
	err := d.recordConfig(ctx)
	if err != nil {
		return err
	}
	if err := d.openAudit(); err != nil {
		return err
	}
	d.scanners = d.config.Engines.scanners()
	if err := d.openNotices(ctx); err != nil {
		return err
	}
	j, err := d.config.newJudge(d.scanners, func() judge.Scratch { return d.parts.custody.NewBuffer() }, d.parts.settings.Now)
	if err != nil {
		return err
	}
	d.judge = j
	d.parts.judge, d.parts.scanners = j, d.scanners
	d.gateway, err = gateway.New(ctx, config, gateway.Parts{
		DB:      d.parts.db,
		Custody: d.parts.custody,
		Ledger:  d.parts.ledger,
		Judge:   j,
		Log:     d.log,

		Bypassed: d.parts.bypass.Covers,
		Passed:   d.parts.rescan.Keep,
		Paranoid: d.parts.contained.Suspect,

		Exceptions: d.parts.except,
		Commitment: d.parts.commit,
		Steps:      d.parts.steps,
		Metrics:    d.parts.metrics,

		Observe: d.parts.devices.Observe,
		Devices: d.parts.devices.Devices,
	})
	if err != nil {
		return err
	}
	if err := d.openNetwork(ctx); err != nil {
		return err
	}
	d.parts.looks.wake, d.parts.looks.find = d.gateway.Wake, d.gateway
	d.parts.passUnscanned = d.gateway.PassUnscanned
	d.parts.watch.notify = append(d.parts.watch.notify, d.parts.signalled)
	shown := d.parts.consoleParts(d.config)
	d.accounts = d.newReconciler()
	shown.Reconcile = d.accounts
	if err := d.newWeb(ctx); err != nil {
		return err
	}
	if err := d.parts.startFirewall(ctx, d.log); err != nil {
		return err
	}
	shown.Features = append(shown.Features, d.flowRoutes()...)
	d.console = console.New(console.Config{
		Site:    d.config.Site,
		Version: version,
		Flow:    d.flow,
		Wake:    d.gateway.Wake,

		SignatureAge: func() time.Duration { return d.parts.settings.Now().SignatureAge },
	}, shown)
	return nil
}

// gateway is the part of the configuration that is the gateway's.
func (c Config) gateway() gateway.Config {
	g := gateway.Config{
		MaxAssociations: c.Gateway.MaxAssociations,
		MaxPerAddress:   c.Gateway.MaxPerAddress,
		Unrecorded:      c.Ledger.GoOn,
		MaxPerDevice:    c.Gateway.MaxPerDevice,
		ConnectionRate:  c.Gateway.ConnectionRate,
		Site:            c.site(),
		Query:           c.Gateway.Query,
	}
	for _, a := range c.Archives {
		u := gateway.Upstream{
			Name: a.Name, AETitle: a.AETitle, Address: a.Address,
			Delivery: a.Delivery, Associations: a.Associations, Probe: a.Probe,
		}
		if !a.Reuse {
			u.KeepIdle = -1
		}
		g.Upstreams = append(g.Upstreams, u)
	}
	return g
}

// defaultArchive is a folder in the data directory, if no archive is
// configured. It is an upstream as any other, on a port of its own on this
// machine.
func (d *daemon) defaultArchive() error {
	if len(d.config.Archives) > 0 {
		return nil
	}
	const title = "FOLDER"
	var err error
	if d.folder, err = folder.New(filepath.Join(d.config.Data, "archive"), title, ul.Limits{}); err != nil {
		return err
	}
	d.folder.Log = d.log
	if d.archive, err = listen("folder archive", "127.0.0.1:0"); err != nil {
		return err
	}
	d.config.Archives = []ArchiveConfig{{
		Name: "folder", AETitle: title, Address: d.archive.Addr().String(),
		Services: []policy.Service{policy.ServiceStore, policy.ServiceCommit},
	}}
	return nil
}

// listen opens the listeners of the configuration.
func (d *daemon) listen() error {
	var err error
	if d.dicom, err = listen("gateway.listen", d.config.Gateway.Listen); err != nil {
		return err
	}
	if t := d.config.Gateway.TLS; t != nil {
		if d.dicomTLS, d.devices, err = d.listenTLS(t.end("gateway.tls"), t.Listen); err != nil {
			return err
		}
	}
	if err := d.listenWeb(); err != nil {
		return err
	}
	if err := d.listenTransparent(); err != nil {
		return err
	}
	if t := d.config.Console.TLS; t != nil {
		d.page, _, err = d.listenTLS(t.end("console.tls"), d.config.Console.Listen)
	} else {
		d.page, err = listen("console.listen", d.config.Console.Listen)
	}
	if err != nil {
		return err
	}
	if err := d.listenWitness(); err != nil {
		return err
	}
	d.control, err = listenControl(d.config.Data)
	return err
}

// listen explains what a person can do about an address that cannot be had.
func listen(what, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s: %w (another process listens there: stop it, or choose another address)", what, err)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s: %w (ports below 1024 need CAP_NET_BIND_SERVICE; or choose a higher port, such as 11112)", what, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%s: %w (this machine does not have that address: choose one of its own)", what, err)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return l, nil
}

// close gives back what start took. Listeners that were served are closed
// already, which does no harm.
func (d *daemon) close() error {
	for _, l := range append([]net.Listener{d.dicom, d.dicomTLS, d.web, d.page, d.control, d.archive, d.witness}, d.ledHere...) {
		if l != nil {
			l.Close()
		}
	}
	return errors.Join(d.parts.close(), d.manager.Close())
}
