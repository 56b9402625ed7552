package ledger

import (
	"context"
	"fmt"
	"sync"

	"cordon/store"
)

// followBatch is the most records that a follower is given at a time.
const followBatch = 256

// Follow calls fn with every record from the follower's cursor on, in order, in
// batches of at most 256, and waits for more, until ctx ends (it returns nil)
// or fn fails (it returns that error). The cursor is durable under name; at the
// first use of a name it is at from, or at the ledger's end if from is negative.
//
// A batch is done when fn returns nil. The cursor follows within a second, so
// after a crash the last batches come again: at least once, never out of order,
// none left out. fn may take as long as it likes; nothing waits for it. One
// Follow of a name runs at a time.
func (l *Ledger) Follow(ctx context.Context, name string, from int64, fn func(context.Context, []Record) error) error {
	next, err := l.cursor(ctx, name, from)
	for err == nil && ctx.Err() == nil {
		more := l.bell.next() // before reading, so that nothing is missed
		var batch []Record
		if batch, err = l.read(ctx, next, followBatch); err != nil {
			break
		}
		if len(batch) == 0 {
			select {
			case <-more:
			case <-ctx.Done():
			}
			continue
		}
		if err = fn(ctx, batch); err == nil {
			next += int64(len(batch))
			l.advance(name, next)
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// cursor returns the number of the record that a follower reads next, and makes the
// cursor if need be.
func (l *Ledger) cursor(ctx context.Context, name string, from int64) (next int64, err error) {
	err = l.db.Update(ctx, func(tx *store.Tx) error {
		next = from
		if from < 0 {
			if next, err = size(tx); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(`INSERT INTO ledger_cursors (name, next) VALUES (?, ?) ON CONFLICT DO NOTHING`, name, next); err != nil {
			return err
		}
		return tx.QueryRow(`SELECT next FROM ledger_cursors WHERE name = ?`, name).Scan(&next)
	})
	if err != nil {
		return 0, fmt.Errorf("following the ledger: %w", err)
	}
	return next, nil
}

// advance moves a cursor, with the next commit of whatever.
func (l *Ledger) advance(name string, next int64) {
	l.db.Later(func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE ledger_cursors SET next = ? WHERE name = ?`, next, name)
		return err
	}, func(err error) {
		l.failed(fmt.Errorf("ledger cursor %s: %w", name, err))
	})
}

// read returns at most n records from number from on.
func (l *Ledger) read(ctx context.Context, from, n int64) ([]Record, error) {
	var out []Record
	err := l.db.View(ctx, func(tx *store.Tx) error {
		end, err := size(tx)
		if err != nil {
			return err
		}
		lines, err := records(tx, from, max(from, min(end, from+n)))
		if err != nil {
			return err
		}
		for i, line := range lines {
			r, err := decode(line)
			if err != nil {
				return fmt.Errorf("record %d: %w", from+int64(i), err)
			}
			out = append(out, r)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading ledger: %w", err)
	}
	return out, nil
}

// A bell is rung at each commit that added records.
type bell struct {
	mu   sync.Mutex
	rung chan struct{} // nil while nobody waits
}

// next is closed at the next ring.
func (b *bell) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rung == nil {
		b.rung = make(chan struct{})
	}
	return b.rung
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rung != nil {
		close(b.rung)
		b.rung = nil
	}
}
