package custody_test

import (
	"bytes"
	"testing"

	"cordon/custody"
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
