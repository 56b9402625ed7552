package ul

import (
	"net"

	"golang.org/x/sys/unix"
)

// acknowledge returns a function that makes Linux acknowledge now instead of up to 40 ms later.
//
// Many senders leave Nagle's algorithm on and write each PDU in two parts; the second then waits for the acknowledgement
// of the first. The socket option lasts only until the kernel changes its mind, hence a call after each read.
func acknowledge(t *net.TCPConn) func() {
	raw, err := t.SyscallConn()
	if err != nil {
		return func() {}
	}
	set := func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) }
	return func() { raw.Control(set) }
}

// arrival returns a function that tells, without waiting, whether there is something to read, the end included.
func arrival(t *net.TCPConn) func() bool {
	raw, err := t.SyscallConn()
	if err != nil {
		return func() bool { return false }
	}
	return func() (arrived bool) {
		raw.Control(func(fd uintptr) {
			var p [1]byte
			_, _, err := unix.Recvfrom(int(fd), p[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
			arrived = err == nil
		})
		return arrived
	}
}
