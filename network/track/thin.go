package track

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"cordon/network"
)

// Tuple names a conversation that a sensor need not see all of.
type Tuple struct {
	Src, Dst         netip.Addr
	SrcPort, DstPort uint16
}

const (
	busyPackets = 500 // in a second
	stillBusy   = 10 * time.Second
)

// Thin returns the busiest TCP conversations, at most n: established ones of many
// packets a second, from whose further packets only how much they carry is to be
// learned, which their sequence numbers tell. Whoever captures may leave most of
// their packets out, but for those with SYN, FIN or RST. Call it once a second, and
// do what it says or say 0.
func (t *Table) Thin(now time.Time, n int) []Tuple {
	var busy []*flow
	for f := t.talks.latest; f != nil && apart(now, f.heard) < stillBusy; f = f.older {
		grown := f.total - f.marked
		f.marked = f.total
		if f.protocol == network.TCP && f.state == network.Established && !f.waits && (f.thin || grown >= busyPackets) {
			f.grown = grown
			busy = append(busy, f)
			continue
		}
		f.thin = false
	}
	slices.SortStableFunc(busy, func(a, b *flow) int { // those that are thin stay so
		if a.thin != b.thin {
			if a.thin {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.grown, a.grown)
	})
	var out []Tuple
	for i, f := range busy {
		if f.thin = i < n; f.thin {
			out = append(out, Tuple{f.src, f.dst, f.srcPort, f.dstPort})
		}
	}
	t.stats.Busy = len(out)
	return out
}

// Sample says whether most packets with data are left out now, of all conversations.
func (t *Table) Sample(on bool) { t.sampled = on }
