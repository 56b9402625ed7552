package track

import (
	"net/netip"
	"time"

	"cordon/network"
	"cordon/network/frame"
)

// key names a conversation, whichever way its packets go.
type key struct {
	low, high         [16]byte
	lowPort, highPort uint16
	protocol          network.Protocol
	six               bool
}

func keyOf(src, dst netip.Addr, srcPort, dstPort uint16, p network.Protocol) key {
	k := key{src.As16(), dst.As16(), srcPort, dstPort, p, src.Is6()}
	if c := dst.Compare(src); c < 0 || c == 0 && dstPort < srcPort {
		k.low, k.high, k.lowPort, k.highPort = k.high, k.low, dstPort, srcPort
	}
	return k
}

// flow is one conversation.
type flow struct {
	key              key
	src, dst         netip.Addr // src called
	srcPort, dstPort uint16
	protocol         network.Protocol
	srcMAC, otherMAC network.MAC // of the caller's frames
	state            network.State
	midway, group    bool
	proven           bool
	waits            bool      // in due: for its proof
	from             time.Time // established
	heard            time.Time
	told             time.Time

	packets, bytes uint64 // since it was told of
	total          uint64 // packets
	marked, grown  uint64 // of these: when Thin last looked, and since

	isn, answer uint32 // sequence numbers of TCP: the caller's first, the other end's first
	answered    bool
	next        [2]uint32 // expected: of the caller, of the other end
	ends        uint8     // that have said FIN: 1 the caller, 2 the other
	thin        bool      // most of its packets are not seen

	newer, older *flow // in attempts or talks
	prev, after  *flow // of the same caller
	home         *list
}

// begin remembers a new conversation.
func (t *Table) begin(now time.Time, k key, p *frame.Packet) *flow {
	f := &flow{
		key: k, src: p.Src, dst: p.Dst, srcPort: p.SrcPort, dstPort: p.DstPort, protocol: p.Protocol,
		srcMAC: p.SrcMAC, state: network.Attempt, heard: now, told: now,
		group: p.DstMAC[0]&1 != 0 || p.Dst.IsMulticast() || p.Dst == netip.AddrFrom4([4]byte{255, 255, 255, 255}),
	}
	if f.midway = midway(p); f.midway && answers(p) {
		f.src, f.dst, f.srcPort, f.dstPort = f.dst, f.src, f.dstPort, f.srcPort
		f.srcMAC = network.MAC{}
	}
	if p.Protocol == network.TCP {
		f.begun(p)
	}
	t.flows[k] = f
	t.adopt(now, f)
	t.attempts.add(f)
	t.room(now)
	r := f.report(now, t.conf.Sensor)
	r.Begun = true
	t.sink.Observe(r)
	return f
}

// midway reports whether a packet is not the first of its conversation.
func midway(p *frame.Packet) bool {
	switch p.Protocol {
	case network.TCP:
		return p.Flags&(frame.SYN|frame.ACK) != frame.SYN
	case network.UDP:
		return answers(p)
	}
	return false
}

const ephemeral = 32768 // from here on nobody serves (IANA says 49152, Linux begins here)

// answers guesses whether a packet is from the one who was called.
func answers(p *frame.Packet) bool {
	switch {
	case p.Protocol == network.TCP && p.Flags&(frame.SYN|frame.ACK) == frame.SYN|frame.ACK:
		return true
	case p.Protocol == network.UDP && (p.SrcPort == 67 && p.DstPort == 68 || p.SrcPort == 547 && p.DstPort == 546):
		return true // DHCP, which answers to where nobody asked from
	case p.Protocol == network.UDP:
		return p.SrcPort < 1024 && p.DstPort >= ephemeral
	}
	return p.SrcPort < p.DstPort
}

// over reports whether a packet begins another conversation with the same names.
func (f *flow) over(now time.Time, p *frame.Packet) bool {
	if p.Protocol == network.TCP && p.Flags&(frame.SYN|frame.ACK|frame.RST) == frame.SYN {
		return f.state == network.Closed || f.state == network.Refused || f.midway || p.Src != f.src || p.Seq != f.isn
	}
	return f.protocol != network.TCP && apart(now, f.heard) > f.idle()
}

// idle is how long a conversation lasts without a packet.
func (f *flow) idle() time.Duration {
	switch {
	case f.state == network.Closed || f.state == network.Refused:
		return idleClosed
	case f.protocol != network.TCP:
		return idleShort
	case f.state == network.Established:
		return idleTalk
	}
	return idleAttempt
}

// count adds a packet. Where most are not seen, what the sequence numbers moved by is
// what was carried.
func (f *flow) count(p *frame.Packet, sampled bool) {
	f.packets++
	f.total++
	f.bytes += uint64(p.Length)
	if f.protocol != network.TCP || p.Flags&frame.RST != 0 {
		return
	}
	side := 0
	if p.Src != f.src {
		side = 1
	}
	end := p.Seq + uint32(p.Payload)
	if p.Flags&(frame.SYN|frame.FIN) != 0 {
		end++
	}
	missed := p.Seq - f.next[side]
	if (f.thin || sampled) && f.next[side] != 0 && missed < 1<<30 {
		f.bytes += uint64(missed)
		f.packets += uint64(missed / usualSegment)
	}
	if ahead := end - f.next[side]; f.next[side] == 0 || ahead < 1<<30 {
		f.next[side] = end
	}
}

const usualSegment = 1448 // bytes of a full one on Ethernet, with time stamps

// report is what there is to say of a conversation, and counts anew.
func (f *flow) report(now time.Time, sensor string) network.Flow {
	r := network.Flow{
		Time: now, Src: f.src, Dst: f.dst, SrcPort: f.srcPort, DstPort: f.dstPort, Protocol: f.protocol,
		Packets: f.packets, Bytes: f.bytes, State: f.state, Midway: f.midway, Broadcast: f.group,
		SrcMAC: f.srcMAC, OtherMAC: f.otherMAC, Sensor: sensor,
	}
	if f.proven {
		r.Proof = network.ByTwoWay
	}
	f.packets, f.bytes, f.told = 0, 0, now
	return r
}
