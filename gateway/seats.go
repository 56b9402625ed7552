package gateway

import (
	"net/netip"
	"sync"

	"cordon/policy"
	"cordon/quota"
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

// caller is who opens a connection, as far as its address tells.
type caller struct {
	holder netip.Addr // what is counted for it: its address; for a stranger with IPv6 the network
	owner  owner
}

// callerOf looks an address up.
func callerOf(site policy.Site, peer netip.Addr) caller {
	c := caller{peer, ownerOf(site, peer)}
	if !c.known() {
		c.holder = quota.Holder(peer)
	}
	return c
}

func (c caller) known() bool { return c.owner != owner{} }

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

// ownerOf is the known peer that has the address: of several the one that names it
// most exactly, then the first.
func ownerOf(site policy.Site, peer netip.Addr) (found owner) {
	bits := -1
	eachOwner(site, func(o owner, addresses []netip.Prefix) {
		for _, p := range addresses {
			if p.Contains(peer) && p.Bits() > bits {
				found, bits = o, p.Bits()
			}
		}
	})
	return found
}

// mostKept is how many seats are kept for one known peer where there is room.
const mostKept = 4

func newSeats(all, each int) *seats {
	return &seats{all: all, each: each, byPeer: map[netip.Addr]int{}, byOwner: map[owner]int{}}
}

// take reserves a seat for c, given who is known. Whoever asks gives it back if the
// answer is true.
func (s *seats) take(c caller, site policy.Site) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.free(c, site) {
		return false
	}
	s.taken++
	s.byPeer[c.holder]++
	if c.known() {
		s.byOwner[c.owner]++
	} else {
		s.strangers++
	}
	return true
}

// free needs mu.
func (s *seats) free(c caller, site policy.Site) bool {
	if s.taken >= s.all || s.byPeer[c.holder] >= s.each {
		return false
	}
	known := 0
	eachOwner(site, func(owner, []netip.Prefix) { known++ })
	kept := s.kept(known)
	if c.known() && s.byOwner[c.owner] < kept {
		return true
	}
	if !c.known() && known > 0 && s.strangers >= (s.all+1)/2 {
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

func (s *seats) giveBack(c caller) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	if s.byPeer[c.holder]--; s.byPeer[c.holder] == 0 {
		delete(s.byPeer, c.holder)
	}
	if !c.known() {
		s.strangers--
	} else if s.byOwner[c.owner]--; s.byOwner[c.owner] == 0 {
		delete(s.byOwner, c.owner)
	}
}

func (s *seats) inUse() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}
