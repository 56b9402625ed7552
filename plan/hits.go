package plan

import (
	"context"
	"net/netip"
	"time"
)

// Hit is something that the plan which is applied does not allow, with names.
type Hit struct {
	Device   string     `json:"device,omitempty"`
	Zone     string     `json:"zone,omitempty"`
	From     netip.Addr `json:"from"`
	Peer     string     `json:"peer,omitempty"`
	PeerZone string     `json:"peer_zone,omitempty"`
	To       netip.Addr `json:"to"`
	Protocol uint8      `json:"protocol"`
	Port     uint16     `json:"port"`
	Times    uint64     `json:"times"` // connections that began
	Last     time.Time  `json:"last"`
}

// Hits are what the plan that is applied stopped, or in shadow would have stopped,
// in seven days, the latest first.
func (b *Book) Hits(ctx context.Context) ([]Hit, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state.Mode == Off {
		return nil, nil
	}
	s, err := b.p.Sources(ctx)
	if err != nil {
		return nil, err
	}
	all, err := b.p.Firewall.Hits(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Hit, 0, len(all))
	for _, h := range all {
		out = append(out, Hit{
			Device: s.deviceAt(h.From), Zone: s.zoneAt(host(h.From)), From: h.From, Peer: s.deviceAt(h.To), PeerZone: s.zoneAt(host(h.To)), To: h.To,
			Protocol: h.Protocol, Port: h.Port, Times: h.Packets, Last: h.Last,
		})
	}
	return out, nil
}
