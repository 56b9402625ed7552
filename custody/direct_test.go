package custody_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"cordon/custody"
	"cordon/store"
)

// A file system that takes no direct writes keeps objects all the same.
func TestWithoutDirectWritesObjectsAreKept(t *testing.T) {
	s := open(t, t.TempDir())
	c, err := custody.Open(t.Context(), s.db, s.dir, s.l, custody.Options{}) // the one of site s has little memory, and spills
	if err != nil {
		t.Fatal(err)
	}
	s.c = c
	data := noise(600_000)
	c.Misalign()
	for range 2 {
		o := s.keep(t, data, spooled("1"))
		if got, err := s.read(t, o.ID); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
	if !c.Buffered() {
		t.Error("goes on trying")
	}
}

// What is expected to be kept is in its file before it is complete, and whatever
// comes of it then is as ever.
func TestExpectedObjectsAreWrittenAsTheyArrive(t *testing.T) {
	s := open(t, t.TempDir())
	for _, buffered := range []bool{false, true} {
		if buffered {
			s.c.Misalign()
			b := s.c.NewBuffer()
			b.Expect()
			if _, err := b.Write(noise(600_000)); !errors.Is(err, store.ErrNotDirect) {
				t.Fatalf("on a file system without direct writes: %v", err)
			}
			b.Discard()
		}
		for _, size := range []int{0, 1, 4096, 300_000, 2_000_000} {
			data := noise(size)
			b := s.c.NewBuffer()
			b.Expect()
			if _, err := io.Copy(b, struct{ io.Reader }{bytes.NewReader(data)}); err != nil {
				t.Fatal(err)
			}
			if spill, _ := s.files(t); spill != min(size, 1) {
				t.Errorf("%d bytes: %d files before the end", size, spill)
			}
			r, err := b.Open()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes: read back %d, %v", size, len(got), err)
			}
			r.Close()
			o, err := s.c.Keep(t.Context(), b, spooled("1"))
			if err != nil {
				t.Fatal(err)
			}
			b.Discard()
			if got, err := s.read(t, o.ID); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes: kept %d, %v", size, len(got), err)
			}
		}
		b := s.c.NewBuffer()
		b.Expect()
		if _, err := b.Write(noise(10)); err != nil {
			t.Fatal(err)
		}
		b.Discard()
		if spill, _ := s.files(t); spill != 0 {
			t.Errorf("%d files are left of what was discarded", spill)
		}
	}
}
