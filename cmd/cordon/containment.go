package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"cordon/asset"
	"cordon/console/containment"
	"cordon/console/route"
	"cordon/contain"
	"cordon/custody"
	"cordon/firewall"
	"cordon/network"
)

// openContainment opens what is contained. Nothing is enforced before startFirewall.
func (p *parts) openContainment(ctx context.Context, c Config, log *slog.Logger) (err error) {
	var enforcer contain.Enforcer = contain.NFTables{Firewall: p.firewall}
	neighbours := p.firewall.Neighbours
	if c.Containment.Paper {
		enforcer, neighbours = contain.Paper{}, nil
	}
	p.contained, err = contain.Open(ctx, contain.Parts{
		DB: p.db, Journal: p.ledger, Enforcer: enforcer, Log: log, Policy: c.Containment.Policy, Solo: c.Containment.Solo, Dir: p.dir,
		Devices:    func(ctx context.Context) ([]contain.Device, error) { return p.containable(ctx, c) },
		Alarms:     p.alarms,
		Metrics:    p.metrics,
		Seen:       func(ctx context.Context) ([]contain.Seen, error) { return p.paths(ctx, c) },
		Depends:    p.depends,
		Neighbours: neighbours,
		Waiting: func(ctx context.Context, device string) (int, time.Time) {
			n, since, err := p.custody.AwaitingOf(ctx, device)
			if err != nil {
				log.Error("what waits to be scanned is not known", "error", err)
			}
			return n, since
		},
		Ordered: func(ctx context.Context, device string) error {
			_, err := p.custody.Await(ctx, device)
			return err
		},
	})
	return err
}

// containable are the devices as containment takes them, and beside them whatever
// must not be taken for one: the archives and this machine.
func (p *parts) containable(ctx context.Context, c Config) (all []contain.Device, err error) {
	known, err := p.devices.List(ctx)
	if err != nil {
		return nil, err
	}
	flows, err := p.devices.AllFlows(ctx)
	if err != nil {
		return nil, err
	}
	about, err := p.devices.Inventories(ctx)
	if err != nil {
		return nil, err
	}
	declared := p.devices.Devices()
	for _, k := range known {
		d := contain.Device{Name: k.Name, Modality: about[k.Name].Modality, Criticality: about[k.Name].Criticality, Flows: slices.Concat(flows[k.Name], c.Network.Infrastructure)}
		for _, v := range declared {
			if v.Name == k.Name {
				d.Addresses = v.Addresses
				if v.Port != 0 {
					d.Ports = []uint16{v.Port}
				}
			}
		}
		if len(d.Addresses) == 0 {
			d.Addresses = addressesSeen(k.Addresses)
		}
		if i := slices.IndexFunc(c.About, func(a AboutConfig) bool { return a.Name == k.Name }); i >= 0 {
			for _, m := range c.About[i].Hardware {
				d.MACs = append(d.MACs, slices.Clone(m[:]))
			}
		}
		d.Infrastructure = c.infrastructure(d.Addresses)
		all = append(all, d)
	}
	for _, a := range c.Archives {
		all = append(all, contain.Device{Name: "archive " + a.Name, Addresses: a.at(), Infrastructure: "archive " + a.Name})
	}
	all = append(all, c.servers(all)...)
	return append(all, contain.Device{Name: "this machine", Addresses: c.here(), Infrastructure: "this machine"}), nil
}

// servers are the machines that every device may use, and that are no devices: a
// contained one that says it has the address of one takes it from nobody.
func (c Config) servers(devices []contain.Device) (out []contain.Device) {
	for _, f := range c.Network.Infrastructure {
		for _, at := range f.To {
			device := func(d contain.Device) bool { return slices.ContainsFunc(d.Addresses, at.Overlaps) }
			if at.IsSingleIP() && !slices.ContainsFunc(devices, device) {
				out = append(out, contain.Device{Name: "network.infrastructure " + f.Purpose, Addresses: []netip.Prefix{at}, Infrastructure: "what every device uses (network.infrastructure: " + f.Purpose + ")"})
			}
		}
	}
	return out
}

// here are the addresses of this machine, those that nobody else reaches included.
func (c Config) here() []netip.Prefix {
	return slices.Concat(c.own(), hostAddresses(), []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")})
}

// infrastructure says what else is at a device's only addresses; "" if nothing is.
func (c Config) infrastructure(addresses []netip.Prefix) string {
	holds := func(all []netip.Prefix) bool {
		return len(addresses) > 0 && !slices.ContainsFunc(addresses, func(a netip.Prefix) bool { return !slices.ContainsFunc(all, a.Overlaps) })
	}
	for _, a := range c.Archives {
		if holds(a.at()) {
			return "archive " + a.Name
		}
	}
	if holds(c.here()) {
		return "this machine"
	}
	return ""
}

// addressesSeen are those at which a device was seen, while it has no others.
func addressesSeen(texts []string) (out []netip.Prefix) {
	for _, text := range texts {
		if a, err := netip.ParseAddr(text); err == nil {
			out = append(out, single(a))
		}
	}
	return out
}

// paths are those that devices were seen to use.
func (p *parts) paths(ctx context.Context, c Config) (out []contain.Seen, err error) {
	w, err := p.watched(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := w.Seen(ctx)
	if err != nil {
		return nil, err
	}
	here, ports := c.own(), c.imagePorts()
	isHere := func(a netip.Addr) bool {
		return slices.ContainsFunc(here, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	led := p.transparent != nil && p.transparent.State().On
	for _, r := range rows {
		one := contain.Seen{Protocol: r.Protocol.String(), Port: r.Port, Purpose: r.Purpose, Last: r.Last, Packets: r.Packets, Bytes: r.Bytes}
		if r.Device != "" {
			one.Device, one.Peer, one.Name, one.Gateway = r.Device, r.Dst, r.Peer, isHere(r.Dst) && slices.Contains(ports, r.Port) || led && c.led(r.Src, netip.AddrPortFrom(r.Dst, r.Port))
			out = append(out, one)
		}
		if r.Peer != "" {
			one.Device, one.Peer, one.Name, one.Inbound, one.Gateway = r.Peer, r.Src, r.Device, true, isHere(r.Src)
			out = append(out, one)
		}
	}
	return out, nil
}

// led reports whether transparent mode, while it is on, leads a device's connection
// here on its way.
func (c Config) led(from netip.Addr, to netip.AddrPort) bool {
	t := c.transparent()
	_, called := t.Archive(to)
	return called && slices.ContainsFunc(t.From, func(p netip.Prefix) bool { return p.Contains(from) })
}

// depends says what examinations depend on a device, as far as it shows here.
func (p *parts) depends(ctx context.Context, device string) (out []string) {
	d, err := p.devices.Show(ctx, device, asset.Scope{})
	if err != nil {
		return nil
	}
	if !d.LastSeen.IsZero() {
		out = append(out, fmt.Sprintf("It last came %s, in %d associations since %s; it uses %s here.", ago(d.LastSeen), d.Associations, d.FirstSeen.Local().Format(time.DateOnly), strings.Join(d.Services, ", ")))
	}
	if about, err := p.devices.Inventory(ctx, device); err == nil && about.Criticality != "" {
		out = append(out, fmt.Sprintf("Its criticality is %s.", about.Criticality))
	}
	if n, since, err := p.custody.AwaitingOf(ctx, device); err == nil && n > 0 {
		out = append(out, fmt.Sprintf("%d of its objects wait to be scanned since %s.", n, since.Local().Format("15:04")))
	}
	return out
}

// signalled takes an alert of the network's to containment.
func (p *parts) signalled(a network.Alert) {
	p.contained.Signal(signalOf(a))
}

func signalOf(a network.Alert) contain.Signal {
	return contain.Signal{Device: a.Device, Rule: a.Rule, Severity: string(a.Severity), Address: a.Address, At: a.At, Detail: a.Detail, Proven: a.May()}
}

// containmentRoutes are the console's routes of containment.
func (p *parts) containmentRoutes(c Config) []route.Route {
	return containment.Routes(containment.Parts{
		Contained: p.contained, View: p.view,
		Gateways: func() (out []netip.AddrPort) {
			for _, a := range c.own() {
				for _, port := range c.imagePorts() {
					out = append(out, netip.AddrPortFrom(a.Addr(), port))
				}
			}
			return out
		},
		Pass: func(ctx context.Context, device string, rq custody.Request) (int, error) {
			if p.passUnscanned == nil {
				return 0, fmt.Errorf("%w: nothing is delivered while cordon up does not run", contain.ErrState)
			}
			return p.passUnscanned(ctx, device, rq)
		},
		Waiting:  p.custody.AwaitingOf,
		Firewall: p.firewall.State,
		Reapply:  p.firewall.Reapply,
	})
}

// appliedAgain writes on the ledger that somebody else changed the rules.
func (p *parts) appliedAgain(ctx context.Context, e firewall.Event) error {
	return p.ledger.Record(ctx, "firewall.changed", map[string]any{"program": e.By, "restored": e.Restored, "why": e.Why})
}
