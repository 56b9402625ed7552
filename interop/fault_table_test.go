package interop

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The fault table, a row for each fault that was tried in this run.
var faults faultTable

type faultTable struct {
	mu     sync.Mutex
	rows   []faultRow
	broken []brokenRow
}

// brokenRow is a promise that was broken on purpose.
type brokenRow struct{ promise, fault, found string }

type faultRow struct {
	order                    int
	fault, points            string
	runs, acknowledged, lost int
}

// add puts a row into the table.
func (f *faultTable) add(t *testing.T, r faultRow) {
	t.Helper()
	t.Logf("%s: %s, %d runs, %d acknowledged, %d lost", r.fault, r.points, r.runs, r.acknowledged, r.lost)
	if r.acknowledged == 0 {
		t.Error("nothing was acknowledged: this shows nothing")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rows = append(f.rows, r)
}

// write makes the page of it, at the path given.
func (f *faultTable) write(path string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	slices.SortStableFunc(f.rows, func(a, b faultRow) int { return cmp.Compare(a.order, b.order) })
	var b strings.Builder
	fmt.Fprintf(&b, pageOfFaults, time.Now().UTC().Format("2 January 2006"))
	var sum faultRow
	for _, r := range f.rows {
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %d |\n", r.fault, r.points, r.runs, r.acknowledged, r.lost)
		sum.runs, sum.acknowledged, sum.lost = sum.runs+r.runs, sum.acknowledged+r.acknowledged, sum.lost+r.lost
	}
	fmt.Fprintf(&b, "| **all** | | **%d** | **%d** | **%d** |\n", sum.runs, sum.acknowledged, sum.lost)
	if len(f.broken) > 0 {
		b.WriteString(pageOfBroken)
	}
	for _, r := range f.broken {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", r.promise, r.fault, r.found)
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

const pageOfFaults = `# Faults

<!-- made by "make faults": do not edit -->

What happens to objects when Cordon, its disk, its archive or its senders fail. Each fault happened to an unmodified ` + "`cordon up`" + ` while
modalities sent to it; some images were hostile, some too large for a memory buffer. After each run, and a restart, an
oracle that shares no code with Cordon held what the senders had been told against where each object was: in the
archive's own store, byte for byte, in the vault, or in the spool (` + "`cordon vault list`, `cordon status`" + `). *Lost* is what was
acknowledged and is nowhere; hostile objects outside the vault and altered bytes fail the run as well. Duplicates are allowed.

The disk is a file system of the tests (` + "`interop/faultfs`" + `): at a power loss it forgets data, names and renames that were not
synced, each apart, and tears pages; after a failed sync it never writes what that sync was for. For the clock alone Cordon
is compiled with a time.Now of its own. Made on %s.

| fault | points | runs | acknowledged | lost |
|---|---|---|---|---|
`

const pageOfBroken = `
## Would it be noticed?

The same with Cordons whose promises were broken on purpose, one line each. The oracle has to find it.

| broken | fault | found |
|---|---|---|
`
