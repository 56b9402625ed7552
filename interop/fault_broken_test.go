//go:build faults

package interop

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// promise is one that is broken on purpose, by another line in a copy of one source file.
type promise struct {
	broken   string
	file     string // below the module
	from, to string
	more     [2]string // a second change in that file; none if empty
	archive  act       // what the archive does; "" if the power goes instead, with the archive away
	first    bool      // it matters at a first start alone: each round is one
}

var promises = []promise{
	{broken: "blobs are not synced", file: "custody/buffer.go", from: "errors.Join(b.file.Sync(), <-named)", to: "errors.Join(<-named)"},
	{broken: "names are not synced", file: "store/file.go", from: "err = d.Sync()", to: "err = nil"},
	{broken: "the directories of blobs are not synced", file: "custody/blob.go", from: "return store.SyncDir(c.objects)", to: "return nil", first: true},
	{broken: "the database is not synced", file: "store/store.go", from: `"synchronous(FULL)"`, to: `"synchronous(OFF)"`},
	{broken: "success is answered before the object is kept", file: "gateway/store.go",
		from: "kept, err := s.g.parts.Custody.Keep(ctx, o.buffer, row)",
		to:   "o.from.Respond(ctx, o.message, dimse.Command{Status: dimse.Success}, nil)\n\tkept, err := s.g.parts.Custody.Keep(ctx, o.buffer, row)",
		more: [2]string{"o.count(dimse.Success, \"\")\n\treturn o.from.Respond(ctx, o.message, dimse.Command{Status: dimse.Success}, nil)", "o.count(dimse.Success, \"\")\n\treturn nil"}},
	{broken: "a start takes what waits to be moved for what nobody was promised", file: "custody/sweep.go", from: "case stored[id]:", to: "case false:"},
	{broken: "an archive that fails is taken for one that has the object", file: "gateway/store.go",
		from: "s.log.Warn(\"archive failed\", \"error\", err)\n\t\treturn o.await(ctx)", to: "return o.answer(ctx, dimse.Command{})", archive: resetUntaken},
	{broken: "an answer for another instance is taken for this one's", file: "gateway/send.go",
		from: `rsp.AffectedSOPInstanceUID != "" && rsp.AffectedSOPInstanceUID != rq.SOPInstanceUID`, to: "false", archive: otherInstance},
	{broken: "out of resources is taken for success", file: "gateway/store.go", from: "case transient(rsp.Status) && mode != RefuseWhenDown:", to: "case transient(rsp.Status):\n\t\treturn o.answer(ctx, dimse.Command{})", archive: outOfResources},
}

// build compiles a Cordon that breaks the promise.
func (p promise) build(t *testing.T) string {
	t.Helper()
	file, err := filepath.Abs(filepath.Join("..", p.file))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := string(text)
	for _, change := range [][2]string{{p.from, p.to}, p.more} {
		if change[0] == "" {
			continue
		}
		if strings.Count(changed, change[0]) != 1 {
			t.Fatalf("%s has not one %q: look at it and at this test", p.file, change[0])
		}
		changed = strings.Replace(changed, change[0], change[1], 1)
	}
	dir := t.TempDir()
	source, overlay, out := filepath.Join(dir, "broken.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "cordon")
	write(t, source, changed)
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {file: source}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, overlay, string(replace))
	if text, err := exec.Command("go", "build", "-overlay", overlay, "-o", out, "cordon/cmd/cordon").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return out
}

// mostRounds is how often a broken Cordon is tried before it is taken for a good one.
const mostRounds = 40

// A test that cannot fail is a defect: with each promise broken, the oracle finds what is lost.
func TestABrokenPromiseIsNoticed(t *testing.T) {
	t.Parallel()
	for _, p := range promises {
		t.Run(p.broken, func(t *testing.T) {
			t.Parallel()
			program, fault := p.build(t), "power loss"
			if p.archive != "" {
				fault = "the archive " + string(p.archive)
			}
			d := p.trial(t, program)
			for round := range mostRounds {
				if p.first {
					d = p.trial(t, program)
				}
				if found := d.brokenRound(t, p.archive == ""); found != "" {
					t.Logf("noticed in round %d: %s", round+1, found)
					faults.notice(p.broken, fault, fmt.Sprintf("%s, in round %d", found, round+1))
					return
				}
			}
			t.Errorf("nobody noticed in %d rounds", mostRounds)
		})
	}
}

// trial is one with a Cordon that breaks the promise.
func (p promise) trial(t *testing.T, program string) *damaged {
	t.Helper()
	d := newDamaged(t)
	d.program = program
	d.archive.behave = func(n int) act {
		if p.archive != "" && n%3 == 1 {
			return p.archive
		}
		return take
	}
	return d
}

// notice puts a promise that was broken on purpose into the table.
func (f *faultTable) notice(promise, fault, found string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken = append(f.broken, brokenRow{promise, fault, found})
}

// brokenRound has objects come while the archive is away and the power goes, or while the archive does what it does. It
// says what was found, if anything.
func (d *damaged) brokenRound(t *testing.T, power bool) (found string) {
	t.Helper()
	if !power {
		d.archive.up(t)
	}
	if !d.starts(t) {
		return "Cordon refuses to start"
	}
	stop := d.flood(t, 3)
	if power {
		d.disk.CutAt(100)
		d.powerLoss(t, time.Second)
	} else {
		time.Sleep(500 * time.Millisecond)
	}
	stop()
	if power {
		d.archive.up(t)
		if !d.starts(t) {
			return "Cordon refuses to start"
		}
	}
	if lost, wrong := d.oracle(t); lost > 0 {
		t.Log(wrong[0])
		return fmt.Sprintf("%d lost", lost)
	}
	d.gone(t)
	d.archive.down()
	return ""
}

// starts reports whether Cordon answers, or ends instead.
func (d *damaged) starts(t *testing.T) bool {
	t.Helper()
	d.begin(t)
	for d.echo(t.Context()) != nil {
		if d.process.ended() {
			if strings.Contains(d.process.log(), "address already in use") {
				t.Fatal(d.process.log())
			}
			t.Log(d.process.log())
			return false
		}
		time.Sleep(20 * time.Millisecond)
	}
	return true
}
