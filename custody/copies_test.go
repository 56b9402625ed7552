package custody_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cordon/custody"
)

// both returns the object for each of two archives.
func (s site) both(t *testing.T) map[string]custody.Object {
	t.Helper()
	due := map[string]custody.Object{}
	for _, archive := range []string{"pacs", "vna"} {
		os, err := s.c.Due(t.Context(), archive, time.Now(), 10)
		if err != nil || len(os) != 1 {
			t.Fatalf("due for %s: %+v, %v", archive, os, err)
		}
		due[archive] = os[0]
	}
	return due
}

func TestObjectForTwoArchivesIsKeptForBothOrNeither(t *testing.T) {
	for _, n := range []int{100, 3 * testMemory} {
		s := open(t, t.TempDir())
		data := noise(n)
		s.keep(t, data, custody.Object{State: custody.Spooled, Archive: "pacs", Also: []string{"vna"}, SOPInstanceUID: "1.2"})
		s = s.reopen(t)
		due := s.both(t)
		for archive, o := range due {
			if got, err := s.read(t, o.ID); err != nil || !bytes.Equal(got, data) || o.SOPInstanceUID != "1.2" || len(o.Also) != 0 {
				t.Errorf("%s: %+v, %v", archive, o, err)
			}
		}
		first := due["pacs"]
		if err := s.c.InFlight(t.Context(), first.ID); err != nil {
			t.Fatal(err)
		}
		if err := s.c.Delivered(t.Context(), first.ID, 0); err != nil {
			t.Fatal(err)
		}
		s = s.reopen(t)
		if got, err := s.read(t, due["vna"].ID); err != nil || !bytes.Equal(got, data) {
			t.Errorf("the other archive's went with the first: %v", err)
		}
	}
}

func TestReleasedObjectGoesToAllItsArchives(t *testing.T) {
	s := open(t, t.TempDir())
	data := noise(3 * testMemory)
	held := s.keep(t, data, custody.Object{State: custody.Held, Archive: "pacs", Also: []string{"vna"}})
	s = s.reopen(t)
	if got := s.get(t, held.ID); len(got.Also) != 1 || got.Also[0] != "vna" {
		t.Fatalf("further archives: %+v", got.Also)
	}
	for _, by := range []string{"A. Able", "B. Baker"} {
		if _, err := s.c.Release(t.Context(), held.ID, custody.Request{By: by, Reason: "looked at"}); err != nil {
			t.Fatal(err)
		}
	}
	s = s.reopen(t)
	for archive, o := range s.both(t) {
		if got, err := s.read(t, o.ID); err != nil || !bytes.Equal(got, data) || o.HeldAt.IsZero() || len(o.DecidedBy) != 2 {
			t.Errorf("%s: %+v, %v", archive, o, err)
		}
	}
}

// A second name without a row is what a crash before the commit leaves.
func TestSecondNameWithoutARowIsDeleted(t *testing.T) {
	s := open(t, t.TempDir())
	o := s.keep(t, noise(100), custody.Object{State: custody.Spooled, Archive: "pacs"})
	blobs, err := filepath.Glob(filepath.Join(s.dir, "objects", "*", o.ID))
	if err != nil || len(blobs) != 1 {
		t.Fatalf("%v, %v", blobs, err)
	}
	orphan := filepath.Join(s.dir, "spill", s.c.NewBuffer().ID())
	if err := os.Link(blobs[0], orphan); err != nil {
		t.Fatal(err)
	}
	s = s.reopen(t)
	if _, err := os.Stat(orphan); !os.IsNotExist(err) || s.c.Found().Orphans != 1 {
		t.Errorf("%v, %+v", err, s.c.Found())
	}
	if _, err := s.read(t, o.ID); err != nil {
		t.Error(err)
	}
}
