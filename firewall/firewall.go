// Package firewall is the one place where Cordon touches the packet filter of its
// machine: the table cordon of nftables, of the families inet and (where the machine
// bridges) bridge. It says what packets may pass between the devices of a hospital;
// who may pass is decided elsewhere: each section of a Ruleset has one writer.
//
// Ordinary use:
//
//	f, err := firewall.Open(firewall.Options{ImagePorts: []uint16{104, 11112}})
//	go f.Run(ctx)                                        // notices who changed it
//	err = f.Change(ctx, func(r *firewall.Ruleset) {      // one transaction, read back
//		r.Contained = append(r.Contained, firewall.Contained{Device: "us1", Addresses: …, Level: firewall.ImageOnly})
//	})
//	s, err := f.State(ctx)                               // as the kernel has it
//	err = f.Remove(ctx)                                  // exactly what was ours
//
// Life of a change: the sections are copied, changed and checked; what they mean is
// computed as rules, sets and counters; one transaction takes the place of all that
// was in the table, the counters of what stays excepted. What the kernel then has is
// read back, and only that counts: an error after a transaction that took effect
// (google/nftables#103) is none, and a success that left something else is one. If
// the kernel has what it had before, the sections are what they were before.
//
// What ends by itself (Until, Redirect.Lapses) is an element with a timeout in the
// kernel: it ends when Cordon is dead, too. A Ruleset of nothing is no table.
//
// The rules keep no state, so that what was established before goes on where it is
// allowed, and stops at once where it is not. Nothing here opens what another table
// closes: a packet has to pass them all. No rule, set or table of anybody else's is
// ever read for its content, changed or removed.
package firewall

import (
	"errors"
	"net"
	"net/netip"
	"time"
)

// ErrNotEnforced means that the kernel, or what this process may do, allows no rules.
var ErrNotEnforced = errors.New("not enforced")

// Ruleset is what packets may pass. The zero Ruleset lets all pass.
type Ruleset struct {
	Contained []Contained // by contain
	Openings  []Opening   // by ticket
	Plan      *Plan       // by plan
	Redirects []Redirect  // by the transparent mode
}

// Level is how much a contained device keeps.
type Level string

const (
	Observe   Level = "observe"    // everything; it is counted
	ImageOnly Level = "image_only" // the inspected image path, and Allowed
	Cut       Level = "cut"        // nothing
)

// Contained is a device that keeps some of its paths. Its image path is: TCP to the
// image ports at this machine's own addresses, what a Redirect of it leads here,
// TCP from this machine to its Ports; and what IP needs for that (neighbour
// discovery, path MTU).
type Contained struct {
	Device    string             // names its counters: Count keys are Device + " kept", " images", " dropped", of these " fragments"
	Addresses []netip.Prefix     // of the device; a changed address is another Change
	MACs      []net.HardwareAddr // of the device, where it is on a segment with this machine: whatever address it takes
	Level     Level
	Ports     []uint16  // at which the device takes associations (moves, reports); empty: every port, from this machine only
	Allowed   []Rule    // what the device may open; From is not looked at
	Called    []Rule    // what others may open at the device; To is not looked at
	Until     time.Time // zero: until it is changed
}

// Rule is who may open what at whom; the answers are allowed with it.
type Rule struct {
	From     []netip.Prefix // empty: anybody
	To       []netip.Prefix // empty: anybody
	Protocol uint8          // of IP: 1 (and 58 with it), 6, 17; 0: every protocol
	Port     uint16         // at To; 0: all
	PortTo   uint16         // the last of a range; 0: Port alone
}

// Opening is a Rule that holds in spite of the plan, for a time.
type Opening struct {
	ID string // Count key: "opening " + ID
	Rule
	MACs  []net.HardwareAddr // whoever opens it has one of these, on a segment with this machine; none: any
	Until time.Time          // zero: until it is closed
}

// Mode says what becomes of what a plan does not allow.
type Mode string

const (
	Shadow  Mode = "shadow"  // it passes, and is counted
	Enforce Mode = "enforce" // it is dropped
)

// Plan is who may talk to whom through this machine. A packet of which either end
// is in a zone has to be allowed; one of which neither is passes.
type Plan struct {
	Mode    Mode
	Zones   []Zone
	Allowed []Rule
	Until   time.Time      // what is not allowed passes again then; zero: never
	Closed  []netip.Prefix // nobody here talks to anybody without an Opening, in either mode
}

// Zone is a part of the hospital's network. Count keys: "plan " + Name for what one
// of the zone sent and the plan does not allow, "plan allowed" for all that it does.
type Zone struct {
	Name     string
	Prefixes []netip.Prefix
}

// Redirect leads what devices send to an archive to this machine's own port
// (TPROXY): the connection that is accepted there has the archive's address as its
// local one. Packets of it carry Mark; the routing of marked packets to this machine
// is set up by whoever writes the section.
type Redirect struct {
	ID     string         // Count key: "redirect " + ID
	From   []netip.Prefix // empty: anybody
	To     netip.AddrPort // the archive
	Port   uint16         // ours, at the loopback address of To's version of IP
	Mark   uint32         // 0: DefaultMark
	Lapses time.Duration  // it ends so long after Cordon died, and what nobody here takes goes its own way; 0: it stays, and that is dropped
	Once   bool           // it ends after Lapses even if Cordon lives, and what nobody here takes until then is dropped
}

// DefaultMark is "Co", the mark of packets that are led to this machine.
const DefaultMark = 0x436f

// Count is what a counter of the kernel says.
type Count struct {
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

// State is what the kernel has now.
type State struct {
	Applied  bool             `json:"applied"`            // the kernel has exactly what was asked for
	Empty    bool             `json:"empty"`              // nothing is asked for
	Bridged  bool             `json:"bridged"`            // and in the family bridge
	Counters map[string]Count `json:"counters,omitempty"` // by the keys that the sections say
	Changed  bool             `json:"changed,omitempty"`  // somebody else changed it, and changed it again after it was put right
	Why      string           `json:"why,omitempty"`      // not Applied, or not Bridged, and what to do
	Since    time.Time        `json:"since,omitzero"`     // of what is applied
	Took     time.Duration    `json:"took,omitempty"`     // the last change, reading back included
}

// Event is something that befell the table.
type Event struct {
	At       time.Time
	By       string // whose change it was, as far as the kernel says: program and process
	Restored bool   // it was put right; else it is not as it should be
	Why      string
}
