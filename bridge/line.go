package bridge

import (
	"context"
	"net"
	"os"
	"sync"
	"syscall"
)

// line is a net.Listener without an address: only who has it can dial it. Each
// connection is a pair of sockets of this process.
type line struct {
	far   endpoint // what the dialling side sees at the other end
	calls chan net.Conn
	once  sync.Once
	ended chan struct{}
}

func newLine(far string) *line {
	if far == "" {
		far = "127.0.0.1" // it is in this process
	}
	return &line{far: endpoint(far), calls: make(chan net.Conn), ended: make(chan struct{})}
}

// dial opens a connection once somebody accepts it.
func (l *line) dial(ctx context.Context) (net.Conn, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: l.far.Network(), Addr: l.far, Err: err}
	}
	select {
	case l.calls <- &conn{theirs, "127.0.0.1"}:
		return &conn{ours, l.far}, nil
	case <-l.ended:
		err = net.ErrClosed
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	ours.Close()
	theirs.Close()
	return nil, &net.OpError{Op: "dial", Net: l.far.Network(), Addr: l.far, Err: err}
}

// Accept implements net.Listener.
func (l *line) Accept() (net.Conn, error) {
	select {
	case nc := <-l.calls:
		return nc, nil
	case <-l.ended:
		return nil, &net.OpError{Op: "accept", Net: l.far.Network(), Addr: l.far, Err: net.ErrClosed}
	}
}

// Close implements net.Listener. It may be called more than once.
func (l *line) Close() error {
	l.once.Do(func() { close(l.ended) })
	return nil
}

// Addr implements net.Listener.
func (l *line) Addr() net.Addr { return l.far }

// endpoint is an end of a connection that has no address: whom it stands for.
type endpoint string

// Network implements net.Addr.
func (endpoint) Network() string { return "private" }

// String implements net.Addr.
func (e endpoint) String() string { return string(e) }

// conn is a socket of a pair.
type conn struct {
	net.Conn
	far endpoint
}

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr { return c.far }

// socketPair connects two stream sockets with each other.
func socketPair() (a, b net.Conn, err error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	if a, err = socket(fds[0]); err != nil {
		syscall.Close(fds[1])
		return nil, nil, err
	}
	if b, err = socket(fds[1]); err != nil {
		a.Close()
		return nil, nil, err
	}
	return a, b, nil
}

// socket makes a net.Conn of a descriptor, which it owns.
func socket(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "private")
	defer f.Close() // FileConn has a duplicate
	return net.FileConn(f)
}
