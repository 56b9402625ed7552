// Package track makes conversations of packets: who called, whether there was an
// answer, whether the caller took part in fact.
//
// Ordinary use:
//
//	t := track.New(sink, track.Config{Sensor: "eth1"})
//	if frame.Ethernet(&p, data) { t.Packet(now, &p) }
//	t.Tick(now)                            // every second or so
//
// The life of a conversation: it is reported when its first packet is seen, when it
// is answered or refused, while it goes on every few seconds, and when it ends. Of
// TCP, it is established when the caller acknowledges what the other end said, and
// proven a moment later, if the caller's own host has not sent a reset in between:
// so does a host in whose name somebody else called (RFC 9293 §3.10.7.4).
//
// The table is bounded, and so is what one caller has in it: who calls everybody
// displaces his own conversations, and attempts displace attempts. It starts no
// goroutine, asks no clock, and is not safe for use by several.
package track

import (
	"net/netip"
	"time"

	"cordon/network"
	"cordon/network/frame"
)

// Config of a Table; the zero value means the defaults.
type Config struct {
	Sensor    string // names itself in what it reports
	Flows     int    // conversations that are remembered; 65536
	PerCaller int    // of these, of one caller; 2048
}

const (
	defaultFlows     = 1 << 16
	defaultPerCaller = 1 << 11

	grace  = 100 * time.Millisecond // in which a host resets what it did not begin
	report = 5 * time.Second        // at most so late is told what a conversation has grown by

	idleAttempt = 30 * time.Second
	idleTalk    = 10 * time.Minute // TCP, as long as many firewalls keep it
	idleShort   = 2 * time.Minute  // UDP and ICMP
	idleClosed  = 10 * time.Second // for what comes late
)

// Stats are what a Table has seen since it was made.
type Stats struct {
	Packets, Bytes uint64 // those of thinned conversations are reckoned, see Thin
	Odd            uint64 // packets that are cut short or contradict themselves
	Flows          int    // remembered now
	Displaced      uint64 // forgotten before their time, for want of room
	Busy           int    // of Flows: that are many packets and nothing new
}

// Table is the conversations under way.
type Table struct {
	sink  network.Sink
	conf  Config
	flows map[key]*flow
	by    map[netip.Addr]*caller

	attempts, talks list // by when they were last heard, the latest first
	due             []*flow
	sampled         bool
	swept           time.Time // when what is over was last forgotten
	claims          map[netip.Addr]claim
	stats           Stats
}

// claim is what was last reported of an address.
type claim struct {
	mac network.MAC
	at  time.Time
}

const (
	maxClaims  = 1 << 14
	claimAgain = 30 * time.Second // the same claim is told of again
)

// caller is one who calls.
type caller struct {
	n           int
	first, last *flow // its conversations, the oldest first
}

// New returns an empty Table that reports to sink.
func New(sink network.Sink, c Config) *Table {
	if c.Flows == 0 {
		c.Flows = defaultFlows
	}
	if c.PerCaller == 0 {
		c.PerCaller = min(defaultPerCaller, c.Flows)
	}
	return &Table{sink: sink, conf: c, flows: map[key]*flow{}, by: map[netip.Addr]*caller{}, claims: map[netip.Addr]claim{}}
}

// Stats are the counts so far.
func (t *Table) Stats() Stats {
	s := t.stats
	s.Flows = len(t.flows)
	return s
}

// Packet takes what frame read of one packet. now is when it was seen, and should
// have a monotonic reading.
func (t *Table) Packet(now time.Time, p *frame.Packet) {
	t.stats.Packets++
	t.stats.Bytes += uint64(p.Length)
	if p.Odd {
		t.stats.Odd++
	}
	switch {
	case p.Kind == frame.Neighbour:
		t.claim(now, p.Claimed, p.Claimant)
	case p.Kind != frame.IP, p.Fragment, p.Odd && p.SrcPort == 0:
		// belongs to no conversation
	case p.Protocol == network.ICMP || p.Protocol == network.ICMPv6:
		t.icmp(now, p)
	default:
		t.packet(now, p)
	}
}

func (t *Table) claim(now time.Time, addr netip.Addr, mac network.MAC) {
	old, ok := t.claims[addr]
	if ok && old.mac == mac && apart(now, old.at) < claimAgain {
		return
	}
	if !ok && len(t.claims) >= maxClaims {
		clear(t.claims) // all are told of again
	}
	t.claims[addr] = claim{mac, now}
	t.sink.Claim(network.Claim{Time: now, Addr: addr, MAC: mac, ARP: true, Sensor: t.conf.Sensor})
}

// apart is how far two times lie from one another, whichever came first: a clock may
// be set back.
func apart(a, b time.Time) time.Duration { return a.Sub(b).Abs() }

// icmp follows echoes as conversations; what is unreachable refuses the one that it
// quotes. Anything else belongs to none.
func (t *Table) icmp(now time.Time, p *frame.Packet) {
	six := p.Protocol == network.ICMPv6
	switch {
	case p.Inner.Src.IsValid():
		if p.Inner.Src != p.Dst {
			return // quotes what its receiver did not send
		}
		if f := t.flows[keyOf(p.Inner.Src, p.Inner.Dst, p.Inner.SrcPort, p.Inner.DstPort, p.Inner.Protocol)]; f != nil && f.state == network.Attempt && f.src == p.Inner.Src {
			t.change(now, f, network.Refused)
		}
	case !six && p.Type == frame.Echo || six && p.Type == frame.Echo6:
		p.SrcPort, p.DstPort = 0, uint16(p.Type)
		t.packet(now, p)
	case !six && p.Type == frame.EchoReply || six && p.Type == frame.EchoReply6:
		p.SrcPort, p.DstPort = frame.Echo, 0
		if six {
			p.SrcPort = frame.Echo6
		}
		if t.flows[keyOf(p.Src, p.Dst, p.SrcPort, p.DstPort, p.Protocol)] != nil {
			t.packet(now, p)
		}
	}
}

// packet adds one to its conversation.
func (t *Table) packet(now time.Time, p *frame.Packet) {
	k := keyOf(p.Src, p.Dst, p.SrcPort, p.DstPort, p.Protocol)
	f := t.flows[k]
	if f != nil && f.over(now, p) {
		t.drop(now, f)
		f = nil
	}
	if f == nil {
		if p.Protocol == network.TCP && p.Flags&frame.RST != 0 {
			return // says no to what nobody saw
		}
		f = t.begin(now, k, p)
	}
	t.touch(now, f)
	f.count(p, t.sampled)
	if p.Protocol == network.TCP {
		t.tcp(now, f, p)
	} else if f.state == network.Attempt && p.Src != f.src {
		t.change(now, f, network.Established)
	}
}
