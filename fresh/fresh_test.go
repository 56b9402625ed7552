package fresh

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestOnlyWhatMakesSenseIsUsed: two files that belong together are replaced one
// after the other, and what they held before stays until they fit again.
func TestOnlyWhatMakesSenseIsUsed(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	parsed := 0
	f := New(func(texts [][]byte) (string, error) {
		parsed++
		if string(texts[0]) != string(texts[1]) {
			return "", errors.New("they differ")
		}
		return string(texts[0]), nil
	}, File{"first", a}, File{"second", b})
	look := func(value string, news bool, problem string) {
		t.Helper()
		err := f.Look(time.Now())
		if f.Value() != value || f.News() != news || (problem == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), problem) {
			t.Errorf("got %q, %v", f.Value(), err)
		}
		if f.Problem() != err {
			t.Error("the problem is another than the error")
		}
	}
	look("", true, "first: open")
	look("", false, "first: open")
	if f.Loaded() {
		t.Error("loaded from nothing")
	}
	write(a, "1")
	write(b, "1")
	look("1", true, "")
	look("1", false, "")
	write(a, "2")
	look("1", true, "they differ")
	write(b, "2")
	look("2", true, "")
	if err := os.Remove(a); err != nil {
		t.Fatal(err)
	}
	look("2", true, "first: open")
	write(a, "2")
	look("2", true, "")

	old := time.Now().Add(-time.Hour)
	for _, path := range []string{a, b} {
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	look("2", false, "")
	before := parsed
	look("2", false, "")
	if parsed != before {
		t.Error("settled files are parsed again")
	}
	if err := os.Truncate(a, maxFile+1); err != nil {
		t.Fatal(err)
	}
	look("2", true, "allowed")
}

// TestNoRegularFile: what is no regular file is a problem at once.
func TestNoRegularFile(t *testing.T) {
	f := New(func([][]byte) (int, error) { return 1, nil }, File{"folder", t.TempDir()})
	if err := f.Look(time.Now()); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Error(err)
	}
}
