package atna

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// unacknowledged returns how many bytes written to a TCP connection the peer's
// machine has not acknowledged (SIOCOUTQ, tcp(7)).
func unacknowledged(c net.Conn) (int64, error) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return 0, errors.New("not a socket")
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return 0, err
	}
	var n int
	var failed error
	err = raw.Control(func(fd uintptr) { n, failed = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
	return int64(n), errors.Join(err, failed)
}
