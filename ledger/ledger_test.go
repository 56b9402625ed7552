package ledger_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/ledger"
	"cordon/store"
)

type site struct {
	dir string
	db  *store.DB
	l   *ledger.Ledger
}

func openDB(t testing.TB, dir string) *store.DB {
	t.Helper()
	db, err := store.OpenDB(t.Context(), filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func open(t testing.TB, dir string) site {
	t.Helper()
	db := openDB(t, dir)
	l, err := ledger.Open(t.Context(), db, filepath.Join(dir, "keys", "ledger.key"), "Example Hospital")
	if err != nil {
		t.Fatal(err)
	}
	return site{dir, db, l}
}

func (s site) export(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := s.l.Export(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// record adds n records in one commit.
func (s site) record(t testing.TB, n int) {
	t.Helper()
	err := s.db.Update(t.Context(), func(tx *store.Tx) error {
		for i := range n {
			if err := s.l.Append(tx, "test.event", map[string]any{"i": i, "b": []any{true, nil, "é\n\"\\<&>\u2028\x7f"}}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestExportVerifiesOffline(t *testing.T) {
	s := open(t, t.TempDir())
	s.record(t, 1234)
	export := s.export(t)
	for _, key := range []string{"", s.l.Key(), s.l.Fingerprint()} {
		r, err := ledger.Verify(bytes.NewReader(export), ledger.VerifyOptions{Key: key})
		if err != nil {
			t.Fatal(err)
		}
		if r.Records != 1235 || r.TreeSize != 1235 || r.Fingerprint != s.l.Fingerprint() || r.OriginProved != (key != "") {
			t.Errorf("%+v", r)
		}
		if r.First.After(r.Last) || r.Last.After(r.Signed) || time.Since(r.First) > time.Hour {
			t.Errorf("times %v %v %v", r.First, r.Last, r.Signed)
		}
		t.Log(r.Proves)
	}
	live, err := ledger.VerifyLive(t.Context(), s.db, ledger.VerifyOptions{Key: s.l.Key()})
	if err != nil || live.Records != 1235 {
		t.Errorf("live: %+v, %v", live, err)
	}
}

func TestExportOfAnotherKeyIsNotTheOnePinned(t *testing.T) {
	a, b := open(t, t.TempDir()), open(t, t.TempDir())
	export := b.export(t)
	if _, err := ledger.Verify(bytes.NewReader(export), ledger.VerifyOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{a.l.Key(), a.l.Fingerprint()} {
		if r, err := ledger.Verify(bytes.NewReader(export), ledger.VerifyOptions{Key: key}); err == nil {
			t.Errorf("accepted: %+v", r)
		}
	}
}

func TestEveryBitOfAnExportCounts(t *testing.T) {
	s := open(t, t.TempDir())
	s.record(t, 3)
	export := s.export(t)
	for i := range export {
		for bit := range 8 {
			changed := bytes.Clone(export)
			changed[i] ^= 1 << bit
			if _, err := ledger.Verify(bytes.NewReader(changed), ledger.VerifyOptions{}); err == nil {
				t.Fatalf("bit %d of byte %d (%q) may change", bit, i, export[i])
			}
		}
	}
}

func TestTamperedExportsAreDetected(t *testing.T) {
	s := open(t, t.TempDir())
	s.record(t, 5)
	early := s.export(t)
	s.record(t, 5)
	export := s.export(t)
	lines := bytes.SplitAfter(export, []byte("\n"))
	join := func(parts ...[][]byte) []byte {
		return bytes.Join(func() (all [][]byte) {
			for _, p := range parts {
				all = append(all, p...)
			}
			return all
		}(), nil)
	}
	fewer := bytes.Replace(lines[0], []byte(`"records":11`), []byte(`"records":10`), 1)
	tests := map[string][]byte{
		"empty":                 nil,
		"a record dropped":      join(lines[:4], lines[5:]),
		"dropped, recounted":    join([][]byte{fewer}, lines[1:4], lines[5:]),
		"last dropped":          join([][]byte{fewer}, lines[1:11], lines[12:]),
		"two swapped":           join(lines[:4], lines[5:6], lines[4:5], lines[6:]),
		"one twice":             join(lines[:5], lines[4:]),
		"old records, new note": join([][]byte{bytes.SplitAfter(early, []byte("\n"))[0]}, lines[1:7], lines[12:]),
		"carriage returns":      bytes.ReplaceAll(export, []byte("\n"), []byte("\r\n")),
		"no last line feed":     export[:len(export)-1],
		"appended":              append(bytes.Clone(export), '\n'),
		"a second signature":    append(bytes.Clone(export), "— other 0AAAAAAA\n"...),
		"much appended":         append(bytes.Clone(export), bytes.Repeat([]byte("x"), 1<<20)...),
		"space in a record":     bytes.Replace(export, []byte(`"seq":4,`), []byte(`"seq": 4,`), 1),
		"a key twice":           bytes.Replace(export, []byte(`"seq":4,`), []byte(`"seq":4,"seq":4,`), 1),
		"a name in capitals":    bytes.Replace(export, []byte(`"seq":4,`), []byte(`"Seq":4,`), 1),
		"a free padding bit":    freePaddingBit(export),
	}
	for name, changed := range tests {
		if r, err := ledger.Verify(bytes.NewReader(changed), ledger.VerifyOptions{}); err == nil {
			t.Errorf("%s: accepted: %+v", name, r)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
	for cut := range export {
		if _, err := ledger.Verify(bytes.NewReader(export[:cut]), ledger.VerifyOptions{}); err == nil {
			t.Fatalf("accepted when cut at byte %d", cut)
		}
	}
	if _, err := ledger.Verify(bytes.NewReader(early), ledger.VerifyOptions{}); err != nil {
		t.Errorf("an earlier export is still what was signed then: %v", err)
	}
}

// The signature is 68 bytes: the last character before the padding has two bits
// that a lax decoder ignores.
func freePaddingBit(export []byte) []byte {
	changed := bytes.Clone(export)
	changed[len(changed)-3]++
	return changed
}

func TestTamperedDatabasesAreDetected(t *testing.T) {
	tests := map[string]string{
		"record changed": `UPDATE ledger_records SET data = CAST(replace(CAST(data AS TEXT), '"i":1', '"i":7') AS BLOB) WHERE seq = 2`,
		"record removed": `DELETE FROM ledger_records WHERE seq = 3`,
		"end removed":    `DELETE FROM ledger_records WHERE seq >= 3`,
		"swapped":        `UPDATE ledger_records SET seq = CASE seq WHEN 2 THEN -3 ELSE -2 END WHERE seq IN (2, 3); UPDATE ledger_records SET seq = -seq WHERE seq < 0`,
		"hash changed":   `UPDATE ledger_hashes SET hash = zeroblob(32) WHERE idx = 4`,
		"hash removed":   `DELETE FROM ledger_hashes WHERE idx = 4`,
		"note changed":   `UPDATE ledger_checkpoints SET note = CAST(replace(CAST(note AS TEXT), 'time 2', 'time 1') AS BLOB)`,
		"notes removed":  `DELETE FROM ledger_checkpoints`,
		"other key":      `UPDATE ledger_checkpoints SET key = 'x' || key`,
	}
	for name, sql := range tests {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir())
			s.record(t, 5)
			if _, err := s.l.Checkpoint(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := ledger.VerifyLive(t.Context(), s.db, ledger.VerifyOptions{}); err != nil {
				t.Fatal(err)
			}
			err := s.db.Update(t.Context(), func(tx *store.Tx) error {
				for _, table := range []string{"records", "hashes", "checkpoints"} {
					for _, op := range []string{"keep", "stay"} {
						if _, err := tx.Exec(fmt.Sprintf("DROP TRIGGER ledger_%s_%s", table, op)); err != nil {
							return err
						}
					}
				}
				for _, one := range strings.Split(sql, ";") {
					if r, err := tx.Exec(one); err != nil {
						return err
					} else if n, _ := r.RowsAffected(); n == 0 {
						return errors.New("nothing was changed: the test is wrong")
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			r, err := ledger.VerifyLive(t.Context(), s.db, ledger.VerifyOptions{Key: s.l.Key()})
			if err == nil {
				t.Errorf("accepted: %+v", r)
			}
			t.Log(err)
		})
	}
}

func TestRecordsCannotBeChangedByOurselves(t *testing.T) {
	s := open(t, t.TempDir())
	for _, sql := range []string{`UPDATE ledger_records SET data = x''`, `DELETE FROM ledger_records`, `DELETE FROM ledger_checkpoints`, `UPDATE ledger_hashes SET idx = idx + 1000`} {
		err := s.db.Update(t.Context(), func(tx *store.Tx) error { _, err := tx.Exec(sql); return err })
		if err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

func TestUncleanStopIsRecorded(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if st := s.l.Start(); !st.Clean || !st.Intact || st.Records != 0 {
		t.Errorf("first start: %+v", st)
	}
	s.record(t, 2)
	s.db.Close() // without the stop that Run records

	s = open(t, dir)
	if st := s.l.Start(); st.Clean || !st.Intact || st.Records != 3 {
		t.Errorf("start after a crash: %+v", st)
	}
	stop(t, s)

	s = open(t, dir)
	if st := s.l.Start(); !st.Clean || !st.Intact {
		t.Errorf("start after a stop: %+v", st)
	}
	r, err := ledger.Verify(bytes.NewReader(s.export(t)), ledger.VerifyOptions{})
	if err != nil || r.Starts != 3 || r.Unclean != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	var body struct {
		Checkpoint string
		Clean      bool
	}
	err = s.l.Tail(t.Context(), 1, func(r ledger.Record) error { return json.Unmarshal(r.Body, &body) })
	if err != nil || !strings.HasPrefix(body.Checkpoint, "Example-Hospital/") || !strings.Contains(body.Checkpoint, "\n5\n") {
		t.Errorf("the start does not name the checkpoint before: %q, %v", body.Checkpoint, err)
	}
}

// stop runs the ledger for a moment and closes the database.
func stop(t *testing.T, s site) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.l.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestStartOnATamperedTreeIsNotIntact(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	s.record(t, 6)
	stop(t, s)
	db := openDB(t, dir)
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.Exec(`DROP TRIGGER ledger_hashes_keep`); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE ledger_hashes SET hash = zeroblob(32)`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	if st := open(t, dir).l.Start(); st.Intact {
		t.Errorf("%+v", st)
	}
}

func TestKeyIsNeverReplacedSilently(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	stop(t, s)
	path := filepath.Join(dir, "keys", "ledger.key")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v", info, err)
	}
	db := openDB(t, dir)
	other := open(t, t.TempDir())
	replace := map[string]func() error{
		"missing": func() error { return os.Rename(path, path+".away") },
		"another": func() error { return os.Link(filepath.Join(other.dir, "keys", "ledger.key"), path) },
		"damaged": func() error { os.Remove(path); return os.WriteFile(path, []byte("PRIVATE+KEY+x"), 0o600) },
		"empty":   func() error { return os.Truncate(path, 0) },
	}
	for _, name := range []string{"missing", "another", "damaged", "empty"} {
		if err := replace[name](); err != nil {
			t.Fatal(err)
		}
		_, err := ledger.Open(t.Context(), db, path, "Example Hospital")
		if err == nil || !strings.Contains(err.Error(), "restore") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A disk that others keep busy may take longer than the second promised.
func TestNoteIsDurableWithoutBeingWaitedFor(t *testing.T) {
	s := open(t, t.TempDir())
	s.l.Note("test.note", map[string]any{"n": 1})
	begin, seen := time.Now(), false
	for !seen && time.Since(begin) < 20*time.Second {
		err := s.l.Tail(t.Context(), 1, func(r ledger.Record) error { seen = r.Kind == "test.note"; return nil })
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if !seen {
		t.Error("not there")
	}
	t.Log(time.Since(begin))
}

func TestLostNotesAreCountedOnTheLedger(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	s.l.Note("test.note", 0.5)
	s.l.Note("Bad Kind", nil)
	s.record(t, 1) // takes them along
	if s.l.Err() == nil {
		t.Error("no error is kept")
	}
	stop(t, s)
	s = open(t, dir)
	found := false
	err := s.l.Tail(t.Context(), 10, func(r ledger.Record) error {
		found = found || r.Kind == "ledger.lost" && strings.HasPrefix(string(r.Body), `{"records":2,"since":`)
		return nil
	})
	if err != nil || !found {
		t.Errorf("no ledger.lost record: %v", err)
	}
}

func TestNumbersAreGivenWithoutAGap(t *testing.T) {
	s := open(t, t.TempDir())
	broken := errors.New("changed my mind")
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			err := s.db.Update(context.Background(), func(tx *store.Tx) error {
				if err := s.l.Append(tx, "test.event", i); err != nil {
					return err
				}
				if i%3 == 0 {
					return broken
				}
				return nil
			})
			if (i%3 == 0) != errors.Is(err, broken) {
				t.Error(i, err)
			}
		})
	}
	all.Wait()
	next := int64(0)
	err := s.l.Tail(t.Context(), 1000, func(r ledger.Record) error {
		if r.Seq != next {
			t.Errorf("record %d where %d was expected", r.Seq, next)
		}
		next++
		return nil
	})
	if err != nil || next != 1+133 {
		t.Error(next, err)
	}
	if _, err := ledger.Verify(bytes.NewReader(s.export(t)), ledger.VerifyOptions{}); err != nil {
		t.Error(err)
	}
}

func TestBodiesThatHaveNoCanonicalFormAreRefused(t *testing.T) {
	s := open(t, t.TempDir())
	deep := any(1)
	for range 40 {
		deep = []any{deep}
	}
	for name, body := range map[string]any{
		"fraction":  1.5,
		"too large": uint64(math.MaxUint64),
		"exponent":  json.RawMessage("1e3"),
		"deep":      deep,
		"long":      strings.Repeat("x", 70_000),
		"channel":   make(chan int),
	} {
		if err := s.l.Record(t.Context(), "test.event", body); err == nil {
			t.Errorf("%s: recorded", name)
		}
	}
	if err := s.l.Record(t.Context(), "no\nkind", nil); err == nil {
		t.Error("kind with a line feed: recorded")
	}
	if err := s.l.Record(t.Context(), "test.event", "\xff\x00"); err != nil {
		t.Error(err)
	}
	if _, err := ledger.Verify(bytes.NewReader(s.export(t)), ledger.VerifyOptions{}); err != nil {
		t.Error(err)
	}
}

func TestReadOnlyDatabaseCanBeVerifiedAndExported(t *testing.T) {
	s := open(t, t.TempDir())
	s.record(t, 3)
	db, err := store.OpenReadOnly(t.Context(), filepath.Join(s.dir, "cordon.db"), []store.Migrations{ledger.Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	r, err := ledger.VerifyLive(t.Context(), db, ledger.VerifyOptions{})
	if err != nil || r.Records != 4 || r.TreeSize != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	t.Log(r.Proves)
	var out bytes.Buffer
	if err := ledger.Export(t.Context(), db, &out); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Verify(&out, ledger.VerifyOptions{}); err != nil {
		t.Error(err)
	}
}

// A new database beside a key that was there before has lost every record.
func TestLedgerThatLostEverythingIsNotIntact(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir)
	if !first.l.Start().Intact {
		t.Error("the first start ever is not intact")
	}
	if err := first.db.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "cordon.db*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	if open(t, dir).l.Start().Intact {
		t.Error("nobody is told")
	}
}
