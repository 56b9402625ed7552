package main

import (
	"database/sql"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cordon/custody"
	"cordon/ledger"
)

// olderData are data directories that older versions have left, each named after the
// commit of the program that wrote it: after one clean and one infected object,
// while the archive was away.
const olderData = "testdata/upgrade"

// unpack makes the data directory of which an older version's dump is.
func unpack(t *testing.T, dump string) string {
	t.Helper()
	dir := t.TempDir()
	text, err := os.ReadFile(filepath.Join(dump, "cordon.sql"))
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "cordon.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(string(text)); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"keys", "objects"} {
		err := filepath.WalkDir(filepath.Join(dump, folder), func(path string, e fs.DirEntry, err error) error {
			to := filepath.Join(dir, strings.TrimPrefix(path, dump))
			if err != nil || e.IsDir() {
				return os.MkdirAll(to, 0o700)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(to, text, 0o600)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func openOlder(t *testing.T, dir string) (*parts, error) {
	t.Helper()
	c := defaults()
	c.Data, c.Site = dir, "Old"
	return openParts(t.Context(), c, slog.New(slog.DiscardHandler))
}

func TestEveryOlderVersionsDataIsUpgraded(t *testing.T) {
	versions, err := filepath.Glob(filepath.Join(olderData, "*"))
	if err != nil || len(versions) < 18 {
		t.Fatalf("%d versions, %v", len(versions), err)
	}
	for _, version := range versions {
		t.Run(filepath.Base(version), func(t *testing.T) {
			dir := unpack(t, version)
			p, err := openOlder(t, dir)
			if err != nil {
				t.Fatal(err)
			}
			checkUpgraded(t, p)
			if err := p.close(); err != nil {
				t.Fatal(err)
			}
			if p, err = openOlder(t, dir); err != nil { // and once more, with nothing left to do
				t.Fatal(err)
			}
			if s := p.ledger.Start(); !s.Intact || !s.Clean {
				t.Errorf("%+v", s)
			}
			if err := p.close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// checkUpgraded makes sure that nothing is lost, and that it can be gone on with.
func checkUpgraded(t *testing.T, p *parts) {
	t.Helper()
	if s := p.ledger.Start(); !s.Intact || s.RolledBack || !s.Clean || s.Records == 0 {
		t.Errorf("ledger: %+v", s)
	}
	if _, err := ledger.VerifyLive(t.Context(), p.db, ledger.VerifyOptions{Key: p.ledger.Key()}); err != nil {
		t.Error(err)
	}
	if f := p.custody.Found(); f != (custody.Found{}) {
		t.Errorf("custody: %+v", f)
	}
	all, err := p.custody.List(t.Context(), custody.Filter{})
	if err != nil || len(all) != 2 {
		t.Fatalf("%d objects, %v", len(all), err)
	}
	for _, o := range all {
		r, err := p.custody.OpenBlob(t.Context(), o.ID)
		if err != nil {
			t.Errorf("%s object %s: %v", o.State, o.ID, err)
			continue
		}
		n, err := io.Copy(io.Discard, r)
		if r.Close(); err != nil || n != o.Bytes {
			t.Errorf("%s object %s: %d bytes of %d, %v", o.State, o.ID, n, o.Bytes, err)
		}
	}
	released := 0
	for _, o := range all {
		if o.State != custody.Held {
			continue
		}
		for _, by := range []string{"Ada Ashe", "Ben Birk"} {
			d, err := p.custody.Release(t.Context(), o.ID, custody.Request{By: by, Reason: "drill"})
			if err != nil {
				t.Error(err)
			} else if d.Done {
				released++
			}
		}
	}
	if s, err := p.custody.Stats(t.Context()); released != 1 || err != nil || s.Spooled != 2 || s.Held != 0 {
		t.Errorf("%d released, %+v, %v", released, s, err)
	}
}

// A program that is older than its data leaves them alone, and says what to do.
func TestADowngradeIsRefused(t *testing.T) {
	dir := unpack(t, filepath.Join(olderData, "18-39deeb3"))
	db, err := sql.Open("sqlite", filepath.Join(dir, "cordon.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`INSERT INTO store_migrations VALUES ('custody', 999, '999_later.sql', 'ab', '2027-01-01T00:00:00Z')`); err != nil {
		t.Fatal(err)
	}
	_, err = openOlder(t, dir)
	if err == nil || !strings.Contains(err.Error(), "made by a newer Cordon (custody migration 999); run that version, or restore a backup of before the upgrade into an empty directory (cordon restore)") {
		t.Errorf("%v", err)
	}
	var applied int
	if err := db.QueryRow(`SELECT COUNT(*) FROM store_migrations WHERE package = 'deadman'`).Scan(&applied); err != nil || applied != 0 {
		t.Errorf("%d tables were changed all the same, %v", applied, err)
	}
}
