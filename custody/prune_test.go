package custody_test

import (
	"errors"
	"testing"
	"time"

	"cordon/custody"
)

// Long after its delivery a row may go; never one of what waits, or was held.
func TestOldDeliveriesArePruned(t *testing.T) {
	s := open(t, t.TempDir())
	ctx := t.Context()
	old, waiting, released := s.keep(t, noise(1), spooled("1")), s.keep(t, noise(2), spooled("2")), s.keep(t, noise(3), held(malicious))
	for _, name := range []string{"Ann", "Bob"} {
		if _, err := s.c.Release(ctx, released.ID, by(name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, o := range []custody.Object{old, released} {
		if err := s.c.Delivered(ctx, o.ID, 0); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.c.Prune(ctx, time.Now().Add(-time.Hour)); err != nil || n != 0 {
		t.Errorf("too early: %d, %v", n, err)
	}
	if n, err := s.c.Prune(ctx, time.Now().Add(time.Hour)); err != nil || n != 1 {
		t.Errorf("%d rows, %v", n, err)
	}
	if _, err := s.c.Get(ctx, old.ID); !errors.Is(err, custody.ErrNotFound) {
		t.Errorf("its row is here: %v", err)
	}
	for _, o := range []custody.Object{waiting, released} {
		s.get(t, o.ID)
	}
	s = s.reopen(t)
	if f := s.c.Found(); f.Unclaimed+f.Missing+f.Orphans > 0 {
		t.Errorf("%+v", f)
	}
}

// Nothing is pruned twice, and what was delivered ever stays counted.
func TestPruningEnds(t *testing.T) {
	s := open(t, t.TempDir())
	const many = 3
	for i := range many {
		o := s.keep(t, noise(i+1), spooled("1"))
		if err := s.c.Delivered(t.Context(), o.ID, 0); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.c.Prune(t.Context(), time.Now().Add(time.Hour)); err != nil || n != many {
		t.Errorf("%d rows, %v", n, err)
	}
	if n, err := s.c.Prune(t.Context(), time.Now().Add(time.Hour)); err != nil || n != 0 {
		t.Errorf("again: %d rows, %v", n, err)
	}
	if st, err := s.c.Stats(t.Context()); err != nil || len(st.Groups) != 1 || st.Groups[0].Objects != many {
		t.Errorf("%+v, %v", st.Groups, err)
	}
}

// One person asked for what nobody joined in, and then it was delivered.
func TestARowThatSomebodyAskedToDestroyIsPruned(t *testing.T) {
	s := open(t, t.TempDir())
	ctx := t.Context()
	asked, other := s.keep(t, noise(1), spooled("1")), s.keep(t, noise(2), spooled("2"))
	if d, err := s.c.Destroy(ctx, asked.ID, by("Ann")); err != nil || d.Done {
		t.Fatalf("%+v, %v", d, err)
	}
	for _, o := range []custody.Object{asked, other} {
		if err := s.c.Delivered(ctx, o.ID, 0); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.c.Prune(ctx, time.Now().Add(time.Hour)); err != nil || n != 2 {
		t.Errorf("%d rows, %v", n, err)
	}
}
