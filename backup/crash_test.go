package backup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"cordon/backup"
	"cordon/custody"
	"cordon/ledger"
	"cordon/store"

	"filippo.io/age"
)

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	var err error
	switch dir := os.Getenv("CORDON_TEST_DIR"); os.Getenv("CORDON_TEST_DO") {
	case "backup":
		err = backUpUntilKilled(dir, os.Getenv("CORDON_TEST_KEY"))
	case "restore":
		err = restoreOnce(dir, os.Getenv("CORDON_TEST_KEY"))
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func backUpUntilKilled(dir, key string) error {
	ctx := context.Background()
	db, err := store.OpenDB(ctx, filepath.Join(dir, "cordon.db"), migrations())
	if err != nil {
		return err
	}
	l, err := ledger.Open(ctx, db, filepath.Join(dir, "keys", "ledger.key"), "test")
	if err != nil {
		return err
	}
	c, err := custody.Open(ctx, db, dir, l, custody.Options{})
	if err != nil {
		return err
	}
	id, err := age.ParseX25519Identity(key)
	if err != nil {
		return err
	}
	m := backup.New(backup.Config{Dir: dir}, backup.Parts{DB: db, Custody: c, Ledger: l})
	fmt.Println("ready")
	for {
		if _, err := m.Write(ctx, io.Discard, backup.To{Recipients: []age.Recipient{id.Recipient()}}); err != nil {
			return err
		}
	}
}

func restoreOnce(dir, key string) error {
	id, err := age.ParseX25519Identity(key)
	if err != nil {
		return err
	}
	f, err := os.Open(filepath.Join(filepath.Dir(dir), "file.age"))
	if err != nil {
		return err
	}
	defer f.Close()
	fmt.Println("ready")
	_, err = backup.Restore(context.Background(), f, dir, backup.From{Identities: []age.Identity{id}, Migrations: migrations(), By: "tester", Reason: "drill"})
	return err
}

// child starts this test binary to do one of these, and waits until it begins.
func child(t *testing.T, do, dir string, id *age.X25519Identity) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "CORDON_TEST_DO="+do, "CORDON_TEST_DIR="+dir, "CORDON_TEST_KEY="+id.String())
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func killAfter(t *testing.T, cmd *exec.Cmd, most time.Duration) {
	t.Helper()
	time.Sleep(rand.N(most))
	cmd.Process.Signal(syscall.SIGKILL) // it may have ended
	cmd.Wait()
}

// points is how often each is killed.
const points = 25

func TestABackupThatIsKilledHarmsNothing(t *testing.T) {
	dir, id := t.TempDir(), identity(t)
	s := open(t, dir)
	var kept []custody.Object
	for n := range 20 {
		kept = append(kept, s.keep(t, custody.Spooled, n))
	}
	s.db.Close()
	for range points {
		killAfter(t, child(t, "backup", dir, id), 100*time.Millisecond)
	}
	s = open(t, dir)
	if st := s.l.Start(); !st.Intact || st.RolledBack {
		t.Errorf("%+v", st)
	}
	for _, o := range kept {
		s.read(t, o.ID)
	}
	report, err := backup.Verify(t.Context(), bytes.NewReader(s.backup(t, id)), from(t, id))
	if err != nil || report.Objects != 20 {
		t.Errorf("%+v, %v", report, err)
	}
	if _, err := os.Stat(filepath.Join(dir, ".backup.db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the copy of the database is left: %v", err)
	}
}

// A restore that is killed is finished, or no data directory, and can be run again.
func TestARestoreThatIsKilledIsBegunAnew(t *testing.T) {
	top, id := t.TempDir(), identity(t)
	old := filepath.Join(top, "old")
	if err := os.Mkdir(old, 0o700); err != nil {
		t.Fatal(err)
	}
	s := open(t, old)
	for n := range 20 {
		s.keep(t, custody.Spooled, n)
	}
	if err := os.WriteFile(filepath.Join(top, "file.age"), s.backup(t, id), 0o600); err != nil {
		t.Fatal(err)
	}
	s.db.Close()
	cut, whole := 0, 0
	for n := range points {
		dir := filepath.Join(top, fmt.Sprint(n))
		killAfter(t, child(t, "restore", dir, id), 400*time.Millisecond)
		if backup.Unfinished(dir) == nil {
			if _, err := os.Stat(filepath.Join(dir, "cordon.db")); err == nil {
				whole++
				continue
			}
		}
		cut++
		cmd := child(t, "restore", dir, id)
		if err := cmd.Wait(); err != nil {
			t.Fatalf("the second restore: %v", err)
		}
		if backup.Unfinished(dir) != nil {
			t.Error("the second restore is not finished either")
		}
	}
	t.Logf("%d were cut off, %d were whole", cut, whole)
	for n := range points {
		r := open(t, filepath.Join(top, fmt.Sprint(n)))
		if f, st := r.c.Found(), r.l.Start(); f != (custody.Found{}) || !st.Intact || st.RolledBack {
			t.Errorf("%d: %+v, %+v", n, f, st)
		}
		r.db.Close()
	}
}

// broken fails after so many bytes, as a full disk does.
type broken int

func (b *broken) Write(p []byte) (int, error) {
	if *b -= broken(len(p)); *b < 0 {
		return 0, syscall.ENOSPC
	}
	return len(p), nil
}

func TestAFullDiskEndsABackupAndNothingElse(t *testing.T) {
	s, id := open(t, t.TempDir()), identity(t)
	s.keep(t, custody.Held, 50)
	full := broken(100_000)
	_, err := s.maker().Write(t.Context(), &full, backup.To{Recipients: []age.Recipient{id.Recipient()}})
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%v", err)
	}
	if got := s.kinds(t, 1); len(got) != 1 || got[0] != "backup.begun" {
		t.Errorf("recorded: %v", got)
	}
	if _, err := os.Stat(filepath.Join(s.dir, ".backup.db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the copy of the database is left: %v", err)
	}
	if _, err := backup.Verify(t.Context(), bytes.NewReader(s.backup(t, id)), from(t, id)); err != nil {
		t.Error(err)
	}
}

// A small disk is seen before anything is written to it.
func TestARestoreToASmallDiskIsRefused(t *testing.T) {
	s, id := open(t, t.TempDir()), identity(t)
	file := s.backup(t, id)
	dir := t.TempDir()
	if err := syscall.Mount("cordon-backup", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Logf("mount: %v: only who may mount has a small disk", err)
		return
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	if _, err := backup.Restore(t.Context(), bytes.NewReader(file), dir, from(t, id)); !errors.Is(err, store.ErrFull) {
		t.Errorf("%v", err)
	}
	if err := backup.Unfinished(dir); err != nil {
		t.Error(err)
	}
}
