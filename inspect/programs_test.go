package inspect_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// program returns a true executable that does nothing, for the given system.
func program(t *testing.T, system string) []byte {
	t.Helper()
	p, err := programs[system]()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var programs = map[string]func() ([]byte, error){
	"windows/amd64": compiled("windows", "amd64"),
	"windows/386":   compiled("windows", "386"),
	"linux/amd64":   compiled("linux", "amd64"),
	"darwin/arm64":  compiled("darwin", "arm64"),
}

func compiled(goos, goarch string) func() ([]byte, error) {
	return sync.OnceValues(func() ([]byte, error) {
		dir, err := os.MkdirTemp("", "inert")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		source, out := filepath.Join(dir, "main.go"), filepath.Join(dir, "inert")
		if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
			return nil, err
		}
		cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", out, source)
		cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0", "GOFLAGS=-mod=mod", "GO111MODULE=off")
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return nil, err
		}
		return os.ReadFile(out)
	})
}
