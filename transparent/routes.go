package transparent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Routes give what the redirects have marked to this machine, whatever address it
// is for. For each version of IP they are
//
//	ip rule add priority 11112 fwmark MARK/MASK lookup 11112
//	ip route add local default dev lo table 11112
//
// and nothing else of the routing tables is ever changed.
type Routes struct {
	Mark, Mask uint32
}

// The numbers by which the rule and the route are told from those of others.
const (
	table    = 11112
	priority = 11112
	protocol = 111 // who made it (rtnetlink(7), rtm_protocol): nobody else's
)

// families are the versions of IP, IPv4 first.
var families = [...]uint8{unix.AF_INET, unix.AF_INET6}

// ErrTaken means that somebody else has a rule or a route of our numbers.
var ErrTaken = errors.New("somebody else's rule or route stands there")

// Set makes them, if they are not there.
func (r Routes) Set() error {
	c, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return fmt.Errorf("routing rules: %w", err)
	}
	defer c.Close()
	for _, family := range families {
		there, err := r.there(c, family)
		if err != nil {
			return err
		}
		if family == unix.AF_INET6 && !hasIPv6() {
			continue
		}
		if !there.route {
			if err := change(c, unix.RTM_NEWROUTE, netlink.Create|netlink.Excl, r.route(family)); err != nil {
				return fmt.Errorf("route to this machine in table %d: %w", table, explain(err))
			}
		}
		if !there.rule {
			if err := change(c, unix.RTM_NEWRULE, netlink.Create|netlink.Excl, r.rule(family)); err != nil {
				return fmt.Errorf("routing rule %d: %w", priority, explain(err))
			}
		}
	}
	return nil
}

// Unset removes those that are there.
func (r Routes) Unset() error {
	c, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return fmt.Errorf("routing rules: %w", err)
	}
	defer c.Close()
	for _, family := range families {
		there, err := r.there(c, family)
		if err != nil {
			return err
		}
		if there.rule {
			if err := change(c, unix.RTM_DELRULE, 0, r.rule(family)); err != nil {
				return fmt.Errorf("routing rule %d: %w", priority, explain(err))
			}
		}
		if there.route {
			if err := change(c, unix.RTM_DELROUTE, 0, r.route(family)); err != nil {
				return fmt.Errorf("route to this machine in table %d: %w", table, explain(err))
			}
		}
	}
	return nil
}

// There reports whether all of them are in place.
func (r Routes) There() (bool, error) {
	c, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return false, fmt.Errorf("routing rules: %w", err)
	}
	defer c.Close()
	for _, family := range families {
		if family == unix.AF_INET6 && !hasIPv6() {
			continue
		}
		there, err := r.there(c, family)
		if err != nil || !there.rule || !there.route {
			return false, err
		}
	}
	return true, nil
}

// hasIPv6 reports whether the kernel speaks it at all.
func hasIPv6() bool {
	_, err := os.Stat("/proc/sys/net/ipv6")
	return err == nil
}

// present is what is there of one version of IP.
type present struct{ rule, route bool }

// there looks for ours. Others' of the same numbers are ErrTaken.
func (r Routes) there(c *netlink.Conn, family uint8) (p present, err error) {
	rules, err := dump(c, unix.RTM_GETRULE, header(family))
	if err != nil {
		return p, fmt.Errorf("routing rules: %w", err)
	}
	for _, m := range rules {
		a, ok := attributes(m.Data)
		if !ok || m.Data[0] != family || number(a[unix.FRA_PRIORITY]) != priority {
			continue
		}
		if number(a[unix.FRA_TABLE]) != table || number(a[unix.FRA_FWMARK]) != r.Mark || number(a[unix.FRA_FWMASK]) != r.Mask {
			return p, fmt.Errorf("%w: routing rule of priority %d; give it another priority (ip rule)", ErrTaken, priority)
		}
		p.rule = true
	}
	routes, err := dump(c, unix.RTM_GETROUTE, header(family))
	if err != nil {
		return p, fmt.Errorf("routes: %w", err)
	}
	for _, m := range routes {
		a, ok := attributes(m.Data)
		if !ok || m.Data[0] != family || number(a[unix.RTA_TABLE]) != table {
			continue
		}
		if m.Data[5] != protocol || m.Data[7] != unix.RTN_LOCAL {
			return p, fmt.Errorf("%w: a route in table %d; give it another table (ip route show table %d)", ErrTaken, table, table)
		}
		p.route = true
	}
	return p, nil
}

// header is an rtmsg, or a fib_rule_hdr, of a version of IP and nothing else: both
// are 12 bytes (rtnetlink(7), linux/fib_rules.h).
func header(family uint8) []byte {
	h := make([]byte, unix.SizeofRtMsg)
	h[0] = family
	return h
}

// rule is a fib_rule_hdr and its attributes.
func (r Routes) rule(family uint8) []byte {
	h := header(family)
	h[4] = unix.RT_TABLE_UNSPEC // it is in the attribute
	h[7] = unix.FR_ACT_TO_TBL
	return append(h, encode(
		attribute{unix.FRA_PRIORITY, priority},
		attribute{unix.FRA_FWMARK, r.Mark},
		attribute{unix.FRA_FWMASK, r.Mask},
		attribute{unix.FRA_TABLE, table},
	)...)
}

// route is an rtmsg and its attributes: everything is this machine's.
func (r Routes) route(family uint8) []byte {
	h := header(family)
	h[4] = unix.RT_TABLE_UNSPEC
	h[5] = protocol
	h[6] = unix.RT_SCOPE_HOST
	h[7] = unix.RTN_LOCAL
	return append(h, encode(attribute{unix.RTA_TABLE, table}, attribute{unix.RTA_OIF, loopback})...)
}

// loopback is the index of the interface lo, in every network namespace (the
// kernel's LOOPBACK_IFINDEX).
const loopback = 1

// attribute is one of 32 bits.
type attribute struct {
	kind  uint16
	value uint32
}

func encode(all ...attribute) []byte {
	e := netlink.NewAttributeEncoder()
	for _, a := range all {
		e.Uint32(a.kind, a.value)
	}
	b, err := e.Encode()
	if err != nil {
		panic(err) // 32 bits always fit
	}
	return b
}

// attributes are those behind a 12-byte header.
func attributes(message []byte) (map[uint16][]byte, bool) {
	if len(message) < unix.SizeofRtMsg {
		return nil, false
	}
	all, err := netlink.UnmarshalAttributes(message[unix.SizeofRtMsg:])
	if err != nil {
		return nil, false
	}
	out := map[uint16][]byte{}
	for _, a := range all {
		out[a.Type] = a.Data
	}
	return out, true
}

// number is an attribute of 32 bits; 0 where there is none.
func number(b []byte) uint32 {
	if len(b) != 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(b)
}

// dump asks for all of a kind.
func dump(c *netlink.Conn, kind netlink.HeaderType, h []byte) ([]netlink.Message, error) {
	all, err := c.Execute(netlink.Message{Header: netlink.Header{Type: kind, Flags: netlink.Request | netlink.Dump}, Data: h})
	if errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EOPNOTSUPP) {
		return nil, nil
	}
	return all, err
}

// change asks for one change, and waits for the answer.
func change(c *netlink.Conn, kind netlink.HeaderType, flags netlink.HeaderFlags, data []byte) error {
	_, err := c.Execute(netlink.Message{Header: netlink.Header{Type: kind, Flags: netlink.Request | netlink.Acknowledge | flags}, Data: data})
	return err
}
