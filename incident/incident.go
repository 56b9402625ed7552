// Package incident tells the story of a device that was attacked: from the first
// packet that should not have been to the day on which it is back, with what was
// done, by whom, who was told, and what was imaged meanwhile.
//
// Ordinary use:
//
//	i := incident.Open(db, ledger)
//	go i.Run(ctx, raise, log)                        // follows the ledger
//	all, err := i.List(ctx, incident.Filter{})
//	story, err := i.Show(ctx, id)
//	err = i.Told(ctx, id, incident.Telling{Whom: "Acme service", How: "telephone"}, custody.Request{By: "A. Able", Reason: "infected"})
//	err = i.Promise(ctx, id, incident.Promised{Vendor: "Acme", Due: due, What: "tested patch"}, request)
//	err = i.Export(ctx, id, w)                       // a ZIP archive that anyone can verify
//
// # Life of an incident
//
// It opens when a device is contained, by whomever, or when a person says so, and
// takes in what was seen of the device in the day before. From then on every record
// of the ledger that is about the device becomes a line of its story, and every
// image that it makes is followed to where it is. A device has one open incident at
// a time. The vendor's promise, once somebody has written it down, runs against the
// clock: when it is late, an alarm says so, and says that an undue delay can be
// reported to the regulator. It closes when a person closes it; a restored device
// may still have a promise open.
//
// All of it comes from the ledger, so it costs the way of an object nothing, and
// what a crash leaves out is read again. It holds no patient data: studies and
// instances by their UIDs. It will not contain or restore anything itself.
package incident

import (
	"context"
	"embed"
	"errors"
	"log/slog"
	"sync"
	"time"

	"cordon/ledger"
	"cordon/store"
)

var (
	// ErrNotFound means that there is no such incident.
	ErrNotFound = errors.New("no such incident")
	// ErrState means that an incident is not in a state for what was asked.
	ErrState = errors.New("not possible now")
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes this package's tables.
func Migrations() store.Migrations { return store.Embedded("incident", migrations) }

// Incident is one device's.
type Incident struct {
	ID        int64     `json:"id"`
	Device    string    `json:"device"`
	Why       string    `json:"why"`    // what opened it
	First     time.Time `json:"first"`  // the first sign
	Opened    time.Time `json:"opened"` // when it became an incident
	Contained time.Time `json:"contained,omitzero"`
	Restored  time.Time `json:"restored,omitzero"`
	Closed    time.Time `json:"closed,omitzero"`
	Promise   *Promised `json:"promise,omitempty"` // the vendor's
	Images    Images    `json:"images"`            // made since the first sign
}

// Late reports whether the device should be in order by now.
func (i Incident) Late(now time.Time) bool {
	return i.Promise != nil && i.Closed.IsZero() && i.Restored.IsZero() && now.After(i.Promise.Due)
}

// Unanswered reports whether nobody has promised anything for longer than a vendor
// may take to answer.
func (i Incident) Unanswered(now time.Time) bool {
	return i.Promise == nil && i.Closed.IsZero() && i.Restored.IsZero() && now.Sub(i.Opened) > answerWithin
}

// answerWithin is how long a vendor may take to say when a device will be in order.
const answerWithin = 72 * time.Hour

// Images are instances that a device made during its incident, by where they are
// now.
type Images struct {
	Studies   int `json:"studies"`
	Made      int `json:"made"`      // all of them
	Delivered int `json:"delivered"` // their archive has them
	Spooled   int `json:"spooled"`   // durable here, on their way
	Held      int `json:"held"`      // in the vault
	Refused   int `json:"refused"`   // their sender was told
	Destroyed int `json:"destroyed"` // by two people
}

// AllThere reports whether each of them is at its archive, on its way, or kept.
func (m Images) AllThere() bool { return m.Delivered+m.Spooled+m.Held == m.Made }

// Promised is when a vendor says that a device will be in order.
type Promised struct {
	Vendor string    `json:"vendor"` // who promised
	What   string    `json:"what"`   // a patch, a visit, a new disk
	Made   time.Time `json:"made"`   // when it was written down
	Due    time.Time `json:"due"`
}

// Incidents are all of a site's.
type Incidents struct {
	db     *store.DB
	ledger *ledger.Ledger

	mu   sync.Mutex
	open map[string]int64 // by device
	read int64            // the next record of the ledger
}

// Open reads which incidents are open.
func Open(ctx context.Context, db *store.DB, l *ledger.Ledger) (*Incidents, error) {
	i := &Incidents{db: db, ledger: l}
	return i, i.reload(ctx)
}

func (i *Incidents) reload(ctx context.Context) error {
	open, next := map[string]int64{}, int64(0)
	err := i.db.View(ctx, func(tx *store.Tx) error {
		if err := tx.QueryRow(`SELECT next FROM incident_read`).Scan(&next); err != nil {
			return err
		}
		rows, err := tx.Query(`SELECT device, id FROM incident WHERE closed = 0`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var device string
			var id int64
			if err := rows.Scan(&device, &id); err != nil {
				return err
			}
			open[device] = id
		}
		return rows.Err()
	})
	if err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.open, i.read = open, next
	return nil
}

// Overdue is an incident whose vendor is late, for an alarm.
type Overdue struct {
	Incident Incident
	Says     string
}

const (
	checkEvery = time.Minute
	tryAgain   = 10 * time.Second
)

// Run follows the ledger until ctx ends, and tells late what is overdue, every
// minute: all of it, so that what is not told any more is over.
func (i *Incidents) Run(ctx context.Context, late func(context.Context, []Overdue), log *slog.Logger) error {
	var following sync.WaitGroup
	defer following.Wait()
	following.Go(func() { // ends with ctx
		for ctx.Err() == nil {
			if err := i.ledger.Follow(ctx, "incident", 0, i.learn); err != nil {
				log.Error("incidents not followed", "error", err)
				select {
				case <-ctx.Done():
				case <-time.After(tryAgain):
				}
			}
		}
	})
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		all, err := i.overdue(ctx, time.Now())
		if err == nil {
			late(ctx, all)
		} else if ctx.Err() == nil {
			log.Error("incidents not checked", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// overdue lists the open incidents whose vendor is late.
func (i *Incidents) overdue(ctx context.Context, now time.Time) ([]Overdue, error) {
	all, err := i.List(ctx, Filter{Open: true})
	var out []Overdue
	for _, n := range all {
		switch {
		case n.Late(now):
			out = append(out, Overdue{n, n.Device + " was promised for " + n.Promise.Due.Format("2 January 2006") + " by " + n.Promise.Vendor + ": ask, and report the undue delay to the regulator"})
		case n.Unanswered(now):
			out = append(out, Overdue{n, "nobody has promised when " + n.Device + " will be in order: ask its vendor, and write the answer down"})
		}
	}
	return out, err
}
