// Package hospital makes the traffic of a small hospital's imaging network, as frames,
// to try sensors and rules with: modalities at work, worklists, DHCP, names, time,
// logon, retrieves, a backup, monitoring, a vendor's remote session with a ticket.
//
//	h := hospital.New()
//	packets := h.Hour(start, 1)            // by time; the same seed makes the same hour
//	w, err := network.New(ctx, h.Config(), network.Parts{})
//
// Nothing of it is sent anywhere. Payloads are zeros. Hostile conversations are added
// with the methods of a Story.
package hospital

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"cordon/asset"
	"cordon/network"
)

// Hospital is who is there.
type Hospital struct {
	Modalities                      []Host // us1, us2, ct1, mr1, dx1, xa1
	Gateway, PACS, VNA              Host
	Workstations                    []Host
	Office                          []Host
	Domain, Licence, Backup, Vendor Host
	Monitor, Router                 Host
}

// Names are the modalities', in their order.
var names = [...]string{"us1", "us2", "ct1", "mr1", "dx1", "xa1"}

// New returns the hospital.
func New() *Hospital {
	h := &Hospital{}
	for i := range names {
		h.Modalities = append(h.Modalities, host(1, 11+i))
	}
	for i := range 4 {
		h.Workstations = append(h.Workstations, host(3, 31+i))
		h.Office = append(h.Office, host(4, 41+i))
	}
	h.Gateway, h.PACS, h.VNA = host(0, 1), host(2, 20), host(2, 21)
	h.Domain, h.Licence, h.Backup, h.Vendor = host(6, 60), host(6, 61), host(6, 62), host(9, 5)
	h.Monitor, h.Router = host(6, 63), host(0, 254)
	return h
}

func host(network, last int) Host {
	return Host{netip.AddrFrom4([4]byte{10, 1, byte(network), byte(last)}), [6]byte{2, 0, 10, 1, byte(network), byte(last)}}
}

// At is a further host, of the network of offices: nobody's device.
func At(last int) Host { return host(40, last) }

// Outside is a host outside the hospital, behind the router.
func (h *Hospital) Outside(last int) Host {
	return Host{netip.AddrFrom4([4]byte{198, 51, 100, byte(last)}), h.Router.MAC}
}

func prefix(hs ...Host) (out []netip.Prefix) {
	for _, h := range hs {
		out = append(out, netip.PrefixFrom(h.Addr, h.Addr.BitLen()))
	}
	return out
}

// Config is what a watch over the hospital is told: all modalities but mr1 have
// declared flows; what mr1 does is learned.
func (h *Hospital) Config() network.Config {
	infrastructure := []asset.Flow{
		{Purpose: "dns", To: prefix(h.Domain), Protocol: "udp", Port: 53}, {Purpose: "dns", To: prefix(h.Domain), Protocol: "tcp", Port: 53},
		{Purpose: "time", To: prefix(h.Domain), Protocol: "udp", Port: 123}, {Purpose: "dhcp", Protocol: "udp", Port: 67},
		{Purpose: "other", To: prefix(h.Monitor), Protocol: "icmp", Inbound: true}, {Purpose: "other", To: prefix(h.Monitor), Protocol: "udp", Port: 161, Inbound: true},
		{Purpose: "other", To: prefix(h.Gateway), Protocol: "icmp"},
		{Purpose: "dicom", To: prefix(h.Gateway), Protocol: "tcp", Port: 104}, {Purpose: "dicom", To: prefix(h.Gateway), Protocol: "tcp", Port: 104, Inbound: true},
	}
	logon := []asset.Flow{
		{Purpose: "logon", To: prefix(h.Domain), Protocol: "tcp", Port: 88}, {Purpose: "logon", To: prefix(h.Domain), Protocol: "tcp", Port: 389},
		{Purpose: "logon", To: prefix(h.Domain), Protocol: "tcp", Port: 445}, {Purpose: "logon", To: prefix(h.Domain), Protocol: "tcp", Port: 135},
		{Purpose: "logon", To: prefix(h.Domain), Protocol: "tcp", Port: 49152, PortTo: 65535},
		{Purpose: "licence", To: prefix(h.Licence), Protocol: "tcp", Port: 27000, PortTo: 27009},
		{Purpose: "service", To: prefix(h.Vendor), Protocol: "tcp", Port: 5900, Inbound: true},
	}
	var devices []network.Declared
	for i, m := range h.Modalities {
		d := network.Declared{Name: names[i], Addresses: prefix(m), Modality: true, Flows: infrastructure}
		if d.Name != "mr1" {
			d.Flows, d.Strict = slices.Concat(logon, infrastructure), true
		}
		devices = append(devices, d)
	}
	return network.Config{
		Devices: func() []network.Declared { return devices },
		Servers: []network.Server{
			{Name: "gateway", Addresses: prefix(h.Gateway), Ports: []uint16{104}},
			{Name: "pacs", Addresses: prefix(h.PACS), Ports: []uint16{104}}, {Name: "vna", Addresses: prefix(h.VNA), Ports: []uint16{104}},
		},
	}
}

// Story is traffic that is being put together.
type Story struct {
	wire
	h      *Hospital
	random *rand.Rand
	from   time.Time
	to     time.Time
}

// Story begins one that is empty.
func (h *Hospital) Story(start time.Time, length time.Duration, seed uint64) *Story {
	return &Story{h: h, random: rand.New(rand.NewPCG(seed, 1)), from: start, to: start.Add(length)}
}

// Hour is an hour of work.
func (h *Hospital) Hour(start time.Time, seed uint64) []Packet {
	s := h.Story(start, time.Hour, seed)
	s.Work()
	return s.Packets()
}

// Packets are those of the story, by time.
func (s *Story) Packets() []Packet {
	slices.SortStableFunc(s.out, func(a, b Packet) int { return a.At.Compare(b.At) })
	return s.out
}

// every does something at intervals that vary by half, from some time in the first one.
func (s *Story) every(mean time.Duration, do func(at time.Time)) {
	for at := s.from.Add(time.Duration(s.random.Int64N(int64(mean)))); at.Before(s.to); {
		do(at)
		at = at.Add(mean/2 + time.Duration(s.random.Int64N(int64(mean))))
	}
}

// Write writes packets as a pcap file.
func Write(w io.Writer, packets []Packet) error {
	head := make([]byte, 24)
	le := binary.LittleEndian
	le.PutUint32(head, 0xa1b2c3d4)
	le.PutUint16(head[4:], 2)
	le.PutUint16(head[6:], 4)
	le.PutUint32(head[16:], 1<<16)
	le.PutUint32(head[20:], 1)
	if _, err := w.Write(head); err != nil {
		return err
	}
	for _, p := range packets {
		le.PutUint32(head, uint32(p.At.Unix()))
		le.PutUint32(head[4:], uint32(p.At.Nanosecond()/1000))
		le.PutUint32(head[8:], uint32(len(p.Data)))
		le.PutUint32(head[12:], uint32(p.Size))
		if _, err := w.Write(append(head[:16:16], p.Data...)); err != nil {
			return err
		}
	}
	return nil
}
