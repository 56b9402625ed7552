package custody

import (
	"embed"
	"io/fs"

	"cordon/store"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Migrations makes this package's tables.
func Migrations() store.Migrations {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		panic(err) // the name is valid
	}
	return store.Migrations{Package: "custody", FS: files}
}
