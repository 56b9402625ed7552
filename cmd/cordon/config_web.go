package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"cordon/dicom"
	"cordon/dicom/web"
	"cordon/front"
	"cordon/policy"
	"cordon/token"
)

// WebConfig is the DICOMweb side.
type WebConfig struct {
	Listen    string // host:port
	Base      string // path of the services
	WADOURI   string // path of WADO-URI
	TLS       *TLSConfig
	Optional  bool // with TLS.Clients: who shows no certificate is let in
	Tokens    []TokenConfig
	Origins   []string      // of pages that browsers may have ask
	PerMinute int           // requests of one address
	MoveTitle dicom.AETitle // to which archives are told to move what is retrieved for web clients; "": the gateway's own
}

// TokenConfig is one issuer of bearer tokens.
type TokenConfig struct {
	token.Config
	Scopes map[string][]policy.Service // nil: tokens say who somebody is, and no more
}

const (
	defaultWebListen = "127.0.0.1:8443"
	defaultBase      = "/dicom-web"
	defaultWADOURI   = "/wado"
	defaultPerMinute = 6000
)

// web reads gateway.web.
func (d *document) web(n ast.Node, g *GatewayConfig) {
	w := &WebConfig{Listen: defaultWebListen, Base: defaultBase, WADOURI: defaultWADOURI, PerMinute: defaultPerMinute}
	g.Web = w
	d.mapping(n, keys{
		"listen":     d.listen(&w.Listen),
		"base":       d.servicePath(&w.Base),
		"wado_uri":   d.servicePath(&w.WADOURI),
		"tls":        func(n ast.Node) { d.webTLS(n, w) },
		"tokens":     func(n ast.Node) { d.sequence(n, func(_ int, n ast.Node) { d.tokens(n, w) }) },
		"cors":       d.list("origin", d.origin(&w.Origins)),
		"per_minute": d.number(&w.PerMinute, 1, 1_000_000),
		"move_title": d.aeTitle(&w.MoveTitle),
	})
}

func (d *document) webTLS(n ast.Node, w *WebConfig) {
	t := &TLSConfig{}
	w.TLS = t
	d.tls(n, t, keys{
		"clients":            d.path(&t.Clients),
		"crl":                d.path(&t.CRL),
		"stale_crl":          d.staleCRL(&t.RefuseStale),
		"client_certificate": d.clientCertificate(&w.Optional),
	})
}

func (d *document) clientCertificate(optional *bool) func(ast.Node) {
	return func(n ast.Node) {
		if s, ok := d.scalar(n); ok && d.word(n, s, "required", "optional") {
			*optional = s == "optional"
		}
	}
}

// servicePath reads the path that services begin with.
func (d *document) servicePath(to *string) func(ast.Node) {
	return func(n ast.Node) {
		s, ok := d.scalar(n)
		if !ok {
			return
		}
		for _, part := range strings.Split(s, "/")[1:] {
			ok = ok && nameText.MatchString(part)
		}
		if !ok || !strings.HasPrefix(s, "/") {
			d.wrong(n, "%q is not a path; write /dicom-web, of letters, digits, '.', '_' and '-', without a slash at its end", s)
			return
		}
		*to = s
	}
}

func (d *document) origin(to *[]string) func(ast.Node) {
	return func(n ast.Node) {
		s, ok := d.scalar(n)
		if !ok {
			return
		}
		if err := front.CheckOrigin(s); err != nil {
			d.wrong(n, "%v", err)
			return
		}
		*to = append(*to, s)
	}
}

// tokens reads one issuer.
func (d *document) tokens(n ast.Node, w *WebConfig) {
	t := TokenConfig{}
	d.mapping(n, keys{
		"issuer":       d.text(&t.Issuer),
		"audience":     d.text(&t.Audience),
		"jwks":         d.path(&t.Keys),
		"max_lifetime": d.duration(&t.MaxLifetime, time.Minute, 366*24*time.Hour),
		"scopes":       func(n ast.Node) { d.scopes(n, &t.Scopes) },
	})
	d.need(n, "issuer", "audience", "jwks")
	w.Tokens = append(w.Tokens, t)
}

// scopes reads what each scope of an issuer permits.
func (d *document) scopes(n ast.Node, to *map[string][]policy.Service) {
	*to = map[string][]policy.Service{}
	ps := pairs(n)
	if len(ps) == 0 {
		d.wrong(n, "no scope; write \"imaging.read: [query, retrieve]\", or take the line out: tokens then say who somebody is, and devices[].may what they may do")
	}
	for _, p := range ps {
		scope := p.Key.GetToken().Value
		d.within("."+scope, p.Value, func(n ast.Node) {
			var services []policy.Service
			d.services(n, &services)
			(*to)[scope] = services
			for _, s := range services {
				if !slices.Contains(policy.WebServices(), s) {
					d.wrong(n, "there is no %s over DICOMweb; write some of store, query, retrieve, ups", s)
				}
			}
		})
	}
}

// subjects reads whom tokens are about: a name, or a name and its issuer.
func (d *document) subjects(to *[]policy.Subject) func(ast.Node) {
	return d.list("subject", func(n ast.Node) {
		s := policy.Subject{}
		if _, one := n.(ast.ScalarNode); one {
			d.text(&s.Name)(n)
		} else {
			d.mapping(n, keys{"issuer": d.text(&s.Issuer), "subject": d.text(&s.Name)})
			d.need(n, "issuer", "subject")
		}
		*to = append(*to, s)
	})
}

// wholeWeb holds the DICOMweb side against the rest.
func (d *document) wholeWeb(c *Config) {
	w := c.Gateway.Web
	if w == nil {
		return
	}
	d.wholeWebTwins(c)
	d.wholeWebListener(c, w)
	issuers := map[string]int{}
	for i, t := range w.Tokens {
		at := fmt.Sprintf("gateway.web.tokens[%d]", i)
		d.once(issuers, t.Issuer, i, at+".issuer")
		d.wholeKeys(t.Config, at+".jwks")
	}
	if w.Optional && (w.TLS.Clients == "" || len(w.Tokens) == 0) {
		d.wrongAt("gateway.web.tls.client_certificate", "optional is for peers who show a token instead; add tls.clients and tokens, or take it out")
	}
	if w.Base == w.WADOURI || strings.HasPrefix(w.WADOURI, w.Base+"/") {
		d.wrongAt("gateway.web.wado_uri", "%q is under %q, where the other services are; write another path", w.WADOURI, w.Base)
	}
	if w.MoveTitle != "" && slices.ContainsFunc(c.Archives, func(a ArchiveConfig) bool { return a.AETitle == w.MoveTitle }) {
		d.wrongAt("gateway.web.move_title", "%q is an archive's own; write one that archives know the gateway's listener by", w.MoveTitle)
	}
}

// wholeKeys reads an issuer's keys where a person asks. A start does not wait for
// them.
func (d *document) wholeKeys(t token.Config, at string) {
	v, err := token.New(t)
	if err != nil || !d.tlsFiles {
		return // noted already
	}
	for _, problem := range v.Problems() {
		d.wrongAt(at, "%s", problem)
	}
}

// wholeWebListener lets plain HTTP happen on loopback addresses alone, and asks
// how peers are to be told apart elsewhere.
func (d *document) wholeWebListener(c *Config, w *WebConfig) {
	at := "gateway.web.listen"
	if _, ok := d.places[at]; !ok {
		at = "gateway.web"
	}
	switch {
	case w.TLS == nil && !loopback(w.Listen):
		d.wrongAt(at, "%q can be reached from other machines, and this is plain HTTP; write 127.0.0.1:8443, or add gateway.web.tls with certificate and key", w.Listen)
	case !loopback(w.Listen) && w.TLS.Clients == "" && len(w.Tokens) == 0 && c.Gateway.Unknown != policy.RefuseUnknown:
		d.wrongAt(at, "%q can be reached from other machines, and over HTTP nothing would tell who asks; add tls.clients (certificates) or tokens, or gateway.unknown_devices: refuse with devices told by their addresses", w.Listen)
	}
	for _, other := range []struct{ listen, key string }{{c.Gateway.Listen, "gateway.listen"}, {c.Console.Listen, "console.listen"}} {
		if w.Listen == other.listen {
			d.wrongAt(at, "%s is taken (%s); write another port for one of them", w.Listen, other.key)
		}
	}
}

// wholeWebDevice looks for what a device is asked for over HTTP and cannot show,
// and fills in the issuer of its subjects where there is but one.
func (d *document) wholeWebDevice(c *Config, v *DeviceConfig, at string) {
	if _, none := d.places[at].(ast.ScalarNode); none {
		return // noted already
	}
	web := c.Gateway.Web
	shows := len(v.Certificates)+len(v.Subjects) > 0
	switch {
	case v.AETitle != "":
	case web == nil:
		d.wrongAt(at, "ae_title is missing; add a line \"ae_title: …\" (devices without one have DICOMweb alone, and there is no gateway.web)")
		return
	case !shows && len(v.Addresses) == 0:
		d.wrongAt(at, "nothing tells who is this device; add ae_title for DIMSE, or, for DICOMweb alone, addresses, certificate or subjects")
	case v.Port != 0:
		d.wrongAt(at+".port", "a device without ae_title has DICOMweb alone, and nothing is sent to it; add ae_title, or take this out")
	}
	if len(v.Subjects) == 0 {
		return
	}
	if v.AETitle != "" && len(v.Addresses)+len(v.Certificates) == 0 {
		d.wrongAt(at+".subjects", "over DIMSE, where there are no tokens, anybody who calls itself %s would be this device; add addresses or certificate, or take ae_title out", v.AETitle)
	}
	for i := range v.Subjects {
		d.wholeSubject(web, &v.Subjects[i], fmt.Sprintf("%s.subjects[%d]", at, i))
	}
}

func (d *document) wholeSubject(web *WebConfig, s *policy.Subject, at string) {
	var known []string
	if web != nil {
		for _, t := range web.Tokens {
			known = append(known, t.Issuer)
		}
	}
	switch {
	case len(known) == 0:
		d.wrongAt(at, "no token is believed here; add gateway.web.tokens, or take subjects out")
	case s.Issuer == "" && len(known) > 1:
		d.wrongAt(at, "there are several issuers; write {issuer: %s, subject: %s}, with the one that is meant", known[0], s.Name)
	case s.Issuer == "":
		s.Issuer = known[0]
	case !slices.Contains(known, s.Issuer):
		d.wrongAt(at, "no issuer %q; %s", s.Issuer, suggestion(s.Issuer, known))
	}
}

// wholeWebTwins looks for devices of the web alone that a request cannot be told by.
func (d *document) wholeWebTwins(c *Config) {
	for i, v := range c.Devices {
		for j, w := range c.Devices[:i] {
			if v.AETitle == "" && w.AETitle == "" && webTwins(v, w) {
				d.wrongAt(fmt.Sprintf("devices[%d]", i), "element [%d] of this list is told by the same; give each its own addresses, certificate or subjects", j)
				break
			}
		}
	}
}

// webTwins reports whether a request could be either device's.
func webTwins(v, w policy.Device) bool {
	common := func(p netip.Prefix) bool { return slices.ContainsFunc(w.Addresses, p.Overlaps) }
	if len(v.Addresses) > 0 && len(w.Addresses) > 0 && !slices.ContainsFunc(v.Addresses, common) {
		return false
	}
	if len(v.Certificates)+len(v.Subjects)+len(w.Certificates)+len(w.Subjects) == 0 { // the smaller network comes first
		return slices.ContainsFunc(v.Addresses, func(p netip.Prefix) bool { return slices.Contains(w.Addresses, p) })
	}
	return slices.ContainsFunc(v.Certificates, func(f policy.Fingerprint) bool { return slices.Contains(w.Certificates, f) }) ||
		slices.ContainsFunc(v.Subjects, func(s policy.Subject) bool { return slices.Contains(w.Subjects, s) })
}

// serviceURL reads the address of a web service.
func (d *document) serviceURL(to *string) func(ast.Node) {
	return func(n ast.Node) {
		s, ok := d.scalar(n)
		if !ok {
			return
		}
		if _, err := web.NewClient(web.ClientConfig{Base: s}); err != nil {
			d.wrong(n, "%q: %v", s, err)
			return
		}
		*to = strings.TrimRight(s, "/")
	}
}
