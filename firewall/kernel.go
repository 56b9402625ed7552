package firewall

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
)

// kernel is the packet filter of a network namespace.
type kernel struct {
	table   string
	comment string // that marks it as ours
}

var families = [...]nftables.TableFamily{nftables.TableFamilyINet, nftables.TableFamilyBridge}

// receive is for the answers to one transaction: each rule comes back.
const receive = 8 << 20

func (k *kernel) dial() (*nftables.Conn, error) {
	return nftables.New(nftables.WithSockOptions(func(c *netlink.Conn) error {
		return c.SetReadBuffer(receive)
	}))
}

// replace makes the tables be those that are wanted, in one transaction. had is what
// the kernel has; last are what counters said that it may have lost.
func (k *kernel) replace(want []table, had []found, last map[string]Count) error {
	c, err := k.dial()
	if err != nil {
		return err
	}
	for _, f := range families {
		i := slices.IndexFunc(want, func(t table) bool { return t.family == f })
		j := slices.IndexFunc(had, func(t found) bool { return t.family == f })
		switch {
		case i < 0 && j < 0:
		case i < 0 && !had[j].ours && !had[j].lost: // somebody else's
		case i < 0:
			c.DelTable(k.of(f))
		case j < 0:
			c.AddTable(k.of(f))
			if err := k.fill(c, want[i], found{}, last); err != nil {
				return err
			}
		default:
			k.clear(c, want[i], had[j])
			if err := k.fill(c, want[i], had[j], last); err != nil {
				return err
			}
		}
	}
	return c.Flush()
}

func (k *kernel) of(f nftables.TableFamily) *nftables.Table {
	return &nftables.Table{Name: k.table, Family: f}
}

// clear takes out all but the counters and base chains that stay.
func (k *kernel) clear(c *nftables.Conn, want table, had found) {
	t := k.of(want.family)
	c.FlushTable(t)
	for _, ch := range had.chains {
		if !slices.ContainsFunc(want.chains, ch.same) {
			c.DelChain(&nftables.Chain{Table: t, Name: ch.name})
		}
	}
	for _, s := range had.sets {
		if slices.ContainsFunc(want.sets, s.stays) {
			continue
		}
		c.DelSet(&nftables.Set{Table: t, Name: s.name})
	}
	for name := range had.counts {
		if _, stays := want.counters[name]; !stays {
			c.DeleteObject(&nftables.NamedObj{Table: t, Name: name, Type: nftables.ObjTypeCounter})
		}
	}
}

// fill puts in what is wanted and is not there.
func (k *kernel) fill(c *nftables.Conn, want table, had found, last map[string]Count) error {
	t := k.of(want.family)
	for name, key := range want.counters {
		if _, there := had.counts[name]; !there {
			n := last[countKey(want.family, key)]
			c.AddObj(&nftables.NamedObj{Table: t, Name: name, Type: nftables.ObjTypeCounter, Obj: &expr.Counter{Packets: n.Packets, Bytes: n.Bytes}})
		}
	}
	for _, s := range want.sets {
		if slices.ContainsFunc(had.sets, s.stays) {
			continue
		}
		if err := addSet(c, t, s); err != nil {
			return fmt.Errorf("set %s: %w", s.name, err)
		}
	}
	for _, ch := range want.chains {
		if !slices.ContainsFunc(had.chains, ch.same) {
			c.AddChain(ch.kernels(t))
		}
	}
	for _, ch := range want.chains {
		for _, r := range ch.rules {
			kr := &nftables.Rule{Table: t, Chain: &nftables.Chain{Name: ch.name}, Exprs: r}
			if ch.name == mark {
				kr.UserData = k.aboutData()
			}
			c.AddRule(kr)
		}
	}
	return nil
}

// stays reports whether a set is one that packets fill, and is there before and after.
func (s set) stays(o set) bool { return s.name == o.name && s.dynamic && o.dynamic }

// same reports whether a chain hangs where another does.
func (c chain) same(d chain) bool {
	return c.name == d.name && (c.hook == nil) == (d.hook == nil) && (c.hook == nil || *c.hook == *d.hook && c.priority == d.priority)
}

func (c chain) kernels(t *nftables.Table) *nftables.Chain {
	out := &nftables.Chain{Table: t, Name: c.name}
	if c.hook != nil {
		out.Type, out.Hooknum, out.Priority = nftables.ChainTypeFilter, c.hook, &c.priority
	}
	return out
}

// chunk is how many elements go into one message, whose attribute has 64 KiB.
const chunk = 400

func addSet(c *nftables.Conn, t *nftables.Table, s set) error {
	ks := &nftables.Set{Table: t, Name: s.name, KeyType: s.key, Interval: s.interval, Concatenation: s.concat, HasTimeout: s.dynamic || !s.until.IsZero(), Dynamic: s.dynamic}
	if s.dynamic {
		ks.Size = maxHits
	}
	if err := c.AddSet(ks, nil); err != nil {
		return err
	}
	elements := slices.Clone(s.elements)
	for i := range elements {
		if !s.until.IsZero() && !elements[i].IntervalEnd {
			elements[i].Timeout = max(time.Until(s.until), time.Millisecond)
		}
	}
	for some := range slices.Chunk(elements, chunk) {
		if err := c.SetAddElements(ks, some); err != nil {
			return err
		}
	}
	return nil
}

// passing reports whether an error may be gone the next time.
func passing(err error) bool {
	for _, e := range []error{syscall.EAGAIN, syscall.EBUSY, syscall.EINTR, syscall.ENOBUFS, syscall.ENOMEM, syscall.ETIMEDOUT} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// explain says what a person can do about it.
func explain(err error) error {
	switch {
	case err == nil, errors.Is(err, ErrNotEnforced):
		return err
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%w: nftables: %w (Cordon needs CAP_NET_ADMIN: AmbientCapabilities=CAP_NET_ADMIN in its unit)", ErrNotEnforced, err)
	case errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.EPROTONOSUPPORT), errors.Is(err, syscall.EAFNOSUPPORT):
		return fmt.Errorf("%w: nftables: %w (this kernel is without nf_tables, or a part of it: the modules nf_tables, nft_fib_inet, nft_ct, nft_tproxy, nft_socket)", ErrNotEnforced, err)
	case errors.Is(err, syscall.ENOENT):
		return fmt.Errorf("%w: nftables: %w (the kernel does not know an expression: the modules nft_fib_inet, nft_ct, nft_tproxy, nft_socket)", ErrNotEnforced, err)
	}
	return fmt.Errorf("nftables: %w", err)
}
