package deadman

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// TableName is the only table of nftables that is ever written, made or removed.
const TableName = "cordon_deadman"

// Table is a Path made of rules of nftables, in the network namespace of the
// process. It needs CAP_NET_ADMIN:
//
//	table inet cordon_deadman {
//	  set open { type inet_service; flags timeout; elements = { 104 timeout 30s } }
//	  chain past { type nat hook prerouting priority dstnat;
//	    fib daddr type local ip daddr 10.20.0.10 tcp dport @open dnat ip to 10.30.0.5:11112 }
//	  chain back { type nat hook postrouting priority srcnat;
//	    ip daddr 10.30.0.5 tcp dport 11112 ct status dnat ct original proto-dst 104 masquerade }
//	}
//
// The archive sees this machine's address, as it does through Cordon. Once the
// element has lapsed the rules match nothing that is new.
type Table struct {
	listen, to netip.AddrPort
}

// NewTable returns the Path from one listener to one archive. It fails where the
// machine cannot do it.
func NewTable(listen, to netip.AddrPort) (*Table, error) {
	listen, to = netip.AddrPortFrom(listen.Addr().Unmap(), listen.Port()), netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	switch {
	case to.Addr().IsLoopback() || to.Addr().IsUnspecified():
		return nil, fmt.Errorf("the archive's address %s is this machine's own: only a program here reaches it, and no rule leads there", to)
	case listen.Addr().IsLoopback():
		return nil, fmt.Errorf("gateway.listen %s is reached by no modality: there is nothing to lead past it", listen)
	case !listen.Addr().IsUnspecified() && listen.Addr().Is4() != to.Addr().Is4():
		return nil, fmt.Errorf("%s and %s are of different IP versions: no rule leads from one to the other", listen, to)
	}
	if err := forwards(to.Addr()); err != nil {
		return nil, err
	}
	t := &Table{listen, to}
	if err := t.Close(); err != nil { // says at once what is not permitted, and removes what a watcher left
		return nil, err
	}
	return t, nil
}

// forwards is an error unless the machine passes packets on.
func forwards(to netip.Addr) error {
	name, path := "net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward"
	if to.Is6() {
		name, path = "net.ipv6.conf.all.forwarding", "/proc/sys/net/ipv6/conf/all/forwarding"
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if strings.TrimSpace(string(text)) == "0" {
		return fmt.Errorf("%s is 0: this machine passes no packets on, so that nothing could lead past Cordon; the setting is yours to make (a file in /etc/sysctl.d with %s=1, then sysctl --system)", name, name)
	}
	return nil
}

// Open replaces the table by one whose element lasts so long from now, in one
// transaction.
func (t *Table) Open(lasts time.Duration) error {
	c, err := nftables.New()
	if err != nil {
		return explain(err)
	}
	table := &nftables.Table{Family: nftables.TableFamilyINet, Name: TableName}
	c.AddTable(table) // so that there is one to delete
	c.DelTable(table)
	c.AddTable(table)
	open := &nftables.Set{Table: table, Name: "open", KeyType: nftables.TypeInetService, HasTimeout: true}
	if err := c.AddSet(open, []nftables.SetElement{{Key: binaryutil.BigEndian.PutUint16(t.listen.Port()), Timeout: lasts}}); err != nil {
		return err
	}
	past := c.AddChain(&nftables.Chain{Name: "past", Table: table, Type: nftables.ChainTypeNAT, Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityNATDest})
	c.AddRule(&nftables.Rule{Table: table, Chain: past, Exprs: t.past(open)})
	back := c.AddChain(&nftables.Chain{Name: "back", Table: table, Type: nftables.ChainTypeNAT, Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource})
	c.AddRule(&nftables.Rule{Table: table, Chain: back, Exprs: t.back()})
	return explain(c.Flush())
}

// Close removes the table, if it is there.
func (t *Table) Close() error {
	c, err := nftables.New()
	if err != nil {
		return explain(err)
	}
	table := &nftables.Table{Family: nftables.TableFamilyINet, Name: TableName}
	c.AddTable(table) // so that there is one to delete
	c.DelTable(table)
	return explain(c.Flush())
}

// explain says what a person can do about it.
func explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EPERM):
		return fmt.Errorf("nftables: %w (the watcher needs CAP_NET_ADMIN: run it by its unit, cordon-deadman.service)", err)
	case errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.EPROTONOSUPPORT):
		return fmt.Errorf("nftables: %w (does this kernel have nf_tables and its NAT?)", err)
	}
	return fmt.Errorf("nftables: %w", err)
}

// past matches new connections to Cordon's listener, and leads them to the
// archive.
func (t *Table) past(open *nftables.Set) []expr.Any {
	match := append(family(t.to.Addr()),
		&expr.Fib{Register: 1, FlagDADDR: true, ResultADDRTYPE: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)},
	)
	if !t.listen.Addr().IsUnspecified() {
		match = append(match, destination(t.listen.Addr())...)
	}
	match = append(match, tcp()...)
	match = append(match, destinationPort(), &expr.Lookup{SourceRegister: 1, SetName: open.Name, SetID: open.ID})
	nat := &expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1, RegProtoMin: 2}
	if t.to.Addr().Is6() {
		nat.Family = unix.NFPROTO_IPV6
	}
	return append(match,
		&expr.Immediate{Register: 1, Data: t.to.Addr().AsSlice()},
		&expr.Immediate{Register: 2, Data: binaryutil.BigEndian.PutUint16(t.to.Port())},
		nat,
	)
}

// ctStatusDestinationNAT is IPS_DST_NAT of the kernel's nf_conntrack_common.h.
const ctStatusDestinationNAT = 1 << 5

// back gives what past has led away this machine's address, so that the answers
// come back through it.
func (t *Table) back() []expr.Any {
	match := append(family(t.to.Addr()), destination(t.to.Addr())...)
	match = append(match, tcp()...)
	return append(match,
		destinationPort(),
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(t.to.Port())},
		&expr.Ct{Register: 1, Key: expr.CtKeySTATUS},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(ctStatusDestinationNAT), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
		&expr.Ct{Register: 1, Key: expr.CtKeyPROTODST, Direction: 0},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(t.listen.Port())},
		&expr.Masq{},
	)
}

// family matches the IP version.
func family(a netip.Addr) []expr.Any {
	proto := byte(unix.NFPROTO_IPV4)
	if a.Is6() {
		proto = unix.NFPROTO_IPV6
	}
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{proto}},
	}
}

// destination matches the destination address: RFC 791 §3.1, RFC 8200 §3.
func destination(a netip.Addr) []expr.Any {
	offset, length := uint32(16), uint32(4)
	if a.Is6() {
		offset, length = 24, 16
	}
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: length},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: a.AsSlice()},
	}
}

func tcp() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
	}
}

// destinationPort loads it: RFC 9293 §3.1.
func destinationPort() expr.Any {
	return &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}
}
