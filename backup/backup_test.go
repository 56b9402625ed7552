package backup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cordon/backup"
	"cordon/custody"
	"cordon/ledger"
	"cordon/store"

	"filippo.io/age"
)

func migrations() []store.Migrations {
	return []store.Migrations{ledger.Migrations(), custody.Migrations()}
}

// A site is a data directory with everything open.
type site struct {
	dir string
	db  *store.DB
	l   *ledger.Ledger
	c   *custody.Custody
}

func open(t testing.TB, dir string) site {
	t.Helper()
	db, err := store.OpenDB(t.Context(), filepath.Join(dir, "cordon.db"), migrations())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	l, err := ledger.Open(t.Context(), db, filepath.Join(dir, "keys", "ledger.key"), "test")
	if err != nil {
		t.Fatal(err)
	}
	c, err := custody.Open(t.Context(), db, dir, l, custody.Options{Memory: 4 << 10, Shared: -1})
	if err != nil {
		t.Fatal(err)
	}
	return site{dir, db, l, c}
}

func (s site) maker() *backup.Maker {
	return backup.New(backup.Config{Dir: s.dir, Site: "test", Version: "v1"}, backup.Parts{DB: s.db, Custody: s.c, Ledger: s.l})
}

// keep makes an object durable, with content of its own.
func (s site) keep(t testing.TB, state custody.State, n int) custody.Object {
	t.Helper()
	b := s.c.NewBuffer()
	fmt.Fprintf(b, "object %d %s", n, strings.Repeat("x", n*1000))
	o, err := s.c.Keep(t.Context(), b, custody.Object{State: state, Archive: "pacs", CallingAE: "CT1", SOPInstanceUID: fmt.Sprintf("1.2.%d", n), StudyInstanceUID: "1.2"})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// read returns an object's bytes.
func (s site) read(t testing.TB, id string) string {
	t.Helper()
	r, err := s.c.OpenBlob(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func identity(t testing.TB) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (s site) backup(t testing.TB, id *age.X25519Identity) []byte {
	t.Helper()
	var file bytes.Buffer
	if _, err := s.maker().Write(t.Context(), &file, backup.To{Recipients: []age.Recipient{id.Recipient()}, Names: []string{id.Recipient().String()}, By: "tester"}); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func from(t testing.TB, id age.Identity) backup.From {
	return backup.From{Identities: []age.Identity{id}, Migrations: migrations(), Scratch: t.TempDir(), By: "Ada Ashe", Reason: "the disk failed"}
}

// kinds are those of the ledger's last records, the latest first.
func (s site) kinds(t testing.TB, n int) (out []string) {
	t.Helper()
	err := s.l.Tail(t.Context(), n, func(r ledger.Record) error {
		out = append(out, r.Kind)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWhatWasAcknowledgedIsThereAfterARestore(t *testing.T) {
	s, id := open(t, t.TempDir()), identity(t)
	spooled, held := s.keep(t, custody.Spooled, 1), s.keep(t, custody.Held, 20)
	gone := s.keep(t, custody.Spooled, 3)
	if err := s.c.Delivered(t.Context(), gone.ID, 0); err != nil {
		t.Fatal(err)
	}
	file := s.backup(t, id)
	if bytes.Contains(file, []byte("ledger.key")) || bytes.Contains(file, []byte("SQLite")) {
		t.Error("the file can be read without a key")
	}
	report, err := backup.Verify(t.Context(), bytes.NewReader(file), from(t, id))
	if err != nil || report.Objects != 2 || report.By != "tester" || report.Key != s.l.Fingerprint() {
		t.Errorf("%+v, %v", report, err)
	}
	s.db.Close()

	dir := filepath.Join(t.TempDir(), "data")
	if _, err := backup.Restore(t.Context(), bytes.NewReader(file), dir, from(t, id)); err != nil {
		t.Fatal(err)
	}
	if err := backup.Unfinished(dir); err != nil {
		t.Error(err)
	}
	r := open(t, dir)
	if st := r.l.Start(); !st.Intact || st.RolledBack || !st.Clean {
		t.Errorf("the restored ledger looks like an attack: %+v", st)
	}
	if got := r.kinds(t, 10); !slices.Contains(got, "backup.restored") {
		t.Errorf("no record of the restore: %v", got)
	}
	if f := r.c.Found(); f != (custody.Found{}) {
		t.Errorf("%+v", f)
	}
	for _, o := range []custody.Object{spooled, held} {
		if text := r.read(t, o.ID); int64(len(text)) != o.Bytes {
			t.Errorf("object %s: %d bytes, want %d", o.ID, len(text), o.Bytes)
		}
	}
	if o, err := r.c.Get(t.Context(), gone.ID); err != nil || o.State != custody.Delivered {
		t.Errorf("%+v, %v", o, err)
	}
	if _, err := ledger.VerifyLive(t.Context(), r.db, ledger.VerifyOptions{Key: report.Key}); err != nil {
		t.Error(err)
	}
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if info, _ := e.Info(); err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// Objects are delivered, and their files deleted, all the time.
func TestABackupUnderTrafficIsConsistent(t *testing.T) {
	s, id := open(t, t.TempDir()), identity(t)
	for n := range 30 {
		s.keep(t, custody.Spooled, n)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { // ends with stop
		defer close(done)
		for n := 100; ctx.Err() == nil; n++ {
			o := s.keep(t, custody.Spooled, n%10)
			all, err := s.c.List(t.Context(), custody.Filter{States: []custody.State{custody.Spooled}, Limit: 1})
			if err == nil && len(all) > 0 {
				err = s.c.Delivered(t.Context(), all[0].ID, 0)
			}
			if err != nil {
				t.Errorf("%v after %s", err, o.ID)
				return
			}
		}
	}()
	for range 5 {
		report, err := backup.Verify(t.Context(), bytes.NewReader(s.backup(t, id)), from(t, id))
		if err != nil || report.Objects < 30 || len(report.Missing) > 0 {
			t.Errorf("%+v, %v", report, err)
		}
	}
	stop()
	<-done
	shards, err := filepath.Glob(filepath.Join(s.dir, "objects", "*", "*"))
	if err != nil || len(shards) > 40 {
		t.Errorf("%d files are left, %v", len(shards), err)
	}
}

func TestADamagedOrTruncatedFileIsRefused(t *testing.T) {
	s, id := open(t, t.TempDir()), identity(t)
	s.keep(t, custody.Held, 200)
	file := s.backup(t, id)
	step := len(file)/40 + 1
	for at := 0; at < len(file); at += step {
		cut := file[:at]
		flipped := bytes.Clone(file)
		flipped[at] ^= 1
		for name, bad := range map[string][]byte{"cut": cut, "flipped": flipped} {
			dir := filepath.Join(t.TempDir(), "data")
			_, err := backup.Restore(t.Context(), bytes.NewReader(bad), dir, from(t, id))
			if err == nil {
				t.Errorf("%s at %d: restored", name, at)
				continue
			}
			if _, err := os.Stat(filepath.Join(dir, "cordon.db")); err == nil {
				t.Errorf("%s at %d: there is a database", name, at)
			}
			if _, err := backup.Verify(t.Context(), bytes.NewReader(bad), from(t, id)); err == nil {
				t.Errorf("%s at %d: verified", name, at)
			}
		}
	}
	if _, err := backup.Verify(t.Context(), bytes.NewReader(file[:len(file)-20]), from(t, id)); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("%v", err)
	}
	if _, err := backup.Verify(t.Context(), bytes.NewReader(file), from(t, identity(t))); err == nil || !strings.Contains(err.Error(), "does not open") {
		t.Errorf("%v", err)
	}
}

func TestARestoreNeedsAnEmptyDirectory(t *testing.T) {
	s, id := open(t, t.TempDir()), identity(t)
	file := s.backup(t, id)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "notes"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Restore(t.Context(), bytes.NewReader(file), dir, from(t, id)); !errors.Is(err, backup.ErrNotEmpty) {
		t.Errorf("%v", err)
	}
	if _, err := backup.Restore(t.Context(), bytes.NewReader(file), s.dir, from(t, id)); !errors.Is(err, backup.ErrNotEmpty) {
		t.Errorf("%v", err)
	}
}

func TestANewerBackupIsRefused(t *testing.T) {
	s, id := open(t, t.TempDir()), identity(t)
	file := s.backup(t, id)
	old := from(t, id)
	old.Migrations = []store.Migrations{ledger.Migrations()} // a version that has no custody yet
	dir := filepath.Join(t.TempDir(), "data")
	if _, err := backup.Restore(t.Context(), bytes.NewReader(file), dir, old); !errors.Is(err, backup.ErrNewer) || !strings.Contains(err.Error(), "custody migration") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "cordon.db")); err == nil {
		t.Error("there is a database")
	}
}

// What the backup does not know is named by an export that was kept elsewhere.
func TestAnExportNamesWhatTheBackupDoesNotKnow(t *testing.T) {
	s, id := open(t, t.TempDir()), identity(t)
	before := s.keep(t, custody.Spooled, 1)
	file := s.backup(t, id)
	report, err := backup.Verify(t.Context(), bytes.NewReader(file), from(t, id))
	if err != nil {
		t.Fatal(err)
	}
	lost, delivered := s.keep(t, custody.Held, 2), s.keep(t, custody.Spooled, 3)
	for _, id := range []string{before.ID, delivered.ID} {
		if err := s.c.Delivered(t.Context(), id, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.l.Record(t.Context(), "object.delivered", map[string]any{"association": "A", "sop_instance_uid": "1.2.9", "archive": "pacs"}); err != nil {
		t.Fatal(err)
	}
	var export bytes.Buffer
	if err := s.l.Export(t.Context(), &export); err != nil {
		t.Fatal(err)
	}
	later, err := backup.After(bytes.NewReader(export.Bytes()), report.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, o := range later.Objects {
		got[o.SOPInstanceUID] = o.Where
	}
	if len(got) != 3 || got[lost.SOPInstanceUID] != "lost" || got[delivered.SOPInstanceUID] != "archive" || got["1.2.9"] != "archive" {
		t.Errorf("%v", got)
	}
	if l := later.Lost(); len(l) != 1 || l[0].ID != lost.ID || later.Records < 5 {
		t.Errorf("%+v", later)
	}
	other := open(t, t.TempDir())
	if err := other.l.Export(t.Context(), &export); err != nil {
		t.Fatal(err)
	}
	if _, err := backup.After(bytes.NewReader(export.Bytes()[export.Len()/2:]), report.Manifest); err == nil {
		t.Error("an export of another ledger was taken")
	}
}
