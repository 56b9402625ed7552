package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// socketName is the control socket's name in the data directory.
const socketName = "cordon.sock"

// maxSocketPath is one less than what the operating system takes (unix(7)).
const maxSocketPath = 107

// withSocketPath calls fn with a path of the control socket that is short
// enough for the operating system, however deep the data directory lies.
func withSocketPath(dir string, fn func(path string) error) error {
	path := filepath.Join(dir, socketName)
	if len(path) <= maxSocketPath {
		return fn(path)
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return fn(filepath.Join("/proc/self/fd", strconv.Itoa(int(d.Fd())), socketName))
}

// listenControl makes the control socket. The caller holds the directory's
// lock, so that a socket which is there already is one that a crash left.
func listenControl(dir string) (net.Listener, error) {
	path := filepath.Join(dir, socketName)
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case info.Mode()&fs.ModeSocket == 0:
		return nil, fmt.Errorf("control socket: %s is something else: move it away", path)
	default:
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	var l *net.UnixListener
	err = withSocketPath(dir, func(path string) error {
		defer syscall.Umask(syscall.Umask(0o177)) // born with mode 0600
		var err error
		l, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	l.SetUnlinkOnClose(false) // the next start replaces it
	return l, nil
}

// errNotRunning means that no process answers on a data directory's control
// socket.
var errNotRunning = errors.New("no Cordon is running")

// dialControl connects to the control socket.
func dialControl(ctx context.Context, dir string) (net.Conn, error) {
	var conn net.Conn
	err := withSocketPath(dir, func(path string) error {
		var err error
		conn, err = new(net.Dialer).DialContext(ctx, "unix", path)
		return err
	})
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, errNotRunning
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%w: only the user that runs Cordon may speak to it", err)
	}
	return conn, err
}

// pipes is a listener for one process that speaks to itself.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

// dial makes a connection and hands the other end to Accept.
func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements net.Listener.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener; it is called once.
func (p *pipes) Close() error {
	close(p.done)
	return nil
}

// Addr implements net.Listener.
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "in-process", Net: "unix"} }
