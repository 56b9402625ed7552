package ledger_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"cordon/ledger"
)

// follow runs a follower until it has seen record last, and returns the numbers
// that it was given.
func (s site) follow(t *testing.T, name string, last int64) []int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var seen []int64
	err := s.l.Follow(ctx, name, 0, func(_ context.Context, batch []ledger.Record) error {
		for _, r := range batch {
			seen = append(seen, r.Seq)
			if r.Seq >= last {
				cancel()
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

func inOrder(seen []int64, first, last int64) bool {
	for i, seq := range seen {
		if seq != first+int64(i) {
			return false
		}
	}
	return int64(len(seen)) == last-first+1
}

func TestFollowersMissNothing(t *testing.T) {
	s := open(t, t.TempDir())
	s.record(t, 700)
	if seen := s.follow(t, "a", 700); !inOrder(seen, 0, 700) {
		t.Error(seen)
	}
	go func() {
		for range 50 {
			s.l.Note("test.event", nil)
			time.Sleep(time.Millisecond)
		}
	}()
	if seen := s.follow(t, "a", 750); !inOrder(seen, 701, 750) {
		t.Error("woken:", seen)
	}
	if seen := s.follow(t, "b", 750); !inOrder(seen, 0, 750) {
		t.Error("another follower:", len(seen))
	}
}

func TestAFollowerThatFailsIsGivenTheSameAgain(t *testing.T) {
	s := open(t, t.TempDir())
	s.record(t, 3)
	away := errors.New("away")
	err := s.l.Follow(t.Context(), "a", 0, func(context.Context, []ledger.Record) error { return away })
	if !errors.Is(err, away) {
		t.Fatal(err)
	}
	if seen := s.follow(t, "a", 3); !inOrder(seen, 0, 3) {
		t.Error(seen)
	}
	if err := s.l.Record(t.Context(), "test.end", nil); err != nil { // takes the cursor along
		t.Fatal(err)
	}
	f, err := s.l.Follower(t.Context(), "a", 0)
	if err != nil || f.Settled() != 4 {
		t.Error(f, err)
	}
}
