package ticket

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// neighbour asks the kernel who has an address on a segment of this machine
// (rtnetlink(7), RTM_GETNEIGH). It is not ok for one that is further away, or was
// not spoken to lately.
func neighbour(a netip.Addr) (mac string, ok bool) {
	c, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return "", false
	}
	defer c.Close()
	head := make([]byte, unix.SizeofNdMsg)
	head[0] = unix.AF_INET
	if a.Is6() {
		head[0] = unix.AF_INET6
	}
	all, err := c.Execute(netlink.Message{Header: netlink.Header{Type: unix.RTM_GETNEIGH, Flags: netlink.Request | netlink.Dump}, Data: head})
	if err != nil {
		return "", false
	}
	for _, m := range all {
		if mac, ok := linkOf(m.Data, a); ok {
			return mac, true
		}
	}
	return "", false
}

// reachable are the states of an entry that say something (linux/neighbour.h).
const reachable = unix.NUD_REACHABLE | unix.NUD_STALE | unix.NUD_DELAY | unix.NUD_PROBE | unix.NUD_PERMANENT

// linkOf reads an ndmsg and its attributes, if it is about the address.
func linkOf(message []byte, a netip.Addr) (mac string, ok bool) {
	if len(message) < unix.SizeofNdMsg {
		return "", false
	}
	if binary.NativeEndian.Uint16(message[8:])&reachable == 0 {
		return "", false
	}
	attributes, err := netlink.UnmarshalAttributes(message[unix.SizeofNdMsg:])
	if err != nil {
		return "", false
	}
	var link []byte
	for _, at := range attributes {
		switch at.Type {
		case unix.NDA_DST:
			if of, ok := netip.AddrFromSlice(at.Data); !ok || of != a {
				return "", false
			}
		case unix.NDA_LLADDR:
			link = at.Data
		}
	}
	return net.HardwareAddr(link).String(), len(link) == 6
}
