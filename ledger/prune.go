package ledger

import (
	"context"
	"fmt"
	"time"

	"cordon/store"
)

const (
	// pruneEvery is how often old bodies are looked for.
	pruneEvery = time.Hour
	// pruneSpan is the most time whose records lose their bodies in one go, so
	// that a clock that has jumped years ahead destroys little before it is
	// seen.
	pruneSpan = 7 * 24 * time.Hour
	// pruneBatch is how many records one commit prunes.
	pruneBatch = 2000
)

// Retain prunes, until ctx ends, what is older than age: see Prune.
func (l *Ledger) Retain(ctx context.Context, age time.Duration) error {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		err := l.Prune(ctx, l.now().Add(-age))
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			l.failed(err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Prune takes the bodies out of records made before that time, at most a week's
// at a time, and the data keys that nothing was sealed with since. Number, time,
// kind and the body's digest stay, so every proof still holds; so do the records
// that carry the proof, and those of version 1. A record in the
// same commit says what was pruned, and a checkpoint signs it.
func (l *Ledger) Prune(ctx context.Context, before time.Time) error {
	l.pruning.Lock() // waits for exports, which must not see half of it
	defer l.pruning.Unlock()
	first, err := l.oldestWhole(ctx)
	if err != nil {
		return fmt.Errorf("pruning ledger: %w", err)
	}
	if limit := first.Add(pruneSpan); limit.Before(before) {
		before = limit
	}
	for more := true; more && ctx.Err() == nil; {
		err := l.db.Update(ctx, func(tx *store.Tx) (err error) {
			more, err = l.pruneSome(tx, before)
			return err
		})
		if err != nil {
			return fmt.Errorf("pruning ledger: %w", err)
		}
	}
	return ctx.Err()
}

// oldestWhole returns the time of the first record that was not pruned yet.
func (l *Ledger) oldestWhole(ctx context.Context) (at time.Time, err error) {
	err = l.db.View(ctx, func(tx *store.Tx) error {
		from, err := pruned(tx)
		if err != nil {
			return err
		}
		lines, err := records(tx, from, from+1)
		if err != nil {
			return err
		}
		r, err := decode(lines[0])
		at = r.Time
		return err
	})
	return at, err
}

func pruned(tx *store.Tx) (to int64, err error) {
	err = tx.QueryRow(`SELECT COALESCE(MAX(upto), 0) FROM ledger_prunings`).Scan(&to)
	return to, err
}

// pruneSome prunes one batch, and reports whether there may be more.
func (l *Ledger) pruneSome(tx *store.Tx, before time.Time) (more bool, err error) {
	from, err := pruned(tx)
	if err != nil {
		return false, err
	}
	end, err := size(tx)
	if err != nil {
		return false, err
	}
	lines, err := records(tx, from, min(end, from+pruneBatch))
	if err != nil {
		return false, err
	}
	found, err := l.oldOnes(lines, before)
	if err != nil {
		return false, err
	}
	if len(found) == 0 {
		return false, l.pruneKeys(tx, before)
	}
	old := map[int64][]byte{}
	for _, r := range found {
		if r.Body == nil || !r.prunable() {
			continue
		}
		if old[r.Seq], err = r.pruned().encode(); err != nil {
			return false, err
		}
	}
	return len(found) == pruneBatch, l.prune(tx, from+int64(len(found)), old, before)
}

// oldOnes returns the records that come first and were made before that time. One
// that is from the future was made while the clock was ahead, and is as old as
// what comes after it.
func (l *Ledger) oldOnes(lines [][]byte, before time.Time) ([]Record, error) {
	var all []Record
	old := 0
	for _, line := range lines {
		r, err := decode(line)
		if err != nil {
			return nil, err
		}
		ahead := r.Time.After(l.now())
		if !ahead && !r.Time.Before(before) {
			break
		}
		if all = append(all, r); !ahead {
			old = len(all)
		}
	}
	return all[:old], nil
}

// prune replaces the old records' lines and says so.
func (l *Ledger) prune(tx *store.Tx, to int64, old map[int64][]byte, before time.Time) error {
	if _, err := tx.Exec(`INSERT INTO ledger_prunings (upto) VALUES (?)`, to); err != nil {
		return err
	}
	for seq, line := range old {
		if _, err := tx.Exec(`UPDATE ledger_records SET data = ? WHERE seq = ?`, line, seq); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(`DELETE FROM ledger_cosignatures WHERE size < ? AND size NOT IN (SELECT MAX(size) FROM ledger_cosignatures GROUP BY witness)`, to); err != nil {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM ledger_checkpoints WHERE size < ? AND size NOT IN (SELECT size FROM ledger_cosignatures) AND size < (SELECT MAX(size) FROM ledger_checkpoints)`, to); err != nil {
		return err
	}
	if err := l.pruneKeys(tx, before); err != nil {
		return err
	}
	err := l.Append(tx, "ledger.pruned", map[string]any{
		"to": to, "bodies": len(old), "before": before.UTC().Format(timeFormat),
	})
	if err == nil {
		_, err = l.sign(tx) // an export ends with the last checkpoint, and must say why bodies are gone
	}
	return err
}

// pruneKeys deletes data keys whose sealed strings are all pruned: usedEvery is
// how late used_at may be. One from before the ledger began was used while the
// clock was wrong: it stays.
func (l *Ledger) pruneKeys(tx *store.Tx, before time.Time) error {
	first, _, err := First(tx)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`DELETE FROM ledger_subjects WHERE used_at < ? AND used_at >= ?`, before.Add(-usedEvery).UnixMicro(), first.UnixMicro())
	return err
}
