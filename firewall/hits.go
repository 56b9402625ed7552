package firewall

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Hit is one thing that a plan did not allow: it passed, in shadow, or was dropped.
type Hit struct {
	From     netip.Addr `json:"from"`
	To       netip.Addr `json:"to"`
	Protocol uint8      `json:"protocol"`
	Port     uint16     `json:"port"`    // at To
	Packets  uint64     `json:"packets"` // that began something
	Last     time.Time  `json:"last"`
}

const (
	// hitLasts is how long a hit is remembered after its last packet.
	hitLasts = 7 * 24 * time.Hour
	// maxHits bounds those of one version of IP; there is no room for others then.
	maxHits = 1 << 16
)

func hitsSet(v *version) string { return "hits_" + v.name }

// refused is what becomes of what a plan does not allow: the first packet of each
// connection is noted, by who sent it to whom.
func (t *table) refused(verdict expr.Any) string {
	const chain = "refused"
	for i := range t.v {
		v := &t.v[i]
		if t.family != nftables.TableFamilyINet { // the kernel may know no connections on bridges
			continue
		}
		t.sets = append(t.sets, set{name: hitsSet(v), key: v.tuple, concat: true, dynamic: true})
		t.add(chain, when(v.ip(), fresh(), []expr.Any{
			v.load(v.source, v.at[0]),
			v.load(v.dest, v.at[1]),
			&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: v.at[2]},
			&expr.Payload{DestRegister: v.at[3], Base: expr.PayloadBaseTransportHeader, Offset: destinationPort, Len: 2},
			&expr.Dynset{SrcRegKey: v.at[0], SetName: hitsSet(v), Operation: uint32(unix.NFT_DYNSET_OP_UPDATE), Timeout: hitLasts, Exprs: []expr.Any{&expr.Counter{}}},
		}))
	}
	t.add(chain, when(do(verdict)))
	return chain
}

// Hits are what the plan did not allow in the last seven days, the latest first. They
// end with the plan.
func (f *Firewall) Hits(ctx context.Context) ([]Hit, error) {
	c, err := f.kernel.dial()
	if err != nil {
		return nil, explain(err)
	}
	var all []Hit
	for i := range versions {
		v := &versions[i]
		s, err := c.GetSetByName(f.kernel.of(nftables.TableFamilyINet), hitsSet(v))
		if errors.Is(err, syscall.ENOENT) {
			continue
		}
		if err != nil {
			return nil, explain(err)
		}
		elements, err := c.GetSetElements(s)
		if err != nil {
			return nil, explain(err)
		}
		for _, e := range elements {
			h, err := v.hit(e, time.Now())
			if err != nil {
				return nil, err
			}
			all = append(all, h)
		}
	}
	slices.SortFunc(all, func(a, b Hit) int { return b.Last.Compare(a.Last) })
	return all, ctx.Err()
}

// hit reads an element: source, destination, protocol and port, each in whole words.
func (v *version) hit(e nftables.SetElement, now time.Time) (h Hit, err error) {
	n := int(v.length)
	if len(e.Key) != 2*n+8 {
		return h, fmt.Errorf("nftables: a hit of %d bytes; expected %d", len(e.Key), 2*n+8)
	}
	h.From, _ = netip.AddrFromSlice(e.Key[:n])
	h.To, _ = netip.AddrFromSlice(e.Key[n : 2*n])
	h.Protocol, h.Port = e.Key[2*n], binary.BigEndian.Uint16(e.Key[2*n+4:])
	if e.Counter != nil {
		h.Packets = e.Counter.Packets
	}
	h.Last = now.Add(e.Expires - hitLasts).UTC()
	return h, nil
}
