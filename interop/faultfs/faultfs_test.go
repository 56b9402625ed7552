package faultfs

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// mount shows a disk until the test ends.
func mount(t *testing.T, d *Disk, dir string) *Mounted {
	t.Helper()
	m, err := d.Mount(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Release(); m.Unmount() })
	return m
}

func write(t *testing.T, path string, data []byte, sync bool) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
	if sync {
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
	}
}

func syncDir(t *testing.T, dir string) {
	t.Helper()
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
}

// What was synced is there after every power loss. What was not is lost in some, there in some, and in part in others.
func TestForgetsWhatWasNotSynced(t *testing.T) {
	dir := t.TempDir()
	whole := bytes.Repeat([]byte("cordon  "), 4096) // eight pages
	seen := map[string]bool{}
	for seed := range uint64(200) {
		d := New(Rand(seed))
		m := mount(t, d, dir)
		write(t, filepath.Join(dir, "kept"), whole, true)
		syncDir(t, dir)
		write(t, filepath.Join(dir, "kept"), bytes.Repeat([]byte("x"), 100), false)
		write(t, filepath.Join(dir, "unnamed"), whole, true)
		write(t, filepath.Join(dir, "written"), whole, false)
		if err := os.Rename(filepath.Join(dir, "unnamed"), filepath.Join(dir, "renamed")); err != nil {
			t.Fatal(err)
		}
		if err := m.Unmount(); err != nil {
			t.Fatal(err)
		}
		d = d.AfterPowerLoss()
		m = mount(t, d, dir)
		kept, err := os.ReadFile(filepath.Join(dir, "kept"))
		if err != nil || len(kept) != len(whole) || !bytes.Equal(kept[100:], whole[100:]) {
			t.Fatalf("seed %d: what was synced is lost: %v, %d bytes", seed, err, len(kept))
		}
		seen["overwritten"] = seen["overwritten"] || kept[0] == 'x'
		seen["not overwritten"] = seen["not overwritten"] || kept[0] == 'c'
		for _, name := range []string{"unnamed", "renamed", "written"} {
			got, err := os.ReadFile(filepath.Join(dir, name))
			switch {
			case errors.Is(err, os.ErrNotExist):
				seen[name+" lost"] = true
			case err != nil:
				t.Fatal(err)
			case bytes.Equal(got, whole):
				seen[name+" whole"] = true
			default:
				seen[name+" torn"] = true
			}
		}
		if err := m.Unmount(); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"overwritten", "not overwritten", "unnamed lost", "unnamed whole", "renamed lost", "renamed whole", "written lost", "written whole", "written torn"} {
		if !seen[want] {
			t.Errorf("never: %s", want)
		}
	}
	if seen["renamed torn"] || seen["unnamed torn"] {
		t.Error("a file that was synced was torn")
	}
}

func TestFailsWhereItIsTold(t *testing.T) {
	dir := t.TempDir()
	d := New(Rand(1))
	m := mount(t, d, dir)
	for _, sub := range []string{"objects", "spill"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	d.Fail(Full("spill", syscall.EDQUOT), Fault{Area: "objects", Ops: []Op{Sync}, Errno: syscall.EIO, After: 1, Times: 1})
	if err := os.WriteFile(filepath.Join(dir, "spill", "x"), nil, 0o600); !errors.Is(err, syscall.EDQUOT) {
		t.Error(err)
	}
	for _, want := range []error{nil, syscall.EIO, nil} {
		f, err := os.Create(filepath.Join(dir, "objects", "x"))
		if err != nil {
			t.Fatal(err)
		}
		f.Write([]byte("x"))
		if err := f.Sync(); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
		f.Close()
	}
	if n := d.Heal(); n != 2 {
		t.Errorf("%d have failed", n)
	}
	write(t, filepath.Join(dir, "spill", "x"), []byte("x"), true)
	if err := m.Unmount(); err != nil {
		t.Error(err)
	}
}

// Whoever writes when the power goes waits, and what it had not synced may be gone.
func TestThePowerGoes(t *testing.T) {
	dir := t.TempDir()
	d := New(Rand(2))
	m := mount(t, d, dir)
	d.CutAt(5)
	ended := make(chan error, 1)
	go func() { // ends with Release
		var err error
		for n := 0; err == nil; n++ {
			err = os.WriteFile(filepath.Join(dir, "x"), []byte{byte(n)}, 0o600)
		}
		ended <- err
	}()
	<-d.Cut()
	select {
	case err := <-ended:
		t.Errorf("it did not wait: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	d.Release()
	if err := <-ended; !errors.Is(err, syscall.EIO) {
		t.Error(err)
	}
	if err := m.Unmount(); err != nil {
		t.Error(err)
	}
}
