package firewall

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
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
	Packets  uint64     `json:"packets"` // that began something; on a bridge, every one of UDP, both ways
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
		t.sets = append(t.sets, set{name: hitsSet(v), key: v.tuple, concat: true, dynamic: true})
		if t.family == nftables.TableFamilyINet {
			t.add(chain, when(v.ip(), fresh(), v.note()))
			continue
		}
		// The kernel may know no connections on bridges: of TCP it is what opens one, of
		// UDP whatever answers nothing that is noted.
		t.add(chain, when(v.ip(), opening(), v.note()))
		t.add(chain, when(protocol(expr.CmpOpEq, unix.IPPROTO_UDP), v.answers(hitsSet(v)), do(verdict)))
		t.add(chain, when(v.ip(), protocol(expr.CmpOpEq, unix.IPPROTO_UDP), v.note()))
	}
	t.add(chain, when(do(verdict)))
	return chain
}

// note puts who sent a packet to whom into the set of hits.
func (v *version) note() []expr.Any {
	return []expr.Any{
		v.load(v.source, v.at[0]),
		v.load(v.dest, v.at[1]),
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: v.at[2]},
		&expr.Payload{DestRegister: v.at[3], Base: expr.PayloadBaseTransportHeader, Offset: destinationPort, Len: 2},
		&expr.Dynset{SrcRegKey: v.at[0], SetName: hitsSet(v), Operation: uint32(unix.NFT_DYNSET_OP_UPDATE), Timeout: hitLasts, Exprs: []expr.Any{&expr.Counter{}}},
	}
}

// Hits are what the plan did not allow in the last seven days, the latest first. They
// end with the plan.
func (f *Firewall) Hits(ctx context.Context) ([]Hit, error) {
	c, err := f.kernel.dial()
	if err != nil {
		return nil, explain(err)
	}
	var all []Hit
	for _, family := range families {
		for i := range versions {
			some, err := f.noted(c, family, &versions[i])
			if err != nil {
				return nil, err
			}
			all = append(all, some...)
		}
	}
	all = together(all)
	slices.SortFunc(all, func(a, b Hit) int { return b.Last.Compare(a.Last) })
	return all, ctx.Err()
}

// together makes one of hits of the same: the kernel may show rules between networks
// what passes a bridge as well (br_netfilter).
func together(all []Hit) (out []Hit) {
	type key struct {
		from, to netip.Addr
		protocol uint8
		port     uint16
	}
	at := map[key]int{}
	for _, h := range all {
		k := key{h.From, h.To, h.Protocol, h.Port}
		i, there := at[k]
		if !there {
			at[k] = len(out)
			out = append(out, h)
			continue
		}
		out[i].Packets = max(out[i].Packets, h.Packets)
		if h.Last.After(out[i].Last) {
			out[i].Last = h.Last
		}
	}
	return out
}

// noted are the hits of one version of IP, between networks or on bridges.
func (f *Firewall) noted(c *nftables.Conn, family nftables.TableFamily, v *version) (all []Hit, err error) {
	s, err := c.GetSetByName(f.kernel.of(family), hitsSet(v))
	if none(err, family) {
		return nil, nil
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
	return all, nil
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
