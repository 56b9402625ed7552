package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"cordon/alarm"
	"cordon/console/guard"
	"cordon/console/login"
	consolepeople "cordon/console/people"
	"cordon/console/route"
	"cordon/people"
	"cordon/people/openid"
	"cordon/people/passkey"
	"cordon/store"
)

// openDoor opens the accounts, and makes what people come in by.
func (p *parts) openDoor(ctx context.Context, c Config, log *slog.Logger) error {
	options := c.Console.sessions()
	options.Notice = func(n people.Notice) { p.raise(n, log) }
	var err error
	if p.people, err = people.Open(ctx, p.db, p.ledger, options); err != nil {
		return err
	}
	keys, err := passkey.New(c.Site, c.Console.url())
	if err != nil {
		return err
	}
	p.door = login.New(login.Parts{Accounts: p.people, View: p.view, Passkeys: keys, Issuer: c.Console.issuer(), Joined: func() { p.setUp(log) }})
	p.guard = guard.New(guard.Config{Accounts: p.people, Refuse: p.door.Refuse, Scrapers: c.Console.Metrics})
	return nil
}

// raise has everybody hear of what somebody did.
func (p *parts) raise(n people.Notice, log *slog.Logger) {
	log.Warn(n.Text, "person", n.Subject)
	err := p.alarms.Raise(context.Background(), alarm.Alarm{Kind: n.Kind, Subject: n.Subject, Text: n.Text, Link: "/people"})
	if err != nil {
		log.Error("an alarm could not be raised", "kind", n.Kind, "error", err)
	}
}

// issuer is where people sign in elsewhere, nil without one.
func (c ConsoleConfig) issuer() *openid.Provider {
	if c.OIDC == nil {
		return nil
	}
	config := openid.Config{Issuer: c.OIDC.Issuer, ClientID: c.OIDC.ClientID, Claim: c.OIDC.Claim, Groups: c.OIDC.Groups, Return: c.url() + "/login/oidc/back"}
	if c.OIDC.SecretFile != "" {
		config.Secret = newSecret("client_secret_file", c.OIDC.SecretFile).read
	}
	return openid.New(config)
}

// peopleRoutes are of who somebody is.
func (p *parts) peopleRoutes(c Config) []route.Route {
	link := func(secret string) string { return c.Console.setupURL(secret) }
	return slices.Concat(p.door.Routes(), consolepeople.Routes(consolepeople.Parts{Accounts: p.people, View: p.view, Link: link}))
}

// setupURL is the address of a link of one use.
func (c ConsoleConfig) setupURL(secret string) string {
	return c.url() + "/setup?link=" + url.QueryEscape(secret)
}

// setupLink is the file that the first administrator's link is in.
const setupLink = "setup-link"

// setUp takes the link away once somebody has an account.
func (p *parts) setUp(log *slog.Logger) {
	err := os.Remove(filepath.Join(p.dir, setupLink))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("the set-up link's file could not be removed; the link is good for nothing", "error", err)
	}
}

// offerSetup makes the link by which the first administrator makes an account, until
// somebody has one: into a file that only this user may read, and at a terminal. A log
// is read by more people than that.
func (d *daemon) offerSetup(ctx context.Context, terminal bool) error {
	if d.parts.people.Exist() {
		d.parts.setUp(d.log)
		return nil
	}
	l, err := d.parts.people.SetupLink(ctx)
	if err != nil {
		return err
	}
	link, file := d.config.Console.setupURL(l.Secret), filepath.Join(d.config.Data, setupLink)
	if err := store.WriteFile(file, []byte(link+"\n"), 0o600); err != nil {
		return err
	}
	shown := []any{"file", file, "until", l.Expires.Local().Format(time.DateTime)}
	if terminal {
		shown = append(shown, "link", link)
	}
	d.log.Info("setup: nobody has an account yet; whoever opens the link becomes the first administrator", shown...)
	return nil
}

// keepSetup makes the link anew before it expires, until somebody has an account or ctx
// ends.
func (d *daemon) keepSetup(ctx context.Context, terminal bool) error {
	for {
		if err := d.offerSetup(ctx, terminal); err != nil && !errors.Is(err, people.ErrState) && ctx.Err() == nil {
			d.log.Error("the set-up link could not be made: cordon person invite NAME --role administrator makes one too", "error", err)
		}
		if d.parts.people.Exist() {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(people.SetupTerm - time.Hour):
		}
	}
}
