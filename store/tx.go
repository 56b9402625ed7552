package store

import (
	"context"
	"database/sql"
)

// Tx is one transaction, valid until the function that it was given to returns.
// It belongs to the goroutine that runs that function.
type Tx struct {
	q     querier
	ctx   context.Context
	after []func() // see OnCommit
}

type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Exec runs a statement that returns no rows.
func (tx *Tx) Exec(query string, args ...any) (sql.Result, error) {
	return tx.q.ExecContext(tx.ctx, query, args...)
}

// Query runs a statement that returns rows; the caller closes them.
func (tx *Tx) Query(query string, args ...any) (*sql.Rows, error) {
	return tx.q.QueryContext(tx.ctx, query, args...)
}

// QueryRow runs a statement that returns at most one row; scan it before the
// same statement is run again.
func (tx *Tx) QueryRow(query string, args ...any) *sql.Row {
	return tx.q.QueryRowContext(tx.ctx, query, args...)
}

// OnCommit has fn called once what this transaction wrote is on disk; if it
// comes to nothing, or only reads, never. The writer calls it: it must be quick
// and must not use the database.
func (tx *Tx) OnCommit(fn func()) { tx.after = append(tx.after, fn) }

// prepared is the writer's connection. It keeps the statements it has seen,
// since most are run for every object. Query is not kept: a caller may run the
// same one again while it reads the first one's rows.
type prepared struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

// maxPrepared bounds the statements kept; our own are fewer, one made up of
// values would not be.
const maxPrepared = 256

func (p *prepared) stmt(ctx context.Context, query string) *sql.Stmt {
	if s, ok := p.stmts[query]; ok {
		return s
	}
	if len(p.stmts) >= maxPrepared {
		return nil
	}
	s, err := p.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil // the caller meets the same error when it runs it unprepared
	}
	p.stmts[query] = s
	return s
}

func (p *prepared) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if s := p.stmt(ctx, query); s != nil {
		return s.ExecContext(ctx, args...)
	}
	return p.conn.ExecContext(ctx, query, args...)
}

func (p *prepared) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return p.conn.QueryContext(ctx, query, args...)
}

func (p *prepared) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if s := p.stmt(ctx, query); s != nil {
		return s.QueryRowContext(ctx, args...)
	}
	return p.conn.QueryRowContext(ctx, query, args...)
}

func (p *prepared) close() error {
	for _, s := range p.stmts {
		s.Close()
	}
	return p.conn.Close()
}
