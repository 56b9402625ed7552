package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// Migrations are one package's tables: files named NNN_what.sql, counted from
// 001 without a gap. A file that has been released is never changed; the next
// change is a new file. Each is applied once, in one transaction with the note
// that it was.
type Migrations struct {
	Package string // as users see it: "custody"
	FS      fs.FS  // holds the files at its root
	Drafts  []Draft
}

// Draft is an earlier text of a file, of before its first release, that some
// database may have been made by.
type Draft struct {
	Number int
	SHA256 string // of that text, hex
	SQL    string // makes of its tables those of the file
}

// Embedded are the migrations that a package embeds as migrations/*.sql.
func Embedded(pkg string, files embed.FS) Migrations {
	root, err := fs.Sub(files, "migrations")
	if err != nil {
		panic(err) // the name is valid
	}
	return Migrations{Package: pkg, FS: root}
}

type migration struct {
	pkg    string
	number int
	name   string
	text   string
	sum    string // SHA-256 of text, hex
}

const migrationsTable = `CREATE TABLE IF NOT EXISTS store_migrations (
	package TEXT NOT NULL,
	number INTEGER NOT NULL,
	name TEXT NOT NULL,
	sha256 TEXT NOT NULL,
	applied_at TEXT NOT NULL,
	PRIMARY KEY (package, number)
) STRICT`

var migrationName = regexp.MustCompile(`^([0-9]{3})_[a-z0-9_]+\.sql$`)

// read returns a package's migrations in order.
func (m Migrations) read() ([]migration, error) {
	entries, err := fs.ReadDir(m.FS, ".")
	if err != nil {
		return nil, fmt.Errorf("%s migrations: %w", m.Package, err)
	}
	var all []migration
	for _, e := range entries { // sorted by name
		match := migrationName.FindStringSubmatch(e.Name())
		if match == nil {
			return nil, fmt.Errorf("%s migrations: %s: expected a name like 001_what.sql", m.Package, e.Name())
		}
		number, _ := strconv.Atoi(match[1]) // three digits
		if number != len(all)+1 {
			return nil, fmt.Errorf("%s migrations: %s: expected number %03d", m.Package, e.Name(), len(all)+1)
		}
		text, err := fs.ReadFile(m.FS, e.Name())
		if err != nil {
			return nil, fmt.Errorf("%s migrations: %w", m.Package, err)
		}
		sum := sha256.Sum256(text)
		all = append(all, migration{m.Package, number, e.Name(), string(text), hex.EncodeToString(sum[:])})
	}
	return all, nil
}

func readAll(packages []Migrations) ([]migration, error) {
	var all []migration
	for _, m := range packages {
		ms, err := m.read()
		if err != nil {
			return nil, err
		}
		all = append(all, ms...)
	}
	return all, nil
}

// migrate applies what has not been applied, all of it or nothing.
func migrate(ctx context.Context, conn *sql.Conn, packages []Migrations) error {
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := applyMissing(&Tx{q: conn, ctx: ctx}, packages)
	if err != nil {
		_, _ = conn.ExecContext(ctx, "ROLLBACK")
		return err
	}
	_, err = conn.ExecContext(ctx, "COMMIT")
	return err
}

func applyMissing(tx *Tx, packages []Migrations) error {
	known, err := readAll(packages)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(migrationsTable); err != nil {
		return err
	}
	if err := redraft(tx, packages, known); err != nil {
		return err
	}
	missing, err := compare(tx, known)
	if err != nil {
		return err
	}
	for _, m := range missing {
		if _, err := tx.Exec(m.text); err != nil {
			return fmt.Errorf("applying %s migration %d: %w", m.pkg, m.number, err)
		}
		_, err := tx.Exec(`INSERT INTO store_migrations (package, number, name, sha256, applied_at) VALUES (?, ?, ?, ?, ?)`,
			m.pkg, m.number, m.name, m.sum, time.Now().UTC().Format(time.RFC3339))
		if err != nil {
			return err
		}
	}
	return nil
}

// redraft brings what drafts have made to what the files make.
func redraft(tx *Tx, packages []Migrations, known []migration) error {
	for _, p := range packages {
		for _, d := range p.Drafts {
			i := slices.IndexFunc(known, func(m migration) bool { return m.pkg == p.Package && m.number == d.Number })
			if i < 0 {
				return fmt.Errorf("%s migrations: a draft of number %03d, which is not there", p.Package, d.Number)
			}
			if err := d.apply(tx, known[i]); err != nil {
				return fmt.Errorf("%s migration %d, from a draft of it: %w", p.Package, d.Number, err)
			}
		}
	}
	return nil
}

// apply does nothing unless it was the draft that made the tables.
func (d Draft) apply(tx *Tx, m migration) error {
	r, err := tx.Exec(`UPDATE store_migrations SET sha256 = ?, name = ? WHERE package = ? AND number = ? AND sha256 = ?`,
		m.sum, m.name, m.pkg, m.number, d.SHA256)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); n == 0 || err != nil {
		return err
	}
	_, err = tx.Exec(d.SQL)
	return err
}

// compare returns the known migrations that have not been applied. An applied
// one that is not known, or differs, is an error.
func compare(tx *Tx, known []migration) ([]migration, error) {
	rows, err := tx.Query(`SELECT package, number, sha256 FROM store_migrations ORDER BY package, number`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	missing := slices.Clone(known)
	for rows.Next() {
		var pkg, sum string
		var number int
		if err := rows.Scan(&pkg, &number, &sum); err != nil {
			return nil, err
		}
		i := slices.IndexFunc(missing, func(m migration) bool { return m.pkg == pkg && m.number == number })
		if i < 0 {
			return nil, fmt.Errorf("made by a newer Cordon (%s migration %d); run that version, or restore a backup of before the upgrade into an empty directory (cordon restore)", pkg, number)
		}
		if missing[i].sum != sum {
			return nil, fmt.Errorf("%s migration %d is not the one that made this database; run the version that did or restore a backup", pkg, number)
		}
		missing = slices.Delete(missing, i, i+1)
	}
	return missing, rows.Err()
}

// current is an error unless exactly the given migrations have been applied.
func current(tx *Tx, packages []Migrations) error {
	known, err := readAll(packages)
	if err != nil {
		return err
	}
	missing, err := compare(tx, known)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return fmt.Errorf("made by an older Cordon (without %s migration %d); start this version on it first", missing[0].pkg, missing[0].number)
	}
	return nil
}
