package frame

import (
	"encoding/binary"
	"net/netip"

	"cordon/network"
)

func (p *Packet) ipv4(b []byte) bool {
	if len(b) < 20 || b[0]>>4 != 4 {
		p.Odd = true
		return false
	}
	head, length := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if length == 0 { // of a segment that the network card has yet to cut
		length = len(b)
	}
	p.Src, p.Dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	p.Kind, p.Protocol, p.Length = IP, network.Protocol(b[9]), length
	if head < 20 || length < head || len(b) < head {
		p.Odd = true
		return true
	}
	if binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
		p.Fragment = true
		return true
	}
	p.transport(b[head:min(len(b), length)], length-head)
	return true
}

// Extension headers (RFC 8200 §4, IANA IPv6 Extension Header Types).
const (
	hopByHop     = 0
	routing      = 43
	fragment     = 44
	authentic    = 51
	destinations = 60
	mobility     = 135
	hostIdentity = 139
	shim6        = 140

	maxExtensions = 8 // in a row; RFC 8200 recommends four kinds once each
)

func (p *Packet) ipv6(b []byte) bool {
	if len(b) < 40 || b[0]>>4 != 6 {
		p.Odd = true
		return false
	}
	p.Src, p.Dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	left := int(binary.BigEndian.Uint16(b[4:]))
	if left == 0 { // a jumbogram, or a segment that has yet to be cut
		left = len(b) - 40
	}
	p.Kind, p.Length = IP, 40+left
	next := b[6]
	b = b[40:min(len(b), 40+left)]
	for range maxExtensions {
		size := extension(next, b)
		if size == 0 {
			p.Protocol = network.Protocol(next)
			p.transport(b, left)
			return true
		}
		if len(b) < size || left < size {
			p.Odd = true
			p.Protocol = network.Protocol(next)
			return true
		}
		if next == fragment && binary.BigEndian.Uint16(b[2:])&0xfff8 != 0 {
			p.Fragment, p.Protocol = true, network.Protocol(b[0])
			return true
		}
		next, b, left = b[0], b[size:], left-size
	}
	p.Odd, p.Protocol = true, network.Protocol(next)
	return true
}

// extension is the size of the extension header that b begins with, 0 if it is none.
// One that is cut short has at least the size of what tells its size.
func extension(kind byte, b []byte) int {
	switch kind {
	case fragment:
		return 8
	case hopByHop, routing, destinations, mobility, hostIdentity, shim6:
		if len(b) < 2 {
			return 8
		}
		return 8 + 8*int(b[1])
	case authentic: // RFC 4302 §2.2
		if len(b) < 2 {
			return 8
		}
		return 8 + 4*int(b[1])
	}
	return 0
}

// transport reads what comes after the IP headers: b as far as it was captured, of
// length bytes on the wire.
func (p *Packet) transport(b []byte, length int) {
	switch p.Protocol {
	case network.TCP:
		p.tcp(b, length)
	case network.UDP:
		if len(b) < 8 || length < 8 {
			p.Odd = true
			return
		}
		p.SrcPort, p.DstPort = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
		p.Payload = length - 8
	case network.ICMP, network.ICMPv6:
		p.icmp(b)
	}
}

func (p *Packet) tcp(b []byte, length int) {
	if len(b) < 20 || length < 20 {
		p.Odd = true
		if len(b) >= 4 {
			p.SrcPort, p.DstPort = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
		}
		return
	}
	p.SrcPort, p.DstPort = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	p.Seq, p.Ack = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	p.Flags = b[13]
	head := int(b[12]>>4) * 4
	if head < 20 || head > length {
		p.Odd = true
		return
	}
	p.Payload = length - head
}

// Types of ICMP (RFC 792, RFC 4443) and neighbour discovery (RFC 4861).
const (
	EchoReply, Echo         = 0, 8
	Echo6, EchoReply6       = 128, 129
	unreachable, exceeded   = 3, 11
	unreachable6, exceeded6 = 1, 3
	solicitation            = 135
	advertisement           = 136
	optionSource            = 1 // link-layer addresses
	optionTarget            = 2
)

func (p *Packet) icmp(b []byte) {
	if len(b) < 8 {
		p.Odd = true
		return
	}
	p.Type, p.Code = b[0], b[1]
	six := p.Protocol == network.ICMPv6
	switch {
	case !six && (p.Type == unreachable || p.Type == exceeded), six && (p.Type == unreachable6 || p.Type == exceeded6):
		p.Inner = inner(b[8:])
	case six && p.Type == advertisement && len(b) >= 24:
		p.neighbour(netip.AddrFrom16([16]byte(b[8:24])), b[24:], optionTarget)
	case six && p.Type == solicitation && len(b) >= 24 && !p.Src.IsUnspecified():
		p.neighbour(p.Src, b[24:], optionSource)
	}
}

// neighbour looks for the one option that says whose address it is.
func (p *Packet) neighbour(addr netip.Addr, options []byte, want byte) {
	for len(options) >= 8 {
		size := 8 * int(options[1])
		if size == 0 || size > len(options) {
			return
		}
		if options[0] == want {
			p.Kind, p.Claimed, p.Claimant = Neighbour, addr, network.MAC(options[2:8])
			return
		}
		options = options[size:]
	}
}

// inner is the conversation that an ICMP error quotes the packet of.
func inner(b []byte) (t Tuple) {
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		head := int(b[0]&15) * 4
		if head < 20 || len(b) < head+4 {
			return t
		}
		t.Src, t.Dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
		t.Protocol = network.Protocol(b[9])
		b = b[head:]
	case len(b) >= 44 && b[0]>>4 == 6:
		t.Src, t.Dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
		t.Protocol = network.Protocol(b[6])
		b = b[40:]
	default:
		return t
	}
	if t.Protocol == network.TCP || t.Protocol == network.UDP {
		t.SrcPort, t.DstPort = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	}
	return t
}
