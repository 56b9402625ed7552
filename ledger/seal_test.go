package ledger_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cordon/ledger"
	"cordon/store"
)

type patient struct{ ID, Name string }

func (s site) sealed(t testing.TB, subject string, v any) string {
	t.Helper()
	var sealed string
	err := s.db.Update(t.Context(), func(tx *store.Tx) (err error) {
		if sealed, err = s.l.Seal(tx, subject, v); err != nil {
			return err
		}
		return s.l.Append(tx, "test.event", map[string]any{"patient": sealed})
	})
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestErasedPatientDataDoNotBreakTheProof(t *testing.T) {
	s := open(t, t.TempDir())
	one, two := ledger.Subject("4711", "", "1.2.3"), ledger.Subject("4712", "", "1.2.3")
	a := s.sealed(t, one, patient{"4711", "Planted^Name"})
	b := s.sealed(t, one, patient{"4711", "Planted^Name"})
	c := s.sealed(t, two, patient{"4712", "Other^Name"})
	if a == b {
		t.Error("the same data are sealed alike: they can be recognised")
	}
	var got patient
	for _, sealed := range []string{a, b} {
		if err := s.l.Unseal(t.Context(), sealed, &got); err != nil || got.Name != "Planted^Name" {
			t.Fatal(got, err)
		}
	}
	before := s.export(t)
	if erased, err := s.l.Erase(t.Context(), one, "A. Able", "asked for"); err != nil || !erased {
		t.Fatal(erased, err)
	}
	if erased, err := s.l.Erase(t.Context(), one, "A. Able", "asked for"); err != nil || erased {
		t.Error("erased twice", err)
	}
	for _, sealed := range []string{a, b} {
		if err := s.l.Unseal(t.Context(), sealed, &got); !errors.Is(err, ledger.ErrErased) {
			t.Error(err)
		}
	}
	if err := s.l.Unseal(t.Context(), c, &got); err != nil || got.Name != "Other^Name" {
		t.Error("another patient's data are gone too:", err)
	}
	for _, export := range [][]byte{before, s.export(t)} {
		if _, err := ledger.Verify(bytes.NewReader(export), ledger.VerifyOptions{Key: s.l.Key()}); err != nil {
			t.Error(err)
		}
		if bytes.Contains(export, []byte("Planted")) || bytes.Contains(export, []byte("4711")) {
			t.Error("an export tells whom it is about")
		}
	}
	if again := s.sealed(t, one, patient{"4711", "Planted^Name"}); strings.Split(again, ":")[2] == strings.Split(a, ":")[2] {
		t.Error("who was erased can be recognised")
	}
}

func TestSealedStringsAreNotGuessed(t *testing.T) {
	s := open(t, t.TempDir())
	sealed := s.sealed(t, "x", patient{"4711", "Planted^Name"})
	other := s.sealed(t, "y", 1)
	var got patient
	for _, bad := range []string{"", "sealed:1:", sealed[:len(sealed)-2], sealed + "AA", strings.Join(strings.Split(other, ":")[:3], ":") + ":" + strings.Split(sealed, ":")[3], "Planted"} {
		if err := s.l.Unseal(t.Context(), bad, &got); err == nil {
			t.Errorf("%q: opened", bad)
		}
	}
}

func TestSealKeyIsNeverReplacedSilently(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	s.sealed(t, "x", 1)
	path := filepath.Join(dir, "keys", "ledger.seal")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, err := ledger.Open(t.Context(), s.db, filepath.Join(dir, "keys", "ledger.key"), "Example Hospital")
	if err == nil || !strings.Contains(err.Error(), "restore") {
		t.Error(err)
	}
}

func TestErasedKeysAreGoneFromTheDisk(t *testing.T) {
	s := open(t, t.TempDir())
	s.sealed(t, "x", patient{"4711", "Planted^Name"})
	s.sealed(t, "y", patient{"4712", "Other^Name"})
	var key []byte
	err := s.db.View(t.Context(), func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT key FROM ledger_subjects ORDER BY rowid LIMIT 1`).Scan(&key)
	})
	if err != nil {
		t.Fatal(err)
	}
	onDisk := func() (found bool) {
		for _, name := range []string{"cordon.db", "cordon.db-wal"} {
			data, err := os.ReadFile(filepath.Join(s.dir, name))
			if err != nil {
				t.Fatal(err)
			}
			found = found || bytes.Contains(data, key)
		}
		return found
	}
	if !onDisk() {
		t.Fatal("the test looks in the wrong place")
	}
	if erased, err := s.l.Erase(t.Context(), "x", "A. Able", "asked for"); err != nil || !erased {
		t.Fatal(erased, err)
	}
	if onDisk() {
		t.Error("the data key can still be read from the disk")
	}
}
