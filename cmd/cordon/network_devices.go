package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strconv"
	"time"

	"cordon/asset"
	"cordon/custody"
	"cordon/network"
	"cordon/network/mud"
	"cordon/plan"
)

// read reads a description, and who signed it where a signature is asked for.
func (m *MUDConfig) read() (*mud.Description, error) {
	text, err := readSmallFile(m.File)
	if err != nil {
		return nil, err
	}
	if m.Signature != "" {
		if err := m.verify(text); err != nil {
			return nil, err
		}
	}
	return mud.Parse(text)
}

func (m *MUDConfig) verify(text []byte) error {
	signature, err := readSmallFile(m.Signature)
	if err != nil {
		return err
	}
	pem, err := readSmallFile(m.Authorities)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s holds no certificate", m.Authorities)
	}
	_, err = mud.Verify(text, signature, roots, time.Now())
	return err
}

// site is what a description leaves to the hospital.
func (m *MUDConfig) site(ctx context.Context, inside []netip.Prefix) mud.Site {
	return mud.Site{
		Controllers: m.Controllers, Mine: m.Mine, Local: inside,
		Resolve: func(name string) ([]netip.Addr, error) {
			ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
			defer cancel()
			return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		},
	}
}

// byConfiguration is who declares what the configuration says.
var byConfiguration = custody.Request{By: "the configuration", Reason: "the configuration file says so"}

// describe takes what the configuration says of devices into the register. What the
// register has already is not written, and not recorded, again.
func (d *daemon) describe(ctx context.Context) error {
	var errs []error
	flows, err := d.parts.devices.AllFlows(ctx)
	if err != nil {
		return err
	}
	for _, about := range d.config.About {
		errs = append(errs, d.describeOne(ctx, about, flows[about.Name]))
	}
	return errors.Join(errs...)
}

func (d *daemon) describeOne(ctx context.Context, about AboutConfig, declared []asset.Flow) error {
	known, err := d.parts.devices.Inventory(ctx, about.Name)
	if err != nil {
		return err
	}
	if said := overlay(known, about.Inventory); !reflect.DeepEqual(said, known) {
		if err := d.parts.devices.SetInventory(ctx, about.Name, said, byConfiguration); err != nil {
			return fmt.Errorf("devices: %s: inventory: %w", about.Name, err)
		}
	}
	for source, flows := range map[asset.Source][]asset.Flow{asset.FromConfig: about.Flows, asset.FromMUD: d.mudFlows(ctx, about), asset.FromMDS2: d.portFlows(about)} {
		if err := d.declare(ctx, about.Name, source, flows, declared); err != nil {
			return fmt.Errorf("devices: %s: flows: %w", about.Name, err)
		}
	}
	return nil
}

// declare writes what one source declares, unless it is what stands there.
func (d *daemon) declare(ctx context.Context, name string, source asset.Source, flows, declared []asset.Flow) error {
	var old []asset.Flow
	for _, f := range declared {
		if f.Source == source {
			old = append(old, f)
		}
	}
	said := slices.Clone(flows)
	for i := range said {
		said[i].Source = source
	}
	if len(old) == len(said) && (len(old) == 0 || reflect.DeepEqual(old, said)) {
		return nil
	}
	return d.parts.devices.SetFlows(ctx, name, source, flows, byConfiguration)
}

// mudFlows are those of a device's description. What of it cannot be used is said once,
// at the start.
func (d *daemon) mudFlows(ctx context.Context, about AboutConfig) []asset.Flow {
	if about.MUD == nil {
		return nil
	}
	description, err := about.MUD.read()
	if err != nil {
		d.log.Error("manufacturer usage description not read; the device is watched without", "device", about.Name, "error", err)
		return nil
	}
	flows, left := description.Flows(about.MUD.site(ctx, d.config.Network.Inside))
	for _, why := range left {
		d.log.Warn("of a manufacturer usage description something is left out", "device", about.Name, "entry", why)
	}
	return flows
}

func (d *daemon) portFlows(about AboutConfig) []asset.Flow {
	if about.Ports == "" {
		return nil
	}
	f, err := os.Open(about.Ports)
	if err == nil {
		defer f.Close()
		var flows []asset.Flow
		if flows, err = mud.Ports(f); err == nil {
			return flows
		}
	}
	d.log.Error("list of ports not read; the device is watched without", "device", about.Name, "error", err)
	return nil
}

// overlay is an inventory with what the configuration says in the place of what was
// said before.
func overlay(known, said asset.Inventory) asset.Inventory {
	to, from := reflect.ValueOf(&known).Elem(), reflect.ValueOf(said)
	for i := range from.NumField() {
		if !from.Field(i).IsZero() {
			to.Field(i).Set(from.Field(i))
		}
	}
	return known
}

// declared are the devices as the network is held against them: what the gateway
// admits, what anybody declared, what is every device's.
func (d *daemon) declared(ctx context.Context) ([]network.Declared, error) {
	flows, err := d.parts.devices.AllFlows(ctx)
	if err != nil {
		return nil, err
	}
	inventories, err := d.parts.devices.Inventories(ctx)
	if err != nil {
		return nil, err
	}
	own := d.ownFlows()
	var out []network.Declared
	for _, v := range d.parts.devices.Devices() {
		if len(v.Addresses) == 0 {
			continue // it may call from anywhere
		}
		one := network.Declared{
			Name: v.Name, Addresses: v.Addresses, Modality: d.config.images(inventories[v.Name], v.Addresses),
			Strict: len(flows[v.Name]) > 0,
			Flows:  slices.Concat(flows[v.Name], own, d.config.Network.Infrastructure),
		}
		if v.Port != 0 {
			one.Flows = append(one.Flows, asset.Flow{Purpose: "dicom", To: d.gatewayAddresses(), Protocol: "tcp", Port: v.Port, Inbound: true})
		}
		if i := slices.IndexFunc(d.config.About, func(a AboutConfig) bool { return a.Name == v.Name }); i >= 0 {
			one.Hardware = d.config.About[i].Hardware
		}
		out = append(out, one)
	}
	return out, nil
}

// ownFlows are what every device may ask of the gateway.
func (d *daemon) ownFlows() []asset.Flow {
	here := d.gatewayAddresses()
	out := []asset.Flow{{Purpose: "other", To: here, Protocol: "icmp"}, {Purpose: "other", To: here, Protocol: "icmp", Inbound: true}}
	for _, port := range d.gatewayPorts() {
		out = append(out, asset.Flow{Purpose: "dicom", To: here, Protocol: "tcp", Port: port})
	}
	return out
}

// gatewayPorts are those at which images arrive.
func (d *daemon) gatewayPorts() (out []uint16) {
	for _, l := range []net.Listener{d.dicom, d.dicomTLS, d.web} {
		if l != nil {
			if a, err := netip.ParseAddrPort(l.Addr().String()); err == nil {
				out = append(out, a.Port())
			}
		}
	}
	return out
}

// gatewayAddresses are those of this host at which the gateway listens.
func (d *daemon) gatewayAddresses() (out []netip.Prefix) {
	for _, l := range []net.Listener{d.dicom, d.dicomTLS, d.web} {
		if l == nil {
			continue
		}
		a, err := netip.ParseAddrPort(l.Addr().String())
		switch {
		case err != nil:
		case a.Addr().IsUnspecified():
			return hostAddresses()
		default:
			out = append(out, single(a.Addr()))
		}
	}
	return out
}

func single(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	return netip.PrefixFrom(a, a.BitLen())
}

// hostAddresses are all of this host.
func hostAddresses() (out []netip.Prefix) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, single(p.Addr()))
		}
	}
	return out
}

// servers are the gateway and the archives.
func (d *daemon) servers() []network.Server {
	out := []network.Server{{Name: "gateway", Addresses: d.gatewayAddresses(), Ports: d.gatewayPorts()}}
	for _, a := range d.config.Archives {
		s := network.Server{Name: a.Name, Addresses: a.Addresses}
		if _, port, err := net.SplitHostPort(a.Address); err == nil {
			if n, err := strconv.ParseUint(port, 10, 16); err == nil {
				s.Ports = append(s.Ports, uint16(n))
			}
		}
		out = append(out, s)
	}
	return out
}

// replay is a watch over recorded traffic: the devices of the configuration, and what
// it declares of them. Addresses that are looked up by name are left out.
func (c Config) replay() network.Config {
	gateway := network.Server{Name: "gateway"}
	if a, err := netip.ParseAddrPort(c.Gateway.Listen); err == nil {
		if gateway.Ports = []uint16{a.Port()}; !a.Addr().IsUnspecified() {
			gateway.Addresses = []netip.Prefix{single(a.Addr())}
		}
	}
	servers := []network.Server{gateway}
	for _, a := range c.Archives {
		s := network.Server{Name: a.Name, Addresses: a.Addresses}
		if at, err := netip.ParseAddrPort(a.Address); err == nil {
			s.Addresses, s.Ports = append(s.Addresses, single(at.Addr())), []uint16{at.Port()}
		}
		servers = append(servers, s)
	}
	var devices []network.Declared
	for i, v := range c.Devices {
		if len(v.Addresses) > 0 {
			one := c.About[i].declared(v.Addresses, c.Network.Infrastructure, gateway)
			one.Modality = c.images(c.About[i].Inventory, v.Addresses)
			devices = append(devices, one)
		}
	}
	return network.Config{
		Devices: func() []network.Declared { return devices }, Servers: servers,
		Inside: c.Network.Inside, Learn: c.Network.Learn, Settings: c.Network.Rules,
	}
}

// declared is a device as the configuration alone declares it.
func (a AboutConfig) declared(addresses []netip.Prefix, infrastructure []asset.Flow, gateway network.Server) network.Declared {
	flows := slices.Clone(a.Flows)
	if a.MUD != nil {
		if description, err := a.MUD.read(); err == nil {
			more, _ := description.Flows(mud.Site{Controllers: a.MUD.Controllers, Mine: a.MUD.Mine})
			flows = append(flows, more...)
		}
	}
	strict := len(flows) > 0
	for _, port := range gateway.Ports {
		flows = append(flows, asset.Flow{Purpose: "dicom", To: gateway.Addresses, Protocol: "tcp", Port: port})
	}
	return network.Declared{Name: a.Name, Addresses: addresses, Hardware: a.Hardware, Strict: strict, Flows: append(flows, infrastructure...)}
}

// modalities is the zone of devices that make images.
const modalities = "modalities"

// images reports whether a device makes images: its inventory says so, or the zone that
// it is in.
func (c Config) images(v asset.Inventory, addresses []netip.Prefix) bool {
	if v.Modality != "" || v.Zone == modalities {
		return true
	}
	return slices.ContainsFunc(c.Plan.Zones, func(z plan.Zone) bool {
		return z.Name == modalities && slices.ContainsFunc(z.Networks, func(n netip.Prefix) bool {
			return slices.ContainsFunc(addresses, func(a netip.Prefix) bool { return n.Contains(a.Addr()) })
		})
	})
}
