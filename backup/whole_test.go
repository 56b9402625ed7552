package backup_test

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cordon/backup"
	"cordon/custody"

	"filippo.io/age"
)

// What cannot be used after a restore is no backup, and is not kept for one.
func TestABackupHasEveryKey(t *testing.T) {
	for _, name := range []string{"custody.key", "ledger.key", "ledger.seal"} {
		s, id := open(t, t.TempDir()), identity(t)
		s.keep(t, custody.Held, 1)
		if err := os.Remove(filepath.Join(s.dir, "keys", name)); err != nil {
			t.Fatal(err)
		}
		_, err := s.maker().Write(t.Context(), io.Discard, backup.To{Recipients: []age.Recipient{id.Recipient()}, By: "tester"})
		if err == nil || !strings.Contains(err.Error(), name+" is missing") {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

// watched calls look at each Read.
type watched struct {
	io.Reader
	look func(ended bool)
}

func (w watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	w.look(err == io.EOF)
	return n, err
}

func TestAVerificationWritesNoKey(t *testing.T) {
	s, id := open(t, t.TempDir()), identity(t)
	s.keep(t, custody.Held, 1)
	from, seen := from(t, id), map[string]bool{}
	r := watched{bytes.NewReader(s.backup(t, id)), func(bool) {
		filepath.WalkDir(from.Scratch, func(path string, e fs.DirEntry, err error) error {
			seen[filepath.Base(path)] = true
			return nil
		})
	}}
	if _, err := backup.Verify(t.Context(), r, from); err != nil {
		t.Fatal(err)
	}
	if !seen["cordon.db"] || seen["keys"] || seen["custody.key"] {
		t.Errorf("on the disk meanwhile: %v", seen)
	}
}

// What was erased since a backup that was killed is not in its copy for ever.
func TestAKilledBackupsCopyGoesAtTheNextStart(t *testing.T) {
	s := open(t, t.TempDir())
	left := filepath.Join(s.dir, ".backup.db")
	if err := os.WriteFile(left, []byte("rows"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.maker()
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("it is left: %v", err)
	}
}

// A restore that fails while its files take their place leaves no directory that
// Cordon would start on as if it were a new one.
func TestARestoreThatCannotSettleIsRunAgain(t *testing.T) {
	s, id := open(t, t.TempDir()), identity(t)
	o := s.keep(t, custody.Held, 1)
	file, dir := s.backup(t, id), filepath.Join(t.TempDir(), "data")
	r := watched{bytes.NewReader(file), func(ended bool) {
		if ended {
			os.MkdirAll(filepath.Join(dir, "objects", "in the way"), 0o700)
		}
	}}
	if _, err := backup.Restore(t.Context(), r, dir, from(t, id)); err == nil || !strings.Contains(err.Error(), "run the same command again") {
		t.Fatalf("%v", err)
	}
	if backup.Unfinished(dir) == nil {
		t.Error("half a directory looks like a whole one")
	}
	if _, err := backup.Restore(t.Context(), bytes.NewReader(file), dir, from(t, id)); err != nil {
		t.Fatal(err)
	}
	if backup.Unfinished(dir) != nil || open(t, dir).read(t, o.ID) != s.read(t, o.ID) {
		t.Error("not restored")
	}
}
