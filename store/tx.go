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
