package atna

import (
	"context"
	"database/sql"
	"embed"
	"errors"

	"cordon/ledger"
	"cordon/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations are the tables of this package.
func Migrations() store.Migrations { return store.Embedded("audit", migrations) }

// studies knows which patient each study is of, as far as it was transferred
// here: what people do with a study later names the patient too. It holds sealed
// strings alone, so that an erasure reaches it.
type studies struct{ db *store.DB }

// learn reads the transfers among the records.
func (s *studies) learn(ctx context.Context, batch []ledger.Record) error {
	patients := map[string]string{}
	for _, r := range batch {
		if r.Kind != "transfer.begin" && r.Kind != "transfer.end" {
			continue
		}
		b := readBody(r.Body)
		sealed, _ := b["patient"].(string)
		if uid := b.text("study"); uid != "" && sealed != "" {
			patients[uid] = sealed
		}
	}
	if len(patients) == 0 {
		return nil
	}
	return s.db.Update(ctx, func(tx *store.Tx) error {
		for uid, sealed := range patients {
			_, err := tx.Exec(`INSERT INTO audit_studies (study, patient) VALUES (?, ?)
				ON CONFLICT DO UPDATE SET patient = excluded.patient`, uid, sealed)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Sealed is Secrets'.
func (s *studies) Sealed(ctx context.Context, study string) (sealed string, err error) {
	err = s.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT patient FROM audit_studies WHERE study = ?`, study).Scan(&sealed)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return sealed, err
}
