package main

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"time"

	"cordon/metric"
	"cordon/policy"
)

// site is the part of the configuration that admission needs.
func (c Config) site() policy.Site {
	s := policy.Site{AETitle: c.Gateway.AETitle, Devices: c.Devices, Unknown: c.Gateway.Unknown, Issuers: c.Gateway.Web.issuers()}
	if w := c.Gateway.Web; w != nil {
		s.Returns = w.MoveTitle
	}
	for _, a := range c.Archives {
		s.Archives = append(s.Archives, policy.Archive{Name: a.Name, AETitle: a.AETitle, Services: a.Services, Addresses: a.Addresses})
	}
	return s
}

// unknownArchives warns of devices that people approved for archives that the
// configuration no longer has: they may use the others alone, if any.
func (d *daemon) unknownArchives() {
	for _, v := range d.parts.devices.Devices() {
		for _, name := range v.Archives {
			if !slices.ContainsFunc(d.config.Archives, func(a ArchiveConfig) bool { return a.Name == name }) {
				d.log.Warn("a device was approved for an archive that is not in the configuration; cordon device approve gives it those that there are", "device", v.Name, "archive", name)
			}
		}
	}
}

// waiting counts the learned devices that nobody has decided on.
func (d *daemon) waiting(set metric.Sample) {
	ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout)
	defer cancel()
	if n, err := d.parts.devices.Waiting(ctx); err == nil {
		set(float64(n))
	}
}

// resolveTimeout bounds the look-up of one archive's name at the start.
const resolveTimeout = 5 * time.Second

// callers fills in where archives call from: where they listen, unless the
// configuration says otherwise. A name is looked up once, at the start. An
// archive whose name is not known then can be delivered to later, but what it
// opens itself is not taken for an archive's: fewer are let in, never more.
func (d *daemon) callers(ctx context.Context) {
	for i := range d.config.Archives {
		a := &d.config.Archives[i]
		if len(a.Addresses) > 0 || a.webOnly() {
			continue
		}
		var err error
		if a.Addresses, err = addressesOf(ctx, a.Address); err != nil {
			d.log.Warn("archive not found by name: associations that it opens itself are rejected; write archives[].addresses", "archive", a.Name, "error", err)
		}
	}
}

// addressesOf lists the addresses of a host:port, each as a network of one.
func addressesOf(ctx context.Context, hostPort string) ([]netip.Prefix, error) {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host) // an address is its own answer
	var out []netip.Prefix
	for _, a := range addrs {
		a = a.Unmap().WithZone("")
		out = append(out, netip.PrefixFrom(a, a.BitLen()))
	}
	return out, err
}
