package store

import (
	"context"
	"database/sql"
)

// prepared is one connection, which keeps the statements that it has seen: most
// are run again and again, and to parse one takes longer than to run it.
type prepared struct {
	conn  *sql.Conn
	stmts map[statement]*sql.Stmt
	used  map[string]int // by text, in this transaction: queries whose rows may still be read
}

// A statement is kept more than once if it is queried more than once in one
// transaction: the rows of one must not end those of another.
type statement struct {
	text string
	nth  int
}

const (
	maxPrepared = 256 // statements kept; our own are fewer, one made up of values would not be
	maxSame     = 4   // of one text
)

func newPrepared(conn *sql.Conn) *prepared {
	return &prepared{conn: conn, stmts: map[statement]*sql.Stmt{}, used: map[string]int{}}
}

// forget says that a transaction has ended, and nobody reads its rows any more.
func (p *prepared) forget() { clear(p.used) }

// exec runs a statement that no caller gave, whatever becomes of the caller.
func (p *prepared) exec(text string) error {
	_, err := p.ExecContext(context.Background(), text)
	return err
}

// stmt is the statement of that text that nobody reads rows of, or nil.
func (p *prepared) stmt(ctx context.Context, text string) *sql.Stmt {
	key := statement{text, p.used[text]}
	if s, ok := p.stmts[key]; ok {
		return s
	}
	if len(p.stmts) >= maxPrepared || key.nth >= maxSame {
		return nil
	}
	s, err := p.conn.PrepareContext(ctx, text)
	if err != nil {
		return nil // the caller meets the same error when it runs it unprepared
	}
	p.stmts[key] = s
	return s
}

func (p *prepared) ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error) {
	if s := p.stmt(ctx, text); s != nil {
		return s.ExecContext(ctx, args...)
	}
	return p.conn.ExecContext(ctx, text, args...)
}

func (p *prepared) QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	s := p.stmt(ctx, text)
	p.used[text]++
	if s != nil {
		return s.QueryContext(ctx, args...)
	}
	return p.conn.QueryContext(ctx, text, args...)
}

func (p *prepared) QueryRowContext(ctx context.Context, text string, args ...any) *sql.Row {
	if s := p.stmt(ctx, text); s != nil {
		return s.QueryRowContext(ctx, args...)
	}
	return p.conn.QueryRowContext(ctx, text, args...)
}

func (p *prepared) close() error {
	for _, s := range p.stmts {
		s.Close()
	}
	return p.conn.Close()
}
