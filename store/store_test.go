package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"cordon/store"
)

func tables(files ...string) store.Migrations {
	m := fstest.MapFS{}
	for i, text := range files {
		m[fmt.Sprintf("%03d_step.sql", i+1)] = &fstest.MapFile{Data: []byte(text)}
	}
	return store.Migrations{Package: "things", FS: m}
}

const things = `CREATE TABLE things (n INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;
CREATE TABLE parts (n INTEGER NOT NULL REFERENCES things (n)) STRICT;`

func open(t testing.TB, path string, m ...store.Migrations) *store.DB {
	t.Helper()
	db, err := store.OpenDB(t.Context(), path, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func insert(n int) func(*store.Tx) error {
	return func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO things (n, text) VALUES (?, 'x')`, n)
		return err
	}
}

func count(t testing.TB, db *store.DB) (n int) {
	t.Helper()
	err := db.View(t.Context(), func(tx *store.Tx) error { return tx.QueryRow(`SELECT COUNT(*) FROM things`).Scan(&n) })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestDurabilitySettingsHold(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "odd ?name#%41.db"), tables(things))
	pragmas := map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "10000", "secure_delete": "1"}
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		for name, want := range pragmas {
			var got string
			if err := tx.QueryRow("PRAGMA " + name).Scan(&got); err != nil || got != want {
				t.Errorf("%s = %q, %v; want %q", name, got, err, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(t.Context(), func(tx *store.Tx) error { _, err := tx.Exec(`INSERT INTO parts VALUES (1)`); return err })
	if err == nil {
		t.Error("a foreign key is not enforced")
	}
	err = db.View(t.Context(), func(tx *store.Tx) error { return insert(1)(tx) })
	if err == nil {
		t.Error("View could write")
	}
}

func TestFileIsReadableByItsOwnerAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db := open(t, path, tables(things))
	if err := db.Update(t.Context(), insert(1)); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(path + "*")
	if len(files) < 3 {
		t.Errorf("files: %v", files)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", f, info.Mode(), err)
		}
	}
}

func TestFailingFunctionUndoesOnlyItsOwnWork(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), tables(things))
	mine := errors.New("mine")
	var all sync.WaitGroup
	for i := range 300 {
		all.Go(func() {
			err := db.Update(context.Background(), func(tx *store.Tx) error {
				if err := insert(i)(tx); err != nil {
					return err
				}
				switch i % 3 {
				case 1:
					return mine
				case 2:
					panic("oh")
				}
				return nil
			})
			switch {
			case i%3 == 0 && err != nil, i%3 == 1 && !errors.Is(err, mine), i%3 == 2 && (err == nil || !strings.Contains(err.Error(), "panicked: oh")):
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	all.Wait()
	if n := count(t, db); n != 100 {
		t.Errorf("%d rows, want 100", n)
	}
}

func TestUpdateIsSeenByTheNextView(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), tables(things))
	for i := range 100 {
		if err := db.Update(t.Context(), insert(i)); err != nil {
			t.Fatal(err)
		}
		if n := count(t, db); n != i+1 {
			t.Fatalf("%d rows after %d updates", n, i+1)
		}
	}
}

func TestCancelledUpdateIsNeverRun(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), tables(things))
	gate, inside := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		first <- db.Update(context.Background(), func(tx *store.Tx) error {
			close(inside)
			<-gate
			return insert(1)(tx)
		})
	}()
	<-inside
	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan error, 1)
	var ran atomic.Bool
	go func() {
		second <- db.Update(ctx, func(tx *store.Tx) error { ran.Store(true); return insert(2)(tx) })
	}()
	time.Sleep(20 * time.Millisecond)
	cancel()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Errorf("second: %v", err)
	}
	close(gate)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if err := db.Update(t.Context(), insert(3)); err != nil {
		t.Error(err)
	}
	if ran.Load() || count(t, db) != 2 {
		t.Error("the cancelled function was run")
	}
}

// A context that ends while a function runs must not interrupt SQLite, which
// would roll back everybody's work.
func TestCancellingDuringATransactionHarmsNobody(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), tables(things))
	ctx, cancel := context.WithCancel(t.Context())
	err := db.Update(ctx, func(tx *store.Tx) error {
		cancel()
		time.Sleep(10 * time.Millisecond)
		return insert(1)(tx)
	})
	if err != nil || count(t, db) != 1 {
		t.Errorf("%v, %d rows", err, count(t, db))
	}
}

// A disk that others keep busy may take longer than the second promised.
func TestLaterIsWrittenWithoutCompany(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), tables(things))
	db.Later(insert(1), func(err error) { t.Error(err) })
	begin := time.Now()
	for count(t, db) == 0 {
		if time.Since(begin) > 20*time.Second {
			t.Fatal("not there")
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Log(time.Since(begin))
}

func TestCloseWritesWhatIsLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db := open(t, path, tables(things))
	for i := range 2000 {
		db.Later(insert(i), func(err error) { t.Error(err) })
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	var late error
	db.Later(insert(1), func(err error) { late = err })
	if err := db.Update(t.Context(), insert(1)); !errors.Is(err, store.ErrClosed) || !errors.Is(late, store.ErrClosed) {
		t.Errorf("after Close: %v, %v", err, late)
	}
	if n := count(t, open(t, path, tables(things))); n != 2000 {
		t.Errorf("%d rows, want 2000", n)
	}
}

func TestLaterTellsWhatFailed(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), tables(things))
	told := make(chan error, 1)
	db.Later(func(*store.Tx) error { return errors.New("no") }, func(err error) { told <- err })
	if err := <-told; err.Error() != "no" {
		t.Error(err)
	}
}

// SQLite rolls all of a transaction back when the disk is full.
func TestFullDiskIsSaidAndGoesByItself(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), tables(things))
	pages := func(n int) {
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			var got int
			return tx.QueryRow(fmt.Sprintf("PRAGMA max_page_count = %d", n)).Scan(&got)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	pages(1)
	big := func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO things (text) VALUES (?)`, strings.Repeat("x", 1<<20))
		return err
	}
	err := db.Update(t.Context(), big)
	if !errors.Is(err, store.ErrFull) || !strings.Contains(err.Error(), "free space") {
		t.Errorf("%v", err)
	}
	pages(1 << 20)
	if err := db.Update(t.Context(), big); err != nil || count(t, db) != 1 {
		t.Errorf("after there was room: %v", err)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	for _, errno := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		err := store.Explain(&fs.PathError{Op: "write", Path: "x", Err: errno})
		if !errors.Is(err, store.ErrFull) || !errors.Is(err, errno) {
			t.Error(err)
		}
	}
	if err := store.Explain(syscall.EROFS); !strings.Contains(err.Error(), "read-only") {
		t.Error(err)
	}
	path := filepath.Join(t.TempDir(), "x.db")
	os.WriteFile(path, bytes.Repeat([]byte("rubbish "), 1000), 0o600)
	_, err := store.OpenDB(t.Context(), path, nil)
	if err == nil || !strings.Contains(err.Error(), "backup") {
		t.Error(err)
	}
}

func TestMigrations(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	open(t, path, tables(things)).Close()
	more := `ALTER TABLE things ADD COLUMN more TEXT`
	open(t, path, tables(things, more)).Close()
	open(t, path, tables(things, more)).Close() // again changes nothing

	tests := map[string]struct {
		m    []store.Migrations
		want string
	}{
		"older program":  {[]store.Migrations{tables(things)}, "made by a newer Cordon (things migration 2); run that version, or restore a backup of before the upgrade into an empty directory (cordon restore)"},
		"no package":     {nil, "made by a newer Cordon (things migration 1)"},
		"changed":        {[]store.Migrations{tables(things+" ", more)}, "things migration 1 is not the one"},
		"bad name":       {[]store.Migrations{{Package: "x", FS: fstest.MapFS{"1.sql": {}}}}, "expected a name like"},
		"gap":            {[]store.Migrations{{Package: "x", FS: fstest.MapFS{"002_x.sql": {}}}}, "expected number 001"},
		"bad SQL, third": {[]store.Migrations{tables(things, more, "CREATE TABLE y (n); NONSENSE")}, "things migration 3"},
	}
	for name, test := range tests {
		_, err := store.OpenDB(t.Context(), path, test.m)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := store.OpenReadOnly(t.Context(), path, []store.Migrations{tables(things)}); err == nil || !strings.Contains(err.Error(), "newer") {
		t.Errorf("read-only: %v", err)
	}
	third := tables(things, more, "CREATE TABLE y (n)")
	if _, err := store.OpenReadOnly(t.Context(), path, []store.Migrations{third}); err == nil || !strings.Contains(err.Error(), "older") {
		t.Errorf("read-only: %v", err)
	}
	open(t, path, third) // the failed attempt left nothing behind
}

func TestReadOnlyBesideARunningWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	if _, err := store.OpenReadOnly(t.Context(), path, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	db := open(t, path, tables(things))
	ro, err := store.OpenReadOnly(t.Context(), path, []store.Migrations{tables(things)})
	if err != nil {
		t.Fatal(err)
	}
	defer ro.Close()
	if err := db.Update(t.Context(), insert(1)); err != nil {
		t.Fatal(err)
	}
	if count(t, ro) != 1 {
		t.Error("does not see what was committed")
	}
	if err := ro.Update(t.Context(), insert(2)); err == nil {
		t.Error("could write")
	}
}

func TestQueriesInsideATransactionMayOverlap(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), tables(things))
	for i := range 3 {
		if err := db.Update(t.Context(), insert(i)); err != nil {
			t.Fatal(err)
		}
	}
	pairs := 0
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		each := func(fn func() error) error {
			rows, err := tx.Query(`SELECT n FROM things`)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				if err := fn(); err != nil {
					return err
				}
			}
			return rows.Err()
		}
		return each(func() error { return each(func() error { pairs++; return nil }) })
	})
	if err != nil || pairs != 9 {
		t.Errorf("%d pairs, %v", pairs, err)
	}
	err = db.View(t.Context(), func(tx *store.Tx) error { return tx.QueryRow(`SELECT n FROM things WHERE n = 9`).Scan(new(int)) })
	if !errors.Is(err, sql.ErrNoRows) {
		t.Error(err)
	}
}

// TestMain lets the test binary be another process that wants the directory.
func TestMain(m *testing.M) {
	if dir := os.Getenv("CORDON_TEST_LOCK"); dir != "" {
		_, err := store.Lock(dir)
		fmt.Print(err)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestLockNamesItsHolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	l, err := store.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	other := func() string {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "CORDON_TEST_LOCK="+dir)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	if got := other(); !strings.Contains(got, fmt.Sprintf("in use by process %d", os.Getpid())) {
		t.Error(got)
	}
	if err := l.Unlock(); err != nil {
		t.Error(err)
	}
	if got := other(); got != "<nil>" { // and it leaves its own number behind
		t.Error(got)
	}
	again, err := store.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	again.Unlock()
}

func TestLockRefusesWhatIsNotOurs(t *testing.T) {
	for content, want := range map[string]string{
		"cordon-data format 0002 process 0000000001\n": "written by a newer Cordon (format 2, this version knows 1)",
		"something else": "not a lock file of Cordon",
	} {
		dir := t.TempDir()
		os.WriteFile(filepath.Join(dir, "lock"), []byte(content), 0o600)
		if _, err := store.Lock(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", content, err)
		}
		if got, _ := os.ReadFile(filepath.Join(dir, "lock")); string(got) != content {
			t.Errorf("was overwritten: %q", got)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, nil, 0o600)
	if _, err := store.Lock(file); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Error(err)
	}
}

func TestWriteFileIsAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	for _, content := range []string{"one", "two"} {
		if err := store.WriteFile(path, []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(path); string(got) != content {
			t.Errorf("%q", got)
		}
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o640 {
		t.Error(info.Mode())
	}
	f, err := store.NewFile(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(f, "half")
	f.Discard()
	if got, _ := os.ReadFile(path); string(got) != "two" {
		t.Errorf("%q after Discard", got)
	}
	if err := f.Commit(); err == nil {
		t.Error("Commit after Discard")
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	if err := store.WriteFile(filepath.Join(dir, "none", "x"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func BenchmarkUpdate(b *testing.B) {
	for _, callers := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(callers, "callers"), func(b *testing.B) {
			db := open(b, filepath.Join(b.TempDir(), "x.db"), tables(things))
			var next atomic.Int64
			var all sync.WaitGroup
			for range callers {
				all.Go(func() {
					for {
						n := next.Add(1)
						if n > int64(b.N) {
							return
						}
						if err := db.Update(context.Background(), insert(int(n))); err != nil {
							b.Error(err)
						}
					}
				})
			}
			all.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
		})
	}
}

func TestOnCommitIsAfterTheCommitOrNever(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "cordon.db"), tables(things))
	called := 0
	for _, want := range []error{nil, errors.New("changed my mind")} {
		err := db.Update(t.Context(), func(tx *store.Tx) error { tx.OnCommit(func() { called++ }); return want })
		if !errors.Is(err, want) {
			t.Error(err)
		}
	}
	if called != 1 {
		t.Errorf("called %d times", called)
	}
}
