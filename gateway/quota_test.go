package gateway

import (
	"context"
	"net/netip"
	"testing"
	"time"
)

func TestQuotaCountsWhatItLeavesOut(t *testing.T) {
	q := newQuota(3, time.Minute)
	now := time.Now()
	peer := netip.MustParseAddr("192.0.2.1")
	made := 0
	for range 100 {
		if _, ok := q.take(peer, now); ok {
			made++
		}
	}
	if made != 3 {
		t.Errorf("%d records at once, want 3", made)
	}
	if _, ok := q.take(netip.MustParseAddr("192.0.2.2"), now); !ok {
		t.Error("another peer has no allowance of its own")
	}
	if omitted, ok := q.take(peer, now.Add(time.Minute)); !ok || omitted != 97 {
		t.Errorf("a minute later: %v, %d left out, want 97", ok, omitted)
	}
	if _, ok := q.take(peer, now.Add(time.Minute)); ok {
		t.Error("more than one record a minute")
	}
}

func TestQuotaIsBounded(t *testing.T) {
	q := newQuota(1, time.Second)
	now := time.Now()
	for i := range maxQuotaPeers + 10 {
		q.take(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), now)
	}
	if len(q.peers) > maxQuotaPeers {
		t.Errorf("%d peers are remembered", len(q.peers))
	}
	if _, ok := q.take(netip.MustParseAddr("192.0.2.1"), now.Add(time.Minute)); !ok {
		t.Error("peers that have been quiet are not forgotten")
	}
}

// A peer that is rejected again and again must not fill the ledger's disk.
func TestRejectionsDoNotFloodTheLedger(t *testing.T) {
	h := start(t)
	for range 5 * maxRefusals {
		_, err := h.associate("CT1", "NOBODY")
		asRejection(t, err)
	}
	if n := len(h.recorded("association.rejected")); n != maxRefusals {
		t.Errorf("%d records of %d rejections, want %d", n, 5*maxRefusals, maxRefusals)
	}
	h.gateway.recordOmission(context.Background())
	if told := h.recorded("refusals.omitted"); len(told) != 1 || told[0]["omitted"] != float64(4*maxRefusals) || told[0]["peers"] != float64(1) {
		t.Errorf("what was left out: %v", told)
	}
	h.gateway.recordOmission(context.Background())
	if n := len(h.recorded("refusals.omitted")); n != 1 {
		t.Errorf("told %d times", n)
	}
	if st, err := h.gateway.Status(context.Background()); err != nil || st.Objects.Rejected != 5*maxRefusals {
		t.Errorf("counted %d, %v", st.Objects.Rejected, err)
	}
}
