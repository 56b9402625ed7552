package incident

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"cordon/store"
)

// Filter says which incidents are listed, the latest first.
type Filter struct {
	Open   bool   // only those that nobody has closed
	Device string // "": every one's
	Before int64  // only lower ids; 0: from the latest
	Limit  int    // at most; 0: 100
}

const maxListed = 1000

// Event is one line of a story: what one record of the ledger says.
type Event struct {
	Seq  int64     `json:"seq"` // of the record
	At   time.Time `json:"at"`  // that it happened
	Kind string    `json:"kind"`
	Says string    `json:"says"`
}

// Study is what one study has of images made during an incident.
type Study struct {
	UID string `json:"study_instance_uid"`
	Images
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// Story is all that there is to say about an incident.
type Story struct {
	Incident
	Events  []Event `json:"events"`  // in order
	Of      []Study `json:"studies"` // in order; the first 1,000
	Further int     `json:"further,omitempty"`
}

// List lists incidents.
func (i *Incidents) List(ctx context.Context, f Filter) (out []Incident, err error) {
	if f.Limit <= 0 || f.Limit > maxListed {
		f.Limit = 100
	}
	err = i.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT id FROM incident WHERE (?1 = '' OR device = ?1) AND (?2 = 0 OR closed = 0) AND (?3 = 0 OR id < ?3) ORDER BY id DESC LIMIT ?4`,
			f.Device, f.Open, f.Before, f.Limit)
		if err != nil {
			return err
		}
		ids, err := numbers(rows)
		for _, id := range ids {
			n, err := one(tx, id)
			if err != nil {
				return err
			}
			out = append(out, n)
		}
		return err
	})
	return out, err
}

func numbers(rows *sql.Rows) (out []int64, err error) {
	defer rows.Close()
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, rows.Err()
}

// one reads an incident.
func one(tx *store.Tx, id int64) (n Incident, err error) {
	var opened, first, contained, restored, closed, made, due int64
	var p Promised
	err = tx.QueryRow(`SELECT id, device, why, opened, first, contained, restored, closed, vendor_by, vendor_at, due, promised FROM incident WHERE id = ?`, id).
		Scan(&n.ID, &n.Device, &n.Why, &opened, &first, &contained, &restored, &closed, &p.Vendor, &made, &due, &p.What)
	if errors.Is(err, sql.ErrNoRows) {
		return n, fmt.Errorf("%w: %d; cordon incident list shows them", ErrNotFound, id)
	}
	if err != nil {
		return n, err
	}
	for at, micros := range map[*time.Time]int64{&n.Opened: opened, &n.First: first, &n.Contained: contained, &n.Restored: restored, &n.Closed: closed, &p.Made: made, &p.Due: due} {
		if micros != 0 {
			*at = time.UnixMicro(micros).UTC()
		}
	}
	if made != 0 {
		n.Promise = &p
	}
	rows, err := tx.Query(`SELECT state, count(*) FROM incident_image WHERE incident = ? GROUP BY state`, id)
	if err != nil {
		return n, err
	}
	defer rows.Close()
	for rows.Next() {
		var state string
		var count int
		if err := rows.Scan(&state, &count); err != nil {
			return n, err
		}
		n.Images.add(state, count)
	}
	if err := rows.Err(); err != nil {
		return n, err
	}
	err = tx.QueryRow(`SELECT count(DISTINCT study) FROM incident_image WHERE incident = ?`, id).Scan(&n.Images.Studies)
	return n, err
}

func (m *Images) add(state string, n int) {
	m.Made += n
	switch state {
	case "delivered":
		m.Delivered += n
	case "spooled":
		m.Spooled += n
	case "held":
		m.Held += n
	case "refused":
		m.Refused += n
	case "destroyed":
		m.Destroyed += n
	}
}

const maxStudies = 1000 // shown

// Show tells an incident's story.
func (i *Incidents) Show(ctx context.Context, id int64) (s Story, err error) {
	err = i.db.View(ctx, func(tx *store.Tx) error {
		if s.Incident, err = one(tx, id); err != nil {
			return err
		}
		if s.Events, err = events(tx, id); err != nil {
			return err
		}
		s.Of, err = studies(tx, id)
		s.Further = s.Images.Studies - len(s.Of)
		return err
	})
	return s, err
}

func events(tx *store.Tx, id int64) (out []Event, err error) {
	rows, err := tx.Query(`SELECT seq, at, kind, says FROM incident_event WHERE incident = ? ORDER BY seq`, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var e Event
		var at int64
		if err := rows.Scan(&e.Seq, &at, &e.Kind, &e.Says); err != nil {
			return nil, err
		}
		e.At = time.UnixMicro(at).UTC()
		out = append(out, e)
	}
	return out, rows.Err()
}

func studies(tx *store.Tx, id int64) (out []Study, err error) {
	rows, err := tx.Query(`SELECT study, state, count(*), min(first), max(last) FROM incident_image WHERE incident = ? GROUP BY study, state ORDER BY study`, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var uid, state string
		var n int
		var first, last int64
		if err := rows.Scan(&uid, &state, &n, &first, &last); err != nil {
			return nil, err
		}
		if len(out) == 0 || out[len(out)-1].UID != uid {
			if len(out) == maxStudies {
				break
			}
			out = append(out, Study{UID: uid, Images: Images{Studies: 1}, First: time.UnixMicro(first).UTC()})
		}
		s := &out[len(out)-1]
		s.Images.add(state, n)
		if at := time.UnixMicro(first).UTC(); at.Before(s.First) {
			s.First = at
		}
		if at := time.UnixMicro(last).UTC(); at.After(s.Last) {
			s.Last = at
		}
	}
	return out, rows.Err()
}
