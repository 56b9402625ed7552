package gateway

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// quota bounds how many records one peer's refusals may put on the ledger,
// which is never pruned: burst at once, then one each interval. What is left
// out is counted: the next record of that peer says how many, or the gateway's
// own within a minute.
type quota struct {
	burst    int
	interval time.Duration
	exact    bool // IPv6 peers of one /64 network are told apart: each of them is known

	mu        sync.Mutex
	peers     map[netip.Addr]*allowance
	strangers int // refusals of peers for which there was no room
}

type allowance struct {
	left    int       // records that may be made now
	filled  time.Time // when left was last reckoned
	omitted int       // since they were last told
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
	if !q.exact {
		peer = seatHolder(peer)
	}
	a := q.of(peer, now)
	if a == nil {
		q.strangers++
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

// giveBack undoes a take that was allowed.
func (q *quota) giveBack(peer netip.Addr) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if a := q.peers[peer]; a != nil {
		a.left = min(q.burst, a.left+1)
	}
}

// low are some of the peers that have less than a tenth of their burst left.
func (q *quota) low(now time.Time) []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	var out []string
	for peer := range q.peers {
		if len(out) < maxNamed && q.of(peer, now).left < q.burst/10 {
			out = append(out, counted(peer))
		}
	}
	slices.Sort(out)
	return out
}

// counted is how people read what a stranger is counted by.
func counted(holder netip.Addr) string {
	if holder.Is6() {
		return netip.PrefixFrom(holder, 64).String()
	}
	return holder.String()
}

// omissions are the refusals of all peers that have no record of their own.
type omissions struct {
	total int
	peers int
	named []string // some of the peers
}

// maxNamed bounds the peers named in one record.
const maxNamed = 16

// drain returns what was left out and not told yet, and counts anew.
func (q *quota) drain() omissions {
	q.mu.Lock()
	defer q.mu.Unlock()
	var o omissions
	for peer, a := range q.peers {
		if a.omitted == 0 {
			continue
		}
		o.total += a.omitted
		o.peers++
		if len(o.named) < maxNamed {
			o.named = append(o.named, peer.String())
		}
		a.omitted = 0
	}
	o.total += q.strangers
	q.strangers = 0
	return o
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
		if missing := q.burst - a.left; a.omitted == 0 && now.Sub(a.filled) >= time.Duration(missing)*q.interval {
			delete(q.peers, peer)
		}
	}
	return len(q.peers) < before
}
