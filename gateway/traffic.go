package gateway

import (
	"context"
	"sync"
	"time"
)

// traffic is what modalities send to an archive themselves. What waits in the
// spool gives way to it: nobody stands beside the spool.
type traffic struct {
	mu   sync.Mutex
	now  int       // objects on their way
	last time.Time // the last one was answered
}

// trafficQuiet is how long modalities may be silent and still be sending.
const trafficQuiet = 500 * time.Millisecond

// enter notes an object of a modality's on its way; leave notes its answer.
func (t *traffic) enter() (leave func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.now--
		t.last = time.Now()
	}
}

// flows reports whether modalities send to the archive just now.
func (t *traffic) flows() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.now > 0 || time.Since(t.last) < trafficQuiet
}

// longestPause bounds how long an object of the spool gives way, so that the
// spool empties however much is sent.
const longestPause = time.Second

// giveWay is asked between two objects of the spool, and reports whether the
// association may go on to the next. While modalities send, one association
// does, for half of the time, and the others end; an urgent object waits for
// nobody, and what is not urgent ends when something urgent has come.
func (a *archive) giveWay(ctx context.Context, p place, urgent bool, took time.Duration) (goOn bool) {
	switch {
	case urgent:
		return true
	case a.hurry.Load():
		return false
	case !a.traffic.flows():
		return true
	case p != first:
		return false
	}
	select {
	case <-time.After(min(took, longestPause)):
		return true
	case <-ctx.Done():
		return false
	}
}

// place numbers the associations that deliver to one archive at a time.
type place int

// first goes on while modalities send.
const first place = 0

// fewPlaces is how long an archive that had no place for a further association is
// not asked for one.
const fewPlaces = time.Minute

// full notes that the archive has no place for a further association.
func (a *archive) full() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fullUntil = time.Now().Add(fewPlaces)
}

func (a *archive) isFull() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return time.Now().Before(a.fullUntil)
}

// deliverers is how many associations may deliver to the archive now.
func (a *archive) deliverers() int {
	if a.traffic.flows() || a.isFull() {
		return 1
	}
	return max(1, a.upstream.Associations)
}
