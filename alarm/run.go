package alarm

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"cordon/store"
)

// every is how often what has changed is written.
const every = time.Second

// Run writes what has changed, and wakes what was snoozed, until ctx ends; then
// once more.
func (a *Alarms) Run(ctx context.Context, log *slog.Logger) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var pruned time.Time
	for {
		select {
		case <-ctx.Done():
			return a.flush(context.WithoutCancel(ctx))
		case <-tick.C:
		}
		a.wake(time.Now().UTC())
		if err := a.flush(ctx); err != nil && ctx.Err() == nil {
			log.Error("alarms could not be written; they are kept in memory", "error", err)
		}
		if time.Since(pruned) > time.Hour {
			pruned = time.Now()
			if err := a.db.Update(ctx, prune); err != nil && ctx.Err() == nil {
				log.Error("old alarms could not be taken out", "error", err)
			}
		}
	}
}

// wake opens the alarms again whose snooze is over.
func (a *Alarms) wake(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.open {
		if !e.SnoozedUntil.IsZero() && !e.Snoozed(now) {
			a.reopen(e, Back, now)
		}
	}
}

// flush writes what is in memory alone.
func (a *Alarms) flush(ctx context.Context) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	items, changes := a.take()
	if len(items) == 0 {
		return nil
	}
	err := a.db.Update(ctx, func(tx *store.Tx) error { return a.write(tx, items, changes) })
	if err != nil {
		a.giveBack(items, changes)
	}
	return err
}

// take takes what is to be written.
func (a *Alarms) take() ([]Item, []Change) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var items []Item
	for id, e := range a.byID {
		if e.dirty {
			items = append(items, e.Item)
			e.dirty = false
		}
		if e.Over() {
			delete(a.byID, id)
		}
	}
	changes := slices.SortedFunc(maps.Values(a.changes), func(x, y Change) int { return int(x.ID - y.ID) })
	clear(a.changes)
	return items, changes
}

// giveBack has what could not be written tried again.
func (a *Alarms) giveBack(items []Item, changes []Change) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, i := range items {
		e, ok := a.byID[i.ID]
		if !ok {
			e = &entry{Item: i} // it was over
			a.byID[i.ID] = e
		}
		e.dirty = true
	}
	for _, c := range changes {
		if _, later := a.changes[c.ID]; !later {
			a.changes[c.ID] = c
		}
	}
}

// write writes rows, records and what is told of them.
func (a *Alarms) write(tx *store.Tx, items []Item, changes []Change) error {
	for _, i := range items {
		if err := put(tx, i); err != nil {
			return err
		}
	}
	for _, c := range changes {
		kind := "alarm.raised"
		if c.What == Over {
			kind = "alarm.ended"
		}
		if err := a.journal.Append(tx, kind, c.record()); err != nil {
			return err
		}
		if c.What == Back || c.What == Worse {
			if err := step(tx, c.ID, Step{At: c.Raised, What: string(c.What)}); err != nil {
				return err
			}
		}
	}
	if a.options.Changed == nil || len(changes) == 0 {
		return nil
	}
	return a.options.Changed(tx, changes)
}

// record is what the ledger holds of a change.
func (c Change) record() map[string]any {
	return map[string]any{"alarm": c.ID, "alarm_kind": c.Kind, "subject": c.Subject, "severity": c.Severity.String(), "what": string(c.What), "count": c.Count}
}

// prune forgets the oldest history.
func prune(tx *store.Tx) error {
	var last int64
	err := tx.QueryRow(`SELECT coalesce((SELECT id FROM alarm WHERE ended_at > 0 ORDER BY ended_at DESC, id DESC LIMIT 1 OFFSET ?), 0)`, MaxHistory).Scan(&last)
	if err != nil || last == 0 {
		return err
	}
	if _, err = tx.Exec(`DELETE FROM alarm WHERE ended_at > 0 AND id <= ?`, last); err == nil {
		_, err = tx.Exec(`DELETE FROM alarm_step WHERE alarm NOT IN (SELECT id FROM alarm)`)
	}
	return err
}
