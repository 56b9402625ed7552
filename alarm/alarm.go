// Package alarm keeps what people must look at: one alarm for each cause, however
// often it is met, until the cause has ended or a person closes it.
//
// Ordinary use:
//
//	a, err := alarm.Open(ctx, db, ledger, alarm.Options{})
//	go a.Run(ctx, log)                                                  // writes within a second
//	err = a.Raise(ctx, alarm.Alarm{Kind: "people.locked", Subject: "a.able", Text: "…"})
//	err = a.Sync(ctx, "status", []alarm.Alarm{{Kind: "archive.away", Subject: "pacs", Text: "…"}})
//	one, err := a.Acknowledge(ctx, id, alarm.Request{By: "A. Able"})
//
// # Life of an alarm
//
// A cause is a kind (see Kinds) and a subject. Raise makes an alarm of a new cause
// and counts one that is open, in memory: a cause that is met 100 000 times a
// second costs a counter. Run writes what has changed once a second, together with
// its record on the ledger and whatever Options.Changed writes beside it; a crash
// costs that second.
//
// An alarm is open until somebody acknowledges it; it may be assigned to somebody,
// and snoozed until a time, at which it is open again. If it becomes worse, it is
// open again at once. What people do is on the ledger before it takes effect.
//
// An alarm that somebody syncs ends by itself, once its source has not named it
// for Options.Settle; until then nobody can close it. One that was raised ends by
// Clear, or when a person closes it and says why. Either way its row stays as
// history, the latest MaxHistory of them.
//
// At most MaxOpen are open at a time. What comes then is counted in one alarm of
// its own, "alarm.overflow".
//
// It tells nobody: that is for whoever gives Options.Changed. Text may name
// devices and people, so it stays here; what leaves is for them to choose.
package alarm

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"sync"
	"time"

	"cordon/store"
)

// What an Alarms holds at the most.
const (
	MaxOpen    = 10_000
	MaxHistory = 50_000
	maxSteps   = 100 // of one alarm
)

var (
	// ErrNotFound means that there is no alarm of that number.
	ErrNotFound = errors.New("no such alarm")
	// ErrState means that the alarm is not in a state in which this can happen.
	ErrState = errors.New("not possible in the alarm's state")
	// ErrRequest means that a request lacks something, or asks for too much.
	ErrRequest = errors.New("request is not complete")
	// ErrKind means that an alarm is of a kind that is not in the table.
	ErrKind = errors.New("no such kind of alarm")
)

// Journal records in the transaction that it is given. A ledger is one.
type Journal interface {
	Append(tx *store.Tx, kind string, body any) error
}

// Alarm is what somebody raises.
type Alarm struct {
	Kind     string   // of Kinds
	Subject  string   // what it is about, as its kind says: a device, an archive; "" if there is one only
	Severity Severity // 0: its kind's
	Text     string   // a sentence for the Alarms page; no patient data
	Link     string   // of the console: "/held?device=CT1"; "": its kind's page
}

// State says where an alarm is in its life.
type State string

const (
	Unseen       State = "open"         // nobody has said that they look at it
	Acknowledged State = "acknowledged" // somebody has
	Ended        State = "ended"        // its cause is gone
	Closed       State = "closed"       // a person said that it is done
)

// Within separates in a Subject a name from what it is about: "ct-1: eicar".
const Within = ": "

// Item is one alarm as it stands.
type Item struct {
	ID             int64     `json:"id"`
	Kind           string    `json:"kind"`              // of cause: archive.away
	Subject        string    `json:"subject,omitempty"` // the archive, device or engine that it is about
	Severity       Severity  `json:"severity"`
	State          State     `json:"state"`
	Text           string    `json:"text"`           // a sentence
	Link           string    `json:"link,omitempty"` // to its page in the console
	Count          int64     `json:"count"`          // times that it was raised
	First          time.Time `json:"first"`          // it was raised
	Last           time.Time `json:"last"`           // it was raised
	Raised         time.Time `json:"raised"`         // it last became open
	Ended          time.Time `json:"ended,omitzero"`
	AcknowledgedBy string    `json:"acknowledged_by,omitempty"` // who looks at it: nobody else is called
	AssignedTo     string    `json:"assigned_to,omitempty"`
	SnoozedUntil   time.Time `json:"snoozed_until,omitzero"`
	SnoozedBy      string    `json:"snoozed_by,omitempty"`
	Lasting        bool      `json:"lasting,omitempty"` // it ends by itself, and cannot be closed before

	source string
}

// Over reports whether an alarm is history.
func (i Item) Over() bool { return i.State == Ended || i.State == Closed }

// Snoozed reports whether an alarm is snoozed.
func (i Item) Snoozed(now time.Time) bool { return !i.Over() && now.Before(i.SnoozedUntil) }

// What happened to an alarm that somebody may be told of.
type What string

const (
	Raised What = "raised"
	Worse  What = "worse"
	Back   What = "back" // its snooze is over
	Over   What = "ended"
)

// Change is something that happened to an alarm.
type Change struct {
	What What
	Item
}

// Options of Open; the zero value means the defaults.
type Options struct {
	// Changed, if it is there, is run in the transaction that writes what happened.
	Changed func(tx *store.Tx, changes []Change) error
	// Settle is how long a source must not have named an alarm before it ends, so
	// that what comes and goes is one alarm; 30 s.
	Settle time.Duration
}

// Alarms are those of one data directory. It is safe for concurrent use.
type Alarms struct {
	db      *store.DB
	journal Journal
	options Options

	writing sync.Mutex // held while what is in memory is written, before mu

	mu      sync.Mutex
	open    map[cause]*entry
	byID    map[int64]*entry
	next    int64            // the next alarm's number
	changes map[int64]Change // not yet written, by alarm
}

// cause is what makes two alarms one.
type cause struct{ kind, subject string }

// entry is an alarm that is open, in memory.
type entry struct {
	Item
	gone  time.Time // its source does not name it since
	dirty bool
}

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes this package's tables.
func Migrations() store.Migrations { return store.Embedded("alarm", migrations) }

// Open reads what is open.
func Open(ctx context.Context, db *store.DB, j Journal, o Options) (*Alarms, error) {
	if o.Settle == 0 {
		o.Settle = 30 * time.Second
	}
	a := &Alarms{db: db, journal: j, options: o, open: map[cause]*entry{}, byID: map[int64]*entry{}, changes: map[int64]Change{}}
	err := db.View(ctx, func(tx *store.Tx) error {
		all, err := query(tx, `WHERE ended_at = 0 ORDER BY id`)
		if err != nil {
			return err
		}
		for _, i := range all {
			a.keep(&entry{Item: i})
		}
		return tx.QueryRow(`SELECT coalesce(max(id), 0) + 1 FROM alarm`).Scan(&a.next)
	})
	if err != nil {
		return nil, fmt.Errorf("opening alarms: %w", err)
	}
	return a, nil
}

// keep takes an alarm into memory.
func (a *Alarms) keep(e *entry) {
	a.open[cause{e.Kind, e.Subject}] = e
	a.byID[e.ID] = e
}
