// Package exception keeps what people have said about the habits of devices:
// that a suspicious finding, in one place of the objects of one device, is that
// device's own way and no reason to hold them.
//
// Ordinary use:
//
//	x, err := exception.Open(ctx, db, ledger)
//	approved := x.For(origin, time.Now())                       // for each object; asks no disk
//	x.Noticed(origin, held.ID, judge.Tolerable(report), onErr)  // proposes what alone kept it back
//	e, err := x.Approve(ctx, id, custody.Request{By: "A. Able", Reason: "…"}, 0)
//	e, err = x.Revoke(ctx, id, custody.Request{By: "B. Baker", Reason: "…"})
//
// The life of an exception: it is proposed, by the gateway when an object is
// held for such findings alone, or by a person. One named person approves it,
// for a year at the most; what may be excepted at all is neither a program nor
// a danger to a reader's memory (finding.Exceptable), so that two are not asked
// for, as they are to release an object. It then applies to the next object
// that begins to arrive, until it expires or one person revokes it; either way
// it can be approved again. One row stands for one habit of one device; who did
// what and why is journalled in the same transaction.
//
// What is proposed of itself is bounded, since anybody can make up AE titles.
// It will not apply anything itself (policy does), and it cannot except what
// the catalogue does not allow.
package exception

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"cordon/custody"
	"cordon/dicom"
	"cordon/policy"
	"cordon/store"
)

var (
	// ErrNotFound means that there is no exception of that id.
	ErrNotFound = errors.New("no such exception")
	// ErrState means that the exception is not in a state in which this can happen.
	ErrState = errors.New("not possible in the exception's state")
	// ErrNotExceptable means that the finding stands for every device.
	ErrNotExceptable = errors.New("is never excepted: programs, active content, and what breaks readers are held from every device")
)

// MaxTerm is the longest that an approval lasts, and how long one lasts if
// nothing else is said.
const MaxTerm = 365 * 24 * time.Hour

// State says where an exception is in its life.
type State string

const (
	Proposed State = "proposed"
	Approved State = "approved" // until it expires
	Expired  State = "expired"  // was approved; no row is in this state
	Revoked  State = "revoked"
)

// Exception is one row: a habit of a device, and what people decided about it.
type Exception struct {
	ID        string `json:"id"`
	State     State  `json:"state"`
	Device    string `json:"device,omitempty"`     // a declared one
	CallingAE string `json:"calling_ae,omitempty"` // of a learned one
	Address   string `json:"address,omitempty"`    // of a learned one
	Finding   string `json:"finding"`
	Place     string `json:"place,omitempty"` // "" means anywhere

	Seen      int       `json:"seen"` // objects that nothing else kept back
	FirstSeen time.Time `json:"first_seen,omitzero"`
	LastSeen  time.Time `json:"last_seen,omitzero"`
	Example   string    `json:"example,omitempty"` // the last of them in the vault

	ProposedBy string    `json:"proposed_by,omitempty"` // "" means the gateway
	ProposedAt time.Time `json:"proposed_at"`
	DecidedBy  []string  `json:"decided_by,omitempty"` // who approved or revoked it
	DecidedAt  time.Time `json:"decided_at,omitzero"`
	Reason     string    `json:"reason,omitempty"` // of the last who proposed, approved or revoked it
	Expires    time.Time `json:"expires,omitzero"`
}

// subject is the device that it is about.
func (e Exception) subject() (policy.Origin, error) {
	if e.Device != "" {
		return policy.Origin{Device: e.Device}, nil
	}
	address, err := netip.ParseAddr(e.Address)
	return policy.Origin{CallingAE: dicom.AETitle(e.CallingAE), Address: address}, err
}

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes this package's table.
func Migrations() store.Migrations { return store.Embedded("exception", migrations) }

// Exceptions are all there are. The methods may be called from any goroutine.
type Exceptions struct {
	db      *store.DB
	journal custody.Journal

	loading sync.Mutex // held while live is read from the database
	live    atomic.Pointer[map[policy.Origin][]approval]
}

// approval is an approved exception in memory.
type approval struct {
	policy.Exception
	expires time.Time
}

// forgotten is the time after which a proposal that the gateway made, that
// nobody decided on and that nothing bore out again is dropped at the start.
const forgotten = 90 * 24 * time.Hour

// Open reads what is approved.
func Open(ctx context.Context, db *store.DB, j custody.Journal) (*Exceptions, error) {
	x := &Exceptions{db: db, journal: j}
	err := db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`DELETE FROM exception WHERE state = 'proposed' AND proposed_by = '' AND last_seen < ?`,
			time.Now().Add(-forgotten).UnixMicro())
		return err
	})
	if err == nil {
		err = x.Refresh(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("opening exceptions: %w", err)
	}
	return x, nil
}

// For returns what is approved for the device that sends an object now.
func (x *Exceptions) For(o policy.Origin, now time.Time) []policy.Exception {
	var out []policy.Exception
	for _, a := range (*x.live.Load())[o.Subject()] {
		if now.Before(a.expires) {
			out = append(out, a.Exception)
		}
	}
	return out
}

// Refresh makes what is in the database take effect. Every method here does so
// itself; whoever runs Released in a transaction does it after the commit. If
// it fails nothing is excepted: objects are held that need not be, until the
// next one succeeds.
func (x *Exceptions) Refresh(ctx context.Context) error {
	x.loading.Lock()
	defer x.loading.Unlock()
	live := map[policy.Origin][]approval{}
	err := x.db.View(ctx, func(tx *store.Tx) error {
		all, err := query(tx, `WHERE state = 'approved'`)
		if err != nil {
			return err
		}
		for _, e := range all {
			subject, err := e.subject()
			if err != nil {
				return fmt.Errorf("exception %s: %w", e.ID, err)
			}
			live[subject] = append(live[subject], approval{
				policy.Exception{ID: e.ID, Subject: subject, Finding: e.Finding, Place: e.Place}, e.Expires,
			})
		}
		return nil
	})
	if err != nil {
		live = nil
	}
	x.live.Store(&live)
	return err
}

// List returns all there are, the first proposed first.
func (x *Exceptions) List(ctx context.Context) (all []Exception, err error) {
	err = x.db.View(ctx, func(tx *store.Tx) error {
		all, err = query(tx, `ORDER BY proposed_at, id`)
		return err
	})
	return all, err
}
