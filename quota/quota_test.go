package quota

import (
	"net/netip"
	"testing"
	"time"
)

func TestQuotaCountsWhatItLeavesOut(t *testing.T) {
	q := New(3, time.Minute)
	now := time.Now()
	peer := netip.MustParseAddr("192.0.2.1")
	made := 0
	for range 100 {
		if _, ok := q.Take(peer, now); ok {
			made++
		}
	}
	if made != 3 {
		t.Errorf("%d records at once, want 3", made)
	}
	if _, ok := q.Take(netip.MustParseAddr("192.0.2.2"), now); !ok {
		t.Error("another peer has no allowance of its own")
	}
	if omitted, ok := q.Take(peer, now.Add(time.Minute)); !ok || omitted != 97 {
		t.Errorf("a minute later: %v, %d left out, want 97", ok, omitted)
	}
	if _, ok := q.Take(peer, now.Add(time.Minute)); ok {
		t.Error("more than one record a minute")
	}
}

func TestQuotaIsBounded(t *testing.T) {
	q := New(1, time.Second)
	now := time.Now()
	for i := range maxPeers + 10 {
		q.Take(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), now)
	}
	if len(q.peers) > maxPeers {
		t.Errorf("%d peers are remembered", len(q.peers))
	}
	if _, ok := q.Take(netip.MustParseAddr("192.0.2.1"), now.Add(time.Minute)); !ok {
		t.Error("peers that have been quiet are not forgotten")
	}
}
