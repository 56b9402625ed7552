package ledger

import "context"

// Follower reads the ledger from a durable cursor for somebody who decides how
// far the cursor may move, and when: who hands records on and learns only later
// that they have arrived. Follow is for everybody else.
//
//	f, err := l.Follower(ctx, "name", from)
//	batch, err := f.Next(ctx)  // what comes after the batch before
//	f.Settle(seq + 1)          // those up to seq need not come again
//	f.Rewind()                 // Next begins again with the first that may have to
//
// It belongs to one goroutine.
type Follower struct {
	ledger        *Ledger
	name          string
	next, settled int64
}

// Follower opens the cursor of that name, which is made as Follow makes it.
func (l *Ledger) Follower(ctx context.Context, name string, from int64) (*Follower, error) {
	next, err := l.cursor(ctx, name, from)
	if err != nil {
		return nil, err
	}
	return &Follower{l, name, next, next}, nil
}

// Next returns the next records, at most 256, in order. Without any it waits
// until there are some, or until ctx ends, whose error it then returns.
func (f *Follower) Next(ctx context.Context) ([]Record, error) {
	for {
		more := f.ledger.bell.next() // before reading, so that nothing is missed
		batch, err := f.ledger.read(ctx, f.next, followBatch)
		if err != nil {
			return nil, err
		}
		if len(batch) > 0 {
			f.next += int64(len(batch))
			return batch, nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Settle moves the cursor to next; it is on disk within a second.
func (f *Follower) Settle(next int64) {
	if next > f.settled {
		f.settled = next
		f.ledger.advance(f.name, next)
	}
}

// Settled is where the cursor is.
func (f *Follower) Settled() int64 { return f.settled }

// Rewind makes Next begin again at the cursor.
func (f *Follower) Rewind() { f.next = f.settled }
