package custody

import (
	"embed"

	"cordon/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes this package's tables.
func Migrations() store.Migrations {
	m := store.Embedded("custody", migrations)
	m.Drafts = drafts[:]
	return m
}

// drafts are the texts that 001_objects.sql had before it was first used in
// earnest.
var drafts = [...]store.Draft{
	{
		Number: 1, SHA256: "ec745844b49a8edbaf8dc3210f4219a344217976a4554fc1c64c1c4d3f9b27f1",
		SQL: `CREATE INDEX custody_oldest ON custody_objects (archive, seq) WHERE state = 'spooled';` + repeats,
	},
	{Number: 1, SHA256: "dea6c29157cda174a22c9f7880b2b0b42cc072a94df98e674e9e4c71c89f7403", SQL: repeats},
}

const repeats = `
	ALTER TABLE custody_objects ADD COLUMN repeats INTEGER NOT NULL DEFAULT 0;
	CREATE INDEX custody_again ON custody_objects (sha256) WHERE state = 'held';`
