package custody_test

import (
	"errors"
	"testing"

	"cordon/custody"
)

// What an archive has lost while a backup still keeps its file is due again, and
// its file stays when the backup is done.
func TestWhatIsDueAgainKeepsItsFile(t *testing.T) {
	s := open(t, t.TempDir())
	ctx := t.Context()
	data := noise(100)
	o := s.keep(t, data, spooled("1"))
	unpin := s.c.Pin()
	for range 2 {
		if err := s.c.Delivered(ctx, o.ID, 0); err != nil {
			t.Fatal(err)
		}
		if id, err := s.c.Requeue(ctx, "pacs", o.SOPInstanceUID, o.SHA256); err != nil || id != o.ID {
			t.Fatalf("%q, %v", id, err)
		}
	}
	unpin()
	if got, err := s.read(t, o.ID); err != nil || string(got) != string(data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if err := s.c.Delivered(ctx, o.ID, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.c.Requeue(ctx, "pacs", o.SOPInstanceUID, o.SHA256); !errors.Is(err, custody.ErrNotFound) {
		t.Errorf("a file that is gone: %v", err)
	}
}
