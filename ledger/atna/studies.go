package atna

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"maps"
	"sync"

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
type studies struct {
	db *store.DB

	mu     sync.Mutex
	recent map[string]string // what a repository that is ahead of the table has met
}

// maxRecent bounds the studies in memory.
const maxRecent = 4096

// notice reads the transfers among the records, and keeps them in memory.
func (s *studies) notice(batch []ledger.Record) {
	found := patients(batch)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.recent == nil || len(s.recent)+len(found) > maxRecent {
		s.recent = map[string]string{}
	}
	maps.Copy(s.recent, found)
}

// patients lists the sealed patients of the studies that the records are about.
func patients(batch []ledger.Record) map[string]string {
	out := map[string]string{}
	for _, r := range batch {
		if r.Kind != "transfer.begin" && r.Kind != "transfer.end" {
			continue
		}
		b := readBody(r.Body)
		sealed, _ := b["patient"].(string)
		if uid := b.text("study"); uid != "" && sealed != "" {
			out[uid] = sealed
		}
	}
	return out
}

// learn reads the transfers among the records, and keeps them.
func (s *studies) learn(ctx context.Context, batch []ledger.Record) error {
	found := patients(batch)
	if len(found) == 0 {
		return nil
	}
	return s.db.Update(ctx, func(tx *store.Tx) error {
		for uid, sealed := range found {
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
	s.mu.Lock()
	sealed = s.recent[study]
	s.mu.Unlock()
	if sealed != "" {
		return sealed, nil
	}
	err = s.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT patient FROM audit_studies WHERE study = ?`, study).Scan(&sealed)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return sealed, err
}
