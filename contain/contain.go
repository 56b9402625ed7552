// Package contain takes from a device that may be infected every path but those by
// which it makes images, and gives them back when it is proven clean.
//
// Ordinary use:
//
//	c, err := contain.Open(ctx, contain.Parts{DB: db, Journal: ledger, Enforcer: contain.NFTables{Firewall: f}, Devices: devices})
//	p, err := c.Preview(ctx, "us1", firewall.ImageOnly)   // what stops, what goes on
//	s, err := c.Contain(ctx, contain.Order{Device: "us1", Level: firewall.ImageOnly, For: 4 * time.Hour, Request: …})
//	if c.Paranoid("us1") { … }                            // asked for each object; asks no disk
//	d, err := c.Restore(ctx, "us1", contain.Proof{…}, custody.Request{…})
//	c.Signal(contain.Signal{…})                           // something a sensor saw; never waits
//	go c.Run(ctx)
//
// Life of a containment: the order is a row and a record on the ledger, in one
// transaction, before anything takes effect (ordered). Inspection turns stricter.
// Then the Enforcer makes it so and reads back that it is; the outcome is recorded:
// applied, or failed, and then it is tried again until it is applied or restored.
// Cordon killed in between finds the order at its start and completes it. It ends by
// itself at its time, if it has one, also in the kernel when Cordon is dead (ended),
// and not sooner because somebody sets a clock (clock.go);
// or two people who say what was checked have it restored (restoring, restored).
// Either way what it took is given back exactly.
//
// What a sensor saw leads to a proposal, or to an order, as the site's Policy says;
// never against the archive, the gateway or whoever is on the allow-list, never for
// more devices at a time than the site allows or for the last device of a kind, and
// never because of a packet that anybody could have sent.
//
// It will not look at traffic (network does) and knows no rules of packet filters
// (firewall does).
package contain

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"cordon/asset"
	"cordon/custody"
	"cordon/firewall"
)

var (
	// ErrNotFound means that there is no such device, or that it is not contained.
	ErrNotFound = errors.New("no such device")
	// ErrState means that this is not possible as things are.
	ErrState = errors.New("not possible now")
	// ErrNever means that the device is never contained: images of all others would stop.
	ErrNever = errors.New("is never contained")
)

// Device is what containment has to know of one.
type Device struct {
	Name           string
	Addresses      []netip.Prefix     // declared, or seen if none are
	MACs           []net.HardwareAddr // declared
	Ports          []uint16           // at which it takes associations
	Modality       string             // CT, US, …; "": nobody said
	Criticality    asset.Criticality
	Flows          []asset.Flow // declared
	Infrastructure string       // what else is at its addresses, such as "archive pacs"; then it is never contained
}

// Order asks for a containment, or for another level of one.
type Order struct {
	Device string
	Level  firewall.Level
	For    time.Duration // 0: until it is restored
	Rule   string        // of the sensor's, for which it was ordered; "": a person's own decision
	custody.Request

	confirms *Proposal // that it says yes to; nil: none
}

// State says where a containment is in its life.
type State string

const (
	Ordered   State = "ordered"   // on the ledger; what became of it is not yet
	Contained State = "contained" // see Enforced
	Restoring State = "restoring" // on the ledger; what became of it is not yet
	Restored  State = "restored"  // by people
	Ended     State = "ended"     // by itself
)

// Containment is one of a device, in force or over.
type Containment struct {
	ID      int64          `json:"id"`
	Device  string         `json:"device"`
	Level   firewall.Level `json:"level"`
	State   State          `json:"state"`
	Rule    string         `json:"rule,omitempty"` // that contained it; empty: a person did
	By      []string       `json:"by"`             // who
	Reason  string         `json:"reason"`
	Since   time.Time      `json:"since"`
	Until   time.Time      `json:"until,omitzero"`   // restored by itself then; zero: stays until it is restored
	Over    time.Time      `json:"over,omitzero"`    // when it ended
	Applied time.Time      `json:"applied,omitzero"` // read back as in effect

	Enforced bool   `json:"enforced"`           // the packet filter keeps the device to it now
	Enforcer string `json:"enforcer,omitempty"` // what enforces it
	Why      string `json:"why,omitempty"`      // not enforced, or not everywhere, because of this

	Asked  string `json:"asked,omitempty"` // who asked first for it to be restored, while the second is awaited
	Proof  *Proof `json:"proof,omitempty"` // that the device was clean
	Counts Counts `json:"counts"`          // while it is in force, and when it ended
}

// Counts are packets of a contained device.
type Counts struct {
	Images  firewall.Count `json:"images"`  // of its image path
	Kept    firewall.Count `json:"kept"`    // of what else it keeps
	Dropped firewall.Count `json:"dropped"` // both ways
}

// Proof says how a device was found to be clean (what was checked, with what, as of
// when), for somebody to rely on later.
type Proof struct {
	Checked    string     `json:"checked"`              // what was done: "system disk scanned offline", "reinstalled from vendor medium 4.2", "false alarm: backup job"
	Tool       string     `json:"tool,omitempty"`       // with its version
	Signatures string     `json:"signatures,omitempty"` // their version
	Dated      time.Time  `json:"dated,omitzero"`       // of the signatures
	Files      []Evidence `json:"files,omitempty"`
}

// Evidence is a file that was attached.
type Evidence struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
	Data   []byte `json:"data,omitempty"` // as it is attached; not in what is listed
}

// Signal is something a sensor saw that may lead to a containment.
type Signal struct {
	Device   string     `json:"device"`
	Rule     string     `json:"rule"`
	Severity string     `json:"severity"`
	Address  netip.Addr `json:"address"`
	At       time.Time  `json:"at"`
	Detail   string     `json:"detail"`
	Proven   bool       `json:"proven"` // the device did it itself: traffic went both ways, or its hardware address and port agree
}

// Enforcer is an enforcement point. The one here is NFTables; Paper is what there is
// without one. One elsewhere would be another.
type Enforcer interface {
	Name() string
	// Enforce makes these, and no others, be what is contained: an error leaves what
	// was before.
	Enforce(ctx context.Context, all []firewall.Contained) error
	// Standing is nil while that is so, as far as is known: it asks nobody. An error
	// that wraps firewall.ErrElsewhere is a person's to end.
	Standing() error
	// Covers says which of a device's paths cross it.
	Covers(d Device) Coverage
	// Counts are those of each device, by name.
	Counts(ctx context.Context) (map[string]Counts, error)
}

// Coverage says which paths of a device cross an enforcement point.
type Coverage struct {
	Covered bool   `json:"covered"`
	Segment bool   `json:"segment"` // those to its neighbours on the segment too
	OnLink  bool   `json:"on_link"` // its hardware address is known there
	Why     string `json:"why,omitempty"`
}
