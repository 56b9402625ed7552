package interop

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"syscall"
	"testing"
	"time"

	"cordon/interop/faultfs"
)

// diskFaults is what a disk can do wrong, one directory at a time.
func diskFaults(area string) []diskFault {
	f := func(name string, faults ...faultfs.Fault) diskFault { return diskFault{name, area, faults} }
	only := func(op faultfs.Op, errno syscall.Errno) faultfs.Fault {
		return faultfs.Fault{Area: area, Ops: []faultfs.Op{op}, Errno: errno}
	}
	once := func(op faultfs.Op) faultfs.Fault {
		return faultfs.Fault{Area: area, Ops: []faultfs.Op{op}, Errno: syscall.EIO, After: 3, Times: 2}
	}
	return []diskFault{
		f("ENOSPC", faultfs.Full(area, syscall.ENOSPC)),
		f("EDQUOT", faultfs.Full(area, syscall.EDQUOT)),
		f("EIO on writes", only(faultfs.Write, syscall.EIO)),
		f("EIO on syncs", only(faultfs.Sync, syscall.EIO)),
		f("EIO on two writes and two syncs", once(faultfs.Write), once(faultfs.Sync)),
		f("EIO on reads", only(faultfs.Read, syscall.EIO)),
		f("EIO on renames and removals", only(faultfs.Rename, syscall.EIO), only(faultfs.Remove, syscall.EIO)),
		f("read-only", faultfs.ReadOnly(area)),
	}
}

type diskFault struct {
	name, area string
	faults     []faultfs.Fault
}

// areas are the directories that Cordon writes to while it works: the database's files, the blobs, what comes in, the
// ledger's last checkpoint, copies for a rescan.
var areas = []string{"db", "objects", "spill", "keys", "*"}

// A disk that fails in one directory, in whatever way, while objects come in and go out: it loses nothing that was
// acknowledged, neither while it lasts, nor when it is over and then the power goes too.
func TestTheDiskFails(t *testing.T) {
	t.Parallel()
	var all []diskFault
	for _, area := range areas {
		all = append(all, diskFaults(area)...)
	}
	rng := chance(t)
	if !whole() { // each fault once, each directory at least once
		all = sample(rng, all, len(areas))
	}
	d := newDamaged(t)
	lost, failed, acknowledged := map[string]int{}, 0, 0
	tried := map[string]int{}
	took := map[string]int{}
	for round, f := range all {
		before := d.acknowledged()
		lost[f.name] += d.fails(t, rng, f, round%2 == 0, &failed)
		tried[f.name]++
		took[f.name] += d.acknowledged() - before
		if t.Failed() {
			t.Logf("%s in %q", f.name, f.area)
			break
		}
	}
	d.archive.up(t)
	d.recover(t)
	d.account(t)
	d.intact(t)
	acknowledged = d.acknowledged()
	t.Logf("%d operations failed, %d objects were acknowledged", failed, acknowledged)
	for n, f := range diskFaults("") {
		faults.add(t, faultRow{10 + n, f.name, fmt.Sprintf("the whole disk, and each directory: %d of %d", tried[f.name], len(areas)), tried[f.name], took[f.name], lost[f.name]})
	}
	if failed == 0 {
		t.Error("no operation failed")
	}
}

// sample picks each kind of fault once, in directories that take turns.
func sample(rng *rand.Rand, all []diskFault, areas int) []diskFault {
	kinds := len(all) / areas
	first := rng.IntN(areas)
	var out []diskFault
	for k := range kinds {
		out = append(out, all[(first+k)%areas*kinds+k])
	}
	return out
}

// fails has objects come while the disk fails, and after; then the power goes. It returns how many were lost.
func (d *damaged) fails(t *testing.T, rng *rand.Rand, f diskFault, away bool, failed *int) int {
	t.Helper()
	if !away {
		d.archive.up(t)
	}
	d.recover(t)
	stop := d.flood(t, 3)
	time.Sleep(time.Duration(100+rng.IntN(200)) * time.Millisecond)
	d.disk.Fail(f.faults...)
	time.Sleep(time.Duration(300+rng.IntN(300)) * time.Millisecond)
	d.answers(t)
	*failed += d.disk.Heal()
	time.Sleep(time.Duration(200+rng.IntN(200)) * time.Millisecond)
	stop()
	if d.process.ended() {
		t.Errorf("cordon has ended:\n%s", d.process.log())
	}
	d.gone(t)
	if away {
		d.archive.up(t)
	}
	d.recover(t)
	lost := d.account(t)
	d.gone(t)
	d.archive.down()
	return lost
}

// answers fails the test unless the process is there and answers whoever asks it how it is, whatever it says.
func (d *damaged) answers(t *testing.T) {
	t.Helper()
	client := http.Client{Timeout: 15 * time.Second}
	rsp, err := client.Get(d.Console + "/healthz")
	if err != nil {
		t.Errorf("cordon does not answer: %v", err)
		return
	}
	rsp.Body.Close()
}
