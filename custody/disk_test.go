package custody_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cordon/custody"
	"cordon/store"
)

// A disk that fills up is said first; then nothing more is spooled while what is
// harmful can still be held; then nothing is, and the database has the rest.
func TestWatermarksStopTheSpoolBeforeTheVault(t *testing.T) {
	s := open(t, t.TempDir())
	const never = 1 << 62
	for _, at := range []struct {
		name               string
		marks              custody.Watermarks
		low, spools, holds bool
	}{
		{"room", custody.Watermarks{Warn: store.Floor{Bytes: 3}, Spool: store.Floor{Bytes: 2}, Vault: store.Floor{Bytes: 1}}, false, true, true},
		{"early warning", custody.Watermarks{Warn: store.Floor{Bytes: never}, Spool: store.Floor{Bytes: 1}, Vault: store.Floor{Bytes: 1}}, true, true, true},
		{"spool", custody.Watermarks{Warn: store.Floor{Bytes: never}, Spool: store.Floor{Bytes: never}, Vault: store.Floor{Bytes: 1}}, true, false, true},
		{"files for the spool", custody.Watermarks{Spool: store.Floor{Bytes: 1, Inodes: never}, Vault: store.Floor{Bytes: 1, Inodes: 1}}, true, false, true},
		{"vault", custody.Watermarks{Vault: store.Floor{Bytes: never}}, true, false, false},
		{"files for the vault", custody.Watermarks{Spool: store.Floor{Bytes: 1}, Vault: store.Floor{Bytes: 1, Inodes: never}}, true, false, false},
	} {
		c, err := custody.Open(t.Context(), s.db, s.dir, s.l, custody.Options{Memory: testMemory, Shared: -1, Marks: at.marks})
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []struct {
			what string
			o    custody.Object
			kept bool
		}{{"spooled", spooled("1"), at.spools}, {"held", held(malicious), at.holds}} {
			b := c.NewBuffer()
			if _, err := b.Write([]byte(at.name)); err != nil { // of its own, so that the vault does not have it already
				t.Fatal(err)
			}
			_, err := c.Keep(t.Context(), b, want.o)
			if (err == nil) != want.kept || err != nil && !errors.Is(err, store.ErrFull) {
				t.Errorf("%s: %s: %v", at.name, want.what, err)
			}
			b.Discard()
		}
		disks := c.Disks()
		if len(disks) != 1 || disks[0].Bytes <= 0 || (disks[0].Low != "") != at.low {
			t.Errorf("%s: %+v", at.name, disks)
		}
		stats, err := c.Stats(t.Context())
		if err != nil || (stats.Full == "") != at.spools {
			t.Errorf("%s: full: %q, %v", at.name, stats.Full, err)
		}
	}
}

// What is kept moves from one directory to the other in one step, and stays on
// the disk that it was synced to: both are on one file system, or nothing starts.
func TestTheSpillOnADiskOfMemoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	memory, err := os.MkdirTemp("/dev/shm", "cordon-test-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(memory)
	if err := os.Symlink(memory, filepath.Join(dir, "spill")); err != nil {
		t.Fatal(err)
	}
	if _, err := tryOpen(t, dir); err == nil || !strings.Contains(err.Error(), "different file systems") {
		t.Errorf("%v", err)
	}
}

// What is kept takes its room beside the scratch file that it came in: a long
// object must not eat what the database has left.
func TestALongObjectIsKeptOnlyWhereItLeavesTheFloor(t *testing.T) {
	s := open(t, t.TempDir())
	const long = 96 << 20
	r, err := store.RoomOf(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	floor := store.Floor{Bytes: r.Bytes - long/2} // others write on this disk as well
	c, err := custody.Open(t.Context(), s.db, s.dir, s.l, custody.Options{Memory: long, Marks: custody.Watermarks{Spool: floor, Vault: floor}})
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1 << 10, long} {
		b := c.NewBuffer()
		if _, err := b.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		_, err := c.Keep(t.Context(), b, spooled("1"))
		if (err == nil) != (size < long) || err != nil && !errors.Is(err, store.ErrFull) {
			t.Errorf("%d bytes: %v", size, err)
		}
		b.Discard()
	}
}
