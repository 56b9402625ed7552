package store

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// Snapshot writes the database, as it is at one moment, to a new file at path:
// whole, folded, and readable by its owner alone. Updates go on meanwhile. The
// file is not synced: it is to be copied elsewhere. It takes as much room as the
// database; what is left of it after an error is removed.
func (db *DB) Snapshot(ctx context.Context, path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // VACUUM INTO takes an empty file, and leaves its mode
	if err != nil {
		return fmt.Errorf("copying database: %w", Explain(err))
	}
	f.Close()
	own := pool(dsn(db.path, "ro", "busy_timeout(10000)"), 1) // readers are few, and this takes long
	defer own.Close()
	if _, err := own.ExecContext(ctx, `VACUUM INTO ?`, path); err != nil {
		os.Remove(path)
		return fmt.Errorf("copying database: %w", Explain(err))
	}
	return nil
}

// OpenCopy opens a Snapshot for View alone, whatever its tables.
func OpenCopy(path string) (*DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("opening database: %w", err)
	}
	return &DB{path: path, read: newReaders(path)}, nil
}

// Check has SQLite look for damage in the database's own structure.
func (db *DB) Check(ctx context.Context) error {
	return db.View(ctx, func(tx *Tx) error {
		var says string
		if err := tx.QueryRow(`PRAGMA quick_check(1)`).Scan(&says); err != nil {
			return fmt.Errorf("checking database: %w", Explain(err))
		}
		if says != "ok" {
			return fmt.Errorf("checking database: %s", says)
		}
		return nil
	})
}

// Size returns how many bytes the database takes on the disk, its log included.
func (db *DB) Size() (int64, error) {
	var all int64
	for _, suffix := range []string{"", "-wal"} {
		info, err := os.Stat(db.path + suffix)
		if err != nil && !os.IsNotExist(err) {
			return 0, err
		}
		if err == nil {
			all += info.Size()
		}
	}
	return all, nil
}

// Schema is how many migrations of each package there are.
type Schema map[string]int

// SchemaOf counts those given.
func SchemaOf(packages []Migrations) (Schema, error) {
	all, err := readAll(packages)
	if err != nil {
		return nil, err
	}
	s := Schema{}
	for _, m := range all {
		s[m.pkg] = m.number
	}
	return s, nil
}

// SchemaIn is what has been applied to a database.
func SchemaIn(ctx context.Context, db *DB) (Schema, error) {
	s := Schema{}
	err := db.View(ctx, func(tx *Tx) error {
		rows, err := tx.Query(`SELECT package, MAX(number) FROM store_migrations GROUP BY package`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var pkg string
			var n int
			if err := rows.Scan(&pkg, &n); err != nil {
				return err
			}
			s[pkg] = n
		}
		return rows.Err()
	})
	return s, err
}

// Knows is an error if other has a migration that s has not: a newer Cordon made
// it.
func (s Schema) Knows(other Schema) error {
	for _, pkg := range slices.Sorted(maps.Keys(other)) {
		if n := other[pkg]; n > s[pkg] {
			return fmt.Errorf("made by a newer Cordon (%s migration %d)", pkg, n)
		}
	}
	return nil
}
