package network

import (
	"net/netip"
	"time"
)

// tally counts different things in a span of time, by how well each is proven. The
// zero tally has counted nothing.
type tally[K comparable] struct {
	since time.Time
	seen  map[K]Proof
	by    [3]int // by rank of proof
}

// maxTally bounds the things of one tally: several times every threshold.
const maxTally = 512

// open begins anew when the span is over, or when the clock was set back by more than
// a span.
func (t *tally[K]) open(now time.Time, within time.Duration) {
	if d := now.Sub(t.since); d < within && d > -within {
		return
	}
	t.since, t.by = now, [3]int{}
	clear(t.seen)
}

// add counts a thing, or a better proof of it, and reports whether it did.
func (t *tally[K]) add(k K, p Proof) bool {
	old, ok := t.seen[k]
	if ok && !p.better(old) || !ok && len(t.seen) >= maxTally {
		return false
	}
	if t.seen == nil {
		t.seen = map[K]Proof{}
	}
	if ok {
		t.by[old.rank()]--
	}
	t.seen[k] = p
	t.by[p.rank()]++
	return true
}

// take uncounts a thing.
func (t *tally[K]) take(k K) {
	if old, ok := t.seen[k]; ok {
		t.by[old.rank()]--
		delete(t.seen, k)
	}
}

// passed reports whether there are enough things, and the best proof that enough of
// them have: forged ones beside few true ones prove nothing.
func (t *tally[K]) passed(threshold int) (Proof, bool) {
	n := 0
	for _, p := range []Proof{ByTwoWay, ByMAC, NoProof} {
		if n += t.by[p.rank()]; n >= threshold {
			return p, true
		}
	}
	return NoProof, false
}

func (t *tally[K]) count() int { return t.by[0] + t.by[1] + t.by[2] }

// peers are some of the addresses in a tally of them.
func peers(t *tally[netip.Addr]) []netip.Addr {
	out := make([]netip.Addr, 0, min(len(t.seen), maxNamed))
	for a := range t.seen {
		if len(out) == maxNamed {
			break
		}
		out = append(out, a)
	}
	return out
}

// talker is what is counted of one address.
type talker struct {
	heard   time.Time
	hosts   tally[netip.Addr]             // called, and not declared
	ports   map[netip.Addr]*tally[uint16] // of one destination each
	minute  meter
	calls   tally[call]       // not completed, by the device itself
	wanted  tally[call]       // not completed, by whomever, of this one
	done    int               // completed, in the span of wanted
	beacons map[target]*beats // to outside
	names   tally[uint64]     // digests of names that do not exist
}

// call is one attempt at a connection.
type call struct {
	peer        netip.Addr
	port, local uint16
}

// target is where somebody outside is called.
type target struct {
	addr     netip.Addr
	protocol Protocol
	port     uint16
}

const (
	maxTalkers  = 1 << 14
	maxScanned  = 16 // destinations of one talker whose ports are counted
	maxBeacons  = 64 // of one talker
	evictLookAt = 16
)

// talker finds the counts of an address. When there are too many, one of those that
// no device has gives way, of a few the one that was heard the longest ago.
func (w *Watch) talker(a netip.Addr, now time.Time) *talker {
	t := w.talkers[a]
	if t == nil {
		if len(w.talkers) >= maxTalkers {
			w.evictTalker()
		}
		t = &talker{}
		w.talkers[a] = t
	}
	t.heard = now
	return t
}

func (w *Watch) evictTalker() {
	var oldest netip.Addr
	looked := 0
	for a, t := range w.talkers { // in no order
		if w.hosts.of(a).known() {
			continue
		}
		if !oldest.IsValid() || t.heard.Before(w.talkers[oldest].heard) {
			oldest = a
		}
		if looked++; looked == evictLookAt {
			break
		}
	}
	delete(w.talkers, oldest)
}
