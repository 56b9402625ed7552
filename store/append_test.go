package store_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cordon/store"
)

func TestLinesRotateBySizeAndKeepSoMany(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l, err := store.OpenLines(path, 100, 2)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		if err := l.Append([]byte(strings.Repeat(string(rune('a'+i%26)), 9) + "\n")); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	l.Close()
	for name, want := range map[string]bool{path: true, path + ".1": true, path + ".2": true, path + ".3": false} {
		info, err := os.Stat(name)
		if (err == nil) != want || err == nil && info.Size() > 100 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	text, _ := os.ReadFile(path + ".1")
	if !strings.HasPrefix(string(text), "uuuuuuuuu\n") { // lines 20 to 29
		t.Errorf("the last file but one begins with %.10q", text)
	}
}

func TestLineCutByACrashIsTakenOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	whole := `{"n":1}` + "\n"
	if err := os.WriteFile(path, []byte(whole+`{"n":2,"te`), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := store.OpenLines(path, 1000, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Append([]byte(`{"n":2}` + "\n")); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(path); string(text) != whole+`{"n":2}`+"\n" {
		t.Errorf("%q", text)
	}
}
