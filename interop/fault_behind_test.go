package interop

import (
	"fmt"
	"testing"
	"time"
)

// An archive may do anything with an object and with its answer, on any of the objects of an association: what the
// sender is told is true in the end.
func TestTheArchiveMisbehaves(t *testing.T) {
	t.Parallel()
	for n, does := range []act{slow, takeAndReset, resetUnread, resetUntaken, outOfResources, refuses, pending, otherInstance} {
		t.Run(string(does), func(t *testing.T) {
			t.Parallel()
			tr, rng := newTrial(t), chance(t)
			every := 2 + rng.IntN(3)
			tr.archive.behave = func(n int) act {
				if n%every == 1 && n < 60 {
					return does
				}
				return take
			}
			tr.archive.up(t)
			tr.start(t)
			stop := tr.flood(t, 3)
			await(t, "some objects to be acknowledged", func() bool { return tr.acknowledged() >= runs(60, 400) })
			stop()
			lost := tr.account(t)
			tr.intact(t)
			faults.add(t, faultRow{30 + n, "the archive " + string(does), fmt.Sprintf("one object in %d", every), 1, tr.acknowledged(), lost})
		})
	}
}

// An archive that falls silent in the middle of an object, its connection half open, holds nobody up for longer than the
// response timeout, and nothing is lost.
func TestTheArchiveFallsSilent(t *testing.T) {
	t.Parallel()
	tr := newTrial(t)
	tr.archive.behave = func(n int) act {
		if n == 5 {
			return silent
		}
		return take
	}
	tr.archive.up(t)
	tr.start(t)
	stop := tr.flood(t, 1)
	await(t, "the object to be kept here instead", func() bool { return tr.standing(t).Spooled > 0 })
	time.Sleep(100 * time.Millisecond)
	stop()
	tr.process.kill() // and a crash on top of it
	tr.start(t)
	lost := tr.account(t)
	tr.intact(t)
	faults.add(t, faultRow{39, "the archive " + string(silent), "one object, then kill -9", 1, tr.acknowledged(), lost})
}
