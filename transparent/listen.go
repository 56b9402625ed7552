package transparent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Listen opens the listeners that redirects lead to, one for each version of IP
// that this machine has. They are on the loopback addresses, so that nobody can
// call them: what comes in was led there, and its own address (LocalAddr) is the
// one that its sender called. It needs CAP_NET_ADMIN.
func Listen(ctx context.Context, port uint16) ([]net.Listener, error) {
	var all []net.Listener
	c := net.ListenConfig{Control: foreign}
	for _, host := range []string{"127.0.0.1", "::1"} {
		l, err := c.Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(int(port))))
		switch {
		case host == "::1" && (errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)):
			continue // this machine has no IPv6
		case err != nil:
			for _, l := range all {
				l.Close()
			}
			return nil, fmt.Errorf("transparent mode: %w", explain(err))
		}
		all = append(all, l)
	}
	return all, nil
}

// Ports that connections to archives under a device's address are made from: below
// those that operating systems choose themselves (RFC 6335 §6, Linux from 32768), so that the two
// connections of one device and archive that pass this machine are never of the
// same ports.
const (
	firstPort = 16384
	ports     = 16384
	tries     = 64
)

// Dial connects to address from an address that is not this machine's. Its packets
// come back here only if this machine is on their way. It needs CAP_NET_ADMIN.
func Dial(ctx context.Context, from netip.Addr, address string) (net.Conn, error) {
	var err error
	for range tries {
		d := net.Dialer{
			Control:   foreign,
			LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, uint16(firstPort+rand.IntN(ports)))),
		}
		var nc net.Conn
		if nc, err = d.DialContext(ctx, "tcp", address); err == nil {
			return nc, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, syscall.EADDRNOTAVAIL) || ctx.Err() != nil {
			break
		}
	}
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		return nil, fmt.Errorf("%w (no answer to %s under its own address: do answers to it come back through this machine? else choose source: own)", err, from)
	}
	return nil, explain(err)
}

// foreign lets a socket have an address that is not this machine's (ip(7),
// IP_TRANSPARENT).
func foreign(network, _ string, c syscall.RawConn) error {
	level, option := unix.SOL_IP, unix.IP_TRANSPARENT
	if network == "tcp6" {
		level, option = unix.SOL_IPV6, unix.IPV6_TRANSPARENT
	}
	var setting error
	err := c.Control(func(fd uintptr) {
		setting = errors.Join(
			unix.SetsockoptInt(int(fd), level, option, 1),
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1))
	})
	return errors.Join(err, setting)
}

// explain says what a person can do about it.
func explain(err error) error {
	if errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("%w (transparent mode needs CAP_NET_ADMIN: docs/transparent.md says how the unit gets it)", err)
	}
	return err
}
