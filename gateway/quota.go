package gateway

import (
	"net/netip"
	"sync"
	"time"
)

// quota bounds how many records one peer's refusals may put on the ledger,
// which is never pruned: burst at once, then one each interval. What is left
// out is counted, and the next record of that peer says how many.
type quota struct {
	burst    int
	interval time.Duration

	mu    sync.Mutex
	peers map[netip.Addr]*allowance
}

type allowance struct {
	left    int       // records that may be made now
	filled  time.Time // when left was last reckoned
	omitted int       // since the last record
}

// maxQuotaPeers bounds the peers remembered. When there are more, those whose
// allowance is whole again are forgotten; if none is, a new peer gets no record.
const maxQuotaPeers = 1 << 16

func newQuota(burst int, interval time.Duration) *quota {
	return &quota{burst: burst, interval: interval, peers: map[netip.Addr]*allowance{}}
}

// take reports whether a record may be made, and how many were left out since
// the last one.
func (q *quota) take(peer netip.Addr, now time.Time) (omitted int, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	a := q.of(seatHolder(peer), now)
	if a == nil {
		return 0, false
	}
	if a.left == 0 {
		a.omitted++
		return 0, false
	}
	a.left--
	omitted, a.omitted = a.omitted, 0
	return omitted, true
}

// of finds a peer's allowance and fills it up; nil if there is no room for it.
func (q *quota) of(peer netip.Addr, now time.Time) *allowance {
	a := q.peers[peer]
	if a == nil {
		if len(q.peers) >= maxQuotaPeers && !q.forget(now) {
			return nil
		}
		a = &allowance{left: q.burst, filled: now}
		q.peers[peer] = a
	}
	if n := int(now.Sub(a.filled) / q.interval); n > 0 {
		a.left = min(q.burst, a.left+n)
		a.filled = a.filled.Add(time.Duration(n) * q.interval)
	}
	return a
}

// forget drops the peers that have nothing to tell, and reports whether there
// was one.
func (q *quota) forget(now time.Time) bool {
	before := len(q.peers)
	for peer, a := range q.peers {
		if a.omitted == 0 && now.Sub(a.filled) > time.Duration(q.burst)*q.interval {
			delete(q.peers, peer)
		}
	}
	return len(q.peers) < before
}
