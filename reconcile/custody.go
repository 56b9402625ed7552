package reconcile

import (
	"context"
	"maps"
	"slices"
	"time"

	"cordon/ledger"
	"cordon/store"
)

// custody looks for each blob that a row promises, then for the row that each
// record promises. It writes down the associations that were cut short.
func (w *work) custody(ctx context.Context) error {
	found, err := w.parts.Custody.Check(ctx)
	if err != nil {
		return err
	}
	w.report.Custody = Custody{Spooled: found.Spooled, Held: found.Held, Alarms: found.Alarms}
	next, err := w.cursor(ctx, "")
	if err != nil {
		return err
	}
	end, err := w.parts.Ledger.Size(ctx)
	for err == nil && next < end {
		upto := min(end, next+w.config.Window)
		if err = w.kept(ctx, next, upto); err == nil {
			next = upto
		}
	}
	return err
}

// kept accounts for the records of one window and moves the cursor.
func (w *work) kept(ctx context.Context, from, to int64) error {
	ids, left := map[string]entry{}, map[string]bool{}
	var cut []unfinished
	err := w.read(ctx, from, to, []string{"object.spooled", "object.held", "object.requeued", "object.delivered", "object.destroyed", "association.unfinished", "visit.unfinished"},
		func(r ledger.Record, e entry) error {
			switch r.Kind {
			case "association.unfinished", "visit.unfinished":
				began, err := time.Parse(time.RFC3339Nano, e.Began)
				cut = append(cut, unfinished{e.under(), e.Visit != "", began, r.Seq})
				return err
			case "object.delivered", "object.destroyed":
				left[e.ID] = true
			default:
				ids[e.ID] = e
			}
			return nil
		})
	if err != nil {
		return err
	}
	unknown, err := w.parts.Custody.Unknown(ctx, slices.Sorted(maps.Keys(ids)))
	if err != nil {
		return err
	}
	unknown = slices.DeleteFunc(unknown, func(id string) bool { return left[id] }) // its row may have been pruned
	w.report.Custody.Unaccounted += len(unknown)
	return w.parts.DB.Update(ctx, func(tx *store.Tx) error {
		for _, id := range unknown {
			if err := w.parts.Ledger.Append(tx, "object.unaccounted", map[string]any{"id": id, "archive": ids[id].Archive, "sop_instance_uid": ids[id].Instance}); err != nil {
				return err
			}
		}
		for _, u := range cut {
			if err := u.insert(tx); err != nil {
				return err
			}
		}
		return advance(tx, "", to)
	})
}
