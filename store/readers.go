package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
)

// maxReaders is how many View functions run at a time; more wait their turn.
const maxReaders = 4

// readers are the connections that View reads on, each by one at a time. One is
// opened when it is first needed.
type readers struct {
	db   *sql.DB
	free chan *prepared // nil: not open

	mu     sync.Mutex // held to put one back, and to close: none stays open behind it
	closed chan struct{}
}

func newReaders(path string) *readers {
	r := &readers{
		db:     pool(dsn(path, "ro", "busy_timeout(10000)"), maxReaders),
		free:   make(chan *prepared, maxReaders),
		closed: make(chan struct{}),
	}
	for range maxReaders {
		r.free <- nil
	}
	return r
}

// view runs fn in a transaction that sees one moment, and only reads.
func (r *readers) view(ctx context.Context, fn func(*Tx) error) error {
	p, err := r.take(ctx)
	if err != nil {
		return fmt.Errorf("reading database: %w", err)
	}
	defer func() { r.giveBack(p, p.exec("ROLLBACK")) }() // nothing was written
	if err := p.exec("BEGIN"); err != nil {
		return fmt.Errorf("reading database: %w", err)
	}
	return fn(&Tx{q: p, ctx: ctx})
}

func (r *readers) take(ctx context.Context) (*prepared, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case p := <-r.free:
		if p != nil {
			p.forget()
			return p, nil
		}
	case <-r.closed:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	conn, err := r.db.Conn(ctx)
	if err != nil {
		r.put(nil)
		return nil, err
	}
	return newPrepared(conn), nil
}

// giveBack ends the use of a connection. One that is in an unknown state is closed;
// the next View opens another.
func (r *readers) giveBack(p *prepared, err error) {
	if err != nil {
		p.close()
		p = nil
	}
	r.put(p)
}

func (r *readers) put(p *prepared) {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.closed:
		if p != nil {
			p.close()
		}
	default:
		r.free <- p
	}
}

// close closes those that nobody uses; those in use are closed when they are given
// back. It is called once.
func (r *readers) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.closed)
	var errs []error
	for range len(r.free) {
		if p := <-r.free; p != nil {
			errs = append(errs, p.close())
		}
	}
	return errors.Join(append(errs, r.db.Close())...)
}
