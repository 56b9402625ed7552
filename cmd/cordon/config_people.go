package main

import (
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"cordon/people"
)

// SessionsConfig is how long people stay signed in.
type SessionsConfig struct {
	Idle     time.Duration // nobody there; 0: the default
	Absolute time.Duration // in any case; 0: the default
}

// OIDCConfig is an issuer of OpenID Connect with which people sign in.
type OIDCConfig struct {
	Issuer     string
	ClientID   string
	SecretFile string                 // of the client; "": a public one
	Claim      string                 // in which groups are; "": groups
	Groups     map[string]people.Role // what each group is here
}

// sessions is how accounts are to be.
func (c ConsoleConfig) sessions() people.Options {
	return people.Options{Idle: c.Sessions.Idle, Absolute: c.Sessions.Absolute}
}

// url is by which browsers reach the console.
func (c ConsoleConfig) url() string {
	if c.URL != "" {
		return c.URL
	}
	host, port, _ := net.SplitHostPort(c.Listen)
	if loopback(c.Listen) || host == "" || host == "0.0.0.0" || host == "::" { // passkeys want a name
		host = "localhost"
	}
	scheme := "http"
	if c.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

func (d *document) sessions(n ast.Node, s *SessionsConfig) {
	d.mapping(n, keys{
		"idle":     d.duration(&s.Idle, time.Minute, 24*time.Hour),
		"absolute": d.duration(&s.Absolute, time.Minute, 7*24*time.Hour),
	})
	if s.Idle > 0 && s.Absolute > 0 && s.Idle > s.Absolute {
		d.wrong(n, "idle (%v) is longer than absolute (%v); write a shorter one", s.Idle, s.Absolute)
	}
}

// consoleURL reads by which browsers reach the console.
func (d *document) consoleURL(to *string) func(ast.Node) {
	return func(n ast.Node) {
		s, ok := d.scalar(n)
		if !ok {
			return
		}
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
			d.wrong(n, "%q is not where browsers reach the console; write https://cordon.example.org, or http://127.0.0.1:8080, without a path", s)
			return
		}
		*to = u.Scheme + "://" + u.Host
	}
}

func (d *document) oidc(n ast.Node, o *OIDCConfig) {
	d.mapping(n, keys{
		"issuer":             d.issuerURL(&o.Issuer),
		"client_id":          d.text(&o.ClientID),
		"client_secret_file": d.path(&o.SecretFile),
		"claim":              d.text(&o.Claim),
		"groups":             func(n ast.Node) { d.groups(n, &o.Groups) },
	})
	d.need(n, "issuer", "client_id", "groups")
}

// issuerURL reads the name of an issuer, from which its keys are fetched.
func (d *document) issuerURL(to *string) func(ast.Node) {
	return func(n ast.Node) {
		s, ok := d.scalar(n)
		if !ok {
			return
		}
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && !(u.Scheme == "http" && loopback(net.JoinHostPort(u.Hostname(), "1"))) {
			d.wrong(n, "%q is not an issuer; write https://id.example.org, as its discovery document has it (http only on this machine)", s)
			return
		}
		*to = s
	}
}

// groups reads what each group is here.
func (d *document) groups(n ast.Node, to *map[string]people.Role) {
	*to = map[string]people.Role{}
	var names []string
	for _, g := range people.Grants() {
		if g.Role != people.Vendor { // whose products would be known to nobody
			names = append(names, string(g.Role))
		}
	}
	for _, p := range pairs(n) {
		group := p.Key.GetToken().Value
		d.within("."+group, p.Value, func(n ast.Node) {
			if s, ok := d.scalar(n); ok && d.word(n, s, names...) {
				(*to)[group] = people.Role(s)
			}
		})
	}
	if len(pairs(n)) == 0 {
		d.wrong(n, "no group; write \"imaging-admins: pacs\", with one of %s: whoever is in none has no access", strings.Join(slices.Sorted(slices.Values(names)), ", "))
	}
}
