package silence

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"cordon/ledger"
	"cordon/store"
)

// sign is what a record says of its source.
type sign struct {
	Association string `json:"association"`
	Device      string `json:"device"`
	CallingAE   string `json:"calling_ae"`
	Address     string `json:"address"`
}

// listened reports whether a kind of record is a source talking. Who is turned
// away has not been heard.
func listened(kind string) bool {
	switch kind {
	case "association.begin", "association.end", "transfer.begin", "transfer.end":
		return true
	case "object.refused", "object.asked", "object.released":
		return false
	}
	return strings.HasPrefix(kind, "object.") || strings.HasPrefix(kind, "query.") || strings.HasPrefix(kind, "step.")
}

// learn notes the hours of the records.
func (s *Sources) learn(ctx context.Context, batch []ledger.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var heard []hearing
	for _, r := range batch {
		if h, ok := s.hear(r); ok {
			heard = append(heard, h)
		}
	}
	if len(heard) == 0 {
		return nil
	}
	err := s.db.Update(ctx, func(tx *store.Tx) error {
		for _, h := range heard {
			if err := s.keep(tx, h); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		for _, h := range heard { // they come again
			delete(s.hours, h.name)
		}
	}
	return err
}

// hearing is one source, heard in one hour.
type hearing struct {
	sign
	name string
	hour time.Time
	at   time.Time
}

// hear reads one record. It needs mu. What was heard in an hour already is left
// out.
func (s *Sources) hear(r ledger.Record) (h hearing, ok bool) {
	if !listened(r.Kind) || json.Unmarshal(r.Body, &h.sign) != nil {
		return h, false
	}
	h.name, h.at, h.hour = h.Device, r.Time, hourOf(r.Time.In(s.zone))
	if h.name == "" {
		h.name = h.CallingAE
	}
	switch r.Kind {
	case "association.begin":
		if len(s.open) < maxOpen {
			s.open[h.Association] = h.name
		}
	case "association.end":
		delete(s.open, h.Association)
	default:
		if h.CallingAE == "" { // of an association under way
			h.name = s.open[h.Association]
		}
	}
	if h.name == "" || s.hours[h.name].Equal(h.hour) {
		return h, false
	}
	if _, known := s.hours[h.name]; !known && len(s.hours) >= maxSources {
		return h, false
	}
	s.hours[h.name] = h.hour
	return h, true
}

// keep puts a hearing on disk, and ends a silence.
func (s *Sources) keep(tx *store.Tx, h hearing) error {
	var src Missed
	var heard, silent int64
	err := tx.QueryRow(`SELECT name, declared, calling_ae, address, last_heard, silent FROM silence_source WHERE name = ?`, h.name).
		Scan(&src.Name, &src.Declared, &src.CallingAE, &src.Address, &heard, &silent)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		var n int
		if err := tx.QueryRow(`SELECT COUNT(*) FROM silence_source`).Scan(&n); err != nil || n >= maxSources {
			return err
		}
		_, err = tx.Exec(`INSERT INTO silence_source (name, declared, calling_ae, address, last_heard) VALUES (?, ?, ?, ?, ?)`,
			h.name, h.Device != "", h.CallingAE, h.Address, micros(h.at))
	case err == nil && h.CallingAE == "":
		_, err = tx.Exec(`UPDATE silence_source SET last_heard = max(last_heard, ?) WHERE name = ?`, micros(h.at), h.name)
	case err == nil:
		_, err = tx.Exec(`UPDATE silence_source SET last_heard = max(last_heard, ?), calling_ae = ?, address = ?, declared = ? WHERE name = ?`,
			micros(h.at), h.CallingAE, h.Address, h.Device != "", h.name)
	}
	if err != nil {
		return err
	}
	if silent > 0 && micros(h.at) > silent {
		src.LastHeard = h.at
		if err := s.setIn(tx, src, time.Time{}, "", "source.heard"); err != nil {
			return err
		}
	}
	_, err = tx.Exec(`INSERT INTO silence_heard (name, hour) VALUES (?, ?) ON CONFLICT DO NOTHING`, h.name, h.hour.Unix())
	return err
}

// heardBy is the set of hours in which a source was heard.
func (s *Sources) heardBy(ctx context.Context, name string) (map[int64]bool, error) {
	heard := map[int64]bool{}
	err := s.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT hour FROM silence_heard WHERE name = ?`, name)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var hour int64
			if err := rows.Scan(&hour); err != nil {
				return err
			}
			heard[hour] = true
		}
		return rows.Err()
	})
	return heard, err
}

// query lists sources.
func (s *Sources) query(ctx context.Context, where string) (out []Missed, err error) {
	err = s.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT name, declared, calling_ae, address, last_heard, silent, rule FROM silence_source ` + where)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var m Missed
			var heard, silent int64
			if err := rows.Scan(&m.Name, &m.Declared, &m.CallingAE, &m.Address, &heard, &silent, &m.Rule); err != nil {
				return err
			}
			m.LastHeard = time.UnixMicro(heard)
			if silent > 0 {
				m.Since = time.UnixMicro(silent)
			}
			out = append(out, m)
		}
		return rows.Err()
	})
	return out, err
}

// prune takes out what no rule looks back to, and sources that are long gone.
func (s *Sources) prune(ctx context.Context, now time.Time) error {
	before := now.Add(-horizon)
	s.mu.Lock()
	for name, hour := range s.hours {
		if hour.Before(before) {
			delete(s.hours, name)
		}
	}
	s.mu.Unlock()
	return s.db.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(`DELETE FROM silence_heard WHERE hour < ?`, before.Unix()); err != nil {
			return err
		}
		_, err := tx.Exec(`DELETE FROM silence_source WHERE silent = 0 AND last_heard < ?`, before.UnixMicro())
		return err
	})
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}
