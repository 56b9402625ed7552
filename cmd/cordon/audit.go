package main

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"os"
	"strconv"

	"cordon/console"
	"cordon/ledger/atna"
)

// openAudit makes what sends the ledger to audit repositories; it runs until
// close, after the ledger, so that the last record is handed over too.
func (d *daemon) openAudit() error {
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	c := atna.Config{Host: host, Node: d.node(host)}
	_, repositories := d.config.Audit.repositories()
	for _, r := range repositories {
		t := atna.Target{Network: r.Network, Format: r.Format, Address: r.Address, BOM: r.BOM, Size: r.Size, Keep: r.Keep}
		if r.Network == atna.TLS {
			e, err := d.secure(r.end())
			if err != nil {
				return err
			}
			t.TLS = func() *tls.Config { return e.Client() }
		}
		c.Targets = append(c.Targets, t)
	}
	d.parts.runAudit(atna.New(c, atna.Parts{DB: d.parts.db, Ledger: d.parts.ledger, Log: d.log}))
	return nil
}

// node is this Cordon in audit messages: its address if the gateway listens on
// one, else the machine's name.
func (d *daemon) node(host string) atna.Node {
	n := atna.Node{
		ID: d.config.Audit.Source, Site: d.config.Site, AETitle: string(d.config.Gateway.AETitle),
		Address: host, Process: strconv.Itoa(os.Getpid()),
	}
	if n.ID == "" {
		n.ID = host
	}
	listen, _, err := net.SplitHostPort(d.config.Gateway.Listen)
	if err != nil {
		return n
	}
	if a, err := netip.ParseAddr(listen); err == nil && !a.IsUnspecified() {
		n.Address = listen
	}
	return n
}

// runAudit sends until close.
func (p *parts) runAudit(a *atna.Audit) {
	ctx, cancel := context.WithCancel(context.Background()) // the caller's may end long before the last record
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }() // ends when stopAudit cancels
	p.audit = a
	p.stopAudit = func() error {
		cancel()
		return <-done
	}
}

// auditStatus describes the repositories to the console.
func (d *daemon) auditStatus(ctx context.Context) ([]console.Repository, error) {
	all, err := d.parts.audit.Status(ctx)
	if err != nil {
		return nil, err
	}
	var out []console.Repository
	for _, r := range all {
		out = append(out, console.Repository(r))
	}
	return out, nil
}
