package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"

	"cordon/console"
	"cordon/dicom/secure"
	"cordon/ledger"
	"cordon/ledger/witness"
)

// openWitness opens what this Cordon remembers of others' ledgers, if it does.
func (p *parts) openWitness(ctx context.Context, c Config) error {
	if c.Witness == nil {
		return nil
	}
	var err error
	p.witness, err = witness.Open(ctx, p.db, filepath.Join(p.dir, "keys", "witness.key"), c.Site, c.Witness.Logs, p.ledger)
	return err
}

// witnessKey opens this Cordon's cosignatures; "" if it is no witness.
func (p *parts) witnessKey() string {
	if p.witness == nil {
		return ""
	}
	return p.witness.Key().String()
}

// listenWitness opens the witness's listener, if there is one.
func (d *daemon) listenWitness() (err error) {
	w := d.config.Witness
	switch {
	case w == nil || w.Listen == "":
	case w.TLS != nil:
		d.witness, _, err = d.listenTLS(w.TLS.end("witness.tls"), w.Listen)
	default:
		d.witness, err = listen("witness.listen", w.Listen)
	}
	return err
}

// keepLedger runs what the ledger needs beside its own checkpoints: that old
// bodies go, that witnesses cosign, and what this Cordon does for others.
func (d *daemon) keepLedger(ctx context.Context, g *group) error {
	l := d.config.Ledger
	g.run("ledger's retention", func() error { return d.parts.ledger.Retain(ctx, l.Retention) })
	for _, w := range l.Witnesses {
		to, err := d.asks(w)
		if err != nil {
			return err
		}
		g.run("witness", func() error { return d.parts.ledger.Witness(ctx, to, l.Late) })
	}
	if d.witness != nil {
		g.run("witness", func() error { return console.Serve(ctx, d.witness, d.parts.witness.Handler(), d.log) })
	}
	if w := d.config.Witness; w != nil && w.Share != "" {
		g.run("witness", func() error { return d.parts.witness.Watch(ctx, w.Share, d.log) })
	}
	return nil
}

// asks is our end towards one witness.
func (d *daemon) asks(w LedgerWitness) (ledger.Witness, error) {
	key, err := ledger.ParseWitnessKey(w.Key)
	if err != nil {
		return nil, fmt.Errorf("ledger.witness: %w", err)
	}
	if w.Share != "" {
		return witness.Share{Dir: w.Share, Opens: key}, nil
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil // the way to a witness is the site's own
	if strings.HasPrefix(w.URL, "https:") {
		e, err := d.secure(secure.Config{Name: "witness " + w.URL, Authorities: w.CA})
		if err != nil {
			return nil, err
		}
		transport.DialTLSContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			return (&tls.Dialer{Config: e.Client()}).DialContext(ctx, network, address)
		}
	}
	return witness.Client{URL: w.URL, Opens: key, Client: &http.Client{Transport: transport}}, nil
}
