package capture

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"cordon/network/track"
)

// ring is a packet socket and the memory that it shares with the kernel
// (https://docs.kernel.org/networking/packet_mmap.html).
type ring struct {
	fd     int
	memory []byte
	blocks int
	next   int // the block that is ready next
	filter []unix.SockFilter
}

func openRing(size int) (*ring, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0) // hears nothing yet
	if err != nil {
		if errors.Is(err, unix.EPERM) {
			return nil, fmt.Errorf("capturing: %w (it needs CAP_NET_RAW: give it to the service, or run as root)", err)
		}
		return nil, fmt.Errorf("capturing: %w", err)
	}
	r := &ring{fd: fd, blocks: max(2, size/blockSize)}
	if err := r.share(); err != nil {
		return nil, errors.Join(fmt.Errorf("capturing: %w", err), r.close())
	}
	return r, nil
}

func (r *ring) share() error {
	if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return os.NewSyscallError("PACKET_VERSION", err)
	}
	err := unix.SetsockoptTpacketReq3(r.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &unix.TpacketReq3{
		Block_size: blockSize, Block_nr: uint32(r.blocks),
		Frame_size: 2048, Frame_nr: uint32(blockSize / 2048 * r.blocks), // of V3 a frame takes what it needs
		Retire_blk_tov: uint32(blockWait.Milliseconds()),
	})
	if err != nil {
		return os.NewSyscallError("PACKET_RX_RING", err)
	}
	r.memory, err = unix.Mmap(r.fd, 0, blockSize*r.blocks, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	return os.NewSyscallError("mmap", err)
}

// listen begins to hear all interfaces; the filter says which.
func (r *ring) listen() error {
	const all = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL&0xff<<8 // in the network's order
	return os.NewSyscallError("bind", unix.Bind(r.fd, &unix.SockaddrLinklayer{Protocol: all}))
}

func (r *ring) close() error {
	var errs []error
	if r.memory != nil {
		errs = append(errs, unix.Munmap(r.memory))
	}
	return errors.Join(append(errs, unix.Close(r.fd))...)
}

// setFilter has the kernel take another filter from the next packet on.
func (r *ring) setFilter(interfaces []uint32, ignore []netip.Prefix, thin []track.Tuple, overloaded bool) error {
	r.filter = filter(interfaces, ignore, thin, overloaded)
	prog := unix.SockFprog{Len: uint16(len(r.filter)), Filter: &r.filter[0]}
	err := unix.SetsockoptSockFprog(r.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog)
	runtime.KeepAlive(r.filter)
	return os.NewSyscallError("SO_ATTACH_FILTER", err)
}

// index is the number of an interface in the socket's network namespace.
func (r *ring) index(name string) (uint32, error) {
	q, err := unix.NewIfreq(name)
	if err != nil {
		return 0, fmt.Errorf("interface %q: its name is too long", name)
	}
	if err := unix.IoctlIfreq(r.fd, unix.SIOCGIFINDEX, q); err != nil {
		return 0, fmt.Errorf("interface %s: %w (see ip link)", name, err)
	}
	index := q.Uint32()
	if err := unix.IoctlIfreq(r.fd, unix.SIOCGIFFLAGS, q); err != nil {
		return 0, fmt.Errorf("interface %s: %w", name, err)
	}
	if q.Uint16()&unix.IFF_UP == 0 {
		return index, fmt.Errorf("interface %s is down", name)
	}
	return index, nil
}

// promiscuous has an interface take frames for others, while the socket is open.
func (r *ring) promiscuous(index uint32) error {
	return os.NewSyscallError("PACKET_ADD_MEMBERSHIP", unix.SetsockoptPacketMreq(r.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP,
		&unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC}))
}

// drops is how many packets there was no room for since it was last asked.
func (r *ring) drops() (uint64, error) {
	s, err := unix.GetsockoptTpacketStatsV3(r.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0, os.NewSyscallError("PACKET_STATISTICS", err)
	}
	return uint64(s.Drops), nil
}

// wait waits for a block, so many milliseconds at most.
func (r *ring) wait(ms int) error {
	_, err := unix.Poll([]unix.PollFd{{Fd: int32(r.fd), Events: unix.POLLIN | unix.POLLERR}}, ms)
	if errors.Is(err, unix.EINTR) {
		return nil
	}
	return os.NewSyscallError("poll", err)
}

// header is the fixed part of a block.
type header struct {
	_ [2]uint32
	unix.TpacketHdrV1
}

// block hands over the next block that is ready, frame by frame, and gives it back to
// the kernel. It is false if none is ready. A frame is only good while take looks at it.
func (r *ring) block(take func(data []byte, link uint16, outgoing bool, index uint32)) bool {
	b := r.memory[r.next*blockSize : (r.next+1)*blockSize]
	h := (*header)(unsafe.Pointer(&b[0]))
	if atomic.LoadUint32(&h.Block_status)&unix.TP_STATUS_USER == 0 {
		return false
	}
	at := h.Offset_to_first_pkt
	for range h.Num_pkts {
		f := (*unix.Tpacket3Hdr)(unsafe.Pointer(&b[at]))
		from := (*unix.RawSockaddrLinklayer)(unsafe.Pointer(&b[at+linkAt]))
		start := at + uint32(f.Mac)
		take(b[start:start+f.Snaplen], from.Hatype, from.Pkttype == unix.PACKET_OUTGOING, uint32(from.Ifindex))
		if at += f.Next_offset; f.Next_offset == 0 {
			break
		}
	}
	atomic.StoreUint32(&h.Block_status, unix.TP_STATUS_KERNEL)
	r.next = (r.next + 1) % r.blocks
	return true
}

// linkAt is where a frame's sockaddr_ll is: behind its header, aligned.
const linkAt = uint32((unsafe.Sizeof(unix.Tpacket3Hdr{}) + unix.TPACKET_ALIGNMENT - 1) / unix.TPACKET_ALIGNMENT * unix.TPACKET_ALIGNMENT)
