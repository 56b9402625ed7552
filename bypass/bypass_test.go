package bypass_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/bypass"
	"cordon/ledger"
	"cordon/store"
)

type site struct {
	dir string
	db  *store.DB
	l   *ledger.Ledger
	b   *bypass.Bypasses
}

func open(t *testing.T, dir string) site {
	t.Helper()
	db, err := store.OpenDB(t.Context(), filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations(), bypass.Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	l, err := ledger.Open(t.Context(), db, filepath.Join(dir, "ledger.key"), "test")
	if err != nil {
		t.Fatal(err)
	}
	b, err := bypass.Open(t.Context(), db, l)
	if err != nil {
		t.Fatal(err)
	}
	return site{dir, db, l, b}
}

func (s site) reopen(t *testing.T) site {
	s.db.Close()
	return open(t, s.dir)
}

func (s site) recorded(t *testing.T, kind string) []map[string]string {
	t.Helper()
	var out []map[string]string
	err := s.l.Tail(t.Context(), 1000, func(r ledger.Record) error {
		if r.Kind != kind {
			return nil
		}
		body := map[string]string{}
		out = append(out, body)
		return json.Unmarshal(r.Body, &out[len(out)-1])
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func request(d time.Duration) bypass.Request {
	return bypass.Request{For: d, By: "Ada Ashe", Reason: "drill"}
}

func TestBypassIsOnTheLedgerAndCovers(t *testing.T) {
	s := open(t, t.TempDir())
	if s.b.Covers("ct-1", "CT1") {
		t.Error("on by default")
	}
	one := request(time.Hour)
	one.Device = "ct-1"
	if _, err := s.b.Start(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	if len(s.recorded(t, "bypass.started")) != 1 {
		t.Error("not on the ledger")
	}
	if !s.b.Covers("ct-1", "CT1") || s.b.Covers("ct-2", "CT2") || s.b.Covers("", "") {
		t.Error("covers other than was asked for")
	}
	if _, err := s.b.Start(t.Context(), one); !errors.Is(err, bypass.ErrState) {
		t.Errorf("twice: %v", err)
	}
	if _, err := s.b.Start(t.Context(), request(time.Hour)); err != nil || !s.b.Covers("ct-2", "CT2") {
		t.Errorf("for all: %v", err)
	}
	if _, err := s.b.Stop(t.Context(), "", ""); !errors.Is(err, bypass.ErrRequest) {
		t.Errorf("nobody stopped it: %v", err)
	}
	ended, err := s.b.Stop(t.Context(), "", "Ben Birk")
	if err != nil || len(ended) != 2 || s.b.Covers("ct-1", "CT1") {
		t.Errorf("%v, %v", ended, err)
	}
	if r := s.recorded(t, "bypass.ended"); len(r) != 2 || r[0]["ended_by"] != "Ben Birk" {
		t.Errorf("%v", r)
	}
	if _, err := s.b.Stop(t.Context(), "", "Ben Birk"); !errors.Is(err, bypass.ErrState) {
		t.Errorf("nothing to stop: %v", err)
	}
}

func TestBypassNeedsNameReasonAndEnd(t *testing.T) {
	s := open(t, t.TempDir())
	for name, r := range map[string]bypass.Request{
		"no time":   {By: "a", Reason: "b"},
		"negative":  {By: "a", Reason: "b", For: -time.Second},
		"too long":  {By: "a", Reason: "b", For: bypass.Longest + 1},
		"no name":   {By: " ", Reason: "b", For: time.Minute},
		"no reason": {By: "a", Reason: "\n", For: time.Minute},
		"control":   {By: "a\x1b[2J", Reason: "b", For: time.Minute},
	} {
		if _, err := s.b.Start(t.Context(), r); !errors.Is(err, bypass.ErrRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(s.b.On()) != 0 || len(s.recorded(t, "bypass.started")) != 0 {
		t.Error("something is on")
	}
}

// It ends by itself, also while nobody runs.
func TestBypassEndsByItselfAcrossARestart(t *testing.T) {
	s := open(t, t.TempDir())
	long := request(time.Hour)
	long.Device = "us-3"
	if _, err := s.b.Start(t.Context(), long); err != nil {
		t.Fatal(err)
	}
	if _, err := s.b.Start(t.Context(), request(50*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if s = s.reopen(t); !s.b.Covers("us-3", "US3") {
		t.Error("forgotten by a restart")
	}
	time.Sleep(60 * time.Millisecond)
	if s.b.Covers("ct-1", "CT1") {
		t.Error("still on after its time")
	}
	s = s.reopen(t)
	if r := s.recorded(t, "bypass.ended"); len(r) != 1 || r[0]["ended_by"] != "" {
		t.Errorf("%v", r)
	}
	if on := s.b.On(); len(on) != 1 || on[0].Device != "us-3" || on[0].By != "Ada Ashe" {
		t.Errorf("%+v", on)
	}
	s = s.reopen(t)
	if n := len(s.recorded(t, "bypass.ended")); n != 1 {
		t.Errorf("its end is recorded %d times", n)
	}
}

// No record, no effect.
func TestBypassThatCannotBeRecordedIsNotOn(t *testing.T) {
	s := open(t, t.TempDir())
	s.db.Close()
	if _, err := s.b.Start(t.Context(), request(time.Minute)); err == nil || s.b.Covers("ct-1", "CT1") {
		t.Errorf("%v", err)
	}
}

// syncBuffer may be written and read at once.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestRunSaysThatItIsOnAndRecordsItsEnd(t *testing.T) {
	s := open(t, t.TempDir())
	if _, err := s.b.Start(t.Context(), request(500*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var said syncBuffer
	done := make(chan error, 1)
	go func() { done <- s.b.Run(ctx, slog.New(slog.NewTextHandler(&said, nil))) }()
	for end := time.Now().Add(10 * time.Second); len(s.recorded(t, "bypass.ended")) == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("its end was not recorded")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if !strings.Contains(said.String(), "level=WARN msg=\"inspection is bypassed\" device=\"every device\"") {
		t.Error(said.String())
	}
}
