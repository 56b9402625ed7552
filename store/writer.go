package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// laterDelay is the longest that Later work waits for a group to join.
	laterDelay = 500 * time.Millisecond
	// maxGroup bounds one transaction; the rest wait for the next.
	maxGroup = 512
	// queued is how many callers may wait before Update and Later block.
	queued = 1024
)

// writer runs all changes, one group at a time. It owns the connection.
type writer struct {
	conn *prepared
	jobs chan *job
	stop chan struct{}
	done chan struct{}

	mu     sync.RWMutex // held for reading while a job is sent, so that none is sent after stop
	closed bool
	err    error // of closing the connection
}

// A job is one function that waits for a group.
type job struct {
	fn    func(*Tx) error
	later bool
	done  func(error) // called once, after the commit or instead of it

	state atomic.Uint32 // waiting, then taken by the writer or given up by the caller
	err   error         // what fn returned
	after []func()      // what fn wants called after the commit
}

const (
	waiting uint32 = iota
	taken
	givenUp
)

func newWriter(conn *sql.Conn) *writer {
	return &writer{
		conn: newPrepared(conn),
		jobs: make(chan *job, queued),
		stop: make(chan struct{}),
		done: make(chan struct{}),
	}
}

// Update runs fn in the next group and returns when the group is on disk, or
// with fn's error, in which case nothing that fn did remains. If ctx ends
// before the writer has taken fn up, fn is never run and the context's error is
// returned; after that the outcome is awaited, so that an error always means
// that nothing was written.
//
// fn must touch nothing but tx and its own variables, and be quick: every
// writer waits for it. It must not call Update or Later.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	result := make(chan error, 1)
	j := &job{fn: fn, done: func(err error) { result <- err }}
	if err := db.enqueue(ctx, j); err != nil {
		return err
	}
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
	}
	if j.state.CompareAndSwap(waiting, givenUp) {
		return ctx.Err()
	}
	return <-result
}

// Later runs fn in the next group, whoever causes it, and at the latest after
// half a second. Nobody waits for it, so what it writes may be lost in a crash
// in between. onErr is called from the writer if fn or its commit failed; it
// must not call the database. Close runs what is still waiting.
func (db *DB) Later(fn func(*Tx) error, onErr func(error)) {
	j := &job{fn: fn, later: true, done: func(err error) {
		if err != nil {
			onErr(err)
		}
	}}
	if err := db.enqueue(context.Background(), j); err != nil {
		onErr(err)
	}
}

func (db *DB) enqueue(ctx context.Context, j *job) error {
	if db.w == nil {
		return errors.New("database was opened to be read only")
	}
	db.w.mu.RLock()
	defer db.w.mu.RUnlock()
	if db.w.closed {
		return ErrClosed
	}
	select {
	case db.w.jobs <- j:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close stops the writer once it has run everything that was queued.
func (w *writer) close() error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	close(w.stop)
	<-w.done
	return w.err
}

// run takes jobs until it is stopped. Later work alone waits for company until
// its delay has passed or a group is full.
func (w *writer) run() {
	defer close(w.done)
	var group []*job
	var due <-chan time.Time // set while only Later work waits
	for {
		select {
		case j := <-w.jobs:
			group = append(group, j)
			urgent := !j.later
			group, urgent = w.gather(group, urgent)
			if !urgent && len(group) < maxGroup {
				if due == nil {
					due = time.After(laterDelay)
				}
				continue
			}
		case <-due:
		case <-w.stop:
			for len(w.jobs) > 0 || len(group) > 0 {
				group, _ = w.gather(group, true)
				w.commit(group)
				group = nil
			}
			w.err = w.conn.close()
			return
		}
		due = nil
		w.commit(group)
		clear(group)
		group = group[:0]
	}
}

// gather adds what waits already, without waiting for more.
func (w *writer) gather(group []*job, urgent bool) ([]*job, bool) {
	for len(group) < maxGroup {
		select {
		case j := <-w.jobs:
			group = append(group, j)
			urgent = urgent || !j.later
		default:
			return group, urgent
		}
	}
	return group, urgent
}

// commit runs a group in one transaction and tells each caller how it went.
func (w *writer) commit(group []*job) {
	jobs := group[:0]
	for _, j := range group {
		if j.state.CompareAndSwap(waiting, taken) {
			jobs = append(jobs, j)
		}
	}
	if len(jobs) == 0 {
		return
	}
	err := w.transact(jobs)
	for _, j := range jobs {
		if err != nil {
			j.done(Explain(err))
			continue
		}
		if j.err == nil {
			for _, fn := range j.after {
				fn()
			}
		}
		j.done(Explain(j.err))
	}
}

// transact returns an error if the group as a whole came to nothing.
//
// Statements never carry a caller's context: SQLite answers an interrupted
// write by rolling back the whole transaction, the other callers' included.
func (w *writer) transact(jobs []*job) error {
	ctx := context.Background()
	if _, err := w.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("beginning transaction: %w", err)
	}
	for _, j := range jobs {
		if err := w.savepoint(ctx, j); err != nil {
			w.rollback(ctx)
			return err
		}
	}
	if _, err := w.conn.ExecContext(ctx, "COMMIT"); err != nil {
		w.rollback(ctx)
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}

// savepoint runs one job. It returns an error only if the transaction is gone:
// a full disk or an input/output error makes SQLite roll all of it back.
func (w *writer) savepoint(ctx context.Context, j *job) error {
	if _, err := w.conn.ExecContext(ctx, "SAVEPOINT job"); err != nil {
		return fmt.Errorf("beginning savepoint: %w", err)
	}
	w.conn.forget()
	tx := &Tx{q: w.conn, ctx: ctx}
	j.err = call(j.fn, tx)
	j.after = tx.after
	if j.err != nil {
		if _, err := w.conn.ExecContext(ctx, "ROLLBACK TO job"); err != nil {
			return fmt.Errorf("transaction was rolled back: %w", j.err)
		}
	}
	if _, err := w.conn.ExecContext(ctx, "RELEASE job"); err != nil {
		return fmt.Errorf("ending savepoint: %w", err)
	}
	return nil
}

// rollback has no error to report: if there is no transaction any more, SQLite
// has undone it already.
func (w *writer) rollback(ctx context.Context) {
	_, _ = w.conn.ExecContext(ctx, "ROLLBACK")
}

// call turns a panic of fn into an error, so that one caller's defect does not
// stop the writer that all others need.
func call(fn func(*Tx) error, tx *Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("transaction function panicked: %v", p)
		}
	}()
	return fn(tx)
}
