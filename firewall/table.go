package firewall

import (
	"net/netip"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
)

// table is what is to be in one of the two tables, computed and not yet anywhere.
type table struct {
	family   nftables.TableFamily
	chains   []chain
	sets     []set
	counters map[string]string // a counter's name → its key in State.Counters
	v        [2]version        // as its rules match them
}

// chain is one list of rules; without a hook it is only jumped to.
type chain struct {
	name     string
	hook     *nftables.ChainHook
	priority nftables.ChainPriority
	rules    []rule
}

type rule []expr.Any

// set is a set with its elements. Those that lapse do so at one time.
type set struct {
	name     string
	key      nftables.SetDatatype
	interval bool
	concat   bool
	dynamic  bool      // packets put elements in, of their own time
	until    time.Time // zero: none lapses
	elements []nftables.SetElement
}

const (
	// mark is the chain that says whose table it is.
	mark    = "about"
	comment = "written by Cordon; what anybody else changes here is undone " // and its owner

	// before the filters of others, after the mangling.
	priority = -10
)

// about is the chain that nothing jumps to.
func about() chain {
	return chain{name: mark, rules: []rule{{&expr.Verdict{Kind: expr.VerdictReturn}}}}
}

// aboutData is the comment on its only rule, as nft shows it.
func (k *kernel) aboutData() []byte {
	return userdata.AppendString(nil, userdata.TypeComment, k.comment)
}

// clip keeps a comment within the 128 bytes that nft shows.
func clip(owner string) string { return owner[:min(len(owner), 40)] }

// add appends rules to a chain, which is made if it is not there.
func (t *table) add(name string, rules ...rule) {
	for i := range t.chains {
		if t.chains[i].name == name {
			t.chains[i].rules = append(t.chains[i].rules, rules...)
			return
		}
	}
	t.chains = append(t.chains, chain{name: name, rules: rules})
}

// hook makes a base chain.
func (t *table) hook(name string, at *nftables.ChainHook, priority nftables.ChainPriority) {
	t.chains = append(t.chains, chain{name: name, hook: at, priority: priority})
}

// counter declares one, and is the expression that counts.
func (t *table) counter(name, key string) expr.Any {
	t.counters[name] = key
	return &expr.Objref{Type: int(nftables.ObjTypeCounter), Name: name}
}

// version is one of IP.
type version struct {
	name     string // of sets
	protocol uint16 // EtherType
	key      nftables.SetDatatype
	tuple    nftables.SetDatatype
	source   uint32 // offset in the header: RFC 791 §3.1, RFC 8200 §3
	dest     uint32
	length   uint32
	any      netip.Prefix
	icmp     uint8
	bridged  bool
	at       [4]uint32 // the registers of source, destination, protocol and port
}

// versions are IPv4 and IPv6. The registers are named as the kernel names them: 1,
// 2, 3 for the first word of 16 bytes, 8 and up for words.
var versions = [...]version{
	{
		name: "4", protocol: 0x0800, key: nftables.TypeIPAddr, source: 12, dest: 16, length: 4,
		tuple: nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService),
		any:   netip.MustParsePrefix("0.0.0.0/0"), icmp: 1, at: [4]uint32{1, 9, 10, 11},
	},
	{
		name: "6", protocol: 0x86dd, key: nftables.TypeIP6Addr, source: 8, dest: 24, length: 16,
		tuple: nftables.MustConcatSetType(nftables.TypeIP6Addr, nftables.TypeIP6Addr, nftables.TypeInetProto, nftables.TypeInetService),
		any:   netip.MustParsePrefix("::/0"), icmp: 58, at: [4]uint32{1, 2, 3, 17},
	},
}

// of picks the prefixes of a version.
func (v *version) of(all []netip.Prefix) (some []netip.Prefix) {
	for _, p := range all {
		p = unmapped(p)
		if p.Addr().Is4() == (v.length == 4) {
			some = append(some, p.Masked())
		}
	}
	return some
}

// unmapped is an IPv4 prefix that was written as an IPv6 one.
func unmapped(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}
