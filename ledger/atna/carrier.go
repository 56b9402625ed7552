package atna

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"sync/atomic"
	"time"
)

// A carrier takes frames to one place, for one session: the first error ends it.
type carrier interface {
	// send takes a frame, which may wait for flush.
	send(frame []byte) error
	// flush gives everything to the system, and returns how many bytes that is
	// since the session began.
	flush() (int64, error)
	// arrived returns how many of these bytes have arrived, as far as this
	// machine can know.
	arrived() (int64, error)
	// finish ends the session in order. Nil means that whoever is at the other end
	// has read everything. It waits for as long as they go on reading, and gives up
	// when nothing has moved for so long.
	finish(ctx context.Context, patience time.Duration) error
	// gone is closed when the other end has ended the session; why says why.
	gone() <-chan struct{}
	why() error
	close()
}

const (
	dialTimeout  = 10 * time.Second
	writeTimeout = 30 * time.Second // without a byte taken; a slow repository is one that takes some
	chunk        = 16 << 10
)

// stream is a TLS connection.
type stream struct {
	out     *bufio.Writer
	conn    *tls.Conn
	counted *counter
	ended   chan struct{} // closed by watch
	cause   error         // set before that
	inOrder bool          // the other side closed, without a reset
}

// dialStream connects and shakes hands. It reads what the peer says, which is
// nothing but the end: only so is a rejection of our certificate noticed, which
// with TLS 1.3 comes after the handshake.
func dialStream(ctx context.Context, address string, config *tls.Config) (*stream, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	counted := &counter{Conn: raw}
	if config.ServerName == "" {
		host, _, _ := net.SplitHostPort(address) // it was dialled
		config = config.Clone()
		config.ServerName = host
	}
	conn := tls.Client(counted, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, fmt.Errorf("TLS: %w", err)
	}
	s := &stream{conn: conn, counted: counted, ended: make(chan struct{})}
	s.out = bufio.NewWriterSize(patiently{s}, chunk)
	go s.watch() // ends with the connection, at close at the latest
	return s, nil
}

// watch waits for the end.
func (s *stream) watch() {
	defer close(s.ended)
	_, err := io.Copy(io.Discard, s.conn)
	if s.inOrder = err == nil; s.inOrder {
		err = errors.New("the repository closed the connection")
	}
	s.cause = err
	s.conn.NetConn().Close() // whoever is writing shall know
}

func (s *stream) gone() <-chan struct{} { return s.ended }
func (s *stream) why() error            { <-s.ended; return s.cause }

// patiently writes in pieces, each with its own time.
type patiently struct{ s *stream }

func (w patiently) Write(p []byte) (n int, err error) {
	for err == nil && n < len(p) {
		if err = w.s.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return n, err
		}
		var m int
		m, err = w.s.conn.Write(p[n:min(len(p), n+chunk)])
		n += m
	}
	return n, err
}

func (s *stream) send(frame []byte) error {
	_, err := s.out.Write(frame)
	return err
}

func (s *stream) flush() (int64, error) {
	err := s.out.Flush()
	return s.counted.written.Load(), err
}

// arrived subtracts what the kernel still holds because the peer has not
// acknowledged it.
func (s *stream) arrived() (int64, error) {
	select {
	case <-s.ended:
		return 0, s.cause
	default:
	}
	written := s.counted.written.Load()
	held, err := unacknowledged(s.counted.Conn)
	return written - held, err
}

// finish says that nothing more comes (close_notify, RFC 5425 §4.4) and waits for
// the other side to close. A program does that once it has read so far; one that
// dies, or closes with something unread, makes its machine send a reset instead.
func (s *stream) finish(ctx context.Context, patience time.Duration) error {
	if err := s.out.Flush(); err != nil {
		return err
	}
	if err := s.drained(ctx, patience); err != nil {
		return err
	}
	if err := s.conn.CloseWrite(); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return errNotClosed
	case <-time.After(patience):
		return errNotClosed
	case <-s.ended:
	}
	if !s.inOrder {
		return s.cause
	}
	return nil
}

// drained waits until the other machine has all that was sent: a slow repository
// has left much of it with ours.
func (s *stream) drained(ctx context.Context, patience time.Duration) error {
	tick := time.NewTicker(patience / 20)
	defer tick.Stop()
	least, since := int64(math.MaxInt64), time.Now()
	for {
		held, err := unacknowledged(s.counted.Conn)
		switch {
		case err != nil:
			return err
		case held == 0:
			return nil
		case held < least:
			least, since = held, time.Now()
		case time.Since(since) >= patience:
			return errNotClosed
		}
		select {
		case <-ctx.Done():
			return errNotClosed
		case <-s.ended:
			return s.cause
		case <-tick.C:
		}
	}
}

var errNotClosed = errors.New("the repository does not read, or does not close when a session ends: what it was sent does not count as kept")

func (s *stream) close() {
	s.conn.SetWriteDeadline(time.Now().Add(time.Second))
	s.conn.Close()
	<-s.ended
}

// counter counts the bytes that TLS writes.
type counter struct {
	net.Conn
	written atomic.Int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	return n, err
}

// datagrams is UDP: what was sent has arrived, or is lost, and nobody knows.
type datagrams struct {
	conn  net.Conn
	sent  int64
	never chan struct{}
}

// maxDatagram is what UDP over IPv4 carries (RFC 5426 §3.2).
const maxDatagram = 65507

func dialDatagrams(ctx context.Context, address string) (*datagrams, error) {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "udp", address)
	if err != nil {
		return nil, err
	}
	return &datagrams{conn: conn, never: make(chan struct{})}, nil
}

func (d *datagrams) send(frame []byte) error {
	n, err := d.conn.Write(frame[:min(len(frame), maxDatagram)])
	d.sent += int64(n)
	return err
}

func (d *datagrams) flush() (int64, error)                       { return d.sent, nil }
func (d *datagrams) arrived() (int64, error)                     { return d.sent, nil }
func (d *datagrams) finish(context.Context, time.Duration) error { return nil }
func (d *datagrams) gone() <-chan struct{}                       { return d.never }
func (d *datagrams) why() error                                  { return nil }
func (d *datagrams) close()                                      { d.conn.Close() }
