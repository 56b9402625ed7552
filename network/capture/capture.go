// Package capture is a sensor: it listens on network interfaces, those of a mirror
// port or of the gateway itself, and makes conversations of what it hears.
//
// Ordinary use (Linux; needs CAP_NET_RAW):
//
//	s, err := capture.Open(capture.Config{Interfaces: []string{"eth1"}, Promiscuous: true}, watch)
//	err = s.Run(ctx)                       // until ctx ends
//	st := s.Status()                       // packets, drops, what it costs
//
// The kernel writes the first bytes of each frame into a ring that is shared with it
// (AF_PACKET, TPACKET_V3); a frame for which there is no room is dropped and counted,
// and nobody waits. A filter in the kernel leaves out most packets of conversations
// that are busy and about which nothing new is to be learned (images, backups): see
// track.Thin. What is left may take Config.CPU of one processor; beyond that it sleeps,
// and the kernel drops. So neither a flood nor a fast network can take the gateway's
// time or memory.
//
// All interfaces are heard by one socket, in the order in which packets come. What the
// host forwards between two of them is counted once. It sends nothing, and keeps no
// payload.
package capture

import (
	"errors"
	"net/netip"
	"time"
)

// Config of a Sensor.
type Config struct {
	Interfaces  []string
	Promiscuous bool           // hear frames for others, as a mirror port brings
	Ignore      []netip.Prefix // what has one end here is not looked at
	CPU         int            // percent of one processor, at most; 0: 50
	Flows       int            // conversations that are remembered; 0: 65536
	Ring        int            // bytes of the ring; 0: 8 MiB
}

const (
	defaultCPU  = 50
	defaultRing = 8 << 20
	blockSize   = 1 << 18
	blockWait   = 20 * time.Millisecond // a block that is not full is handed over
	snap        = 192                   // bytes of a frame: two tags, IPv6, some extensions, TCP
)

// Status is how it stands with a sensor.
type Status struct {
	Interfaces []Interface   `json:"interfaces"`
	Packets    uint64        `json:"packets"`   // looked at
	Bytes      uint64        `json:"bytes"`     // on the wire, of these
	Drops      uint64        `json:"drops"`     // by the kernel, for want of room
	Odd        uint64        `json:"odd"`       // cut short, or contradicting themselves
	Flows      int           `json:"flows"`     // remembered now
	Displaced  uint64        `json:"displaced"` // conversations forgotten before their time
	Thinned    int           `json:"thinned"`   // conversations of which most packets are left out now
	Overloaded bool          `json:"overloaded"`
	CPU        time.Duration `json:"cpu_ns"`     // of its thread, since the start
	Dropped    time.Time     `json:"dropped_at"` // the last time that packets were; zero: never
	Since      time.Time     `json:"since"`
}

// Interface is one that is listened on.
type Interface struct {
	Name  string `json:"name"`
	Heard bool   `json:"heard"` // it is there and up
	Why   string `json:"why,omitempty"`
}

// ErrUnsupported means that this system has no AF_PACKET.
var ErrUnsupported = errors.New("capturing needs Linux; read Suricata's or Zeek's records instead (network.eve, network.zeek)")
