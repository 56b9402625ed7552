package mpps_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/ledger"
	"cordon/mpps"
	"cordon/store"
)

type site struct {
	dir string
	db  *store.DB
	s   *mpps.Spool
}

var patience = mpps.Config{RetryMin: 2 * time.Millisecond, RetryMax: 10 * time.Millisecond, Poll: 5 * time.Millisecond, MaxWaiting: 5}

func open(t *testing.T, dir string) site {
	t.Helper()
	db, err := store.OpenDB(t.Context(), filepath.Join(dir, "cordon.db"),
		[]store.Migrations{ledger.Migrations(), custody.Migrations(), mpps.Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := store.MakeDir(filepath.Join(dir, "keys")); err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(t.Context(), db, filepath.Join(dir, "keys", "ledger.key"), "test")
	if err != nil {
		t.Fatal(err)
	}
	cu, err := custody.Open(t.Context(), db, dir, l, custody.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := mpps.Open(t.Context(), patience, mpps.Parts{DB: db, Custody: cu, Journal: l, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return site{dir, db, s}
}

func (s site) reopen(t *testing.T) site {
	t.Helper()
	s.db.Close()
	return open(t, s.dir)
}

func message(create bool, instance, data string) mpps.Message {
	return mpps.Message{Upstream: "ris", Device: "ct-1", Calling: "CT1", Called: "CORDON", Address: netip.MustParseAddr("127.0.0.21"), Create: create,
		SOPInstanceUID: dicom.UID(instance), TransferSyntaxUID: dicom.ExplicitVRLittleEndian, Data: []byte(data)}
}

func (s site) keep(t *testing.T, m mpps.Message) {
	t.Helper()
	if err := s.s.Keep(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

// ris is a scripted upstream.
type ris struct {
	answer func(m mpps.Message) (dimse.Status, error) // nil: success

	mu   sync.Mutex
	seen []string
}

func (r *ris) Send(_ context.Context, m mpps.Message) (dimse.Status, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	status, err := dimse.Success, error(nil)
	if r.answer != nil {
		status, err = r.answer(m)
	}
	if err == nil {
		r.seen = append(r.seen, fmt.Sprintf("%v %s %s", m.Create, m.SOPInstanceUID, m.Data))
	}
	return status, err
}

func (r *ris) heard() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seen)
}

func (s site) run(t *testing.T, r *ris) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.s.Run(ctx, r) }() // ends with stop
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// await waits for the spool to be as it should.
func (s site) await(t *testing.T, what string, is func(mpps.Status) bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		st, err := s.s.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if is(st) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %+v after 10 s", what, st)
		}
	}
}

func empty(st mpps.Status) bool { return st.Waiting == 0 }

func TestStepsAreDeliveredInTheirOrder(t *testing.T) {
	s := open(t, t.TempDir())
	s.keep(t, message(true, "1.1", "a"))
	s.keep(t, message(true, "1.2", "b"))
	s.keep(t, message(false, "1.1", "c"))
	if !s.s.Waiting("ris", "1.1") || s.s.Waiting("ris", "1.9") || s.s.Waiting("other", "1.1") {
		t.Error("Waiting")
	}
	s = s.reopen(t) // nothing of it is in memory alone
	if !s.s.Waiting("ris", "1.1") {
		t.Error("not waiting after a restart")
	}
	down := true
	r := &ris{}
	r.answer = func(mpps.Message) (dimse.Status, error) {
		if down { // guarded by r.mu
			return 0, fmt.Errorf("connection refused: %w", mpps.ErrAway)
		}
		return dimse.Success, nil
	}
	s.run(t, r)
	s.await(t, "away", func(st mpps.Status) bool { return st.Away["ris"] != "" && st.Waiting == 3 })
	r.mu.Lock()
	down = false
	r.mu.Unlock()
	s.await(t, "delivered", empty)
	got := r.heard()
	if len(got) != 3 || slices.Index(got, "true 1.1 a") > slices.Index(got, "false 1.1 c") || slices.Index(got, "true 1.1 a") < 0 {
		t.Errorf("%q", got)
	}
	s.await(t, "its step free", func(mpps.Status) bool { return !s.s.Waiting("ris", "1.1") }) // a moment after
}

func TestRefusedNeedsAPersonAndHoldsUpItsStepAlone(t *testing.T) {
	s := open(t, t.TempDir())
	s.keep(t, message(true, "1.1", "a"))
	s.keep(t, message(false, "1.1", "b"))
	s.keep(t, message(true, "1.2", "c"))
	refuse := true
	r := &ris{}
	r.answer = func(m mpps.Message) (dimse.Status, error) {
		if m.Create && m.SOPInstanceUID == "1.1" && refuse {
			return dimse.DuplicateSOPInstance, nil
		}
		return dimse.AttributeValueOutOfRange, nil // a warning
	}
	s.run(t, r)
	s.await(t, "stuck", func(st mpps.Status) bool { return st.Stuck == 1 && st.Waiting == 2 })
	items, err := s.s.List(t.Context())
	if err != nil || len(items) != 2 || !items[0].Stuck || items[0].Status != 0x0111 || items[1].Stuck {
		t.Fatalf("%+v, %v", items, err)
	}
	if err := s.s.Retry(t.Context(), items[0].ID, custody.Request{By: "Ada"}); !errors.Is(err, custody.ErrRequest) {
		t.Errorf("no reason: %v", err)
	}
	why := custody.Request{By: "Ada Ashe", Reason: "the other one was deleted"}
	if err := s.s.Drop(t.Context(), 99, why); !errors.Is(err, mpps.ErrNotFound) {
		t.Errorf("%v", err)
	}
	r.mu.Lock()
	refuse = false
	r.mu.Unlock()
	if err := s.s.Retry(t.Context(), items[0].ID, why); err != nil {
		t.Fatal(err)
	}
	s.await(t, "delivered", empty)
	if k := s.kinds(t); !slices.Equal(k[:3], []string{"kept", "kept", "kept"}) || !slices.Contains(k, "refused") || !slices.Contains(k, "retried") || k[len(k)-1] != "delivered" {
		t.Errorf("ledger: %q", k)
	}
}

func TestDroppedLetsTheRestGoOn(t *testing.T) {
	s := open(t, t.TempDir())
	s.keep(t, message(true, "1.1", "a"))
	s.keep(t, message(false, "1.1", "b"))
	r := &ris{answer: func(m mpps.Message) (dimse.Status, error) {
		if m.Create {
			return dimse.ProcessingFailure, nil
		}
		return dimse.Success, nil
	}}
	s.run(t, r)
	s.await(t, "stuck", func(st mpps.Status) bool { return st.Stuck == 1 })
	items, err := s.s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.s.Drop(t.Context(), items[0].ID, custody.Request{By: "Ada Ashe", Reason: "entered by hand"}); err != nil {
		t.Fatal(err)
	}
	s.await(t, "gone", empty)
}

// An attempt whose answer was lost may have succeeded: then the upstream calls
// the next one a duplicate, and that is what it is.
func TestDuplicateAfterALostAnswerWasDelivered(t *testing.T) {
	s := open(t, t.TempDir())
	s.keep(t, message(true, "1.1", "a"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	dying := &ris{answer: func(mpps.Message) (dimse.Status, error) {
		cancel()
		return 0, errors.New("connection reset")
	}}
	if err := s.s.Run(ctx, dying); err != nil {
		t.Fatal(err)
	}
	s = s.reopen(t)
	s.run(t, &ris{answer: func(mpps.Message) (dimse.Status, error) { return dimse.DuplicateSOPInstance, nil }})
	s.await(t, "delivered", empty)
}

func TestDuplicateOfWhatWasRelayedWithoutAnAnswerWasDelivered(t *testing.T) {
	s := open(t, t.TempDir())
	m := message(true, "1.1", "a")
	m.Uncertain = true
	s.keep(t, m)
	s.run(t, &ris{answer: func(mpps.Message) (dimse.Status, error) { return dimse.DuplicateSOPInstance, nil }})
	s.await(t, "delivered", empty)
}

func TestMessageThatBreaksAssociationsGetsStuck(t *testing.T) {
	s := open(t, t.TempDir())
	s.keep(t, message(true, "1.1", "a"))
	s.keep(t, message(true, "1.2", "b"))
	s.run(t, &ris{answer: func(m mpps.Message) (dimse.Status, error) {
		if m.SOPInstanceUID == "1.1" {
			return 0, errors.New("aborted by the peer")
		}
		return dimse.Success, nil
	}})
	s.await(t, "stuck", func(st mpps.Status) bool { return st.Stuck == 1 && st.Waiting == 1 })
}

func TestNoPatientDataOnDisk(t *testing.T) {
	s := open(t, t.TempDir())
	s.keep(t, message(true, "1.1", "PLAY^Titania of the fairies"))
	s.db.Close()
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if bytes.Contains(text, []byte("Titania")) {
			t.Errorf("%s holds it", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A new key would make what is kept unreadable: custody does not make one.
func TestKeyIsNeededWhileMessagesWait(t *testing.T) {
	s := open(t, t.TempDir())
	s.keep(t, message(true, "1.1", "a"))
	n, err := mpps.Kept(t.Context(), s.db)
	if err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if err := os.Remove(filepath.Join(s.dir, "keys", "custody.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := custody.Open(t.Context(), s.db, s.dir, nil, custody.Options{Sealed: n}); err == nil || !strings.Contains(err.Error(), "restore it from a backup") {
		t.Errorf("opened: %v", err)
	}
}

func TestWhatCannotBeKept(t *testing.T) {
	s := open(t, t.TempDir())
	if err := s.s.Keep(t.Context(), message(true, "", "a")); !errors.Is(err, mpps.ErrNotKept) {
		t.Errorf("no instance: %v", err)
	}
	if err := s.s.Keep(t.Context(), message(true, "1.1", strings.Repeat("a", mpps.MaxData+1))); !errors.Is(err, mpps.ErrNotKept) {
		t.Errorf("too long: %v", err)
	}
	for i := range patience.MaxWaiting {
		s.keep(t, message(true, fmt.Sprintf("1.%d", i), "a"))
	}
	if err := s.s.Keep(t.Context(), message(true, "1.99", "a")); !errors.Is(err, store.ErrFull) {
		t.Errorf("too many: %v", err)
	}
	s.db.Close()
	if err := s.s.Keep(t.Context(), message(false, "1.1", "a")); err == nil {
		t.Error("kept without a database")
	}
}

func (s site) kinds(t *testing.T) (all []string) {
	t.Helper()
	err := s.db.View(t.Context(), func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT data FROM ledger_records ORDER BY seq`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var line []byte
			if err := rows.Scan(&line); err != nil {
				return err
			}
			_, rest, _ := bytes.Cut(line, []byte(`"kind":"step.`))
			if kind, _, ok := bytes.Cut(rest, []byte(`"`)); ok {
				all = append(all, string(kind))
			}
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
