package gateway

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"cordon/quota"
)

// still keeps a peer's quota as it is: nothing is given back for an hour.
func still(q *quota.Quota, peer netip.Addr) {
	q.Take(peer, time.Now().Add(time.Hour))
	q.GiveBack(peer)
}

// A peer that is rejected again and again must not fill the ledger's disk.
func TestRejectionsDoNotFloodTheLedger(t *testing.T) {
	h := start(t)
	still(h.gateway.refusals, netip.MustParseAddr("127.0.0.1"))
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
