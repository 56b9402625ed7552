package interop

import (
	"testing"
	"time"
)

// Killed (SIGKILL) at any moment, starting ones included, with the archive up, away, or going away, Cordon has or has
// handed on everything that it acknowledged.
func TestKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	tr, rng := newTrial(t), chance(t)
	stop := tr.flood(t, 4)
	defer func() { stop() }()
	n, lost := runs(6, 320), 0
	for round := range n {
		away := round%3 == 1
		if !away {
			tr.archive.up(t)
		}
		if rng.IntN(6) == 0 { // while it starts
			p := launch(t, cordonProgram(t), "up", "--config", tr.config)
			time.Sleep(time.Duration(rng.IntN(250)) * time.Millisecond)
			p.kill()
		}
		tr.start(t)
		time.Sleep(time.Duration(rng.IntN(700)) * time.Millisecond)
		if round%3 == 2 { // it goes away in the middle
			tr.archive.down()
			time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond)
		}
		tr.process.kill()
		stop()
		if round%3 != 0 {
			tr.archive.up(t)
		}
		tr.start(t)
		lost += tr.account(t)
		tr.process.kill() // a second time, while nothing happens
		tr.archive.down()
		if t.Failed() {
			break
		}
		stop = tr.flood(t, 4)
	}
	stop()
	tr.archive.up(t)
	tr.start(t)
	lost += tr.account(t)
	tr.intact(t)
	faults.add(t, faultRow{1, "kill -9", "random moments, the start included; archive up, away, going away", n, tr.acknowledged(), lost})
}
