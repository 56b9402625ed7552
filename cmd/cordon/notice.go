package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"

	"cordon/alarm"
	"cordon/dicom/secure"
	"cordon/finding"
	"cordon/judge"
	"cordon/ledger/atna"
	"cordon/network"
	"cordon/notice"
	"cordon/store"
)

// changed has those told of alarms who are; until Cordon runs, nobody is.
func (p *parts) changed(tx *store.Tx, changes []alarm.Change) error {
	if p.notices == nil {
		return nil
	}
	return p.notices.Changed(tx, changes)
}

// openNotices makes the queue for who is told of alarms outside this machine.
func (d *daemon) openNotices(ctx context.Context) error {
	c := notice.Config{Site: d.config.Site, URL: d.config.Console.url(), Heartbeat: d.config.Alarms.Heartbeat, Beats: d.config.Alarms.Beats, Known: d.mayLeave}
	for _, n := range d.config.Alarms.Notify {
		r := notice.Recipient{Name: n.Name, Severity: n.Severity, Kinds: n.Kinds, After: n.After}
		var err error
		switch {
		case n.Webhook != nil:
			r.Way, err = d.webhook(n)
		case n.Email != nil:
			r.Pace = n.Email.Pace
			r.Way, err = d.email(n)
		default:
			r.Way, err = d.syslogNotices(n)
		}
		if err != nil {
			return err
		}
		c.Recipients = append(c.Recipients, r)
	}
	var err error
	d.parts.notices, err = notice.Open(ctx, d.parts.db, c)
	return err
}

// trusting is our end of TLS with a recipient's server; nil trusts the machine's
// authorities.
func (d *daemon) trusting(name, ca string) (func() *tls.Config, error) {
	if ca == "" {
		return nil, nil
	}
	e, err := d.secure(noticeEnd(name, ca))
	if err != nil {
		return nil, err
	}
	return func() *tls.Config { return e.Client() }, nil
}

func noticeEnd(name, ca string) secure.Config {
	return secure.Config{Name: "notices to " + name, Authorities: ca}
}

func (d *daemon) webhook(n NotifyConfig) (notice.Way, error) {
	trust, err := d.trusting(n.Name, n.Webhook.CA)
	file := newSecret("secret_file", n.Webhook.SecretFile)
	return notice.Webhook{URL: n.Webhook.URL, TLS: trust, Secret: func() ([]byte, error) {
		text, err := file.read()
		if err != nil {
			return nil, err
		}
		secret, err := notice.ParseSecret(text)
		if err != nil {
			return nil, fmt.Errorf("secret_file of %s: %w", n.Name, err)
		}
		return secret, nil
	}}, err
}

func (d *daemon) email(n NotifyConfig) (notice.Way, error) {
	trust, err := d.trusting(n.Name, n.Email.CA)
	e := notice.Email{Server: n.Email.Server, Implicit: n.Email.Implicit, TLS: trust, User: n.Email.User, From: n.Email.From, To: n.Email.To}
	if n.Email.PasswordFile != "" {
		e.Password = newSecret("password_file", n.Email.PasswordFile).read
	}
	return e, err
}

func (d *daemon) syslogNotices(n NotifyConfig) (notice.Way, error) {
	t := atna.Target{Network: n.Syslog.Network, Format: atna.Syslog, Address: n.Syslog.Address}
	if t.Network == atna.TLS {
		e, err := d.secure(n.Syslog.end())
		if err != nil {
			return nil, err
		}
		t.TLS = func() *tls.Config { return e.Client() }
	}
	return notice.Syslog{Target: t}, nil
}

// mayLeave reports whether a word may be told outside: a name that an
// administrator gave something, or one of Cordon's own. What peers call themselves
// may not.
func (d *daemon) mayLeave(word string) bool {
	if _, ok := finding.Lookup(word); ok {
		return true
	}
	if _, ok := network.Lookup(word); ok {
		return true
	}
	c := d.config
	return slices.ContainsFunc(c.Devices, func(v DeviceConfig) bool { return v.Name == word }) ||
		slices.ContainsFunc(c.Archives, func(a ArchiveConfig) bool { return a.Name == word }) ||
		slices.ContainsFunc(d.scanners, func(e judge.Engine) bool { return e.Name() == word }) ||
		slices.ContainsFunc(c.Alarms.Notify, func(n NotifyConfig) bool { return n.Name == word })
}
