package network

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"
)

// Protocol is the number of what an IP packet carries (IANA Protocol Numbers).
type Protocol uint8

const (
	ICMP   Protocol = 1
	TCP    Protocol = 6
	UDP    Protocol = 17
	ICMPv6 Protocol = 58
)

func (p Protocol) String() string {
	switch p {
	case ICMP:
		return "icmp"
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case ICMPv6:
		return "icmpv6"
	}
	return "protocol-" + strconv.Itoa(int(p))
}

// MAC is a hardware address; the zero MAC is none.
type MAC [6]byte

func (m MAC) String() string {
	if m == (MAC{}) {
		return ""
	}
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// group reports whether frames to m are for several: multicast or broadcast (IEEE
// 802, the first bit on the wire).
func (m MAC) group() bool { return m[0]&1 != 0 }

// State is how far a conversation has come.
type State string

const (
	Attempt     State = "attempt"     // the caller's packets alone have been seen
	Refused     State = "refused"     // the other end, or a router, said no
	Established State = "established" // both ends talk
	Closed      State = "closed"      // talked, and has ended
)

// Proof says why it is believed that an address took part, and not somebody in its
// name.
type Proof string

const (
	NoProof  Proof = ""        // anybody could have sent it
	ByMAC    Proof = "mac"     // the frames came from the hardware that has the address
	ByTwoWay Proof = "two-way" // the caller's answer to the other end's answer was seen
)

// better reports whether p says more than q.
func (p Proof) better(q Proof) bool { return p.rank() > q.rank() }

func (p Proof) rank() int {
	switch p {
	case ByTwoWay:
		return 2
	case ByMAC:
		return 1
	}
	return 0
}

// Flow is what a sensor has to say of one conversation: that it began, how it
// went on, that it ended. Src is who called.
type Flow struct {
	Time             time.Time // of the last packet
	Src, Dst         netip.Addr
	SrcPort, DstPort uint16 // of ICMP: 0 and the type
	Protocol         Protocol
	Packets, Bytes   uint64 // both ways, since the sensor's last report of it
	State            State
	Begun            bool // this is the first report of it
	Changed          bool // State is another than in the report before
	Midway           bool // it was under way when the sensor saw it first: who called is a guess
	Broadcast        bool // to all of a network
	Proof            Proof
	SrcMAC           MAC // of the caller's first frame; zero if the sensor sees none
	OtherMAC         MAC // of a later frame of the caller's that came from another card; zero: none did
	Sensor           string
}

// Claim says that somebody's hardware claimed an address: in ARP (RFC 826), in a
// neighbour advertisement (RFC 4861), or by sending from it.
type Claim struct {
	Time   time.Time
	Addr   netip.Addr
	MAC    MAC
	ARP    bool // said so, in ARP or a neighbour advertisement
	Sensor string
}

// Detection is what an intrusion detection system recognised.
type Detection struct {
	Time             time.Time
	Src, Dst         netip.Addr // of the packet that it recognised something in
	SrcPort, DstPort uint16
	Protocol         Protocol
	Signature        string // its words
	ID               string // of the signature
	Level            int    // 1 is worst
	Proof            Proof
	Sensor           string
}

// Asked is a name that somebody looked up.
type Asked struct {
	Time    time.Time
	Src     netip.Addr
	Name    string // never kept
	Missing bool   // there is no such name (NXDOMAIN)
	Sensor  string
}

// Sink takes what sensors see. A Watch is one. Its methods never wait.
type Sink interface {
	Observe(Flow)
	Claim(Claim)
	Detected(Detection)
	Asked(Asked)
}
