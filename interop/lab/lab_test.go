package lab

import (
	"net/netip"
	"testing"
	"time"
)

// Everybody reaches everybody through the router, until somebody forbids it.
func TestHospitalIsConnected(t *testing.T) {
	for name, shape := range map[string]Shape{"routed": Routed, "bridged": Bridged} {
		t.Run(name, func(t *testing.T) {
			h := New(t, shape)
			for _, to := range h.Hosts() {
				to.Expose(t, 445)
			}
			for _, from := range h.Hosts() {
				for _, to := range h.Hosts() {
					for _, a := range []netip.Addr{to.Addr, to.Addr6} {
						c, err := from.Dial(netip.AddrPortFrom(a, 445).String(), time.Second)
						if err != nil {
							t.Errorf("%s to %s: %v", from.Name, to.Name, err)
							continue
						}
						c.Close()
					}
				}
			}
		})
	}
}

func TestWormIsSeenAndCounted(t *testing.T) {
	h := New(t, Routed)
	victim := h.General.Expose(t, 445)
	packets := h.General.Count(t, h.US1, "tcp dport 445")
	others := h.General.Count(t, h.US2)
	var targets []netip.AddrPort
	for _, a := range h.Further(20) {
		targets = append(targets, netip.AddrPortFrom(a, 445))
	}
	w := h.US1.Infect(t, targets, 100)
	deadline := time.Now().Add(10 * time.Second)
	for w.Reached() < 20 && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	h.Router.Run(t, "nft", "table inet block { chain forward { type filter hook forward priority 0; ip saddr "+h.US1.Addr.String()+" drop; }; }")
	time.Sleep(200 * time.Millisecond)
	before := packets.Packets(t)
	time.Sleep(300 * time.Millisecond)
	if after := packets.Packets(t); after != before || before < 20 {
		t.Errorf("%d packets, then %d", before, after)
	}
	w.Stop()
	if len(victim.Hits()) < 20 || w.Tries() <= w.Reached() || others.Packets(t) != 0 {
		t.Errorf("%d hits, %d of %d reached, %d of others", len(victim.Hits()), w.Reached(), w.Tries(), others.Packets(t))
	}
}
