package reconcile

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"cordon/custody"
	"cordon/store"
)

// miss writes down what an archive lacks, to be asked about once more.
func (w *work) miss(ctx context.Context, archive string, s series, missing map[string]instance) error {
	if len(missing) == 0 {
		return nil
	}
	now := time.Now().UnixMicro()
	return w.parts.DB.Update(ctx, func(tx *store.Tx) error {
		for _, i := range missing {
			_, err := tx.Exec(`INSERT INTO reconcile_missing (archive, study_instance_uid, series_instance_uid, sop_instance_uid, sop_class_uid, sha256, since)
				VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET sha256 = excluded.sha256`, archive, s.study, s.series, i.uid, i.class, i.sha256, now)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// missing asks once more about what archives lacked, in this run and before.
func (w *work) missing(ctx context.Context) error {
	fresh := 0
	err := w.parts.DB.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT COUNT(*) FROM reconcile_missing WHERE told = 0`).Scan(&fresh)
	})
	if err != nil {
		return err
	}
	if fresh > 0 { // an archive may list later than it answers
		select {
		case <-time.After(w.config.Settle):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for i, a := range w.config.Archives {
		if err := w.missingFrom(ctx, a, &w.report.Archives[i]); err != nil {
			return err
		}
	}
	return nil
}

// missingFrom asks one archive, series by series.
func (w *work) missingFrom(ctx context.Context, a Archive, to *Answer) error {
	for after := (series{}); to.Error == ""; {
		s, want, err := w.nextMissing(ctx, a.Name, after)
		if err != nil || len(want) == 0 {
			return err
		}
		after = s
		still, err := w.lacks(ctx, a, s, want)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errNotAsked):
			continue
		case err != nil:
			to.Error = err.Error()
			return nil
		}
		for uid, i := range want {
			if _, ok := still[uid]; !ok {
				err = w.back(ctx, a.Name, s, i, to)
			} else {
				err = w.gone(ctx, a.Name, s, i, to)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// nextMissing returns what is missing of the next series.
func (w *work) nextMissing(ctx context.Context, archive string, after series) (s series, want map[string]instance, err error) {
	want = map[string]instance{}
	err = w.parts.DB.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT study_instance_uid, series_instance_uid, sop_instance_uid, sop_class_uid, sha256, told FROM reconcile_missing
			WHERE archive = ?1 AND (study_instance_uid, series_instance_uid) = (SELECT study_instance_uid, series_instance_uid FROM reconcile_missing
				WHERE archive = ?1 AND (study_instance_uid, series_instance_uid, sop_instance_uid) > (?2, ?3, ?4)
				ORDER BY study_instance_uid, series_instance_uid LIMIT 1) LIMIT ?5`,
			archive, after.study, after.series, afterAll(after), w.config.Window)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var i instance
			if err := rows.Scan(&s.study, &s.series, &i.uid, &i.class, &i.sha256, &i.told); err != nil {
				return err
			}
			want[i.uid] = i
		}
		return rows.Err()
	})
	return s, want, err
}

// afterAll is greater than every UID once a series has been asked about, and
// less than any before.
func afterAll(s series) string {
	if s == (series{}) {
		return ""
	}
	return "~"
}

// back notes that an archive has an instance after all.
func (w *work) back(ctx context.Context, archive string, s series, i instance, to *Answer) error {
	if i.told {
		to.Back++
	} else {
		to.Present++
	}
	return w.parts.DB.Update(ctx, func(tx *store.Tx) error {
		if err := forget(tx, archive, s, i); err != nil || !i.told {
			return err
		}
		return w.parts.Ledger.Append(tx, "object.there_again", named(archive, s, i))
	})
}

// gone has an instance delivered again if its bytes are here, and is an alarm
// otherwise.
func (w *work) gone(ctx context.Context, archive string, s series, i instance, to *Answer) error {
	again, err := w.requeue(ctx, archive, i)
	if err != nil {
		return err
	}
	if again {
		to.Requeued++
		return w.parts.DB.Update(ctx, func(tx *store.Tx) error { return forget(tx, archive, s, i) })
	}
	to.Missing++
	if i.told {
		return nil
	}
	w.parts.Log.Error("an archive answered success for an instance and does not have it", "archive", archive, "instance", i.uid)
	return w.parts.DB.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(`UPDATE reconcile_missing SET told = 1 WHERE archive = ? AND study_instance_uid = ? AND series_instance_uid = ? AND sop_instance_uid = ?`,
			archive, s.study, s.series, i.uid); err != nil {
			return err
		}
		return w.parts.Ledger.Append(tx, "object.missing", named(archive, s, i))
	})
}

// requeue makes an instance due again if the bytes that were delivered are here.
func (w *work) requeue(ctx context.Context, archive string, i instance) (bool, error) {
	var sum custody.Digest
	if raw, err := hex.DecodeString(i.sha256); err != nil || len(raw) != len(sum) || copy(sum[:], raw) != len(sum) {
		return false, nil // a record of an older version
	}
	_, err := w.parts.Custody.Requeue(ctx, archive, i.uid, sum)
	if errors.Is(err, custody.ErrNotFound) {
		return false, nil
	}
	if err == nil && w.parts.Wake != nil {
		w.parts.Wake(archive)
	}
	return err == nil, err
}

func forget(tx *store.Tx, archive string, s series, i instance) error {
	_, err := tx.Exec(`DELETE FROM reconcile_missing WHERE archive = ? AND study_instance_uid = ? AND series_instance_uid = ? AND sop_instance_uid = ?`,
		archive, s.study, s.series, i.uid)
	return err
}

// named is what the ledger says of an instance.
func named(archive string, s series, i instance) map[string]any {
	return map[string]any{
		"archive": archive, "study_instance_uid": s.study, "series_instance_uid": s.series,
		"sop_instance_uid": i.uid, "sop_class_uid": i.class, "sha256": i.sha256,
	}
}

// standing counts what is open when a run ends.
func (w *work) standing(ctx context.Context) error {
	return w.parts.DB.View(ctx, func(tx *store.Tx) error {
		if err := tx.QueryRow(`SELECT COUNT(*) FROM reconcile_missing WHERE told = 1`).Scan(&w.report.Missing); err != nil {
			return err
		}
		return tx.QueryRow(`SELECT COUNT(*) FROM reconcile_cut`).Scan(&w.report.Cut.Open)
	})
}

// GiveUp ends the alarms about what is missing: a person has had it sent again
// under other names, or knows that the archive has deleted it on purpose. It
// returns how many instances that was.
func (r *Reconciler) GiveUp(ctx context.Context, rq custody.Request) (n int, err error) {
	if rq, err = rq.Check(); err != nil {
		return 0, err
	}
	err = r.parts.DB.Update(ctx, func(tx *store.Tx) error {
		if err := tx.QueryRow(`SELECT COUNT(*) FROM reconcile_missing WHERE told = 1`).Scan(&n); err != nil || n == 0 {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM reconcile_missing WHERE told = 1`); err != nil {
			return err
		}
		return r.parts.Ledger.Append(tx, "reconcile.given_up", map[string]any{"by": rq.By, "reason": rq.Reason, "instances": n})
	})
	if err == nil {
		r.nothingMissing()
	}
	return n, err
}

// nothingMissing takes the alarm out of the last report, too.
func (r *Reconciler) nothingMissing() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil {
		return
	}
	last := *r.last
	last.Missing, last.Archives = 0, slices.Clone(last.Archives)
	for i := range last.Archives {
		last.Archives[i].Missing = 0
	}
	r.last = &last
}
