package custody

import (
	"context"
	"time"

	"cordon/store"
)

// Stats counts objects.
type Stats struct {
	Groups         []Group `json:"groups"`
	Spooled        int     `json:"spooled"`
	Held           int     `json:"held"`
	InFlight       int     `json:"in_flight"`
	NeedsAttention int     `json:"needs_attention"` // refused for good by an archive
	Alarms         int     `json:"alarms"`          // blob missing or damaged
	Unclaimed      int     `json:"unclaimed"`       // blobs without a row, at the last start
	ReviewsDue     int     `json:"reviews_due"`
	ReviewsLate    int     `json:"reviews_late"`
	Full           string  `json:"full,omitempty"` // why nothing more can be kept for an archive; "" if there is room
	Disks          []Disk  `json:"disks"`
}

// Group counts the objects of one state and one archive.
type Group struct {
	State   State  `json:"state"`
	Archive string `json:"archive"`
	Objects int    `json:"objects"`
	Bytes   int64  `json:"bytes"`

	Oldest time.Time `json:"oldest,omitzero"` // spooled ones alone: when the first that waits was received
}

// Stats costs the same however many objects there have been.
func (c *Custody) Stats(ctx context.Context) (s Stats, err error) {
	s.Unclaimed = c.found.Unclaimed
	s.Disks = c.Disks()
	if err := c.room(Spooled); err != nil {
		s.Full = err.Error()
	}
	err = c.db.View(ctx, func(tx *store.Tx) error {
		if err := s.groups(tx); err != nil {
			return err
		}
		if err := s.oldest(tx); err != nil {
			return err
		}
		for sql, into := range map[string]*int{
			`SELECT COUNT(*) FROM custody_objects WHERE in_flight = 1`:       &s.InFlight,
			`SELECT COUNT(*) FROM custody_objects WHERE needs_attention = 1`: &s.NeedsAttention,
			`SELECT COUNT(*) FROM custody_objects WHERE alarm <> ''`:         &s.Alarms,
			`SELECT COUNT(*) FROM custody_objects WHERE review_due > 0`:      &s.ReviewsDue,
		} {
			if err := tx.QueryRow(sql).Scan(into); err != nil {
				return err
			}
		}
		return tx.QueryRow(`SELECT COUNT(*) FROM custody_objects WHERE review_due > 0 AND review_due < ?`, toMicros(now())).Scan(&s.ReviewsLate)
	})
	return s, err
}

// oldest looks at the head of each archive's spool.
func (s *Stats) oldest(tx *store.Tx) error {
	for i := range s.Groups {
		if s.Groups[i].State != Spooled {
			continue
		}
		err := tx.QueryRow(`SELECT received_at FROM custody_objects WHERE state = 'spooled' AND archive = ? ORDER BY seq LIMIT 1`, s.Groups[i].Archive).
			Scan(micros{&s.Groups[i].Oldest})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Stats) groups(tx *store.Tx) error {
	rows, err := tx.Query(`SELECT state, archive, objects, bytes FROM custody_totals WHERE objects > 0 ORDER BY state, archive`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var g Group
		if err := rows.Scan(&g.State, &g.Archive, &g.Objects, &g.Bytes); err != nil {
			return err
		}
		s.Groups = append(s.Groups, g)
		switch g.State {
		case Spooled:
			s.Spooled += g.Objects
		case Held:
			s.Held += g.Objects
		}
	}
	return rows.Err()
}
