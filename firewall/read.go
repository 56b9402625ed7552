package firewall

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// found is what the kernel has of one table.
type found struct {
	family nftables.TableFamily
	chains []chain
	sets   []set // elements in the order of their keys
	counts map[string]Count
	mark   string // what is said in it of whose it is
	ours   bool   // that is us
	lost   bool   // it is ours, and its mark was taken out: see Firewall.lost
}

// generation numbers what the kernel's rules were and are: each transaction of
// anybody's is another. In a notification, by is whose it was.
type generation struct {
	id      uint32
	process uint32
	by      string
}

// generation asks for it (NFT_MSG_GETGEN of linux/netfilter/nf_tables.h).
func (k *kernel) generation() (g generation, err error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return g, err
	}
	defer c.Close()
	answers, err := c.Execute(netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETGEN), Flags: netlink.Request},
		Data:   []byte{unix.AF_UNSPEC, 0, 0, 0}, // struct nfgenmsg
	})
	if err != nil {
		return g, err
	}
	if len(answers) != 1 || len(answers[0].Data) < 4 {
		return g, errors.New("nftables: no generation in the kernel's answer")
	}
	return decodeGeneration(answers[0].Data[4:])
}

func decodeGeneration(attributes []byte) (g generation, err error) {
	ad, err := netlink.NewAttributeDecoder(attributes)
	if err != nil {
		return g, err
	}
	ad.ByteOrder = binary.BigEndian
	var program string
	for ad.Next() {
		switch ad.Type() {
		case unix.NFTA_GEN_ID:
			g.id = ad.Uint32()
		case unix.NFTA_GEN_PROC_PID:
			g.process = ad.Uint32()
		case unix.NFTA_GEN_PROC_NAME:
			program = ad.String()
		}
	}
	g.by = fmt.Sprintf("%.16q, process %d", program, g.process)
	return g, ad.Err()
}

// read is what the kernel has, and a generation at which it had it. Others may change
// their own tables all the time: what was the same in two readings, one after the
// other, was so at the generation between them.
func (k *kernel) read() (all []found, g generation, err error) {
	const tries = 20 // a tenth of a second and more
	var before []found
	known := false // what before is
	for range tries {
		if g, err = k.generation(); err != nil {
			return nil, g, err
		}
		all, err = k.readOnce()
		after, genErr := k.generation()
		switch {
		case genErr != nil:
			return nil, g, genErr
		case err == nil && after.id == g.id:
			return all, g, nil
		case err == nil && known && slices.EqualFunc(before, all, found.same):
			return all, g, nil
		case err != nil && after.id == g.id && !passing(err):
			return nil, g, err
		}
		before, known = all, err == nil
		time.Sleep(5 * time.Millisecond)
	}
	if err == nil {
		err = fmt.Errorf("somebody changes the table all the time: %w", syscall.EAGAIN)
	}
	return nil, g, err
}

// same reports whether two readings of a table differ in no more than in what packets
// change.
func (f found) same(g found) bool {
	return f.family == g.family && f.mark == g.mark && f.ours == g.ours &&
		slices.EqualFunc(f.chains, g.chains, func(c, d chain) bool { return c.same(d) && equalRules(f.family, c.rules, d.rules) }) &&
		slices.EqualFunc(f.sets, g.sets, set.same) &&
		maps.EqualFunc(f.counts, g.counts, func(Count, Count) bool { return true })
}

// none reports whether an error says that there is no such thing.
func none(err error, f nftables.TableFamily) bool {
	return errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EOPNOTSUPP) && f == nftables.TableFamilyBridge
}

func (k *kernel) readOnce() (all []found, err error) {
	c, err := k.dial()
	if err != nil {
		return nil, err
	}
	for _, f := range families {
		t, err := c.ListTableOfFamily(k.table, f)
		if none(err, f) {
			continue
		}
		if err != nil {
			return nil, err
		}
		one, err := k.readTable(c, t)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

func (k *kernel) readTable(c *nftables.Conn, t *nftables.Table) (f found, err error) {
	f = found{family: t.Family, counts: map[string]Count{}}
	chains, err := c.ListChainsOfTableFamily(t.Family)
	if err != nil {
		return f, err
	}
	for _, ch := range chains {
		if ch.Table.Name != k.table {
			continue
		}
		if err := f.readChain(k, c, t, ch); err != nil {
			return f, err
		}
	}
	sets, err := c.GetSets(t)
	if err != nil {
		return f, err
	}
	for _, s := range sets {
		elements, err := c.GetSetElements(s)
		if err != nil {
			return f, err
		}
		slices.SortFunc(elements, order)
		f.sets = append(f.sets, set{name: s.Name, key: s.KeyType, interval: s.Interval, concat: s.Concatenation, dynamic: s.Dynamic, elements: elements})
	}
	objects, err := c.GetNamedObjects(t)
	for _, o := range objects {
		if n, ok := o.(*nftables.NamedObj); ok {
			if count, ok := n.Obj.(*expr.Counter); ok {
				f.counts[n.Name] = Count{count.Packets, count.Bytes}
			}
		}
	}
	return f, err
}

func (f *found) readChain(k *kernel, c *nftables.Conn, t *nftables.Table, ch *nftables.Chain) error {
	one := chain{name: ch.Name, hook: ch.Hooknum}
	if ch.Priority != nil {
		one.priority = *ch.Priority
	}
	rules, err := c.GetRules(t, ch)
	if err != nil {
		return err
	}
	for _, r := range rules {
		one.rules = append(one.rules, r.Exprs)
		said, _ := userdata.GetString(r.UserData, userdata.TypeComment)
		if ch.Name == mark && said != "" {
			f.mark, f.ours = said, said == k.comment
		}
	}
	f.chains = append(f.chains, one)
	return nil
}

// order is that of keys, the end of one interval before the start of the next.
func order(a, b nftables.SetElement) int {
	if c := bytes.Compare(a.Key, b.Key); c != 0 {
		return c
	}
	if c := bytes.Compare(a.KeyEnd, b.KeyEnd); c != 0 {
		return c
	}
	switch {
	case a.IntervalEnd == b.IntervalEnd:
		return 0
	case a.IntervalEnd:
		return -1
	}
	return 1
}

// differs says how what the kernel has is not what is wanted; "" if it is.
func differs(want []table, have []found, now time.Time) string {
	for _, f := range families {
		i := slices.IndexFunc(want, func(t table) bool { return t.family == f })
		j := slices.IndexFunc(have, func(t found) bool { return t.family == f })
		switch {
		case i < 0 && j < 0:
		case i < 0 && !have[j].ours && !have[j].lost: // somebody else's
		case i < 0:
			return "there is a table and should be none"
		case j < 0:
			return "the table is gone"
		default:
			if why := want[i].differs(have[j], now); why != "" {
				return why
			}
		}
	}
	return ""
}

func (t table) differs(f found, now time.Time) string {
	if !f.ours {
		return "the table has not the mark that it was written by Cordon"
	}
	if len(t.chains) != len(f.chains) {
		return fmt.Sprintf("it has %d chains, not %d", len(f.chains), len(t.chains))
	}
	for _, c := range t.chains {
		i := slices.IndexFunc(f.chains, c.same)
		if i < 0 {
			return "chain " + c.name + " is missing, or hangs elsewhere"
		}
		if !equalRules(t.family, c.rules, f.chains[i].rules) {
			return "the rules of chain " + c.name + " are others"
		}
	}
	if len(t.sets) != len(f.sets) {
		return fmt.Sprintf("it has %d sets, not %d", len(f.sets), len(t.sets))
	}
	for _, s := range t.sets {
		i := slices.IndexFunc(f.sets, func(g set) bool { return g.name == s.name })
		if i < 0 || !s.equal(f.sets[i], now) {
			return "set " + s.name + " is missing, or its elements are others"
		}
	}
	for name := range t.counters {
		if _, there := f.counts[name]; !there {
			return "counter " + name + " is missing"
		}
	}
	return ""
}

// same reports whether two readings of a set have the same elements, if those are not
// packets' to change.
func (s set) same(o set) bool {
	return s.name == o.name && s.dynamic == o.dynamic && (s.dynamic || slices.EqualFunc(s.elements, o.elements, func(a, b nftables.SetElement) bool {
		return order(a, b) == 0 && (a.Timeout == 0) == (b.Timeout == 0)
	}))
}

// equal compares elements. Those that lapse may be gone once it is time.
func (s set) equal(have set, now time.Time) bool {
	if s.dynamic || !s.until.IsZero() && !now.Before(s.until.Add(-time.Second)) {
		return true
	}
	want := slices.Clone(s.elements)
	slices.SortFunc(want, order)
	return slices.EqualFunc(want, have.elements, func(a, b nftables.SetElement) bool {
		return order(a, b) == 0 && (a.IntervalEnd || s.until.IsZero() == (b.Timeout == 0))
	})
}

func equalRules(f nftables.TableFamily, want, have []rule) bool {
	return slices.EqualFunc(want, have, func(a, b rule) bool { return bytes.Equal(encoded(f, a), encoded(f, b)) })
}

// encoded is a rule as bytes, without what the library cannot read back.
func encoded(f nftables.TableFamily, r rule) (out []byte) {
	for _, e := range r {
		switch x := e.(type) {
		case *expr.TProxy, *expr.Socket:
			continue // a target is in registers, loaded by what stands before it
		case *expr.Objref:
			e = &expr.Objref{Type: x.Type, Name: strings.TrimRight(x.Name, "\x00")}
		case *expr.Dynset:
			e = &expr.Dynset{SrcRegKey: x.SrcRegKey, SetName: strings.TrimRight(x.SetName, "\x00"), Operation: x.Operation, Timeout: x.Timeout}
		case *expr.Lookup:
			e = &expr.Lookup{SourceRegister: x.SourceRegister, SetName: x.SetName, Invert: x.Invert, IsDestRegSet: x.IsDestRegSet, DestRegister: x.DestRegister}
		}
		b, err := expr.Marshal(byte(f), e)
		if err != nil {
			return nil
		}
		out = append(out, b...)
	}
	return out
}
