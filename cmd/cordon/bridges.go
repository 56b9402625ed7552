package main

import (
	"context"
	"net/url"

	"cordon/bridge"
	"cordon/gateway"
)

// bridged is an archive that has DICOMweb alone, and what makes it one that
// speaks DIMSE.
type bridged struct {
	name   string
	bridge *bridge.Bridge
}

// bridgeArchives puts a bridge in front of each archive that has DICOMweb alone.
func (d *daemon) bridgeArchives(g *gateway.Config) {
	for i, a := range d.config.Archives {
		if !a.webOnly() {
			continue
		}
		host := ""
		if u, err := url.Parse(a.Web.URL); err == nil {
			host = u.Host
		}
		b := bridge.New(bridge.Config{Name: a.Name, AETitle: a.AETitle, Client: d.webArchives[a.Name], Host: host}, d.log)
		g.Upstreams[i].Dial = b.Dial
		d.bridges = append(d.bridges, bridged{a.Name, b})
	}
}

// runBridges serves them: what the gateway asks outlives it, what archives open
// themselves ends with it.
func (d *daemon) runBridges(ctx, rest context.Context, outer, inner *group) {
	for _, b := range d.bridges {
		inner.run("bridge to "+b.name, func() error { return b.bridge.Serve(rest) })
		outer.run("associations of "+b.name, func() error { return d.gateway.ServeArchive(ctx, b.name, b.bridge.Calls()) })
	}
}

// addressOf is where an archive is, for people.
func (d *daemon) addressOf(name, address string) string {
	for _, a := range d.config.Archives {
		if a.Name == name && a.webOnly() {
			return a.Web.URL
		}
	}
	return address
}
