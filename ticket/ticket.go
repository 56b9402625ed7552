// Package ticket is what lets a visitor onto the imaging network: a laptop, a unit
// on trial, a vendor's engineer, or a vendor's remote service. Without a ticket there
// is no route; with one there is the flow that it names, for a time.
//
// Ordinary use:
//
//	d, err := ticket.New(ctx, ticket.Config{}, ticket.Parts{DB: db, Journal: ledger, Seal: custody, Firewall: f, …})
//	t, err := d.Open(ctx, ticket.Request{Kind: ticket.Laptop, Sponsor: "Ada Ashe", Purpose: "…", Address: a, To: …, Declaration: …, Report: …, For: 4 * time.Hour, By: …})
//	go d.Run(ctx)                                    // closes what is over; watches over sponsors and addresses
//	t, err = d.Confirm(ctx, t.ID, "Ada Ashe")        // the sponsor is there
//	t, err = d.Close(ctx, t.ID, custody.Request{…})
//
// # Life of a ticket
//
// A request that lacks something is refused, and told all that it lacks. Where two
// people decide (remote service, and what reaches a device whose patient cannot
// wait), it waits for the second for an hour. Then the ticket and its record on the
// ledger are committed, and after that the firewall opens what it names: each
// opening ends in the kernel by itself, with Cordon dead too. A remote service needs
// its sponsor: who signed in, or confirmed, lately. If they go, that is said, and
// minutes later the ticket closes. It closes too when its time is over, when
// somebody closes it, and when another machine has taken its address. After a
// restart it is opened again for what is left of it.
//
// It will not decide who may open one (the console's table of routes does), and it
// opens nothing that another rule of the machine closes.
package ticket

import (
	"context"
	"embed"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"cordon/firewall"
	"cordon/media"
	"cordon/store"
)

var (
	// ErrRequest means that a request lacks something, or asks for too much.
	ErrRequest = errors.New("no ticket")
	// ErrState means that it cannot be now.
	ErrState = errors.New("not possible now")
	// ErrNotFound means that there is no such ticket.
	ErrNotFound = errors.New("no such ticket")
)

// Kind is what comes.
type Kind string

const (
	Laptop     Kind = "laptop"
	Evaluation Kind = "evaluation" // a unit on trial, or on loan
	Vendor     Kind = "vendor"     // an engineer with equipment
	Remote     Kind = "remote"     // a service session from outside
)

// Kinds are all of them.
func Kinds() []Kind { return []Kind{Laptop, Evaluation, Vendor, Remote} }

// State is how far a ticket is.
type State string

const (
	Asked  State = "asked" // a second person is awaited
	Opened State = "open"
	Closed State = "closed"
)

// Target is one thing that a visitor may reach: a port of a device.
type Target struct {
	Name     string         `json:"name"`      // of the device, the archive, or "gateway"
	To       []netip.Prefix `json:"addresses"` // its own, when the ticket was opened
	Protocol string         `json:"protocol"`  // tcp or udp
	Port     uint16         `json:"port"`
	PortTo   uint16         `json:"port_to,omitempty"` // the last of a range
}

// Document is a file that came with a request. Its bytes are kept encrypted.
type Document struct {
	Name   string `json:"name"`
	Bytes  int    `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Inspection is what the report on a visitor's media says.
type Inspection struct {
	Document
	Files    int    `json:"files"`
	Admitted int    `json:"admitted"`
	Verified bool   `json:"verified"` // the ledger has an import of just these numbers
	Says     string `json:"says"`     // where the proof is, or why there is none
}

// Ticket is one.
type Ticket struct {
	ID          string        `json:"id"`
	Kind        Kind          `json:"kind"`
	State       State         `json:"state"`
	Sponsor     string        `json:"sponsor"` // who answers for it here
	Visitor     string        `json:"visitor,omitempty"`
	Purpose     string        `json:"purpose"`
	Address     netip.Addr    `json:"address"`
	MAC         string        `json:"mac,omitempty"`    // "": it was not known, and is not asked for
	Linked      bool          `json:"linked,omitempty"` // it is on a segment of this machine, which sees its MAC
	To          []Target      `json:"to"`
	Declaration Document      `json:"declaration,omitzero"`
	Inspection  Inspection    `json:"inspection,omitzero"`
	By          []string      `json:"by"` // who asked, and who agreed
	Reason      string        `json:"reason,omitempty"`
	Asked       time.Time     `json:"asked"`
	Since       time.Time     `json:"since,omitzero"`
	For         time.Duration `json:"-"`
	Until       time.Time     `json:"until,omitzero"`
	Confirmed   time.Time     `json:"confirmed,omitzero"` // when the sponsor was last known to be there
	Warned      time.Time     `json:"warned,omitzero"`    // the sponsor was not
	Ended       time.Time     `json:"ended,omitzero"`
	EndedBy     string        `json:"ended_by,omitempty"` // "": by itself
	Why         string        `json:"why,omitempty"`      // it ended
	Packets     uint64        `json:"packets,omitempty"`  // that went through so far; of an open one
}

// Remote reports whether the ticket needs its sponsor to be there.
func (t Ticket) remote() bool { return t.Kind == Remote }

// Config is how long things take. Zero means what is beside it.
type Config struct {
	Longest  time.Duration  // of a ticket; 12 h, of a unit on trial 30 days
	Confirm  time.Duration  // a sponsor of a remote service must be seen so often; 15 min
	Patience time.Duration  // from the warning to the end; 5 min
	Visitors []netip.Prefix // where visitors' addresses are; empty: anywhere that nobody has
}

// Firewall is where tickets open something.
type Firewall interface {
	Change(ctx context.Context, change func(*firewall.Ruleset)) error
	State(ctx context.Context) (firewall.State, error)
}

// Journal records in the transaction that it is given. A ledger is one.
type Journal interface {
	Append(tx *store.Tx, kind string, body any) error
}

// Sealer encrypts what is kept. Custody is one.
type Sealer interface {
	Seal(plain []byte) ([]byte, error)
	Unseal(sealed []byte) ([]byte, error)
}

// Place is what a name of the register stands for.
type Place struct {
	Addresses []netip.Prefix
	Critical  bool // two people decide on who reaches it
}

// Parts are what a Desk works with. All but the last three are required.
type Parts struct {
	DB       *store.DB
	Journal  Journal
	Seal     Sealer
	Firewall Firewall
	Log      *slog.Logger

	Lookup  func(ctx context.Context, name string) (Place, error)                                  // a device, an archive, or "gateway"; an error names what there is
	Whose   func(ctx context.Context, a netip.Addr) (name string, err error)                       // the device, archive or own address that it is; "": nobody's
	Imports func(ctx context.Context, since time.Time, each func(media.Summary) (more bool)) error // on the ledger, newest first

	SamePerson func(a, b string) bool // two names of one

	Online func(ctx context.Context, person string) time.Time // when somebody was last seen signed in; nil: nobody signs in
	Link   func(netip.Addr) (mac string, ok bool)             // who has an address on a segment of this machine; nil: the kernel's table
	Alarm  func(ctx context.Context, t Ticket, says string)   // something went otherwise than the ticket says; nil: nobody is told
}

// Desk is where tickets are given out. It is safe for concurrent use.
type Desk struct {
	c Config
	p Parts

	mu  sync.Mutex // over every change
	all []Ticket   // those that are asked for or open
	due bool       // the firewall could not be changed: it is tried again
}

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes this package's tables.
func Migrations() store.Migrations { return store.Embedded("ticket", migrations) }

const (
	longest           = 12 * time.Hour
	longestEvaluation = 30 * 24 * time.Hour
	waits             = time.Hour // for the second person
)

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&c.Confirm, 15 * time.Minute}, {&c.Patience, 5 * time.Minute}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return c
}

// longest is how long a ticket of a kind may last.
func (c Config) longest(k Kind) time.Duration {
	switch {
	case k == Evaluation && c.Longest < longestEvaluation:
		return longestEvaluation
	case c.Longest == 0:
		return longest
	}
	return c.Longest
}

// New reads the tickets that are open. It opens nothing yet: see Restore.
func New(ctx context.Context, c Config, p Parts) (*Desk, error) {
	d := &Desk{c: c.withDefaults(), p: p}
	if d.p.Link == nil {
		d.p.Link = neighbour
	}
	var err error
	d.all, err = d.load(ctx, `state != 'closed'`, 0)
	return d, err
}
