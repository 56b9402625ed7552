package store_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"cordon/store"
)

func TestDirectFileHoldsWhatWasWritten(t *testing.T) {
	buffer := store.NewDirectBuffer()
	for _, size := range []int{0, 1, 4095, 4096, 4097, store.DirectBuffer - 1, store.DirectBuffer, store.DirectBuffer + 1, 3*store.DirectBuffer + 5000} {
		want := bytes.Repeat([]byte("0123456789abc"), size/13+1)[:size]
		path := filepath.Join(t.TempDir(), "x")
		d, err := store.CreateDirect(path, 0o600, buffer)
		if errors.Is(err, store.ErrNotDirect) {
			return // this file system has none: callers write as ever
		}
		if err != nil {
			t.Fatal(err)
		}
		for part := want; len(part) > 0; { // in odd pieces
			n := min(len(part), 10007)
			if _, err := d.Write(part[:n]); err != nil {
				t.Fatal(err)
			}
			part = part[n:]
		}
		if err := errors.Join(d.Finish(), d.File().Sync(), d.File().Close()); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: got %d, %v", size, len(got), err)
		}
		if _, err := store.CreateDirect(path, 0o600, buffer); !errors.Is(err, os.ErrExist) {
			t.Errorf("made again: %v", err)
		}
	}
}

func TestDirSyncerServesAllWhoWaitAtOnce(t *testing.T) {
	d := store.NewDirSyncer(t.TempDir())
	var all sync.WaitGroup
	var failed atomic.Int64
	for range 64 {
		all.Go(func() {
			for range 20 {
				if d.Sync() != nil {
					failed.Add(1)
				}
			}
		})
	}
	all.Wait()
	if n := failed.Load(); n > 0 {
		t.Errorf("%d syncs failed", n)
	}
	if err := store.NewDirSyncer(filepath.Join(t.TempDir(), "none")).Sync(); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
