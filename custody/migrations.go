package custody

import (
	"embed"

	"cordon/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes this package's tables.
func Migrations() store.Migrations { return store.Embedded("custody", migrations) }
