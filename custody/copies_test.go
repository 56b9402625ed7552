package custody_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"cordon/custody"
	"cordon/store"
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

// The files for the further archives are made before anything is written, while
// nobody waits, and go when the release fails. A crash in between leaves them
// without rows: they are deleted, and are no sign of an older database.
func TestFilesOfAReleaseAreThereBeforeItsRows(t *testing.T) {
	s := open(t, t.TempDir())
	data := noise(3 * testMemory)
	held := s.keep(t, data, custody.Object{State: custody.Held, Archive: "pacs", Also: []string{"vna", "research"}})
	ask := func(by string, then func(*store.Tx, custody.Object, []string) error) error {
		_, err := s.c.Release(t.Context(), held.ID, custody.Request{By: by, Reason: "looked at", Then: then})
		return err
	}
	if err := ask("A. Able", nil); err != nil {
		t.Fatal(err)
	}
	if n, _ := s.files(t); n != 0 {
		t.Errorf("%d files made for one person", n)
	}
	crashed := t.TempDir()
	fails := errors.New("not now")
	err := ask("B. Baker", func(*store.Tx, custody.Object, []string) error {
		names, err := filepath.Glob(filepath.Join(s.dir, "spill", "*"))
		if len(names) != 2 {
			t.Errorf("files made before the rows: %v", names)
		}
		for _, name := range names {
			err = errors.Join(err, os.Link(name, filepath.Join(crashed, filepath.Base(name))))
		}
		return errors.Join(err, fails)
	})
	if n, _ := s.files(t); !errors.Is(err, fails) || n != 0 {
		t.Errorf("%v, %d files left", err, n)
	}
	names, err := filepath.Glob(filepath.Join(crashed, "*"))
	if err != nil || len(names) != 2 {
		t.Fatalf("%v, %v", names, err)
	}
	for _, name := range names {
		if err := os.Rename(name, filepath.Join(s.dir, "spill", filepath.Base(name))); err != nil {
			t.Fatal(err)
		}
	}
	s = s.reopen(t)
	if f := s.c.Found(); f != (custody.Found{Orphans: 2}) {
		t.Errorf("%+v", f)
	}
	if err := ask("B. Baker", nil); err != nil {
		t.Fatal(err)
	}
	s = s.reopen(t)
	for _, o := range s.both(t) {
		if got, err := s.read(t, o.ID); err != nil || !bytes.Equal(got, data) {
			t.Error(err)
		}
	}
	if spill, objects := s.files(t); spill != 0 || objects != 3 {
		t.Errorf("%d and %d files, want 0 and 3", spill, objects)
	}
}

// Two people who ask at the same time release the object for all its archives,
// whoever of them comes to be the second.
func TestPeopleWhoAskAtOnceReleaseForAllArchives(t *testing.T) {
	s := open(t, t.TempDir())
	for range 20 {
		held := s.keep(t, noise(100), custody.Object{State: custody.Held, Archive: "pacs", Also: []string{"vna"}, SOPInstanceUID: "1.2"})
		var asking sync.WaitGroup
		for _, by := range []string{"A. Able", "B. Baker"} {
			asking.Go(func() {
				if _, err := s.c.Release(t.Context(), held.ID, custody.Request{By: by, Reason: "looked at"}); err != nil {
					t.Error(err)
				}
			})
		}
		asking.Wait()
		for _, o := range s.both(t) {
			if err := errors.Join(s.c.InFlight(t.Context(), o.ID), s.c.Delivered(t.Context(), o.ID, 0)); err != nil {
				t.Fatal(err)
			}
		}
		if spill, objects := s.files(t); spill != 0 || objects != 0 {
			t.Errorf("%d and %d files left", spill, objects)
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
