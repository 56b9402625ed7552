package main

import (
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// DeadmanConfig is what becomes of the network path while Cordon is down.
type DeadmanConfig struct {
	Archive string        // the name of the one that connections are led to
	After   time.Duration // without an answer
}

const defaultDeadmanAfter = 15 * time.Second

func (d *document) deadman(n ast.Node, c *DeadmanConfig) {
	d.mapping(n, keys{
		"archive": d.name(&c.Archive),
		"after":   d.duration(&c.After, 5*time.Second, time.Hour),
	})
	d.need(n, "archive")
}

// wholeDeadman makes sure that what is led past Cordon would be understood.
func (d *document) wholeDeadman(c *Config) {
	if c.Deadman == nil || c.Deadman.Archive == "" {
		return
	}
	d.knownArchive(c, c.Deadman.Archive, "deadman.archive")
	i := slices.IndexFunc(c.Archives, func(a ArchiveConfig) bool { return a.Name == c.Deadman.Archive })
	switch {
	case i < 0: // noted already
	case c.Archives[i].TLS != nil:
		d.wrongAt("deadman.archive", "%q is called over TLS, which modalities that send to Cordon do not speak; name an archive that takes plain DICOM, or take deadman out", c.Deadman.Archive)
	case c.Archives[i].Address == "":
		d.wrongAt("deadman.archive", "%q has no DICOM address; name an archive that takes DICOM associations", c.Deadman.Archive)
	case loopback(c.Archives[i].Address):
		d.wrongAt("deadman.archive", "%q is on this machine's loopback, where no modality can be led; give it the address that others reach it by", c.Deadman.Archive)
	}
	if loopback(c.Gateway.Listen) {
		d.wrongAt("gateway.listen", "%s is reached by no modality, so that deadman has nothing to lead past; write the address that they send to", c.Gateway.Listen)
	}
	if host, _, err := net.SplitHostPort(c.Gateway.Listen); err == nil && host != "" {
		if _, err := netip.ParseAddr(host); err != nil {
			d.wrongAt("gateway.listen", "%q is a name, and deadman needs the address itself", host)
		}
	}
}
