package engine

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"time"
)

// icapConn is one connection to an ICAP server. Its deadlines are those of whoever uses it now.
type icapConn struct {
	conn   net.Conn
	in     *bufio.Reader
	limit  *io.LimitedReader // under in: what may still be received of this part of an answer
	out    *bufio.Writer
	since  time.Time   // when it became idle
	unbind func() bool // ends the hold that the context of the present use has on it
}

// dial opens a connection and binds it to the context. An idle one makes place for it, so that there are never more
// connections than seats.
func (i *ICAP) dial(ctx context.Context) (*icapConn, error) {
	if c := i.takeIdle(ctx); c != nil {
		c.close()
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", i.address)
	if err != nil {
		return nil, reason(ctx, "connecting to the ICAP server", err)
	}
	limit := &io.LimitedReader{R: conn}
	c := &icapConn{conn: conn, limit: limit, in: bufio.NewReader(limit), out: bufio.NewWriterSize(conn, headBytes)}
	c.bind(ctx)
	return c, nil
}

// bind ends whatever the connection is doing when the context ends.
func (c *icapConn) bind(ctx context.Context) {
	c.unbind = context.AfterFunc(ctx, func() { c.conn.SetDeadline(time.Unix(1, 0)) })
}

func (c *icapConn) close() {
	c.unbind()
	c.conn.Close()
}

// done ends a use. The connection is from then on someone else's, or closed: also if it is not in a state to be used again,
// or the context that it was bound to has ended.
func (i *ICAP) done(c *icapConn, reusable bool) {
	if !reusable || c.in.Buffered() > 0 || !c.unbind() {
		c.close()
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	c.since = time.Now()
	i.idle = append(i.idle, c)
}

// takeIdle returns the connection that was idle for the shortest time, or nil. Those that cannot be used any more are
// closed.
func (i *ICAP) takeIdle(ctx context.Context) *icapConn {
	for {
		c := i.popIdle()
		if c == nil {
			return nil
		}
		if time.Since(c.since) < idleLimit && quiet(c.conn) {
			c.bind(ctx)
			return c
		}
		c.conn.Close()
	}
}

func (i *ICAP) popIdle() *icapConn {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.idle) == 0 {
		return nil
	}
	c := i.idle[len(i.idle)-1]
	i.idle = i.idle[:len(i.idle)-1]
	return c
}

// quiet reports whether the peer neither closed the connection nor said anything on it. What it said unasked would be
// taken for the answer about the next piece.
func quiet(conn net.Conn) bool {
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return false
	}
	var peeked error
	err = raw.Read(func(fd uintptr) bool {
		_, _, peeked = syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return true
	})
	return err == nil && errors.Is(peeked, syscall.EAGAIN)
}
