package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"cordon/alarm"
	"cordon/asset"
	"cordon/custody"
	"cordon/firewall"
	"cordon/ledger/search"
	"cordon/media"
	"cordon/plan"
	"cordon/ticket"
	"cordon/transparent"
)

// openNetwork opens what is about packets. Nothing is applied before startFirewall:
// a command that opens the data directory by itself changes no rule.
func (p *parts) openNetwork(ctx context.Context, c Config, log *slog.Logger) (err error) {
	if p.firewall, err = firewall.Open(firewall.Options{Owner: owner(p.dir), ImagePorts: c.imagePorts(), Interfaces: c.Containment.Interfaces, Collect: true, Changed: p.firewallChanged(log)}); err != nil {
		return err
	}
	if err := p.openContainment(ctx, c, log); err != nil {
		return err
	}
	p.tickets, err = ticket.New(ctx, ticket.Config{Visitors: c.Plan.closed()}, ticket.Parts{
		DB: p.db, Journal: p.ledger, Seal: p.custody, Firewall: p.firewall, Log: log,
		Lookup:     func(ctx context.Context, name string) (ticket.Place, error) { return p.lookup(ctx, c, name) },
		Whose:      func(_ context.Context, a netip.Addr) (string, error) { return p.whose(c, a), nil },
		Imports:    p.imports,
		SamePerson: func(a, b string) bool { return custody.FoldName(a) == custody.FoldName(b) },
		Online:     p.online,
		Alarm:      p.ticketAlarm,
	})
	if err != nil {
		return fmt.Errorf("tickets: %w", err)
	}
	p.plan, err = plan.Open(ctx, plan.Parts{
		DB: p.db, Journal: p.ledger, Firewall: p.firewall, Log: log, Closed: c.Plan.closed(),
		Sources: func(ctx context.Context) (plan.Sources, error) { return p.planSources(ctx, c) },
	})
	if err != nil {
		return err
	}
	p.transparent, err = transparent.Open(ctx, c.transparent(), transparent.Parts{DB: p.db, Journal: p.ledger, Past: p.deadman, Firewall: p.firewall, Log: log})
	return err
}

// startFirewall has every owner say what the firewall is to be, and applies that at
// once. That it cannot be is no reason not to start: who is contained, or has a
// ticket, is told so.
func (p *parts) startFirewall(ctx context.Context, log *slog.Logger) error {
	for _, restore := range []func(context.Context) error{p.contained.Prepare, p.plan.Restore, p.tickets.Restore, p.transparent.Restore} {
		if err := restore(ctx); err != nil {
			return err
		}
	}
	asked := false
	err := p.firewall.Change(ctx, func(r *firewall.Ruleset) {
		asked = len(r.Contained)+len(r.Openings)+len(r.Redirects) > 0 || r.Plan != nil
	})
	if err != nil {
		return err
	}
	if err := p.firewall.Start(ctx); err != nil && asked {
		log.Error("the rules of the firewall cannot be applied", "error", err)
	}
	return p.contained.Start(ctx)
}

// runNetwork runs what is about packets.
func (d *daemon) runNetwork(ctx, rest context.Context, outer, inner *group) {
	inner.run("firewall", func() error { d.parts.firewall.Run(rest); return nil })
	inner.run("containment", func() error { d.parts.contained.Run(rest); return nil })
	inner.run("tickets", func() error { return d.parts.tickets.Run(rest) })
	inner.run("firewall plan", func() error { return d.parts.plan.Run(rest) })
	inner.run("transparent mode", func() error { return d.parts.transparent.Run(rest) })
	inner.run("transparent mode", func() error { return d.watchLed(rest) })
	if len(d.ledHere) == 0 {
		return
	}
	led, paused := context.WithCancel(context.WithoutCancel(ctx))
	outer.run("transparent mode", func() error {
		defer paused()
		<-ctx.Done()
		if err := d.parts.transparent.Pause(led); err != nil {
			d.log.Error("connections that are led here go straight to their archives from now on", "error", err)
		}
		return nil
	})
	for _, l := range d.ledHere {
		outer.run("transparent mode", func() error { return d.gateway.ServeTransparent(led, l, d.led()) })
	}
}

// watchLed has it be an alarm while transparent mode is on and does not work.
func (d *daemon) watchLed(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		var now []alarm.Alarm
		if s := d.parts.transparent.State(); s.On && !s.Works {
			now = append(now, alarm.Alarm{Kind: "transparent.broken", Text: or(s.Error, "it is not in place yet"), Link: "/network"})
		}
		if err := d.parts.alarms.Sync(ctx, "transparent", now); err != nil && ctx.Err() == nil {
			d.log.Error("alarms about transparent mode", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// firewallChanged tells of somebody else's changes to our rules.
func (p *parts) firewallChanged(log *slog.Logger) func(firewall.Event) {
	return func(e firewall.Event) {
		log.Warn("somebody else changed the rules of the firewall", "by", e.By, "what", e.Why, "restored", e.Restored)
		if err := p.appliedAgain(context.Background(), e); err != nil {
			log.Error("that somebody else changed the rules of the firewall is not recorded", "error", err)
		}
		p.alarms.Raise(context.Background(), alarm.Alarm{Kind: "firewall.changed", Text: fmt.Sprintf("%s, by %s", e.Why, e.By), Link: "/network"})
	}
}

// owner tells this data directory's rules from those of another Cordon on the machine.
func owner(dir string) string {
	if whole, err := filepath.Abs(dir); err == nil {
		dir = whole
	}
	sum := sha256.Sum256([]byte(dir))
	return hex.EncodeToString(sum[:8])
}

// imagePorts are those at which the gateway takes associations and web requests.
func (c Config) imagePorts() (ports []uint16) {
	listens := []string{c.Gateway.Listen}
	if t := c.Gateway.TLS; t != nil {
		listens = append(listens, t.Listen)
	}
	if w := c.Gateway.Web; w != nil {
		listens = append(listens, w.Listen)
	}
	for _, l := range listens {
		_, text, err := net.SplitHostPort(l)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseUint(text, 10, 16); err == nil && n != 0 {
			ports = append(ports, uint16(n))
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// own are the addresses of this machine that modalities may call.
func (c Config) own() (all []netip.Prefix) {
	if host, _, err := net.SplitHostPort(c.Gateway.Listen); err == nil {
		if a, err := netip.ParseAddr(host); err == nil && !a.IsUnspecified() && !a.IsLoopback() {
			return []netip.Prefix{netip.PrefixFrom(a, a.BitLen())}
		}
	}
	found, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, f := range found {
		p, err := netip.ParsePrefix(f.String())
		if err == nil && !p.Addr().IsLoopback() && !p.Addr().IsLinkLocalUnicast() {
			all = append(all, netip.PrefixFrom(p.Addr(), p.Addr().BitLen()))
		}
	}
	return all
}

// at are an archive's addresses: where it listens, and calls from.
func (a ArchiveConfig) at() []netip.Prefix {
	all := slices.Clone(a.Addresses)
	if to, err := netip.ParseAddrPort(a.Address); err == nil && !to.Addr().IsLoopback() {
		p := netip.PrefixFrom(to.Addr().Unmap(), to.Addr().Unmap().BitLen())
		if !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return slices.DeleteFunc(all, func(p netip.Prefix) bool { return p.Addr().IsLoopback() })
}

// lookup is what a name that a ticket is for stands for.
func (p *parts) lookup(ctx context.Context, c Config, name string) (ticket.Place, error) {
	if name == "gateway" {
		return ticket.Place{Addresses: c.own()}, nil
	}
	for _, v := range p.devices.Devices() {
		if v.Name != name {
			continue
		}
		about, err := p.devices.Inventory(ctx, name)
		return ticket.Place{Addresses: v.Addresses, Critical: about.Criticality == asset.Life || about.Criticality == asset.High}, err
	}
	for _, a := range c.Archives {
		if a.Name == name {
			return ticket.Place{Addresses: a.at(), Critical: true}, nil
		}
	}
	return ticket.Place{}, fmt.Errorf("a name that there is: no device or archive is called %.60q, and \"gateway\" is this machine (cordon device list)", name)
}

// whose is who has an address: a device, an archive, or this machine.
func (p *parts) whose(c Config, a netip.Addr) string {
	has := func(all []netip.Prefix) bool {
		return slices.ContainsFunc(all, func(n netip.Prefix) bool { return n.Contains(a) })
	}
	for _, v := range p.devices.Devices() {
		if has(v.Addresses) {
			return "device " + v.Name
		}
	}
	for _, archive := range c.Archives {
		if has(archive.at()) {
			return "archive " + archive.Name
		}
	}
	if has(c.own()) {
		return "this machine's own"
	}
	return ""
}

// imports are those on the ledger, the latest first.
func (p *parts) imports(ctx context.Context, since time.Time, each func(media.Summary) bool) error {
	page, err := p.search.Find(ctx, search.Query{Kinds: []string{"media.import"}, From: since}, search.End, 200)
	if err != nil {
		return err
	}
	for _, r := range page.Records {
		var s media.Summary
		if err := json.Unmarshal(r.Body, &s); err != nil {
			return fmt.Errorf("record %d: %w", r.Seq, err)
		}
		if !each(s) {
			break
		}
	}
	return nil
}

// online is when somebody was last there.
func (p *parts) online(ctx context.Context, person string) (last time.Time) {
	if !p.people.Exist() {
		return last
	}
	account, err := p.people.Get(ctx, person)
	if err != nil {
		return last
	}
	sessions, err := p.people.Sessions(ctx, account.ID)
	if err != nil {
		return last
	}
	for _, s := range sessions {
		if s.Used.After(last) {
			last = s.Used
		}
	}
	return last
}

func (p *parts) ticketAlarm(ctx context.Context, t ticket.Ticket, says string) {
	p.alarms.Raise(ctx, alarm.Alarm{Kind: "ticket.attention", Subject: t.ID, Text: says, Link: "/tickets"})
}

// encrypted tells that somebody's connection could not be looked into.
func (d *daemon) encrypted(ctx context.Context, device string, from netip.Addr, archive string, passed bool) {
	says := fmt.Sprintf("%s (%s) speaks TLS to archive %s: the connection was ended; gateway.transparent.tls says what becomes of such", or(device, "an unknown device"), from, archive)
	if passed {
		says = fmt.Sprintf("%s (%s) speaks TLS to archive %s: its images pass uninspected; let it send to Cordon itself", or(device, "an unknown device"), from, archive)
	}
	d.parts.alarms.Raise(ctx, alarm.Alarm{Kind: "transparent.encrypted", Subject: or(device, from.String()), Text: says, Link: "/network"})
}

// planSources are what a firewall plan is computed from.
func (p *parts) planSources(ctx context.Context, c Config) (plan.Sources, error) {
	flows, err := p.devices.AllFlows(ctx)
	if err != nil {
		return plan.Sources{}, err
	}
	about, err := p.devices.Inventories(ctx)
	if err != nil {
		return plan.Sources{}, err
	}
	s := plan.Sources{Zones: c.Plan.Zones, Gateway: c.own(), Ports: c.imagePorts(), Management: c.Plan.Management}
	for _, v := range p.devices.Devices() {
		if v.Denied {
			continue
		}
		d := plan.Device{Name: v.Name, Addresses: v.Addresses, Zone: about[v.Name].Zone, Flows: slices.Concat(flows[v.Name], c.Network.Infrastructure)}
		if _, ok := v.Outlet(); ok {
			d.Outlet = v.Port
		}
		s.Devices = append(s.Devices, d)
	}
	on := p.transparent != nil && p.transparent.State().On
	for _, a := range c.Archives {
		one := plan.Archive{Name: a.Name, Addresses: a.at()}
		if to, err := netip.ParseAddrPort(a.Address); err == nil {
			one.Port = to.Port()
		}
		if t := c.Gateway.Transparent; t != nil && t.leads(a.Name) && on {
			one.Direct = t.From
		}
		s.Archives = append(s.Archives, one)
	}
	err = p.seen(ctx, &s)
	return s, err
}

// seen adds what was seen on the network, and what devices did here.
func (p *parts) seen(ctx context.Context, s *plan.Sources) error {
	devices, err := p.devices.List(ctx)
	if err != nil {
		return err
	}
	w, err := p.watched(ctx)
	if err != nil {
		return err
	}
	rows, err := w.Seen(ctx)
	if err != nil {
		return err
	}
	for _, r := range rows {
		s.Seen = append(s.Seen, plan.Seen{From: r.Src, To: r.Dst, Protocol: uint8(r.Protocol), Port: r.Port, Last: r.Last, Times: max(r.Attempts, r.Established)})
		if s.Watching.IsZero() || r.First.Before(s.Watching) {
			s.Watching = r.First
		}
	}
	for _, v := range devices {
		for _, text := range v.Addresses {
			a, err := netip.ParseAddr(text)
			if err != nil || v.LastSeen.IsZero() || len(s.Gateway) == 0 || len(s.Ports) == 0 {
				continue
			}
			to := s.Gateway[0].Addr()
			s.Seen = append(s.Seen, plan.Seen{From: a, To: to, Protocol: 6, Port: s.Ports[0], Last: v.LastSeen, Times: uint64(v.Associations)})
		}
	}
	return nil
}
