package whereabouts

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cordon/ledger"
	"cordon/store"
)

// ErrNotFound means that nothing was ever heard of a study.
var ErrNotFound = errors.New("no record of this study")

// Query chooses studies; a zero field chooses all.
type Query struct {
	Study     string // Study Instance UID
	PatientID string
	Accession string
	Device    string
	From, To  time.Time // something happened from then on, and before then

	Before Key // only those behind this one, as Find lists them
	Limit  int // 50 if zero, at most 500
}

// Key is where a study stands in the order in which Find lists them.
type Key struct {
	Last  time.Time
	Study int64
}

// Count is how many instances are in one state for one archive.
type Count struct {
	Archive   string `json:"archive,omitempty"` // "" for what was refused before one was chosen
	State     State  `json:"state"`
	Instances int    `json:"instances"`
}

// Study is what is known of one.
type Study struct {
	UID       string    `json:"study_instance_uid"`
	First     time.Time `json:"first"` // heard of
	Last      time.Time `json:"last"`
	Device    string    `json:"device,omitempty"` // that it came from last
	Instances int       `json:"instances"`        // different ones
	Counts    []Count   `json:"counts"`
	Series    []Series  `json:"series,omitempty"` // of Index.Study alone

	Key Key `json:"-"`
}

// Series is a part of a study.
type Series struct {
	UID       string  `json:"series_instance_uid,omitempty"` // "" if its records do not say
	Instances int     `json:"instances"`
	Counts    []Count `json:"counts"`
}

// Find lists studies, the last heard of first.
func (x *Index) Find(ctx context.Context, q Query) (all []Study, err error) {
	where, args := x.where(q)
	err = x.db.View(ctx, func(tx *store.Tx) error {
		if all, err = studies(tx, where, args...); err != nil {
			return err
		}
		for i := range all {
			if err := count(tx, &all[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return all, err
}

// where is a query in SQL.
func (x *Index) where(q Query) (string, []any) {
	var terms []string
	var args []any
	add := func(chosen bool, term string, values ...any) {
		if chosen {
			terms, args = append(terms, term), append(args, values...)
		}
	}
	const named = `id IN (SELECT study FROM whereabouts_name WHERE digest = ?)`
	add(true, "1 = 1")
	add(q.Study != "", "uid = ?", q.Study)
	add(q.PatientID != "", named, x.digest(ofPatient, q.PatientID))
	add(q.Accession != "", named, x.digest(ofAccession, q.Accession))
	add(q.Device != "", "device = ?", q.Device)
	add(!q.From.IsZero(), "last_seen >= ?", q.From.UnixMicro())
	add(!q.To.IsZero(), "first_seen < ?", q.To.UnixMicro())
	add(!q.Before.Last.IsZero(), "(last_seen, id) < (?, ?)", q.Before.Last.UnixMicro(), q.Before.Study)
	const most = 500
	limit := min(cmp.Or(q.Limit, 50), most)
	return strings.Join(terms, " AND ") + ` ORDER BY last_seen DESC, id DESC LIMIT ?`, append(args, limit)
}

func studies(tx *store.Tx, where string, args ...any) (all []Study, err error) {
	rows, err := tx.Query(`SELECT id, uid, first_seen, last_seen, device FROM whereabouts_study WHERE `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s Study
		var first, last int64
		if err := rows.Scan(&s.Key.Study, &s.UID, &first, &last, &s.Device); err != nil {
			return nil, err
		}
		s.First, s.Last = time.UnixMicro(first).UTC(), time.UnixMicro(last).UTC()
		s.Key.Last = s.Last
		all = append(all, s)
	}
	return all, rows.Err()
}

// row is one instance for one archive, counted.
type row struct {
	series, record int64
	Count
}

// count counts a study's instances.
func count(tx *store.Tx, s *Study) error {
	rows, err := tx.Query(`SELECT COALESCE(a.name, ''), i.state, COUNT(*) FROM whereabouts_instance i LEFT JOIN whereabouts_archive a ON a.id = i.archive
		WHERE i.study = ? GROUP BY i.archive, i.state ORDER BY 1, 2`, s.Key.Study)
	if err != nil {
		return err
	}
	defer rows.Close()
	s.Counts = []Count{}
	for rows.Next() {
		var c Count
		if err := rows.Scan(&c.Archive, &c.State, &c.Instances); err != nil {
			return err
		}
		s.Counts = append(s.Counts, c)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return tx.QueryRow(`SELECT COUNT(DISTINCT instance) FROM whereabouts_instance WHERE study = ?`, s.Key.Study).Scan(&s.Instances)
}

// Study tells about one study, series by series, or ErrNotFound.
func (x *Index) Study(ctx context.Context, uid string) (s Study, err error) {
	var records []int64 // one of each series
	err = x.db.View(ctx, func(tx *store.Tx) error {
		all, err := studies(tx, `uid = ?`, uid)
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return fmt.Errorf("%w: %.80q", ErrNotFound, uid)
		}
		s = all[0]
		if err := count(tx, &s); err != nil {
			return err
		}
		records, err = series(tx, &s)
		return err
	})
	for i := range s.Series {
		if err == nil {
			s.Series[i].UID, err = x.seriesUID(ctx, records[i])
		}
	}
	return s, err
}

// maxSeries bounds the series of a study that are told apart.
const maxSeries = 1000

// series counts by series, and returns a record of each.
func series(tx *store.Tx, s *Study) (records []int64, err error) {
	rows, err := tx.Query(`SELECT i.series, MAX(i.record), COALESCE(a.name, ''), i.state, COUNT(*) FROM whereabouts_instance i
		LEFT JOIN whereabouts_archive a ON a.id = i.archive
		WHERE i.study = ? GROUP BY i.series, i.archive, i.state ORDER BY i.series, 3, 4 LIMIT ?`, s.Key.Study, maxSeries)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	last := int64(0)
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.series, &r.record, &r.Archive, &r.State, &r.Instances); err != nil {
			return nil, err
		}
		if len(s.Series) == 0 || r.series != last {
			last = r.series
			s.Series, records = append(s.Series, Series{}), append(records, r.record)
		}
		of := &s.Series[len(s.Series)-1]
		of.Counts = append(of.Counts, r.Count)
	}
	return records, errors.Join(rows.Err(), distinct(tx, s))
}

// distinct counts the different instances of each series, in the order of series.
func distinct(tx *store.Tx, s *Study) error {
	rows, err := tx.Query(`SELECT series, COUNT(DISTINCT instance) FROM whereabouts_instance WHERE study = ? GROUP BY series ORDER BY series LIMIT ?`,
		s.Key.Study, len(s.Series))
	if err != nil {
		return err
	}
	defer rows.Close()
	for i := 0; rows.Next() && i < len(s.Series); i++ {
		var key int64
		if err := rows.Scan(&key, &s.Series[i].Instances); err != nil {
			return err
		}
	}
	return rows.Err()
}

// seriesUID is what a record says that its series is.
func (x *Index) seriesUID(ctx context.Context, record int64) (uid string, err error) {
	err = x.ledger.Scan(ctx, record, record+1, func(r ledger.Record) error {
		var e entry
		if r.Body == nil || json.Unmarshal(r.Body, &e) != nil {
			return nil
		}
		uid = e.Series
		return nil
	})
	return uid, err
}

// Instances counts the different instances of studies. One that nothing was heard
// of has none.
func (x *Index) Instances(ctx context.Context, uids []string) (map[string]int, error) {
	list, err := json.Marshal(slices.Compact(slices.Sorted(slices.Values(uids))))
	if err != nil {
		return nil, err
	}
	out := map[string]int{}
	err = x.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT s.uid, (SELECT COUNT(DISTINCT instance) FROM whereabouts_instance WHERE study = s.id)
			FROM whereabouts_study s WHERE s.uid IN (SELECT value FROM json_each(?))`, string(list))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var uid string
			var n int
			if err := rows.Scan(&uid, &n); err != nil {
				return err
			}
			out[uid] = n
		}
		return rows.Err()
	})
	return out, err
}

// Patient is whom a study is of, as the ledger has it sealed. Who shows it to
// somebody records that.
type Patient struct {
	ID        string `json:"id,omitempty"`
	Issuer    string `json:"issuer,omitempty"`
	Name      string `json:"name,omitempty"`
	Accession string `json:"accession,omitempty"`
}

// Patient tells whom a study is of; the zero Patient if nobody said, or if it was
// erased.
func (x *Index) Patient(ctx context.Context, study string) (p Patient, err error) {
	var record sql.NullInt64
	err = x.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT patient_record FROM whereabouts_study WHERE uid = ?`, study).Scan(&record)
	})
	if errors.Is(err, sql.ErrNoRows) || err == nil && !record.Valid {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	err = x.ledger.Scan(ctx, record.Int64, record.Int64+1, func(r ledger.Record) error {
		var e entry
		if r.Body == nil || json.Unmarshal(r.Body, &e) != nil || e.Patient == "" {
			return nil // pruned
		}
		return x.ledger.Unseal(ctx, e.Patient, &p)
	})
	if errors.Is(err, ledger.ErrErased) {
		return Patient{}, nil
	}
	return p, err
}
