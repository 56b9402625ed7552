package main

import (
	"fmt"
	"net"
	"net/netip"
)

// whole holds the parts of a configuration against one another.
func (d *document) whole(c *Config) {
	d.wholeArchives(c)
	d.wholeDevices(c)
	d.wholeWeb(c)
	d.wholeConsole(c)
	d.wholeSeats(c)
	d.wholeAudit(c)
	d.wholeWitness(c)
	d.wholeDeadman(c)
	d.wholeTransparent(c)
	d.wholeDisk(c)
	d.wholeNetwork(c)
	d.wholeContainment(c)
	d.wholeAlarms(c)
	for _, end := range c.ends() {
		d.wholeTLS(end)
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
		if a.Web != nil {
			d.wholeArchiveWeb(a.Web, at+".dicomweb")
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

// wholeSeats makes sure that a seat can be kept for each peer that is known by its
// address.
func (d *document) wholeSeats(c *Config) {
	known := len(c.Archives)
	for _, v := range c.Devices {
		if len(v.Addresses) > 0 {
			known++
		}
	}
	if known > c.Gateway.MaxAssociations {
		d.wrongAt("gateway.max_associations", "%d is fewer than the %d devices and archives here, so that no seat could be kept for each; write %d or more",
			c.Gateway.MaxAssociations, known, 4*known)
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
