package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A service manager may stop Cordon while it starts, while it runs its first rounds
// and later. It has succeeded each time.
func TestStoppedAtAnyMomentItHasSucceeded(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "cordon.yaml")
	text := fmt.Sprintf("data: %s\ngateway: {listen: %s}\nconsole: {listen: %s}\n", filepath.Join(dir, "data"), freeAddress(t), freeAddress(t))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for after, late := time.Duration(0), 0; late < 30; after += 10 * time.Millisecond {
		ctx, stop := context.WithCancel(t.Context())
		timer := time.AfterFunc(after, stop)
		var says strings.Builder
		code := run(ctx, []string{"up", "--config", config}, stdio{in: strings.NewReader(""), out: &says, err: &says})
		timer.Stop()
		stop()
		if code != 0 {
			t.Errorf("stopped after %s: exit %d\n%s", after, code, &says)
		}
		if strings.Contains(says.String(), `"msg":"ready"`) {
			late++
		}
	}
}

func TestAPartThatIsStoppedHasNotFailed(t *testing.T) {
	for name, c := range map[string]struct {
		stopped bool
		err     error
		fails   bool
	}{
		"stopped at work":           {true, fmt.Errorf("writing: %w", context.Canceled), false},
		"failed while it stopped":   {true, os.ErrPermission, true},
		"ended by itself":           {false, nil, false},
		"its own context was ended": {false, fmt.Errorf("writing: %w", context.Canceled), true},
	} {
		ctx, stop := context.WithCancel(t.Context())
		ended := false
		g := group{ctx: ctx, failed: func() { ended = true }}
		if c.stopped {
			stop()
		}
		g.run("part", func() error { return c.err })
		if err := g.wait(); (err != nil) != c.fails || ended != c.fails {
			t.Errorf("%s: %v, and the others were ended: %t", name, err, ended)
		}
		stop()
	}
}
