package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"cordon/console"
	"cordon/dicom/secure"
	"cordon/gateway"
	"cordon/ledger/atna"
	"cordon/metric"
	"cordon/pki"
	"cordon/policy"
)

// archiveTLS reads how an archive is called by TLS.
func (d *document) archiveTLS(n ast.Node, a *ArchiveConfig) {
	t := &ArchiveTLSConfig{}
	a.TLS = t
	d.mapping(n, keys{
		"ca":          d.path(&t.CA),
		"certificate": d.path(&t.Certificate),
		"key":         d.path(&t.Key),
		"server_name": d.host(&t.ServerName),
		"crl":         d.path(&t.CRL),
		"stale_crl":   d.staleCRL(&t.RefuseStale),
	})
}

// host reads a name or an address, without a port.
func (d *document) host(to *string) func(ast.Node) {
	return func(n ast.Node) {
		s, ok := d.scalar(n)
		_, notIP := netip.ParseAddr(s)
		switch {
		case !ok:
		case notIP != nil && !hostText.MatchString(s):
			d.wrong(n, "%q is neither an address nor a name of a host; write it without a port", s)
		default:
			*to = s
		}
	}
}

// staleCRL reads what becomes of peers whose authority's list is overdue.
func (d *document) staleCRL(refuse *bool) func(ast.Node) {
	return func(n ast.Node) {
		if s, ok := d.scalar(n); ok && d.word(n, s, "accept", "refuse") {
			*refuse = s == "refuse"
		}
	}
}

// end is one of our ends of TLS, under the key that configures it.
func (t TLSConfig) end(key string) secure.Config {
	return secure.Config{Name: key, Certificate: t.Certificate, Key: t.Key, Authorities: t.Clients, CRL: t.CRL, RefuseStale: t.RefuseStale}
}

func (t ArchiveTLSConfig) end(key string) secure.Config {
	return secure.Config{
		Name: key, Certificate: t.Certificate, Key: t.Key, Authorities: t.CA, CRL: t.CRL, RefuseStale: t.RefuseStale, ServerName: t.ServerName,
	}
}

// archiveEnd is the key of an archive's TLS in messages.
func archiveEnd(a ArchiveConfig) string { return "archive " + a.Name }

// configEnd is one end and its place in the configuration file.
type configEnd struct {
	place string
	files secure.Config
}

// ends lists every end of TLS that is configured.
func (c Config) ends() []configEnd {
	var out []configEnd
	if t := c.Gateway.TLS; t != nil {
		out = append(out, configEnd{"gateway.tls", t.end("gateway.tls")})
	}
	if w := c.Gateway.Web; w != nil && w.TLS != nil {
		out = append(out, configEnd{"gateway.web.tls", w.end()})
	}
	for i, a := range c.Archives {
		if a.TLS != nil {
			out = append(out, configEnd{fmt.Sprintf("archives[%d].tls", i), a.TLS.end(archiveEnd(a))})
		}
		if a.Web != nil {
			out = append(out, configEnd{fmt.Sprintf("archives[%d].dicomweb", i), a.Web.end(a)})
		}
	}
	if t := c.Console.TLS; t != nil {
		out = append(out, configEnd{"console.tls", t.end("console.tls")})
	}
	if w := c.Witness; w != nil && w.TLS != nil {
		out = append(out, configEnd{"witness.tls", w.TLS.end("witness.tls")})
	}
	out = append(out, c.Alarms.ends()...)
	places, repositories := c.Audit.repositories()
	for i, r := range repositories {
		if r.Network == atna.TLS {
			out = append(out, configEnd{places[i], r.end()})
		}
	}
	return out
}

// wholeTLS says what is wrong with one end: with the choice of its files always, and
// where a person asks, with what they hold. A start does not wait for them.
func (d *document) wholeTLS(end configEnd) {
	if !strings.HasPrefix(end.place, "archives") && !strings.HasPrefix(end.place, "audit") && !strings.HasPrefix(end.place, "alarms") && (end.files.Certificate == "" || end.files.Key == "") {
		return // noted already
	}
	err := end.files.Check()
	if err == nil && d.tlsFiles {
		_, err = secure.Open(end.files)
	}
	if err != nil {
		d.wrongAt(end.place, "%v", err)
	}
}

// secure opens our end of TLS with the files of one configuration key, and has it
// tell of changes. Files that cannot be used close this end until they can; they
// stop nothing else.
func (d *daemon) secure(files secure.Config) (*secure.Endpoint, error) {
	files.Notify = d.rotated
	e, err := secure.New(files)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", files.Name, err)
	}
	d.ends = append(d.ends, e)
	return e, nil
}

// rotated records that files of a TLS end have changed, or should have.
func (d *daemon) rotated(c secure.Change) {
	body := map[string]any{"end": c.Endpoint, "files": c.What}
	if c.Err != nil {
		says := "new TLS files are not used; those before stay in use"
		if c.Closed {
			says, body["closed"] = "TLS files cannot be used; every connection is refused here until they are put right, which needs no restart", true
		}
		d.log.Error(says, "end", c.Endpoint, "files", c.What, "error", c.Err)
		body["error"] = c.Err.Error()
		d.parts.ledger.Note("tls.not_rotated", body)
		return
	}
	d.log.Info("new TLS files are in use", "end", c.Endpoint, "files", c.What)
	if c.Fingerprint != "" {
		body["fingerprint"], body["not_after"] = c.Fingerprint, c.NotAfter.UTC().Format(time.RFC3339)
	}
	d.parts.ledger.Note("tls.rotated", body)
}

// certificates are what the status shows of all ends, and of the authority's
// own work.
func (d *daemon) certificates(issued []pki.Certificate) console.Certificates {
	var out console.Certificates
	for _, e := range d.ends {
		s := e.Status()
		out.Items = append(out.Items, s.Items...)
		out.Problems = append(out.Problems, s.Problems...)
	}
	if d.tokens != nil {
		out.Problems = append(out.Problems, d.tokens.Problems()...)
	}
	for _, c := range issued {
		if slices.ContainsFunc(out.Items, func(i secure.Item) bool { return i.Fingerprint == c.Fingerprint }) {
			continue // shown or trusted here
		}
		out.Items = append(out.Items, secure.Item{
			Endpoint: "cordon pki", What: secure.OwnCertificate, Subject: c.Name, Fingerprint: c.Fingerprint, NotAfter: c.NotAfter,
		})
	}
	if why := d.parts.pki.Problem(); why != "" {
		out.Problems = append(out.Problems, "cordon pki: "+why)
	}
	return out
}

// warnEvery is how often the log speaks of what ends.
const warnEvery = 24 * time.Hour

// watchCertificates says in the log, at the start and each day, what ends before
// long, until ctx ends.
func (d *daemon) watchCertificates(ctx context.Context) error {
	tick := time.NewTicker(warnEvery)
	defer tick.Stop()
	for {
		issued, err := d.parts.pki.Ending(ctx, secure.WarnBefore)
		if err != nil && ctx.Err() == nil {
			d.log.Error("certificates issued here cannot be read", "error", err)
		}
		for _, i := range d.certificates(issued).Items {
			d.warn(i)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (d *daemon) warn(i secure.Item) {
	level, left := slog.LevelWarn, time.Until(i.NotAfter)
	switch {
	case left <= 0, left < secure.AlarmBefore && i.What != secure.RevocationList:
		level = slog.LevelError
	case left > secure.WarnBefore, i.What == secure.RevocationList:
		return
	}
	d.log.Log(context.Background(), level, "renew what ends", "end", i.Endpoint, "what", i.What, "subject", i.Subject, "until", i.NotAfter)
}

// expiry gives each end's items to whoever reads the metrics.
func (d *daemon) expiry(set metric.Sample) {
	for _, e := range d.ends {
		for _, i := range e.Status().Items {
			set(float64(i.NotAfter.Unix()), i.Endpoint+" "+i.What)
		}
	}
}

// listenTLS opens a listener and our end behind it.
func (d *daemon) listenTLS(files secure.Config, address string) (net.Listener, *secure.Endpoint, error) {
	e, err := d.secure(files)
	if err != nil {
		return nil, nil, err
	}
	l, err := listen(files.Name, address)
	if err != nil {
		return nil, nil, err
	}
	return tls.NewListener(l, e.Server()), e, nil
}

// tlsOut opens our ends towards archives and devices.
func (d *daemon) tlsOut(g *gateway.Config) error {
	for i, a := range d.config.Archives {
		if a.TLS == nil {
			continue
		}
		e, err := d.secure(a.TLS.end(archiveEnd(a)))
		if err != nil {
			return err
		}
		g.Upstreams[i].TLS = func() *tls.Config { return e.Client() }
	}
	g.OutletTLS = d.outletTLS
	return nil
}

// outletTLS is TLS towards a device: with the gateway's own certificate, to one
// from the devices' authorities. A device that has certificates is known by them,
// any other by its address. Without gateway.tls, which an approval may outlive, it
// has to come from the system's: that fails, rather than being in the clear.
func (d *daemon) outletTLS(v policy.Device) *tls.Config {
	if !v.PortTLS {
		return nil
	}
	var pins []string
	for _, f := range v.Certificates {
		pins = append(pins, f.String())
	}
	return cmp.Or(d.devices, &secure.Endpoint{}).Client(pins...)
}
