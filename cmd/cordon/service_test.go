package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A service manager is not kept busy by a start that cannot succeed; a person at a
// terminal does not wait.
func TestAStartThatFailsIsRestedFrom(t *testing.T) {
	start := func(ctx context.Context) (string, time.Duration) {
		var said bytes.Buffer
		begun := time.Now()
		if code := run(ctx, []string{"up", "--config", filepath.Join(t.TempDir(), "absent.yaml")}, stdio{out: &said, err: &said}); code != 2 {
			t.Errorf("exit %d", code)
		}
		return said.String(), time.Since(begun)
	}
	t.Setenv("NOTIFY_SOCKET", "")
	if _, took := start(t.Context()); took > startAgain/2 {
		t.Errorf("%v without a service manager", took)
	}
	t.Setenv("NOTIFY_SOCKET", "@nobody")
	if said, took := start(t.Context()); took < startAgain || !strings.Contains(said, "Cordon cannot start") || !strings.Contains(said, "absent.yaml") {
		t.Errorf("%v, %s", took, said)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, took := start(ctx); took > startAgain/2 {
		t.Errorf("%v, and it was told to stop", took)
	}
}
