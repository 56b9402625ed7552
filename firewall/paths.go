package firewall

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/google/nftables/binaryutil"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// link is an interface of this machine.
type link struct {
	index  uint32
	name   string
	bridge bool
	master uint32 // the bridge that it is a port of
}

// route leads to a network.
type route struct {
	to      netip.Prefix
	link    uint32
	gateway netip.Addr // not valid: the network is on the segment
	local   bool       // an address of this machine
}

// Neighbour is an address on a segment with this machine, and whose it is.
type Neighbour struct {
	Addr netip.Addr
	MAC  net.HardwareAddr
	link uint32
}

// ask dumps one of the kernel's tables (rtnetlink(7)); each gets the fixed header
// and the attributes of one row.
func ask(kind int, header []byte, each func(fixed []byte, ad *netlink.AttributeDecoder) error) error {
	c, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	rows, err := c.Execute(netlink.Message{Header: netlink.Header{Type: netlink.HeaderType(kind), Flags: netlink.Request | netlink.Dump}, Data: header})
	if err != nil {
		return err
	}
	for _, row := range rows {
		if len(row.Data) < len(header) {
			return fmt.Errorf("rtnetlink: a row of %d bytes; expected at least %d", len(row.Data), len(header))
		}
		ad, err := netlink.NewAttributeDecoder(row.Data[len(header):])
		if err != nil {
			return err
		}
		if err := each(row.Data[:len(header)], ad); err != nil {
			return err
		}
	}
	return nil
}

func links() (all []link, err error) {
	err = ask(unix.RTM_GETLINK, make([]byte, unix.SizeofIfInfomsg), func(fixed []byte, ad *netlink.AttributeDecoder) error {
		l := link{index: binaryutil.NativeEndian.Uint32(fixed[4:8])}
		for ad.Next() {
			switch ad.Type() {
			case unix.IFLA_IFNAME:
				l.name = ad.String()
			case unix.IFLA_MASTER:
				l.master = ad.Uint32()
			case unix.IFLA_LINKINFO:
				ad.Nested(func(info *netlink.AttributeDecoder) error {
					for info.Next() {
						if info.Type() == unix.IFLA_INFO_KIND {
							l.bridge = info.String() == "bridge"
						}
					}
					return nil
				})
			}
		}
		all = append(all, l)
		return ad.Err()
	})
	return all, err
}

// bridges reports whether this machine joins segments.
func bridges() (bool, error) {
	all, err := links()
	return slices.ContainsFunc(all, func(l link) bool { return l.bridge }), err
}

func routes() (all []route, err error) {
	err = ask(unix.RTM_GETROUTE, make([]byte, unix.SizeofRtMsg), func(fixed []byte, ad *netlink.AttributeDecoder) error {
		family, bits, table, kind := fixed[0], fixed[1], uint32(fixed[4]), fixed[7]
		any := netip.IPv4Unspecified()
		if family == unix.AF_INET6 {
			any = netip.IPv6Unspecified()
		}
		r := route{to: netip.PrefixFrom(any, int(bits)), local: kind == unix.RTN_LOCAL}
		for ad.Next() {
			switch ad.Type() {
			case unix.RTA_DST:
				if a, ok := netip.AddrFromSlice(ad.Bytes()); ok {
					r.to = netip.PrefixFrom(a, int(bits))
				}
			case unix.RTA_OIF:
				r.link = ad.Uint32()
			case unix.RTA_GATEWAY:
				r.gateway, _ = netip.AddrFromSlice(ad.Bytes())
			case unix.RTA_TABLE:
				table = ad.Uint32()
			}
		}
		if (family == unix.AF_INET || family == unix.AF_INET6) && (table == unix.RT_TABLE_MAIN || table == unix.RT_TABLE_LOCAL) && (kind == unix.RTN_UNICAST || r.local) {
			all = append(all, r)
		}
		return ad.Err()
	})
	return all, err
}

// Neighbours are the addresses that were heard of on the segments of this machine.
func (f *Firewall) Neighbours() (all []Neighbour, err error) {
	err = ask(unix.RTM_GETNEIGH, make([]byte, unix.SizeofNdMsg), func(fixed []byte, ad *netlink.AttributeDecoder) error {
		n := Neighbour{link: binaryutil.NativeEndian.Uint32(fixed[4:8])}
		state := binary.NativeEndian.Uint16(fixed[8:10])
		for ad.Next() {
			switch ad.Type() {
			case unix.NDA_DST:
				n.Addr, _ = netip.AddrFromSlice(ad.Bytes())
			case unix.NDA_LLADDR:
				n.MAC = net.HardwareAddr(slices.Clone(ad.Bytes()))
			}
		}
		if n.Addr.IsValid() && len(n.MAC) == 6 && state&(unix.NUD_FAILED|unix.NUD_INCOMPLETE|unix.NUD_NOARP) == 0 {
			all = append(all, n)
		}
		return ad.Err()
	})
	return all, err
}

// routeTo is the way to an address: of those that hold it the longest.
func routeTo(all []route, a netip.Addr) (best route, ok bool) {
	for _, r := range all {
		if r.to.Contains(a) && (!ok || r.to.Bits() > best.to.Bits() || r.local && r.to.Bits() == best.to.Bits()) {
			best, ok = r, true
		}
	}
	return best, ok
}
