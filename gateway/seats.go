package gateway

import (
	"net/netip"
	"sync"
)

// seats bounds how many associations there are at a time, in all and from one
// address, so that no peer can shut the others out. A host has as many IPv6
// addresses as it likes, so those of one /64 network count as one. There are a few standing
// places for peers that are told to come back later.
type seats struct {
	mu        sync.Mutex
	taken     int
	all, each int
	byPeer    map[netip.Addr]int
	standing  int
}

// maxStanding bounds the peers that are being turned away at a time; more are
// hung up on.
const maxStanding = 32

func newSeats(all, each int) *seats {
	return &seats{all: all, each: each, byPeer: map[netip.Addr]int{}}
}

// take reserves a seat; the caller must give it back if the answer is true.
func (s *seats) take(peer netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	peer = seatHolder(peer)
	if s.taken >= s.all || s.byPeer[peer] >= s.each {
		return false
	}
	s.taken++
	s.byPeer[peer]++
	return true
}

func (s *seats) giveBack(peer netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	peer = seatHolder(peer)
	s.taken--
	if s.byPeer[peer]--; s.byPeer[peer] == 0 {
		delete(s.byPeer, peer)
	}
}

// seatHolder is what seats are counted for: an IPv4 address, or an IPv6 network.
func seatHolder(peer netip.Addr) netip.Addr {
	if !peer.Is6() {
		return peer
	}
	network, _ := peer.Prefix(64) // of an IPv6 address there is one
	return network.Addr()
}

func (s *seats) takeStanding() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.standing >= maxStanding {
		return false
	}
	s.standing++
	return true
}

func (s *seats) giveBackStanding() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.standing--
}

func (s *seats) inUse() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}
