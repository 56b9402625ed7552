package ledger_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"cordon/ledger"
	"cordon/store"

	"golang.org/x/mod/sumdb/tlog"
)

// firstVersion makes the data directory that wrote testdata/export-1.ledger, as
// the first version left it.
func firstVersion(t *testing.T) (dir string, export []byte) {
	t.Helper()
	export, err := os.ReadFile("testdata/export-1.ledger")
	if err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile("migrations/001_log.sql")
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	const key = "PRIVATE+KEY+Example-Hospital+594e84be+AZ1SCQPXFZkT2wuEqEmxOOsGa5DYIJ9Omo1R2vk7ay9R\n" // of this test alone
	if err := os.WriteFile(filepath.Join(dir, "keys", "ledger.key"), []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := store.OpenDB(t.Context(), filepath.Join(dir, "cordon.db"), []store.Migrations{{Package: "ledger", FS: fstest.MapFS{"001_log.sql": {Data: first}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(t.Context(), func(tx *store.Tx) error {
		lines := bytes.Split(export, []byte("\n"))[1:15]
		var stored []tlog.Hash
		read := tlog.HashReaderFunc(func(indexes []int64) (out []tlog.Hash, err error) {
			for _, i := range indexes {
				out = append(out, stored[i])
			}
			return out, nil
		})
		for i, line := range lines {
			added, err := tlog.StoredHashes(int64(i), line, read)
			if err != nil {
				return err
			}
			stored = append(stored, added...)
			if _, err := tx.Exec(`INSERT INTO ledger_records (seq, data) VALUES (?, ?)`, i, line); err != nil {
				return err
			}
		}
		for i, h := range stored {
			if _, err := tx.Exec(`INSERT INTO ledger_hashes (idx, hash) VALUES (?, ?)`, i, h[:]); err != nil {
				return err
			}
		}
		note := export[bytes.Index(export, []byte("\nExample-Hospital\n"))+1:]
		if _, err := tx.Exec(`INSERT INTO ledger_checkpoints (size, note, key) VALUES (14, ?, 'Example-Hospital+594e84be+ATyvkot+v05/2k0e9wVBwIw2q1s54DoOF7y2r0Z9TE0z')`, note); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO ledger_runs (start, stop) VALUES (8, 14)`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir, export
}

func TestALedgerOfTheFirstVersionGoesOn(t *testing.T) {
	dir, before := firstVersion(t)
	s := open(t, dir)
	if st := s.l.Start(); !st.Intact || !st.Clean || st.Records != 14 {
		t.Errorf("%+v", st)
	}
	s.record(t, 4)
	if _, err := s.l.RotateKey(t.Context(), "A. Able", "upgrade"); err != nil {
		t.Fatal(err)
	}
	s.l.SetNow(func() time.Time { return time.Now().Add(5 * 24 * time.Hour) })
	s.record(t, 1)
	for range 3 { // a week at a time
		if err := s.l.Prune(t.Context(), time.Now().Add(4*24*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	old, err := ledger.ReadCheckpoint(bytes.NewReader(before))
	if err != nil {
		t.Fatal(err)
	}
	export := s.export(t)
	r, err := ledger.Verify(bytes.NewReader(export), ledger.VerifyOptions{Key: "SHA256:5qcQxPh76FsdC2W84bnbqg+DEiKJUdm2lkAEWK1jOeI", Since: old})
	if err != nil || r.Pruned != 4 || len(r.Keys) != 2 || r.Starts != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	if n := strings.Count(string(export), `,"v":1}`); n != 14 {
		t.Errorf("%d records of version 1", n)
	}
	if _, err := ledger.VerifyLive(t.Context(), s.db, ledger.VerifyOptions{Since: old}); err != nil {
		t.Error(err)
	}
	if _, err := ledger.VerifyProof(bytes.NewReader(s.prove(t, 2, 16)), ledger.VerifyOptions{Key: s.l.Key()}); err != nil {
		t.Error(err)
	}
}
