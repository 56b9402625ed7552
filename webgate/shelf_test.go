package webgate

import (
	"context"
	"io"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/finding"
)

// shelve puts an object of some bytes on the shelf.
func shelve(t *testing.T, h *house, s *shelf, name dicom.UID, size int64) *shelved {
	t.Helper()
	it, err := s.get(context.Background(), instanceKey{instance: name}, func() (*object, error) {
		b := h.custody.NewBuffer()
		_, err := io.WriteString(b, "x")
		return &object{buffer: b, report: finding.Report{Bytes: size}, reading: &reading{}}, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return it
}

// readable reports whether an object of the shelf can be read.
func readable(it *shelved) bool {
	r, err := it.object.buffer.Open()
	if err != nil {
		return false
	}
	r.Close()
	return true
}

// Whoever works with an instance has it to the end, whatever comes after it.
func TestShelfKeepsWhatIsInUse(t *testing.T) {
	h, s := start(t), newShelf()
	one := shelve(t, h, s, "1.1", shelfBytes)
	two := shelve(t, h, s, "1.2", shelfBytes)
	if len(s.items) != 1 || !readable(one) || !readable(two) {
		t.Fatalf("%d items", len(s.items))
	}
	s.release(one)
	if readable(one) {
		t.Error("what nobody uses is not freed")
	}
	s.release(two)
	if !readable(two) {
		t.Error("what was just used is not kept")
	}
	s.clear()
	if readable(two) || s.timer != nil || s.bytes != 0 || s.memory != 0 {
		t.Error("not cleared")
	}
}

// What was read of instances counts as memory.
func TestShelfWeighsWhatWasRead(t *testing.T) {
	h, s := start(t), newShelf()
	one, two := shelve(t, h, s, "1.1", 10), shelve(t, h, s, "1.2", 10)
	s.release(one)
	s.weigh(two, shelfMemory)
	if readable(one) || !readable(two) {
		t.Error("the older one is kept beside a heavy one")
	}
	s.release(two)
	two.at = time.Now().Add(-2 * shelfAge)
	s.sweep()
	if readable(two) || len(s.items) != 0 || s.memory != 0 {
		t.Error("what is too old stays")
	}
	s.clear()
}
