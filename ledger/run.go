package ledger

import (
	"context"
	"fmt"
	"time"

	"cordon/store"
)

// signEvery is the longest that a record stays unsigned while Run runs.
const signEvery = time.Minute

// Note adds a record that is on disk within a second; nobody waits for it. The
// body must not change after the call. One that cannot be written is counted,
// and the count is recorded as soon as something can be: see Err.
func (l *Ledger) Note(kind string, body any) {
	l.db.Later(func(tx *store.Tx) error { return l.Append(tx, kind, body) }, l.Missed)
}

// Missed says that a record could not be written, because of err, and that what
// it was about went on nevertheless. It is counted for the record of the gap.
func (l *Ledger) Missed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost == 0 {
		l.lostSince = time.Now()
	}
	l.lost++
	l.err = err
}

// failed keeps an error of work that nobody waits for.
func (l *Ledger) failed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

// Err returns the last error of the work that nobody waited for, notes and the
// checkpoints of Run; nil once it works again.
func (l *Ledger) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Run signs a checkpoint every minute until ctx ends, then records the stop,
// signs once more and returns. The reason of the stop is the context's cause. An
// error in between is kept for Err, and the next minute tries again.
func (l *Ledger) Run(ctx context.Context) error {
	tick := time.NewTicker(signEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.upkeep(ctx)
		case <-ctx.Done():
			return l.stop(context.WithoutCancel(ctx), context.Cause(ctx).Error())
		}
	}
}

// upkeep records what was lost, if anything, and signs.
func (l *Ledger) upkeep(ctx context.Context) {
	err := l.recordLost(ctx)
	if err == nil {
		_, err = l.Checkpoint(ctx)
	}
	if ctx.Err() != nil {
		return // stop does it
	}
	l.failed(err)
}

// recordLost says how many records could not be written, and since when.
func (l *Ledger) recordLost(ctx context.Context) error {
	l.mu.Lock()
	lost, since := l.lost, l.lostSince
	l.mu.Unlock()
	if lost == 0 {
		return nil
	}
	if err := l.Record(ctx, "ledger.lost", map[string]any{"records": lost, "since": since.UTC().Format(timeFormat)}); err != nil {
		return err
	}
	l.mu.Lock()
	l.lost -= lost
	l.mu.Unlock()
	return nil
}

func (l *Ledger) stop(ctx context.Context, reason string) error {
	if err := l.recordLost(ctx); err != nil {
		return fmt.Errorf("recording the stop: %w", err)
	}
	err := l.db.Update(ctx, func(tx *store.Tx) error {
		n, err := size(tx)
		if err != nil {
			return err
		}
		if err := l.Append(tx, "ledger.stop", map[string]any{"records": n, "reason": clip(reason)}); err != nil {
			return err
		}
		_, err = tx.Exec(`UPDATE ledger_runs SET stop = ? WHERE start = ?`, n, l.start.Records)
		return err
	})
	if err != nil {
		return fmt.Errorf("recording the stop: %w", err)
	}
	_, err = l.Checkpoint(ctx)
	return err
}
