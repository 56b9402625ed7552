package witness_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cordon/ledger"
	"cordon/ledger/witness"
	"cordon/store"
)

// node is one Cordon's ledger.
type node struct {
	dir string
	db  *store.DB
	l   *ledger.Ledger
}

func open(t *testing.T, dir string) node {
	t.Helper()
	db, err := store.OpenDB(t.Context(), filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations(), witness.Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	l, err := ledger.Open(t.Context(), db, filepath.Join(dir, "keys", "ledger.key"), "Site A")
	if err != nil {
		t.Fatal(err)
	}
	return node{dir, db, l}
}

func (n node) witness(t *testing.T, logs ...string) *witness.Witness {
	t.Helper()
	w, err := witness.Open(t.Context(), n.db, filepath.Join(n.dir, "keys", "witness.key"), "Site B", logs, n.l)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func serve(t *testing.T, w *witness.Witness) witness.Client {
	t.Helper()
	s := httptest.NewServer(w.Handler())
	t.Cleanup(s.Close)
	return witness.Client{URL: s.URL, Opens: w.Key(), Client: s.Client()}
}

// under runs the submission to w while fn runs.
func (n node) under(t *testing.T, w ledger.Witness, fn func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); n.l.Witness(ctx, w, time.Nanosecond) }()
	for len(n.l.Witnesses()) == 0 {
		time.Sleep(time.Millisecond)
	}
	fn()
	cancel()
	<-done
}

func (n node) record(t *testing.T, count int) {
	t.Helper()
	for range count {
		if err := n.l.Record(t.Context(), "test.event", nil); err != nil {
			t.Fatal(err)
		}
	}
}

func (n node) export(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := n.l.Export(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func (n node) kinds(t *testing.T) (out []string) {
	t.Helper()
	if err := n.l.Tail(t.Context(), 1000, func(r ledger.Record) error { out = append(out, r.Kind); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestExportsCarryTheWitnessesWord(t *testing.T) {
	a, b := open(t, t.TempDir()), open(t, t.TempDir())
	w := b.witness(t, a.l.Key())
	share := t.TempDir()
	go w.Watch(t.Context(), share, slog.New(slog.DiscardHandler))
	for name, to := range map[string]ledger.Witness{"http": serve(t, w), "share": witness.Share{Dir: share, Opens: w.Key()}} {
		t.Run(name, func(t *testing.T) {
			a.record(t, 5)
			a.under(t, to, func() {
				var export []byte
				for begin := time.Now(); time.Since(begin) < 20*time.Second; {
					export = a.export(t)
					if _, err := ledger.Verify(bytes.NewReader(export), ledger.VerifyOptions{Witnesses: []string{w.Key().String()}}); err == nil {
						break
					}
				}
				r, err := ledger.Verify(bytes.NewReader(export), ledger.VerifyOptions{Witnesses: []string{w.Key().Fingerprint()}, Key: a.l.Key()})
				if err != nil || len(r.Cosigned) != 1 || !r.Cosigned[0].Proved {
					t.Fatalf("%+v, %v", r, err)
				}
				t.Log(r.Proves)
				for i := range export {
					changed := bytes.Clone(export)
					changed[i] ^= 4
					if _, err := ledger.Verify(bytes.NewReader(changed), ledger.VerifyOptions{}); err == nil {
						t.Fatalf("byte %d (%q) may change", i, export[i])
					}
				}
				var proof bytes.Buffer
				if err := a.l.Prove(t.Context(), &proof, 2); err != nil {
					t.Fatal(err)
				}
				p, err := ledger.VerifyProof(&proof, ledger.VerifyOptions{Witnesses: []string{w.Key().String()}})
				if err != nil {
					t.Error(err)
				}
				t.Log(p.Proves)
				if _, err := ledger.VerifyLive(t.Context(), a.db, ledger.VerifyOptions{Witnesses: []string{w.Key().String()}}); err != nil {
					t.Error("live:", err)
				}
			})
		})
	}
}

func TestAWitnessFollowsANewKey(t *testing.T) {
	a, b := open(t, t.TempDir()), open(t, t.TempDir())
	first := a.l.Key()
	w := b.witness(t, first)
	to := serve(t, w)
	a.under(t, to, func() {
		a.export(t)
		for range 3 {
			if _, err := a.l.RotateKey(t.Context(), "A. Able", "yearly"); err != nil {
				t.Fatal(err)
			}
			a.record(t, 1)
		}
		export := a.export(t)
		r, err := ledger.Verify(bytes.NewReader(export), ledger.VerifyOptions{Key: first, Witnesses: []string{w.Key().String()}})
		if err != nil || r.Cosigned[0].Records != r.Records {
			t.Errorf("%+v, %v, %+v", r, err, a.l.Witnesses())
		}
	})
	if n := strings.Count(strings.Join(b.kinds(t), " "), "witness.key"); n != 3 {
		t.Errorf("%d new keys recorded", n)
	}
	b.witness(t, first) // restarted with the configuration of old: what it learned stays
	a.record(t, 1)
	a.under(t, to, func() { a.export(t) })
	if s := a.l.Witnesses()[0]; s.Refused || s.Error != "" {
		t.Error(s)
	}
}

// A database put back from a copy, with all its keys, is a fork for the witness.
func TestARolledBackLedgerIsRefused(t *testing.T) {
	dir := t.TempDir()
	a, b := open(t, dir), open(t, t.TempDir())
	w := b.witness(t, a.l.Key())
	to := serve(t, w)
	a.record(t, 3)
	copied := t.TempDir()
	closeAll(t, a)
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"ledger.key", "ledger.seal"} {
		if err := os.Chmod(filepath.Join(copied, "keys", secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a = open(t, dir)
	a.record(t, 30)
	a.under(t, to, func() { a.export(t) })

	old := open(t, copied)
	old.under(t, to, func() {
		old.export(t)
		if s := old.l.Witnesses()[0]; !s.Refused || !strings.Contains(s.Error, "an older copy of the ledger was put back") {
			t.Errorf("%+v", s)
		}
		old.record(t, 100) // overtakes
		old.export(t)
		if s := old.l.Witnesses()[0]; !s.Refused {
			t.Errorf("%+v", s)
		}
	})
	if kinds := strings.Join(old.kinds(t), " "); strings.Count(kinds, "witness.refused") != 1 {
		t.Error(kinds)
	}
	if kinds := strings.Join(b.kinds(t), " "); !strings.Contains(kinds, "witness.fork") {
		t.Error(kinds)
	}
}

func closeAll(t *testing.T, n node) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.l.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if err := n.db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAWitnessThatIsAwayIsAnAlarmAndCatchesUp(t *testing.T) {
	a, b := open(t, t.TempDir()), open(t, t.TempDir())
	w := b.witness(t, a.l.Key())
	to := serve(t, w)
	away := witness.Client{URL: "http://127.0.0.1:1", Opens: w.Key(), Client: http.DefaultClient}
	a.under(t, away, func() {
		a.export(t)
		a.export(t)
		if s := a.l.Witnesses()[0]; !s.Late || s.Error == "" {
			t.Errorf("%+v", s)
		}
	})
	if kinds := strings.Join(a.kinds(t), " "); !strings.Contains(kinds, "witness.late") {
		t.Error(kinds)
	}
	a.under(t, to, func() {
		a.record(t, 3)
		a.export(t)
		if s := a.l.Witnesses()[1]; s.Late || s.Records == 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestWhatAWitnessDoesNotSign(t *testing.T) {
	a, b, c := open(t, t.TempDir()), open(t, t.TempDir()), open(t, t.TempDir())
	w := b.witness(t, a.l.Key())
	signed, err := a.l.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := c.l.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var conflict *ledger.Conflict
	if _, err := w.Add(t.Context(), 7, nil, []byte(signed)); !errors.As(err, &conflict) || conflict.Size != 0 {
		t.Error("from a size that it does not remember:", err)
	}
	if _, err := w.Add(t.Context(), 0, nil, []byte(stranger)); err == nil {
		t.Error("a ledger that is not in its list")
	}
	forged := strings.Replace(signed, "time 2", "time 3", 1)
	if _, err := w.Add(t.Context(), 0, nil, []byte(forged)); !errors.Is(err, ledger.ErrWitnessKey) {
		t.Error("a signature that is not the ledger's:", err)
	}
	for range 2 { // the second time its answer was lost
		line, err := w.Add(t.Context(), 0, nil, []byte(signed))
		if err != nil && !errors.As(err, &conflict) {
			t.Error(err)
		}
		if err == nil && !bytes.HasPrefix(line, []byte("— Site-B/witness ")) {
			t.Errorf("%q", line)
		}
	}
	if _, err := w.Add(t.Context(), 1, nil, []byte(signed)); err != nil {
		t.Error("again:", err)
	}
	to := serve(t, w)
	for _, body := range []string{"", "old x\n\n", "old -1\n\nx", "old 1\n%%\n\nx", "old 1\n" + strings.Repeat(strings.Repeat("A", 43)+"=\n", 64) + "\nx", strings.Repeat("x", 100_000)} {
		rsp, err := to.Client.Post(to.URL+"/add-checkpoint", "", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, rsp.Body)
		rsp.Body.Close()
		if rsp.StatusCode != http.StatusBadRequest {
			t.Errorf("%.30q: %s", body, rsp.Status)
		}
	}
}

// Anybody can ask a witness; only a ledger's key makes it write, and images wait
// for that.
func TestStrangersReachNoWriter(t *testing.T) {
	a, b, c := open(t, t.TempDir()), open(t, t.TempDir()), open(t, t.TempDir())
	w := b.witness(t, a.l.Key())
	signed, err := a.l.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Add(t.Context(), 0, nil, []byte(signed)); err != nil {
		t.Fatal(err)
	}
	stranger, err := c.l.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	busy, done := make(chan struct{}), make(chan error)
	go func() { done <- b.db.Update(context.Background(), func(*store.Tx) error { <-busy; return nil }) }()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := w.Add(ctx, 1, nil, []byte(strings.Replace(signed, "time 2", "time 3", 1))); !errors.Is(err, ledger.ErrWitnessKey) {
		t.Error("a signature that is not the ledger's:", err)
	}
	if _, err := w.Add(ctx, 0, nil, []byte(stranger)); err == nil || ctx.Err() != nil {
		t.Error("a ledger that is not in the list:", err)
	}
	if _, err := w.Add(ctx, 1, nil, []byte(signed)); err != nil {
		t.Error("what it has seen:", err)
	}
	close(busy)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// What a witness cannot remember now it is not asked anew: it tries again itself.
func TestAShareKeepsNoPassingError(t *testing.T) {
	a, b := open(t, t.TempDir()), open(t, t.TempDir())
	w := b.witness(t, a.l.Key())
	signed, err := a.l.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	change := func(sql string) {
		t.Helper()
		if err := b.db.Update(t.Context(), func(tx *store.Tx) error { _, err := tx.Exec(sql); return err }); err != nil {
			t.Fatal(err)
		}
	}
	to := witness.Share{Dir: t.TempDir(), Opens: w.Key()}
	go w.Watch(t.Context(), to.Dir, slog.New(slog.DiscardHandler))
	change(`CREATE TRIGGER full BEFORE UPDATE ON witness_logs BEGIN SELECT RAISE(ABORT, 'full'); END`)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := to.Add(ctx, 0, nil, []byte(signed)); err == nil || strings.Contains(err.Error(), "500") {
		t.Error("without room:", err)
	}
	change(`DROP TRIGGER full`)
	if _, err := to.Add(t.Context(), 0, nil, []byte(signed)); err != nil {
		t.Error("when there is room again:", err)
	}
}

func TestTheWitnessesKeyIsKept(t *testing.T) {
	b := open(t, t.TempDir())
	one, two := b.witness(t), b.witness(t)
	if one.Key().String() != two.Key().String() {
		t.Error("another key")
	}
	if k, err := ledger.ParseWitnessKey(one.Key().String()); err != nil || k.Fingerprint() != one.Key().Fingerprint() {
		t.Error(err)
	}
	for _, bad := range []string{"", "x", b.l.Key(), one.Key().String() + "=", " " + one.Key().String()} {
		if _, err := ledger.ParseWitnessKey(bad); err == nil {
			t.Errorf("%q: accepted", bad)
		}
	}
	path := filepath.Join(b.dir, "keys", "witness.key")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := witness.Open(t.Context(), b.db, path, "Site B", nil, b.l); err == nil || !strings.Contains(err.Error(), "restore") {
		t.Error(err)
	}
}
