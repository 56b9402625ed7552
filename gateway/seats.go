package gateway

import (
	"net/netip"
	"slices"
	"sync"

	"cordon/policy"
)

// seats bounds how many connections there are at a time, in all and from one
// address, so that no peer can shut the others out. A host has as many IPv6
// addresses as it likes, so those of one /64 network count as one.
//
// Devices and archives whose addresses are known have seats of their own, a few
// each: they are free whatever the others do. Who is not known gets half of all
// seats at the most, as soon as there is somebody to keep the rest for.
type seats struct {
	all, each int

	mu        sync.Mutex
	taken     int
	strangers int // of these, by peers that are not known
	byPeer    map[netip.Addr]int
	byOwner   map[owner]int // by known peers
}

// seat is one that was taken.
type seat struct {
	peer  netip.Addr
	owner owner
}

// owner is a known peer: a device, or an archive that calls. The zero owner is a
// stranger.
type owner struct {
	archive bool
	name    string
}

// eachOwner calls fn with the peers of a site that can be told by their addresses.
func eachOwner(site policy.Site, fn func(owner, []netip.Prefix)) {
	for i := range site.Devices {
		if d := &site.Devices[i]; len(d.Addresses) > 0 && !d.Denied {
			fn(owner{name: d.Name}, d.Addresses)
		}
	}
	for i := range site.Archives {
		if a := &site.Archives[i]; len(a.Addresses) > 0 {
			fn(owner{archive: true, name: a.Name}, a.Addresses)
		}
	}
}

// ownerOf is the first known peer that has the address.
func ownerOf(site policy.Site, peer netip.Addr) (found owner) {
	eachOwner(site, func(o owner, addresses []netip.Prefix) {
		if found == (owner{}) && slices.ContainsFunc(addresses, func(p netip.Prefix) bool { return p.Contains(peer) }) {
			found = o
		}
	})
	return found
}

// mostKept is how many seats are kept for one known peer where there is room.
const mostKept = 4

func newSeats(all, each int) *seats {
	return &seats{all: all, each: each, byPeer: map[netip.Addr]int{}, byOwner: map[owner]int{}}
}

// take reserves a seat, given who is known; the caller gives it back if the
// answer is true.
func (s *seats) take(peer netip.Addr, site policy.Site) (seat, bool) {
	t := seat{seatHolder(peer), ownerOf(site, peer)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.free(t, site) {
		return seat{}, false
	}
	s.taken++
	s.byPeer[t.peer]++
	if t.owner == (owner{}) {
		s.strangers++
	} else {
		s.byOwner[t.owner]++
	}
	return t, true
}

// free needs mu.
func (s *seats) free(t seat, site policy.Site) bool {
	if s.taken >= s.all || s.byPeer[t.peer] >= s.each {
		return false
	}
	known := 0
	eachOwner(site, func(owner, []netip.Prefix) { known++ })
	kept := s.kept(known)
	if t.owner != (owner{}) && s.byOwner[t.owner] < kept {
		return true
	}
	if t.owner == (owner{}) && known > 0 && s.strangers >= (s.all+1)/2 {
		return false
	}
	owed := 0 // seats that must stay free for others
	eachOwner(site, func(o owner, _ []netip.Prefix) { owed += max(0, kept-s.byOwner[o]) })
	return s.taken+owed < s.all
}

// kept is how many seats each known peer is sure of: as many as half of all seats
// allow, and one at the least where there are so many.
func (s *seats) kept(known int) int {
	if known == 0 || known > s.all {
		return 0
	}
	return max(1, min(mostKept, s.all/2/known))
}

func (s *seats) giveBack(t seat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	if s.byPeer[t.peer]--; s.byPeer[t.peer] == 0 {
		delete(s.byPeer, t.peer)
	}
	if t.owner == (owner{}) {
		s.strangers--
	} else if s.byOwner[t.owner]--; s.byOwner[t.owner] == 0 {
		delete(s.byOwner, t.owner)
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

func (s *seats) inUse() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}
