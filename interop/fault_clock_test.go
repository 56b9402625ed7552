//go:build faults

package interop

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A clock that jumps needs a Cordon of its own, all of it compiled anew: some minutes. So it is behind a build tag (make
// faults).

// skewed builds Cordon with a clock that jumps: its own sources, unchanged, with another time.Now, which adds what
// CORDON_CLOCK says ("MS:SECONDS,…", from so many milliseconds after the start on). What measures time by the monotonic
// clock is not deceived, as on a machine whose clock is set.
var skewed = sync.OnceValues(func() (string, error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", err
	}
	file := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	now := "\tsec, nsec, mono := runtimeNow()\n\tif mono == 0 {"
	if strings.Count(string(text), now) != 1 {
		return "", errors.New("time.Now is not as expected: look at it and at this test")
	}
	changed := strings.Replace(string(text), now, strings.Replace(now, "\tif mono", "\tsec += clockJump(mono - startNano)\n\tif mono", 1), 1)
	changed = strings.Replace(changed, "\t\"internal/godebug\"\n", "\t\"internal/godebug\"\n\t\"syscall\"\n", 1)
	if !strings.Contains(changed, "\"syscall\"") {
		changed = strings.Replace(changed, "import (", "import (\n\t\"syscall\"", 1)
	}
	changed += `
var clockJumps, _ = syscall.Getenv("CORDON_CLOCK")

func clockJump(since int64) (seconds int64) {
	for rest := clockJumps; rest != ""; {
		var at, jump int64
		at, rest = clockNumber(rest)
		jump, rest = clockNumber(rest)
		if since >= at*1e6 {
			seconds = jump
		}
	}
	return seconds
}

func clockNumber(s string) (n int64, rest string) {
	sign := int64(1)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '-':
			sign = -1
		case '0' <= c && c <= '9':
			n = 10*n + int64(c-'0')
		default:
			return sign * n, s[i+1:]
		}
	}
	return sign * n, ""
}
`
	source, overlay, out := filepath.Join(buildDir, "time.go"), filepath.Join(buildDir, "overlay.json"), filepath.Join(buildDir, "cordon-skewed")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {file: source}})
	if err != nil {
		return "", err
	}
	if err := errors.Join(os.WriteFile(source, []byte(changed), 0o600), os.WriteFile(overlay, replace, 0o600)); err != nil {
		return "", err
	}
	if text, err := exec.Command("go", "build", "-overlay", overlay, "-o", out, "cordon/cmd/cordon").CombinedOutput(); err != nil {
		return "", fmt.Errorf("building cordon with another clock: %w\n%s", err, text)
	}
	return out, nil
})

// The machine's clock jumps, forwards and backwards, by seconds and by years, while objects come and wait, and is another
// one after a crash.
func TestTheClockJumps(t *testing.T) {
	t.Parallel()
	program, err := skewed()
	if err != nil {
		t.Fatal(err)
	}
	tr, rng := newTrial(t), chance(t)
	jumps := []int{3600, -3600, 2 * 86400, -2 * 86400, 10 * 365 * 86400, -20 * 365 * 86400, 1, -1}
	n, lost := runs(3, len(jumps)*2), 0
	run := func(at string) {
		t.Helper()
		cmd := exec.Command(program, "up", "--config", tr.config)
		cmd.Env = append(os.Environ(), "CORDON_CLOCK="+at)
		tr.process = launchCommand(t, cmd)
		tr.awaitReady(t)
	}
	for round := range n {
		jump, back := jumps[rng.IntN(len(jumps))], jumps[rng.IntN(len(jumps))]
		run(fmt.Sprintf("400:%d,700:%d,1000:%d", jump, back, jump/2))
		if round%2 == 0 {
			tr.archive.up(t)
		}
		stop := tr.flood(t, 3)
		time.Sleep(1200 * time.Millisecond)
		tr.process.kill()
		stop()
		if round%2 != 0 {
			tr.archive.up(t)
		}
		run("")
		lost += tr.account(t)
		tr.process.kill()
		tr.archive.down()
	}
	tr.archive.up(t)
	run("")
	lost += tr.account(t)
	tr.intact(t)
	faults.add(t, faultRow{49, "clock jumps", "1 s to 20 years, both ways, three in a run, then kill -9", n, tr.acknowledged(), lost})
}
