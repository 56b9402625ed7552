package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"cordon/gateway"
	"cordon/transparent"

	"github.com/goccy/go-yaml/ast"
)

// TransparentConfig is for devices whose configuration nobody may touch.
type TransparentConfig struct {
	Port     int            // of the listener that connections are led to
	From     []netip.Prefix // the devices
	Archives []string       // names; none: every one with an address
	Own      bool           // archives are called under this machine's address, not the device's
	Stop     bool           // without Cordon nothing passes; else it goes straight to the archive
	PassTLS  bool           // what is encrypted passes uninspected; else it ends
}

const defaultTransparentPort = 10104

func (d *document) transparent(n ast.Node, c *TransparentConfig) {
	one := func(no, yes string, to *bool) func(ast.Node) {
		return func(n ast.Node) {
			if s, ok := d.scalar(n); ok && d.word(n, s, no, yes) {
				*to = s == yes
			}
		}
	}
	d.mapping(n, keys{
		"port":      d.number(&c.Port, 1, 65535),
		"from":      d.list("network", d.prefix(&c.From)),
		"archives":  d.list("archive", d.nameTo(&c.Archives)),
		"source":    one("modality", "own", &c.Own),
		"when_dead": one("remove", "stop", &c.Stop),
		"tls":       one("refuse", "pass", &c.PassTLS),
	})
	d.need(n, "from")
}

// wholeTransparent makes sure that each archive is known by the address that devices
// call.
func (d *document) wholeTransparent(c *Config) {
	t := c.Gateway.Transparent
	if t == nil {
		return
	}
	for i, name := range t.Archives {
		d.knownArchive(c, name, fmt.Sprintf("gateway.transparent.archives[%d]", i))
	}
	if len(c.Archives) == 0 {
		d.wrongAt("gateway.transparent", "there is no archive that devices could call; add archives")
		return
	}
	for i, a := range c.Archives {
		if !t.leads(a.Name) {
			continue
		}
		at := fmt.Sprintf("archives[%d].address", i)
		host, _, err := net.SplitHostPort(a.Address)
		if _, notIP := netip.ParseAddr(host); err == nil && notIP != nil {
			d.wrongAt(at, "%q is a name, and transparent mode needs the address that devices call; write it, or leave %q out of gateway.transparent.archives", host, a.Name)
		}
		if loopback(a.Address) {
			d.wrongAt(at, "%s is this machine's own, which no device calls; leave %q out of gateway.transparent.archives", a.Address, a.Name)
		}
		if a.TLS != nil && !t.Own {
			d.wrongAt(at, "%q is called over TLS, under this machine's own certificate: write gateway.transparent.source: own, or leave it out of gateway.transparent.archives", a.Name)
		}
	}
	if len(c.transparent().Archives) == 0 && len(d.problems) == 0 {
		d.wrongAt("gateway.transparent", "no archive has an address that devices could call")
	}
}

// leads reports whether connections to an archive are led here.
func (t *TransparentConfig) leads(archive string) bool {
	return len(t.Archives) == 0 || slices.Contains(t.Archives, archive)
}

// transparent is the mode as its package takes it; without archives there is none.
func (c Config) transparent() transparent.Config {
	t := c.Gateway.Transparent
	if t == nil {
		return transparent.Config{}
	}
	out := transparent.Config{Port: uint16(t.Port), From: t.From, Stop: t.Stop}
	for _, a := range c.Archives {
		if to, err := netip.ParseAddrPort(a.Address); err == nil && t.leads(a.Name) {
			out.Archives = append(out.Archives, transparent.Archive{Name: a.Name, To: netip.AddrPortFrom(to.Addr().Unmap(), to.Port())})
		}
	}
	return out
}

// led is what the gateway needs to know of connections that were led here.
func (d *daemon) led() gateway.Transparent {
	t := gateway.Transparent{Archive: d.config.transparent().Archive, PassTLS: d.config.Gateway.Transparent.PassTLS, TLS: d.encrypted}
	if !d.config.Gateway.Transparent.Own {
		t.DialFrom = transparent.Dial
	}
	return t
}

// listenTransparent opens the listeners that redirects lead to.
func (d *daemon) listenTransparent() (err error) {
	if d.config.Gateway.Transparent == nil {
		return nil
	}
	d.ledHere, err = transparent.Listen(context.Background(), uint16(d.config.Gateway.Transparent.Port))
	return err
}
