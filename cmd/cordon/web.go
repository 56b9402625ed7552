package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"cordon/dicom/secure"
	"cordon/dicom/web"
	"cordon/fresh"
	"cordon/front"
	"cordon/gateway"
	"cordon/policy"
	"cordon/token"
	"cordon/webgate"
)

// issuers are those of bearer tokens, as admission sees them.
func (w *WebConfig) issuers() []policy.Issuer {
	var out []policy.Issuer
	if w == nil {
		return nil
	}
	for _, t := range w.Tokens {
		out = append(out, policy.Issuer{Name: t.Issuer, Scopes: t.Scopes})
	}
	return out
}

// end is the DICOMweb listener's of TLS.
func (w *WebConfig) end() secure.Config {
	c := w.TLS.end("gateway.web.tls")
	c.Optional = w.Optional
	return c
}

// end is ours of TLS towards an archive's web service.
func (w *ArchiveWebConfig) end(a ArchiveConfig) secure.Config { return w.TLS.end(webEnd(a)) }

// listenWeb opens the DICOMweb listener, if there is one, and reads the keys of
// those who issue tokens for it.
func (d *daemon) listenWeb() error {
	w := d.config.Gateway.Web
	if w == nil {
		return nil
	}
	var err error
	if d.web, err = listen("gateway.web.listen", w.Listen); err != nil {
		return err
	}
	if w.TLS != nil {
		if d.webTLS, err = d.secure(w.end()); err != nil {
			return err
		}
	}
	if len(w.Tokens) == 0 {
		return nil
	}
	var issuers []token.Config
	for _, t := range w.Tokens {
		t.Notify = d.keysChanged
		issuers = append(issuers, t.Config)
	}
	d.tokens, err = token.New(issuers...)
	return err
}

// keysChanged records that an issuer's keys have changed, or should have.
func (d *daemon) keysChanged(c token.Change) {
	if c.Err != nil {
		d.log.Error("an issuer's keys cannot be used; those before stay in use, if there were any", "issuer", c.Issuer, "error", c.Err)
		d.parts.ledger.Note("tokens.not_rotated", map[string]any{"issuer": c.Issuer, "error": c.Err.Error()})
		return
	}
	d.log.Info("new keys of an issuer are in use", "issuer", c.Issuer, "keys", c.Keys)
	d.parts.ledger.Note("tokens.rotated", map[string]any{"issuer": c.Issuer, "keys": c.Keys})
}

// webClients makes a client of each archive that speaks DICOMweb.
func (d *daemon) webClients() error {
	d.webArchives = map[string]*web.Client{}
	for _, a := range d.config.Archives {
		if a.Web == nil {
			continue
		}
		config := web.ClientConfig{Base: a.Web.URL, Authorize: a.Web.authorize()}
		e, err := d.secure(a.Web.end(a))
		if err != nil {
			return err
		}
		config.TLS = func() *tls.Config { return e.Client() }
		if d.webArchives[a.Name], err = web.NewClient(config); err != nil {
			return fmt.Errorf("archive %s: %w", a.Name, err)
		}
	}
	return nil
}

// authorize adds to each request to an archive what it wants to be shown, from a
// file that is read again when it changes; nil: it wants nothing.
func (w *ArchiveWebConfig) authorize() func(*http.Request) error {
	switch {
	case w.TokenFile != "":
		secret := newSecret("token_file", w.TokenFile)
		return func(r *http.Request) error {
			text, err := secret.read()
			if err == nil {
				r.Header.Set("Authorization", "Bearer "+text)
			}
			return err
		}
	case w.PasswordFile != "":
		secret := newSecret("password_file", w.PasswordFile)
		return func(r *http.Request) error {
			text, err := secret.read()
			if err == nil {
				r.SetBasicAuth(w.User, text)
			}
			return err
		}
	}
	return nil
}

// maxPage is how many results one QIDO-RS request has at the most.
const maxPage = 5000

// newWeb makes the DICOMweb server, if there is to be one.
func (d *daemon) newWeb(ctx context.Context) error {
	w := d.config.Gateway.Web
	if w == nil {
		return nil
	}
	config := webgate.Config{
		Site:  d.site,
		Base:  w.Base,
		URI:   w.WADOURI,
		Query: d.config.Gateway.Query.Rules,

		MaxMatches: min(maxPage, cmp.Or(d.config.Gateway.Query.MaxMatches, maxPage)),
	}
	if d.webTLS != nil {
		config.TLS = d.webTLS.Server()
	}
	for _, a := range d.config.Archives {
		config.Upstreams = append(config.Upstreams, webgate.Upstream{
			Name: a.Name, Web: d.webArchives[a.Name],
			SpoolFirst: a.Delivery == gateway.SpoolFirst, RefuseDown: a.Delivery == gateway.RefuseWhenDown,
		})
	}
	var err error
	d.webgate, err = webgate.New(ctx, config, webgate.Parts{
		DB:      d.parts.db,
		Custody: d.parts.custody,
		Ledger:  d.parts.ledger,
		Judge:   d.judge,
		Log:     d.log,
		Who:     webgate.NewIdentify(d.tokens),

		Archives: d.gateway,
		Wake:     d.gateway.Wake,
		Bypassed: d.parts.bypass.Covers,
		Paranoid: d.parts.contained.Suspect,
		Passed:   d.parts.rescan.Keep,

		Exceptions: d.parts.except,
		Observe:    d.parts.devices.Observe,
		Metrics:    d.parts.metrics,
	})
	return err
}

// site is who may do what, now.
func (d *daemon) site() policy.Site {
	s := d.config.site()
	s.Devices = d.parts.devices.Devices()
	return s
}

// serveWeb serves DICOMweb until ctx ends.
func (d *daemon) serveWeb(ctx context.Context) error {
	w := d.config.Gateway.Web
	f := front.New(front.Config{Origins: w.Origins, PerMinute: w.PerMinute, Refuse: d.webgate.Refuse})
	var telling sync.WaitGroup
	defer telling.Wait()
	telling.Go(func() { d.tellTurnedAway(ctx, f) })
	return d.webgate.Serve(ctx, d.web, f.Handler(d.webgate))
}

// tellTurnedAway puts on the ledger, once a minute, how many requests came too fast,
// until ctx ends.
func (d *daemon) tellTurnedAway(ctx context.Context, f *front.Front) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if o := f.Left(); o.Total > 0 {
			d.log.Warn("requests came too fast", "refused", o.Total, "addresses", o.Named)
			d.parts.ledger.Note("refusals.omitted", map[string]any{"omitted": o.Total, "peers": o.Peers, "addresses": o.Named})
		}
	}
}

// webURL is where the services are.
func (d *daemon) webURL() string {
	scheme := "http"
	if d.webTLS != nil {
		scheme = "https"
	}
	return fmt.Sprintf("%s://%s%s", scheme, d.web.Addr(), d.config.Gateway.Web.Base)
}

// secret is a text in a file of its own.
type secret struct {
	mu    sync.Mutex
	files *fresh.Files[string]
}

func newSecret(what, path string) *secret {
	return &secret{files: fresh.New(parseSecret, fresh.File{What: what, Path: path})}
}

// parseSecret reads what has to fit into one header.
func parseSecret(texts [][]byte) (string, error) {
	text := bytes.TrimSpace(texts[0])
	switch {
	case len(text) == 0:
		return "", errors.New("the file is empty")
	case len(text) > token.MaxToken || bytes.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7F }):
		return "", errors.New("the file holds more than one line of text")
	}
	return string(text), nil
}

func (s *secret) read() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.files.Look(time.Now())
	if s.files.Loaded() {
		return s.files.Value(), nil
	}
	return "", err
}
