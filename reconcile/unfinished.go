package reconcile

import (
	"context"
	"errors"
	"hash/maphash"
	"maps"
	"slices"
	"time"

	"cordon/ledger"
	"cordon/store"
)

// unfinished is an association, or a visit over the web, that a crash cut short.
type unfinished struct {
	association string
	isVisit     bool
	began       time.Time
	upto        int64 // number of the record that says so
}

// key is what records name it by.
func (u unfinished) key() string {
	if u.isVisit {
		return "visit"
	}
	return "association"
}

func (u unfinished) insert(tx *store.Tx) error {
	_, err := tx.Exec(`INSERT INTO reconcile_cut (association, visit, began, upto) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		u.association, u.isVisit, u.began.UnixMicro(), u.upto)
	return err
}

// trace is what the ledger has of an association that was cut short: the
// studies that went to each archive, and what is recorded as delivered, as
// hashes, since it may be much.
type trace struct {
	studies map[string]map[string]bool // archive to study
	known   map[uint64]bool            // instances
}

const (
	maxCut     = 256     // associations that are traced at a time
	maxStudies = 1000    // of one association: a gateway of its own has no more in one
	maxKnown   = 1 << 20 // instances of all that are traced at a time; beyond that some may be recorded again
)

// cutShort accounts for the associations that a crash cut short.
func (w *work) cutShort(ctx context.Context) error {
	for after := ""; ; {
		cut, err := w.openCuts(ctx, after)
		if err != nil || len(cut) == 0 {
			return err
		}
		after = cut[len(cut)-1].association
		traces, seed, err := w.trace(ctx, cut)
		if err != nil {
			return err
		}
		for _, u := range cut {
			if err := w.accountFor(ctx, u, traces[u.association], seed); err != nil {
				return err
			}
		}
	}
}

func (w *work) openCuts(ctx context.Context, after string) (all []unfinished, err error) {
	err = w.parts.DB.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT association, visit, began, upto FROM reconcile_cut WHERE association > ? ORDER BY association LIMIT ?`, after, maxCut)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var u unfinished
			var began int64
			if err := rows.Scan(&u.association, &u.isVisit, &began, &u.upto); err != nil {
				return err
			}
			u.began = time.UnixMicro(began)
			all = append(all, u)
		}
		return rows.Err()
	})
	return all, err
}

// slack is how much before its begin an association's records are looked for:
// clocks are set.
const slack = time.Minute

// trace reads the ledger once, from the first of the associations on.
func (w *work) trace(ctx context.Context, cut []unfinished) (map[string]*trace, maphash.Seed, error) {
	seed, traces := maphash.MakeSeed(), map[string]*trace{}
	first, last := cut[0].began, int64(0)
	for _, u := range cut {
		traces[u.association] = &trace{map[string]map[string]bool{}, map[uint64]bool{}}
		if u.began.Before(first) {
			first = u.began
		}
		last = max(last, u.upto)
	}
	from, err := ledger.Before(ctx, w.parts.DB, first.Add(-slack))
	if err != nil {
		return nil, seed, err
	}
	room := maxKnown
	err = w.read(ctx, from, last, []string{"transfer.begin", "object.delivered"}, func(r ledger.Record, e entry) error {
		t := traces[e.under()]
		switch {
		case t == nil:
		case r.Kind == "object.delivered" && room > 0:
			room--
			t.known[maphash.String(seed, e.Instance)] = true
		case r.Kind == "transfer.begin" && e.Direction == "sent":
			t.sent(e.Peer, e.Moved)
		}
		return nil
	})
	return traces, seed, err
}

func (t *trace) sent(archive, study string) {
	if t.studies[archive] == nil {
		t.studies[archive] = map[string]bool{}
	}
	if len(t.studies[archive]) < maxStudies {
		t.studies[archive][study] = true
	}
}

// accountFor asks the archives about the studies of one association, and
// records what they have of them that no record names. While one is away, the
// association stays open.
func (w *work) accountFor(ctx context.Context, u unfinished, t *trace, seed maphash.Seed) error {
	var found []map[string]any
	for i, a := range w.config.Archives {
		for _, study := range slices.Sorted(maps.Keys(t.studies[a.Name])) {
			body, err := w.study(ctx, a, study, func(uid string) bool { return t.known[maphash.String(seed, uid)] })
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case errors.Is(err, errNotAsked):
				body = map[string]any{"error": err.Error()}
			case err != nil:
				w.report.Archives[i].Error = err.Error()
				return nil
			}
			body[u.key()], body["archive"], body["study_instance_uid"] = u.association, a.Name, study
			found = append(found, body)
		}
	}
	w.report.Cut.Associations++
	return w.parts.DB.Update(ctx, func(tx *store.Tx) error {
		for _, body := range found {
			if err := w.parts.Ledger.Append(tx, "association.accounted", body); err != nil {
				return err
			}
		}
		_, err := tx.Exec(`DELETE FROM reconcile_cut WHERE association = ?`, u.association)
		return err
	})
}

// maxNamed is how many instances one record names; the rest is counted.
const maxNamed = 200

// study asks an archive what it has of a study, and returns what the ledger is
// told: how much that is, how much of it no record names, and which.
func (w *work) study(ctx context.Context, a Archive, study string, known func(uid string) bool) (map[string]any, error) {
	if !a.Query || w.parts.Find == nil || !isUID(study) {
		return nil, errNotAsked
	}
	var all []string
	if err := w.eachSeries(ctx, a, study, func(uid string) { all = append(all, uid) }); err != nil {
		return nil, err
	}
	instances, unrecorded, names := 0, 0, []string{}
	for _, uid := range all {
		err := w.eachInstance(ctx, a, series{study, uid}, func(uid string) {
			instances++
			if known(uid) {
				return
			}
			unrecorded++
			if len(names) < maxNamed {
				names = append(names, uid)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	w.report.Cut.Studies++
	w.report.Cut.Instances += instances
	w.report.Cut.Unrecorded += unrecorded
	return map[string]any{"instances": instances, "unrecorded": unrecorded, "sop_instance_uids": names}, nil
}
