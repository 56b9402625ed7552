package interop

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cordon/interop/faultfs"
)

// A damaged trial is one whose data directory is on a disk that forgets and fails.
type damaged struct {
	*trial
	at   string // where the disk is mounted
	disk *faultfs.Disk
	on   *faultfs.Mounted

	program string // instead of cordon; "": that
}

func newDamaged(t *testing.T) *damaged {
	t.Helper()
	d := &damaged{trial: newTrial(t), at: filepath.Join(elsewhere(t), "disk"), disk: faultfs.New(faultfs.Rand(rand.Uint64()))}
	if err := os.Mkdir(d.at, 0o700); err != nil {
		t.Fatal(err)
	}
	d.useData(t, d.at)
	d.mount(t)
	t.Cleanup(func() { d.disk.Release(); d.on.Unmount() })
	return d
}

func (d *damaged) mount(t *testing.T) {
	t.Helper()
	var err error
	if d.on, err = d.disk.Mount(d.at); err != nil {
		t.Fatal(err)
	}
}

// begin starts Cordon and does not wait until it answers.
func (d *damaged) begin(t *testing.T) {
	t.Helper()
	program := d.program
	if program == "" {
		program = cordonProgram(t)
	}
	d.process = launch(t, program, "up", "--config", d.config)
	t.Cleanup(func() { d.disk.Release() }) // before it is waited for
}

// powerLoss ends Cordon at the moment at which its disk went dark, at the latest after some time, and gives it the disk
// that it would find.
func (d *damaged) powerLoss(t *testing.T, latest time.Duration) {
	t.Helper()
	select {
	case <-d.disk.Cut():
	case <-d.process.done:
		t.Fatalf("cordon has ended by itself:\n%s", d.process.log())
	case <-time.After(latest):
		d.disk.CutNow()
	}
	d.gone(t)
}

// gone ends Cordon, whatever it does, and gives it the disk that a power loss leaves.
func (d *damaged) gone(t *testing.T) {
	t.Helper()
	d.disk.CutNow()
	d.process.cmd.Process.Kill()
	d.disk.Release()
	<-d.process.done
	if err := d.on.Unmount(); err != nil {
		t.Fatal(err)
	}
	d.disk = d.disk.AfterPowerLoss()
	d.mount(t)
}

// recover starts Cordon on what is left, with the archive there.
func (d *damaged) recover(t *testing.T) {
	t.Helper()
	d.begin(t)
	d.awaitReady(t)
}

// The power goes at any change of the disk, those of the first start included. What was not synced may be there, or not,
// or in part; whatever was acknowledged is.
func TestThePowerGoesAtAnyMoment(t *testing.T) {
	t.Parallel()
	d, rng := newDamaged(t), chance(t)
	n, lost := runs(8, 320), 0
	for round := range n {
		away := round%2 == 0
		if !away {
			d.archive.up(t)
		}
		if starting := round%4 == 0; starting {
			d.disk.CutAt(1 + rng.IntN(60))
			d.begin(t)
			d.powerLoss(t, time.Second)
		}
		d.recover(t)
		stop := d.flood(t, 4)
		if round%5 == 4 {
			time.Sleep(time.Duration(rng.IntN(400)) * time.Millisecond)
		}
		d.disk.CutAt(1 + rng.IntN(400))
		d.powerLoss(t, 2*time.Second)
		stop()
		if away {
			d.archive.up(t)
		}
		d.recover(t)
		lost += d.account(t)
		d.gone(t)
		d.archive.down()
		if t.Failed() {
			break
		}
	}
	d.archive.up(t)
	d.recover(t)
	lost += d.account(t)
	d.intact(t)
	faults.add(t, faultRow{2, "power loss", "random changes of the disk, those of starts included; unsynced data, names and renames forgotten, pages torn", n, d.acknowledged(), lost})
}
