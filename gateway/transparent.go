package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"cordon/policy"
)

// Transparent is how connections are served that devices made to an archive
// itself, and that were led here on their way (package transparent).
type Transparent struct {
	Archive  func(called netip.AddrPort) (name string, ok bool)                                     // whose address that is
	DialFrom func(ctx context.Context, from netip.Addr, address string) (net.Conn, error)           // calls an archive under a device's own address; nil: it is called under ours
	PassTLS  bool                                                                                   // what is encrypted goes to the archive uninspected; else it ends
	TLS      func(ctx context.Context, device string, from netip.Addr, archive string, passed bool) // somebody's connection was encrypted: an alarm; may be nil
}

// ServeTransparent is Serve for such connections. The archive is the one whose
// address was called, which is a connection's own; whatever AE title the device
// calls it by is passed on.
func (g *Gateway) ServeTransparent(ctx context.Context, l net.Listener, t Transparent) error {
	return g.attend(ctx, l, func(work context.Context, start func(func()), nc net.Conn) {
		c := callerOf(g.site(), address(nc))
		if !g.door.lets(c, time.Now()) {
			g.refuseEntry(ctx, nc, c, start)
			return
		}
		start(func() { g.serve(ctx, work, nc, c, &detour{t: t}) }) // ends with its connection, or with work
	})
}

// detour is the way of one connection that was made to an archive itself.
type detour struct {
	t       Transparent
	archive string // whose address was called
}

var errNotLed = errors.New("a connection to the port that redirects lead to, and to no archive's address")

// find tells which archive was called.
func (v *detour) find(nc net.Conn) error {
	name, ok := v.t.Archive(addressAndPort(nc.LocalAddr()))
	if !ok {
		return errNotLed
	}
	v.archive = name
	return nil
}

// pass looks at what a connection begins with, and does what is to be done with
// one that is encrypted: nothing can be judged in it. It reports whether it did.
func (g *Gateway) pass(ctx, work context.Context, nc net.Conn, c caller, v *detour) (done bool) {
	encrypted, err := beginsWithTLS(ctx, nc, g.patience())
	if err != nil {
		if ctx.Err() == nil {
			g.noAssociation(work, address(nc), err)
		}
		return true
	}
	if !encrypted {
		return false
	}
	peer := address(nc)
	if v.t.TLS != nil {
		v.t.TLS(work, c.owner.name, peer, v.archive, v.t.PassTLS)
	}
	body := map[string]any{"address": peer.String(), "device": c.owner.name, "archive": v.archive, "passed": v.t.PassTLS}
	if !v.t.PassTLS {
		if err := g.recordRefusal(work, peer, "transparent.encrypted", body); err != nil {
			g.parts.Log.Error("encrypted connection not recorded", "error", err)
		}
		return true
	}
	if err := g.parts.Ledger.Record(work, "transparent.encrypted", body); err != nil {
		g.parts.Log.Error("the ledger cannot be written: an encrypted connection is turned away", "error", err)
		return true
	}
	g.parts.Log.Warn("encrypted: it goes to the archive uninspected", "peer", peer, "archive", v.archive)
	if err := g.splice(work, nc, v); err != nil {
		g.parts.Log.Info("encrypted connection ended", "peer", peer, "archive", v.archive, "error", err)
	}
	return true
}

// patience is for a peer to say something.
func (g *Gateway) patience() time.Duration {
	if g.config.Limits.ARTIM > 0 {
		return g.config.Limits.ARTIM
	}
	return handshakePatience
}

// recordHandshake is what a TLS record of a handshake begins with (RFC 8446 §5.1),
// where an A-ASSOCIATE-RQ begins with 1 (PS3.8 table 9-11).
const recordHandshake = 22

// beginsWithTLS looks at the first byte that comes, and leaves it there.
func beginsWithTLS(ctx context.Context, nc net.Conn, patience time.Duration) (bool, error) {
	c, ok := nc.(syscall.Conn)
	if !ok {
		return false, errors.New("not a connection of the network's")
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return false, err
	}
	nc.SetReadDeadline(time.Now().Add(patience))
	stop := context.AfterFunc(ctx, func() { nc.SetReadDeadline(time.Unix(1, 0)) })
	defer nc.SetReadDeadline(time.Time{})
	defer stop()
	var first [1]byte
	var n int
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		n, _, failed = unix.Recvfrom(int(fd), first[:], unix.MSG_PEEK)
		return failed != unix.EAGAIN && failed != unix.EINTR
	})
	switch {
	case err != nil:
		return false, fmt.Errorf("waiting for an A-ASSOCIATE-RQ: %w", err)
	case failed != nil:
		return false, failed
	case n == 0:
		return false, fmt.Errorf("waiting for an A-ASSOCIATE-RQ: %w", io.EOF)
	}
	return first[0] == recordHandshake, nil
}

// splice passes bytes on in both directions until both ends have said all, work
// ends, or nothing has moved for as long as an archive may be silent.
func (g *Gateway) splice(work context.Context, nc net.Conn, v *detour) error {
	ctx, cancel := context.WithTimeout(work, g.config.ConnectTimeout)
	up, err := g.archives[v.archive].upstream.reach(ctx, v.source(address(nc)))
	cancel()
	if err != nil {
		return err
	}
	defer up.Close()
	stop := context.AfterFunc(work, func() { nc.Close(); up.Close() })
	defer stop()
	idle := newWatch(g.config.RetrieveTimeout, func() { nc.Close(); up.Close() })
	defer idle.stop()
	idle.moved()
	var both sync.WaitGroup
	one := func(to, from net.Conn) {
		both.Go(func() { // ends with either connection
			io.Copy(to, &watched{from, idle})
			if half, ok := to.(interface{ CloseWrite() error }); ok {
				half.CloseWrite()
			}
		})
	}
	one(up, nc)
	one(nc, up)
	both.Wait()
	return nil
}

// source opens connections under a device's address; nil: under ours.
func (v *detour) source(device netip.Addr) func(context.Context, string) (net.Conn, error) {
	if v == nil || v.t.DialFrom == nil {
		return nil
	}
	return func(ctx context.Context, address string) (net.Conn, error) { return v.t.DialFrom(ctx, device, address) }
}

// reach opens a connection to the upstream, without TLS.
func (u Upstream) reach(ctx context.Context, from func(context.Context, string) (net.Conn, error)) (net.Conn, error) {
	if from != nil {
		return from(ctx, u.Address)
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", u.Address)
}

// upstreamOf is the upstream as a session calls it: under the device's own address, if
// it was the archive that the device called.
func (s *session) upstreamOf(to *archive) Upstream {
	u := to.upstream
	if from := s.detour.source(s.peer); from != nil && u.Name == s.detour.archive && u.TLS == nil && u.Dial == nil {
		u.Dial = func(ctx context.Context) (net.Conn, error) { return from(ctx, u.Address) }
	}
	return u
}

// seenAs is the address under which a session calls an archive; the zero Addr is
// ours. Nobody else's objects go over such an association.
func (s *session) seenAs(to *archive) netip.Addr {
	if s.detour == nil || s.detour.t.DialFrom == nil || s.admission.Direction != policy.Inbound || to.upstream.Name != s.detour.archive {
		return netip.Addr{}
	}
	return s.peer
}

// called is the archive whose address was called; "" of a nil way.
func (v *detour) called() string {
	if v == nil {
		return ""
	}
	return v.archive
}
