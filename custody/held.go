package custody

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"cordon/store"
)

// HeldFilter chooses held objects; a zero field chooses all.
type HeldFilter struct {
	StudyInstanceUID string
	Study            bool     // of StudyInstanceUID, also if that is ""
	From             string   // a device, or the calling AE title of one that nobody declared
	Archive          string   //
	Findings         []string // of at least one of these kinds; nil: of any
	Since            time.Time
	Before           string // only what is behind this id, the latest first
	Limit            int    // 100 if zero
}

// HeldStudy is a study of which something is held.
type HeldStudy struct {
	StudyInstanceUID string    // "" of all objects that name none
	Objects          int       // held, of those chosen
	First, Last      time.Time // held
	Latest           string    // id of the last one: the key by which HeldStudies goes on
}

func (f HeldFilter) sql() (where string, args []any, limit int) {
	terms := []string{"state = 'held'"}
	add := func(chosen bool, term string, values ...any) {
		if chosen {
			terms, args = append(terms, term), append(args, values...)
		}
	}
	add(f.Study || f.StudyInstanceUID != "", "study_instance_uid = ?", f.StudyInstanceUID)
	add(f.From != "", "CASE device WHEN '' THEN calling_ae ELSE device END = ?", f.From)
	add(f.Archive != "", "archive = ?", f.Archive)
	add(!f.Since.IsZero(), "held_at >= ?", toMicros(f.Since))
	if f.Findings != nil {
		list, _ := json.Marshal(f.Findings) // of strings: never fails
		term := "seq IN (SELECT seq FROM custody_held_findings WHERE finding IN (SELECT value FROM json_each(?)))"
		if f.Study || f.StudyInstanceUID != "" { // few objects: each is looked up
			term = "EXISTS (SELECT 1 FROM custody_held_findings f WHERE f.seq = custody_objects.seq AND f.finding IN (SELECT value FROM json_each(?)))"
		}
		add(true, term, string(list))
	}
	const standing = 100
	if limit = f.Limit; limit <= 0 {
		limit = standing
	}
	return strings.Join(terms, " AND "), args, limit
}

// HeldStudies lists the studies of which something is held, the one with the latest
// object first.
func (c *Custody) HeldStudies(ctx context.Context, f HeldFilter) (all []HeldStudy, err error) {
	where, args, limit := f.sql()
	having := ""
	if f.Before != "" {
		having, args = "HAVING MAX(id) < ?", append(args, f.Before)
	}
	err = c.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT study_instance_uid, COUNT(*), MIN(held_at), MAX(held_at), MAX(id) FROM custody_objects INDEXED BY custody_held_study
			WHERE `+where+` GROUP BY study_instance_uid `+having+` ORDER BY MAX(id) DESC LIMIT ?`, append(args, limit)...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var s HeldStudy
			if err := rows.Scan(&s.StudyInstanceUID, &s.Objects, micros{&s.First}, micros{&s.Last}, &s.Latest); err != nil {
				return err
			}
			all = append(all, s)
		}
		return rows.Err()
	})
	return all, err
}

// Held lists held objects, the latest first.
func (c *Custody) Held(ctx context.Context, f HeldFilter) (all []Object, err error) {
	where, args, limit := f.sql()
	if f.Before != "" {
		where, args = where+" AND id < ?", append(args, f.Before)
	}
	order := "seq DESC"
	if f.Study || f.StudyInstanceUID != "" {
		order = "id DESC" // in the order of custody_held_study
	}
	err = c.db.View(ctx, func(tx *store.Tx) error {
		all, err = query(tx, `SELECT `+columns+` FROM custody_objects WHERE `+where+` ORDER BY `+order+` LIMIT ?`, append(args, limit)...)
		return err
	})
	return all, err
}

// HeldFindings lists the kinds of finding that held objects have.
func (c *Custody) HeldFindings(ctx context.Context) (all []string, err error) {
	err = c.db.View(ctx, func(tx *store.Tx) error {
		// One step of the index for each kind, however many objects have it.
		rows, err := tx.Query(`WITH RECURSIVE kind(id) AS (
				SELECT MIN(finding) FROM custody_held_findings
				UNION ALL SELECT (SELECT MIN(finding) FROM custody_held_findings WHERE finding > kind.id) FROM kind WHERE kind.id IS NOT NULL
			) SELECT id FROM kind WHERE id IS NOT NULL`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				return err
			}
			all = append(all, id)
		}
		return rows.Err()
	})
	return all, err
}

// Origin is the device that an object came from, or the calling AE title of one
// that nobody declared: what HeldFilter.From chooses by.
func (o Object) Origin() string {
	if o.Device != "" {
		return o.Device
	}
	return o.CallingAE
}

// Alike lists other objects that were held at some time and whose bytes are the
// same, the latest first.
func (c *Custody) Alike(ctx context.Context, o Object, limit int) (all []Object, err error) {
	err = c.db.View(ctx, func(tx *store.Tx) error {
		all, err = query(tx, `SELECT `+columns+` FROM custody_objects WHERE sha256 = ? AND held_at > 0 AND id <> ? ORDER BY seq DESC LIMIT ?`, o.SHA256[:], o.ID, limit)
		return err
	})
	return all, err
}

// SameHabit lists other held objects of the same origin with a finding of one kind,
// the latest first.
func (c *Custody) SameHabit(ctx context.Context, o Object, finding string, limit int) (all []Object, err error) {
	err = c.db.View(ctx, func(tx *store.Tx) error {
		all, err = query(tx, `SELECT `+columns+` FROM custody_objects WHERE seq IN
			(SELECT seq FROM custody_held_findings WHERE finding = ? AND origin = ? ORDER BY seq DESC LIMIT ?) AND id <> ? ORDER BY seq DESC LIMIT ?`,
			finding, o.Origin(), limit+1, o.ID, limit)
		return err
	})
	return all, err
}

// HeldSum is how much of one sender is held now.
type HeldSum struct {
	Studies int
	Objects int
}

// HeldBy is how much is held now, by device, or by the calling AE title of those that
// nobody declared.
func (c *Custody) HeldBy(ctx context.Context) (map[string]HeldSum, error) {
	out := map[string]HeldSum{}
	err := c.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT CASE device WHEN '' THEN calling_ae ELSE device END, COUNT(DISTINCT study_instance_uid), COUNT(*) FROM custody_objects WHERE state = 'held' GROUP BY 1`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var from string
			var s HeldSum
			if err := rows.Scan(&from, &s.Studies, &s.Objects); err != nil {
				return err
			}
			out[from] = s
		}
		return rows.Err()
	})
	return out, err
}
