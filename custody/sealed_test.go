package custody_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"cordon/custody"
	"cordon/finding"
)

// A copy is the object's bytes, encrypted, wherever the object was: in memory,
// in a file, in custody, or already delivered and deleted.
func TestSealedCopyIsTheObject(t *testing.T) {
	s := open(t, t.TempDir())
	for name, c := range map[string]struct {
		size   int
		before func(b *custody.Buffer)
	}{
		"empty":      {0, func(*custody.Buffer) {}},
		"in memory":  {100, func(*custody.Buffer) {}},
		"in a file":  {100_000, func(*custody.Buffer) {}},
		"in custody": {100_000, func(b *custody.Buffer) { mustKeep(t, s, b) }},
		"delivered and gone": {1000, func(b *custody.Buffer) {
			o := mustKeep(t, s, b)
			if err := s.c.InFlight(t.Context(), o.ID); err != nil {
				t.Fatal(err)
			}
			if err := s.c.Delivered(t.Context(), o.ID, 0); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		data := noise(c.size)
		b := s.c.NewBuffer()
		if _, err := b.Write(data); err != nil {
			t.Fatal(err)
		}
		c.before(b)
		path := filepath.Join(s.dir, b.ID())
		if err := b.SealTo(path); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		b.Discard()
		raw, err := os.ReadFile(path)
		if err != nil || c.size > 0 && bytes.Contains(raw, data[:50]) {
			t.Errorf("%s: %v, or not encrypted", name, err)
		}
		r, err := s.c.OpenSealed(path, int64(c.size), sha256.Sum256(data))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %v, or other bytes", name, err)
		}
		r.Close()
	}
}

func mustKeep(t *testing.T, s site, b *custody.Buffer) custody.Object {
	t.Helper()
	o, err := s.c.Keep(t.Context(), b, custody.Object{State: custody.Spooled, Archive: "pacs"})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestDamagedSealedCopyIsNoticed(t *testing.T) {
	s := open(t, t.TempDir())
	b := s.c.NewBuffer()
	data := noise(1000)
	b.Write(data)
	path := filepath.Join(s.dir, b.ID())
	if err := b.SealTo(path); err != nil {
		t.Fatal(err)
	}
	if err := b.SealTo(path); err == nil {
		t.Error("written over what was there")
	}
	if err := os.Truncate(path, 900); err != nil {
		t.Fatal(err)
	}
	r, err := s.c.OpenSealed(path, 1000, sha256.Sum256(data))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadAll(r); !errors.Is(err, custody.ErrDamaged) {
		t.Errorf("%v", err)
	}
}

// What waits for its archive can be stopped, until it is on its way.
func TestStopHoldsWhatWaits(t *testing.T) {
	s := open(t, t.TempDir())
	found := []finding.Finding{finding.New(finding.EngineDetection, "(0009,1001)", 8, "clamd: Test.Virus")}
	o := s.keep(t, noise(100), custody.Object{State: custody.Spooled, Archive: "pacs"})
	for range 2 { // the second changes nothing
		if err := s.c.Stop(t.Context(), o.ID, found, nil); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.c.Get(t.Context(), o.ID)
	if err != nil || got.State != custody.Held || got.HeldAt.IsZero() || len(got.Findings) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if err := s.c.InFlight(t.Context(), o.ID); !errors.Is(err, custody.ErrState) {
		t.Errorf("delivered all the same: %v", err)
	}
	flying := s.keep(t, noise(101), custody.Object{State: custody.Spooled, Archive: "pacs"})
	if err := s.c.InFlight(t.Context(), flying.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.c.Stop(t.Context(), flying.ID, found, nil); !errors.Is(err, custody.ErrState) {
		t.Errorf("on its way: %v", err)
	}
	if err := s.c.Stop(t.Context(), "00000000000000000000000000", found, nil); !errors.Is(err, custody.ErrNotFound) {
		t.Errorf("never here: %v", err)
	}
}
