// Package quota bounds what one peer may have done, so that none takes what is
// meant for all: a Quota so much in a time, a Crowd so many at a time.
//
//	q := quota.New(30, 10*time.Second)
//	if omitted, ok := q.Take(peer, time.Now()); ok { … } // record it, and how many were left out before
//	c := quota.NewCrowd[netip.Addr](64, 512)
//	if c.Enter(peer) { defer c.Leave(peer) … }
//
// What is remembered is bounded too. It will not block or wait: whoever asks for
// too much is told so.
package quota

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Quota bounds how many records one peer's refusals may put on the ledger,
// which is never pruned: burst at once, then one each interval. What is left
// out is counted: the next record of that peer says how many, or the gateway's
// own within a minute.
type Quota struct {
	burst    int
	interval time.Duration
	Exact    bool // IPv6 peers of one /64 network are told apart: each of them is known

	mu        sync.Mutex
	peers     map[netip.Addr]*allowance
	strangers int // refusals of peers for which there was no room
}

type allowance struct {
	left    int       // records that may be made now
	filled  time.Time // when left was last reckoned
	omitted int       // since they were last told
}

// maxPeers bounds the peers remembered. When there are more, those whose
// allowance is whole again are forgotten; if none is, a new peer gets no record.
const maxPeers = 1 << 16

// New lets each peer have burst at once, then one each interval.
func New(burst int, interval time.Duration) *Quota {
	return &Quota{burst: burst, interval: interval, peers: map[netip.Addr]*allowance{}}
}

// Take reports whether a record may be made, and how many were left out since
// the last one.
func (q *Quota) Take(peer netip.Addr, now time.Time) (omitted int, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.Exact {
		peer = Holder(peer)
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

// GiveBack undoes a take that was allowed.
func (q *Quota) GiveBack(peer netip.Addr) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if a := q.peers[peer]; a != nil {
		a.left = min(q.burst, a.left+1)
	}
}

// Low are some of the peers that have less than a tenth of their burst left.
func (q *Quota) Low(now time.Time) []string {
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

// Omissions are the refusals of all peers that have no record of their own.
type Omissions struct {
	Total int
	Peers int
	Named []string // some of the peers
}

// maxNamed bounds the peers named in one record.
const maxNamed = 16

// Drain returns what was left out and not told yet, and counts anew.
func (q *Quota) Drain() Omissions {
	q.mu.Lock()
	defer q.mu.Unlock()
	var o Omissions
	for peer, a := range q.peers {
		if a.omitted == 0 {
			continue
		}
		o.Total += a.omitted
		o.Peers++
		if len(o.Named) < maxNamed {
			o.Named = append(o.Named, peer.String())
		}
		a.omitted = 0
	}
	o.Total += q.strangers
	q.strangers = 0
	return o
}

// of finds a peer's allowance and fills it up; nil if there is no room for it.
func (q *Quota) of(peer netip.Addr, now time.Time) *allowance {
	a := q.peers[peer]
	if a == nil {
		if len(q.peers) >= maxPeers && !q.forget(now) {
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
func (q *Quota) forget(now time.Time) bool {
	before := len(q.peers)
	for peer, a := range q.peers {
		if missing := q.burst - a.left; a.omitted == 0 && now.Sub(a.filled) >= time.Duration(missing)*q.interval {
			delete(q.peers, peer)
		}
	}
	return len(q.peers) < before
}

// Len is how many peers are remembered.
func (q *Quota) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.peers)
}

// Holder is what a peer is counted for: an IPv4 address, or an IPv6 network, since
// a host has as many IPv6 addresses as it likes.
func Holder(peer netip.Addr) netip.Addr {
	if !peer.Is6() {
		return peer
	}
	network, _ := peer.Prefix(64) // of an IPv6 address there is one
	return network.Addr()
}
