package ledger_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cordon/ledger"
	"cordon/store"
)

func TestAnyKeyOfTheChainVerifiesAllOfIt(t *testing.T) {
	s := open(t, t.TempDir())
	keys := []string{s.l.Key()}
	for range 3 {
		s.record(t, 3)
		key, err := s.l.RotateKey(t.Context(), "A. Able", "yearly")
		if err != nil {
			t.Fatal(err)
		}
		if key != s.l.Key() || key == keys[len(keys)-1] {
			t.Error("the key is not in use")
		}
		keys = append(keys, key)
	}
	stop(t, s)
	s = open(t, s.dir) // with the new key
	s.record(t, 2)
	export := s.export(t)
	for _, key := range append(keys, "", s.l.Fingerprint()) {
		r, err := ledger.Verify(bytes.NewReader(export), ledger.VerifyOptions{Key: key})
		if err != nil || len(r.Keys) != 4 || r.OriginProved != (key != "") {
			t.Error(r, err)
		}
		if r, err := ledger.VerifyLive(t.Context(), s.db, ledger.VerifyOptions{Key: key}); err != nil || len(r.Keys) != 4 {
			t.Error(r, err)
		}
	}
	other := open(t, t.TempDir())
	if _, err := ledger.Verify(bytes.NewReader(export), ledger.VerifyOptions{Key: other.l.Key()}); err == nil {
		t.Error("a key that is not of the chain")
	}
	var proof bytes.Buffer
	if err := s.l.Prove(t.Context(), &proof, 2, 9); err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if _, err := ledger.VerifyProof(bytes.NewReader(proof.Bytes()), ledger.VerifyOptions{Key: key}); err != nil {
			t.Error(err)
		}
	}
}

// Wherever a rotation is cut short, the next start has the key that the ledger
// says.
func TestARotationCutShortIsFinishedOrUndone(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	path := filepath.Join(dir, "keys", "ledger.key")
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	after, err := s.l.RotateKey(t.Context(), "A. Able", "yearly")
	if err != nil {
		t.Fatal(err)
	}
	stop(t, s)
	next, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte) {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(path, old) // the commit was made, the file was not replaced
	write(path+".next", next)
	s = open(t, dir)
	if s.l.Key() != after {
		t.Error("after the commit: the old key is in use")
	}
	if text, _ := os.ReadFile(path); !bytes.Equal(text, next) {
		t.Error("the file was not replaced")
	}
	stop(t, s)

	fresh := t.TempDir()
	s = open(t, fresh)
	before := s.l.Key()
	write(filepath.Join(fresh, "keys", "ledger.key.next"), old) // the commit was never made
	stop(t, s)
	s = open(t, fresh)
	if s.l.Key() != before {
		t.Error("before the commit: the key has changed")
	}
	if _, err := os.Stat(filepath.Join(fresh, "keys", "ledger.key.next")); err == nil {
		t.Error("the key that never was is still there")
	}
}

// A clock that was set just before does not come between the introduction and its
// record.
func TestAKeyIsIntroducedWhileTheClockJumps(t *testing.T) {
	s := open(t, t.TempDir())
	s.l.SetNow(func() time.Time { return time.Now().Round(0).Add(-time.Hour) })
	if _, err := s.l.RotateKey(t.Context(), "A. Able", "yearly"); err != nil {
		t.Fatal(err)
	}
	r, err := ledger.Verify(bytes.NewReader(s.export(t)), ledger.VerifyOptions{})
	if err != nil || r.ClockJumps != 1 || len(r.Keys) != 2 {
		t.Errorf("%+v, %v", r, err)
	}
}

// Whoever has the key of today cannot go on as if the one before had named it.
func TestAKeyThatNobodyIntroducedIsNotFollowed(t *testing.T) {
	s, other := open(t, t.TempDir()), open(t, t.TempDir())
	s.record(t, 2)
	var introduction string
	if _, err := other.l.RotateKey(t.Context(), "A. Able", "yearly"); err != nil {
		t.Fatal(err)
	}
	err := other.l.Tail(t.Context(), 1, func(r ledger.Record) error { introduction = string(r.Body); return nil })
	if err != nil || !strings.Contains(introduction, "next ") {
		t.Fatal(introduction, err)
	}
	body := map[string]string{"by": "M", "reason": "", "checkpoint": other.l.Key(), "key": other.l.Key()}
	if err := s.l.Record(t.Context(), "ledger.key", body); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Verify(bytes.NewReader(s.export(t)), ledger.VerifyOptions{}); err == nil {
		t.Error("followed")
	}
}

func TestPrunedRecordsAreStillProved(t *testing.T) {
	s := open(t, t.TempDir())
	s.record(t, 20)
	sealed := s.sealed(t, "x", patient{"4711", "Planted^Name"})
	early := s.export(t)
	var proof bytes.Buffer
	if err := s.l.Prove(t.Context(), &proof, 7); err != nil {
		t.Fatal(err)
	}
	if _, err := s.l.RotateKey(t.Context(), "A. Able", "yearly"); err != nil {
		t.Fatal(err)
	}
	s.l.SetNow(func() time.Time { return time.Now().Add(4 * 24 * time.Hour) })
	s.record(t, 5)
	if err := s.l.Prune(t.Context(), time.Now().Add(3*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := s.l.Unseal(t.Context(), sealed, new(patient)); err == nil {
		t.Error("what was pruned can still be unsealed")
	}
	export := s.export(t)
	if n := bytes.Count(export, []byte(`"body_sha256"`)); n != 21 {
		t.Errorf("%d are pruned", n)
	}
	r, err := ledger.Verify(bytes.NewReader(export), ledger.VerifyOptions{Key: s.l.Key()})
	if err != nil || r.Pruned != 21 || r.Starts != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	t.Log(r.Proves)
	if r, err := ledger.VerifyLive(t.Context(), s.db, ledger.VerifyOptions{}); err != nil || r.Pruned != 21 {
		t.Error(r, err)
	}
	old, err := ledger.ReadCheckpoint(bytes.NewReader(early))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Verify(bytes.NewReader(export), ledger.VerifyOptions{Since: old}); err != nil {
		t.Error("an export made before:", err)
	}
	for i, p := range [][]byte{proof.Bytes(), s.prove(t, 7)} {
		r, err := ledger.VerifyProof(bytes.NewReader(p), ledger.VerifyOptions{})
		if err != nil || strings.Contains(r.Proves, "not shown") != (i == 1) {
			t.Error(r.Proves, err)
		}
	}
	if err := s.l.Prune(t.Context(), time.Now().Add(3*24*time.Hour)); err != nil {
		t.Error("once more:", err)
	}
	for _, sql := range []string{`UPDATE ledger_records SET data = x'' WHERE seq > 22`, `UPDATE ledger_records SET seq = 1000 WHERE seq = 2`, `DELETE FROM ledger_records WHERE seq = 2`} {
		if err := s.db.Update(t.Context(), func(tx *store.Tx) error { _, err := tx.Exec(sql); return err }); err == nil {
			t.Errorf("%s: allowed", sql)
		}
	}
}

// An export is of what is signed, so what was pruned must be signed to be pruned:
// else it would look as if bodies had been taken out by hand.
func TestWhatIsPrunedIsSigned(t *testing.T) {
	s := open(t, t.TempDir())
	s.record(t, 20)
	s.export(t)
	if err := s.l.Prune(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := ledger.Export(t.Context(), s.db, &out); err != nil { // as from a copy of the database, or after a crash
		t.Fatal(err)
	}
	if r, err := ledger.Verify(&out, ledger.VerifyOptions{}); err != nil || r.Pruned != 20 {
		t.Errorf("%+v, %v", r, err)
	}
}

// What was recorded while the clock was years ahead does not keep the rest from
// being pruned.
func TestAClockThatWasAheadDoesNotEndRetention(t *testing.T) {
	s := open(t, t.TempDir())
	s.record(t, 3)
	s.l.SetNow(func() time.Time { return time.Now().Add(10 * 365 * 24 * time.Hour) })
	s.record(t, 3)
	s.l.SetNow(time.Now)
	s.record(t, 3)
	for range 2 {
		if err := s.l.Prune(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	r, err := ledger.Verify(bytes.NewReader(s.export(t)), ledger.VerifyOptions{})
	if err != nil || r.Pruned != 9 {
		t.Errorf("%+v, %v", r, err)
	}
}

// What was sealed while the clock said 1970 outlives the next pruning.
func TestAClockFarBehindErasesNothing(t *testing.T) {
	s := open(t, t.TempDir())
	s.record(t, 3)
	s.l.SetNow(func() time.Time { return time.Unix(1000, 0) })
	sealed := s.sealed(t, "x", patient{"4711", "Planted^Name"})
	s.l.SetNow(time.Now)
	s.record(t, 3)
	if err := s.l.Prune(t.Context(), time.Now().Add(-6*365*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := s.l.Unseal(t.Context(), sealed, new(patient)); err != nil {
		t.Error(err)
	}
}

func (s site) prove(t testing.TB, numbers ...int64) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := s.l.Prove(t.Context(), &out, numbers...); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// A clock that is years ahead for an hour does not empty the ledger.
func TestAClockFarAheadPrunesLittle(t *testing.T) {
	s := open(t, t.TempDir())
	s.record(t, 3)
	s.l.SetNow(func() time.Time { return time.Now().Add(30 * 24 * time.Hour) })
	s.record(t, 3)
	if err := s.l.Prune(t.Context(), time.Now().Add(10*365*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	r, err := ledger.Verify(bytes.NewReader(s.export(t)), ledger.VerifyOptions{})
	if err != nil || r.Pruned != 3 {
		t.Errorf("%+v, %v", r, err)
	}
}
