// Package store opens the SQL database, answers for what is written to it, and
// writes files that survive a power failure. It has no table of its own except
// the list of migrations that have been applied: each package owns its SQL.
//
// Ordinary use:
//
//	lock, err := store.Lock(dir)
//	db, err := store.OpenDB(ctx, filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations, custody.Migrations})
//	err = db.Update(ctx, func(tx *store.Tx) error { _, err := tx.Exec(`INSERT …`); return err }) // returns after the commit is on disk
//	err = db.View(ctx, func(tx *store.Tx) error { return tx.QueryRow(`SELECT …`).Scan(&n) })
//	err = db.Close()
//
// The life of an Update: it is queued to the one writer, which runs everything
// that waits inside one transaction, a savepoint each, and commits once; the
// write-ahead log is synced by that commit (PRAGMA synchronous=FULL), and only
// then do the callers return. A function that fails or panics undoes its own
// savepoint and nobody else's. If the commit fails, all of the group fail and
// nothing of it is on disk.
//
// A View runs on one of four connections that only read. All connections keep the
// statements that they have run, since to parse one takes longer than to run it.
//
// It will not retry, and it will not hide a full disk: errors that mean "no
// space" match ErrFull and say what to do.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// ErrClosed is returned for work given to a database that has been closed.
var ErrClosed = errors.New("database is closed")

// DB is one open SQLite database: one writer connection, a few read-only ones.
// Its methods may be called from any goroutine, but never from inside a
// function that it is running.
type DB struct {
	path  string
	read  *readers
	write *sql.DB // nil if opened read-only
	w     *writer // nil if opened read-only

	closeOnce sync.Once
	closeErr  error
}

// OpenDB opens the database at path, makes it if it is not there, and brings
// its tables up to date. A database that a newer Cordon has changed, or whose
// applied migrations differ from those given, is an error and is left alone.
func OpenDB(ctx context.Context, path string, migrations []Migrations) (*DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("opening database: %w", err)
	}
	if err := create(path); err != nil {
		return nil, fmt.Errorf("opening database: %w", Explain(err))
	}
	db := &DB{path: path}
	db.write = pool(dsn(path, "rw", "busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)",
		"foreign_keys(1)", "secure_delete(1)", "wal_autocheckpoint(2000)", "journal_size_limit(67108864)"), 1)
	conn, err := db.write.Conn(ctx)
	if err != nil {
		db.write.Close()
		return nil, fmt.Errorf("opening database %s: %w", path, Explain(err))
	}
	if err := migrate(ctx, conn, migrations); err != nil {
		conn.Close()
		db.write.Close()
		return nil, fmt.Errorf("database %s: %w", path, Explain(err))
	}
	db.read = newReaders(path)
	db.w = newWriter(conn)
	go db.w.run() // ends when Close closes its stop channel
	return db, nil
}

// OpenReadOnly opens a database that is there already, perhaps in use by a
// running Cordon, for View alone. Its tables must be those of this version.
func OpenReadOnly(ctx context.Context, path string, migrations []Migrations) (*DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("opening database: %w", err)
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("opening database: %w", err)
	}
	db := &DB{path: path, read: newReaders(path)}
	err = db.View(ctx, func(tx *Tx) error { return current(tx, migrations) })
	if err != nil {
		db.read.close()
		return nil, fmt.Errorf("database %s: %w", path, err)
	}
	return db, nil
}

// View runs fn on a consistent snapshot that it can only read. It sees every
// Update that returned before it began.
func (db *DB) View(ctx context.Context, fn func(*Tx) error) error {
	return db.read.view(ctx, fn)
}

// Fold moves the write-ahead log into the database's file and empties it, so that
// what was deleted is in neither: deleted rows are overwritten (PRAGMA
// secure_delete). Readers may keep it waiting for a while; then it is an error.
func (db *DB) Fold(ctx context.Context) error {
	own := pool(dsn(db.path, "rw", "busy_timeout(10000)"), 1) // the writer's is never between transactions
	defer own.Close()
	var busy, frames, moved int
	if err := own.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &frames, &moved); err != nil {
		return fmt.Errorf("folding database: %w", Explain(err))
	}
	if busy != 0 {
		return errors.New("folding database: it is being read; it happens by itself later")
	}
	return nil
}

// Close runs what is queued, waits for it to be on disk, and closes the
// database. Later calls return the first one's error.
func (db *DB) Close() error {
	db.closeOnce.Do(func() {
		var errs []error
		if db.w != nil {
			errs = append(errs, db.w.close())
		}
		errs = append(errs, db.read.close())
		if db.write != nil { // last, so that the log is folded into the file
			errs = append(errs, db.write.Close())
		}
		db.closeErr = errors.Join(errs...)
	})
	return db.closeErr
}

// create makes an empty database file readable by its owner alone, and makes
// its name durable, before SQLite opens it.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// dsn names a database to the driver; mode is "rw" or "ro".
func dsn(path, mode string, pragmas ...string) string {
	query := url.Values{"mode": {mode}, "_pragma": pragmas}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}).String()
}

func pool(dsn string, size int) *sql.DB {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		panic(err) // the driver is linked in, and Open does nothing else
	}
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	return db
}
