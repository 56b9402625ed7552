// Package frame reads the headers of frames: Ethernet (IEEE 802.3) with VLAN tags
// (802.1Q, 802.1ad), ARP (RFC 826), IPv4 (RFC 791), IPv6 with its extension headers
// (RFC 8200), TCP, UDP, ICMP and neighbour discovery (RFC 4861).
//
//	var p frame.Packet
//	if frame.Ethernet(&p, data) { … p.Src, p.Dst, p.Protocol … }
//
// It asks for no memory, keeps no reference to what it is given, and needs the first
// 128 bytes of a frame at most. What is cut short or contradicts itself is Odd, with
// as much as could be read. It reads no payload, and will not put fragments together:
// the first one has the ports, the others belong to no conversation.
package frame

import (
	"encoding/binary"
	"net/netip"

	"cordon/network"
)

// Kind says what a frame carries.
type Kind uint8

const (
	Other     Kind = iota // nothing that is looked at
	IP                    // IPv4 or IPv6
	Neighbour             // ARP or neighbour discovery: who has which address
)

// Flags of TCP (RFC 9293 §3.1).
const (
	FIN = 1 << iota
	SYN
	RST
	PSH
	ACK
)

// Packet is what the headers of one frame say.
type Packet struct {
	SrcMAC, DstMAC network.MAC // zero where the link has none
	VLAN           uint16      // the outermost; 0: none
	Kind           Kind
	Odd            bool // cut short, or its lengths contradict one another

	Src, Dst         netip.Addr
	Protocol         network.Protocol
	Length           int  // of the IP packet as it was on the wire, in bytes
	Fragment         bool // one after the first: no ports
	SrcPort, DstPort uint16
	Flags            uint8  // of TCP
	Seq, Ack         uint32 // of TCP
	Payload          int    // of TCP and UDP, bytes on the wire; what is captured may be less

	Type, Code uint8 // of ICMP
	Inner      Tuple // of an ICMP error: what it is about

	Claimed  netip.Addr  // of Neighbour: the address
	Claimant network.MAC // and who says to have it
}

// Tuple names a conversation, as its packets do.
type Tuple struct {
	Src, Dst         netip.Addr // of no value: none
	Protocol         network.Protocol
	SrcPort, DstPort uint16
}

// Ethertypes (IANA, IEEE 802 Numbers).
const (
	typeIPv4    = 0x0800
	typeARP     = 0x0806
	typeVLAN    = 0x8100
	typeIPv6    = 0x86dd
	typeQinQ    = 0x88a8
	typeQinQOld = 0x9100
)

const maxTags = 4 // of VLANs; two are in use

// Ethernet reads a frame that begins with its destination. It is false if nothing in
// it is of interest.
func Ethernet(p *Packet, b []byte) bool {
	*p = Packet{}
	if len(b) < 14 {
		p.Odd = true
		return false
	}
	copy(p.DstMAC[:], b)
	copy(p.SrcMAC[:], b[6:])
	kind := binary.BigEndian.Uint16(b[12:])
	b = b[14:]
	for range maxTags {
		if kind != typeVLAN && kind != typeQinQ && kind != typeQinQOld {
			break
		}
		if len(b) < 4 {
			p.Odd = true
			return false
		}
		if p.VLAN == 0 {
			p.VLAN = binary.BigEndian.Uint16(b) & 0x0fff
		}
		kind = binary.BigEndian.Uint16(b[2:])
		b = b[4:]
	}
	return p.network(kind, b)
}

// Network reads a packet without a link layer, such as those of a tunnel.
func Network(p *Packet, b []byte) bool {
	*p = Packet{}
	if len(b) == 0 {
		p.Odd = true
		return false
	}
	switch b[0] >> 4 {
	case 4:
		return p.network(typeIPv4, b)
	case 6:
		return p.network(typeIPv6, b)
	}
	return false
}

// Cooked reads a frame of Linux's own link types: LINKTYPE_LINUX_SLL, and with
// second LINKTYPE_LINUX_SLL2.
func Cooked(p *Packet, b []byte, second bool) bool {
	*p = Packet{}
	head, kindAt, macAt := 16, 14, 6
	if second {
		head, kindAt, macAt = 20, 0, 12
	}
	if len(b) < head {
		p.Odd = true
		return false
	}
	copy(p.SrcMAC[:], b[macAt:macAt+6])
	return p.network(binary.BigEndian.Uint16(b[kindAt:]), b[head:])
}

func (p *Packet) network(kind uint16, b []byte) bool {
	switch kind {
	case typeIPv4:
		return p.ipv4(b)
	case typeIPv6:
		return p.ipv6(b)
	case typeARP:
		return p.arp(b)
	}
	return false
}

// arp reads who says to have an address: the sender of requests and answers alike
// (RFC 826); a probe has none yet (RFC 5227 §2.1.1).
func (p *Packet) arp(b []byte) bool {
	if len(b) < 28 {
		p.Odd = true
		return false
	}
	const ethernet, size = 1, 0x0604 // hardware and protocol lengths
	if binary.BigEndian.Uint16(b) != ethernet || binary.BigEndian.Uint16(b[2:]) != typeIPv4 || binary.BigEndian.Uint16(b[4:]) != size {
		return false
	}
	addr := netip.AddrFrom4([4]byte(b[14:18]))
	if addr.IsUnspecified() {
		return false
	}
	p.Kind, p.Claimed, p.Claimant = Neighbour, addr, network.MAC(b[8:14])
	return true
}
