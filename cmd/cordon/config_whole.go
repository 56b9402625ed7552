package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// whole holds the parts of a configuration against one another.
func (d *document) whole(c *Config) {
	d.wholeArchives(c)
	d.wholeDevices(c)
	d.wholeConsole(c)
	if c.Gateway.TLS != nil {
		d.wholeTLS("gateway.tls", *c.Gateway.TLS)
	}
	if c.Console.TLS != nil {
		d.wholeTLS("console.tls", *c.Console.TLS)
	}
}

func (d *document) wholeArchives(c *Config) {
	names, titles := map[string]int{}, map[string]int{}
	for i, a := range c.Archives {
		at := fmt.Sprintf("archives[%d]", i)
		d.once(names, a.Name, i, at+".name")
		d.once(titles, string(a.AETitle), i, at+".ae_title")
		if a.AETitle == c.Gateway.AETitle && a.AETitle != "" {
			d.wrongAt(at+".ae_title", "%q is the gateway's own; the called AE title chooses the archive, so they must differ", a.AETitle)
		}
		if a.Address == c.Gateway.Listen {
			d.wrongAt(at+".address", "%s is where the gateway itself listens; write where the archive does", a.Address)
		}
	}
}

// once notes a value that an earlier element of the same list has.
func (d *document) once(seen map[string]int, value string, i int, at string) {
	if value == "" {
		return // noted already
	}
	if first, ok := seen[value]; ok {
		d.wrongAt(at, "%q is taken by element [%d] of this list; write another", value, first)
		return
	}
	seen[value] = i
}

func (d *document) knownArchive(c *Config, name, at string) {
	var known []string
	for _, a := range c.Archives {
		if a.Name == name {
			return
		}
		known = append(known, a.Name)
	}
	switch {
	case name == "":
	case len(known) == 0:
		d.wrongAt(at, "no archive %q; this file has no archives: take the line out", name)
	default:
		d.wrongAt(at, "no archive %q; %s", name, suggestion(name, known))
	}
}

// wholeConsole lets plain HTTP happen on loopback addresses alone.
func (d *document) wholeConsole(c *Config) {
	if c.Console.TLS == nil && !loopback(c.Console.Listen) {
		d.wrongAt("console.listen", "%q can be reached from other machines, and this is plain HTTP; write 127.0.0.1:8080, or add console.tls with certificate and key", c.Console.Listen)
	}
	if c.Console.Listen == c.Gateway.Listen {
		d.wrongAt("gateway.listen", "%s is where the console listens (console.listen); write another port for one of them", c.Gateway.Listen)
	}
}

// loopback reports whether a listen address is one of this machine's own loop.
func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

func (d *document) wholeTLS(at string, t TLSConfig) {
	if t.Certificate == "" || t.Key == "" {
		return // noted already
	}
	if _, err := serverTLS(t); err != nil {
		d.wrongAt(at, "%v", err)
	}
}

// serverTLS reads the files of a TLS listener. TLS 1.3 is used with every peer
// that can, 1.2 with the others.
func serverTLS(t TLSConfig) (*tls.Config, error) {
	pair, err := keyPair(t.Certificate, t.Key)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if t.Clients == "" {
		return config, nil
	}
	if config.ClientCAs, err = authorities(t.Clients); err != nil {
		return nil, fmt.Errorf("authorities: %w", err)
	}
	config.ClientAuth = tls.RequireAndVerifyClientCert
	return config, nil
}

// keyPair reads a certificate and its key.
func keyPair(certificate, key string) (tls.Certificate, error) {
	certText, err := readSmallFile(certificate)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate: %w", err)
	}
	keyText, err := readSmallFile(key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("key: %w", err)
	}
	pair, err := tls.X509KeyPair(certText, keyText)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate and key: %w; both are PEM files, and the key is the certificate's", err)
	}
	return pair, nil
}

// authorities reads the certificates of a PEM file.
func authorities(path string) (*x509.CertPool, error) {
	text, err := readSmallFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New(path + " holds no certificate; write a PEM file of the authorities' certificates")
	}
	return pool, nil
}
