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

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/store"

	"golang.org/x/sys/unix"
)

// selves are the connections that this process has made to its own listener, by
// their own address. Nobody else can have such a one at the same time.
type selves struct {
	mu   sync.Mutex
	open map[netip.AddrPort]bool
}

func (s *selves) add(a netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[netip.AddrPort]bool{}
	}
	s.open[a] = true
}

func (s *selves) remove(a netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, a)
}

func (s *selves) has(a netip.AddrPort) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open[a]
}

// selfTitle is how the gateway calls itself; nobody is admitted by it.
const selfTitle dicom.AETitle = "CORDON-SELF"

// Echo associates with the listener at address, one of this gateway's own that
// is plain TCP, and asks it to verify, as a modality would: by the same socket
// and the same state machine. It takes no seat and counts at no limit, so that a
// crowd at the door does not look like a gateway that hangs. It is answered only
// if the database's writer answers as well. A rejection is an answer too:
// somebody without a disk is alive. Nothing of it is recorded, and it opens
// nothing to anybody.
func (g *Gateway) Echo(ctx context.Context, address net.Addr) error {
	nc, err := g.dialSelf(ctx, reachable(address))
	if err != nil {
		return fmt.Errorf("calling our own listener: %w", err)
	}
	defer g.selves.remove(addressAndPort(nc.LocalAddr()))
	conn, err := ul.Associate(ctx, nc, ul.Request{Calling: selfTitle, Called: selfTitle, Contexts: []ul.ProposedContext{
		{AbstractSyntax: dicom.Verification, TransferSyntaxes: []dicom.UID{dicom.ImplicitVRLittleEndian}},
	}}, g.config.Limits)
	var rejection *ul.Rejection
	if errors.As(err, &rejection) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("associating with our own listener: %w", err)
	}
	c := dimse.NewConn(conn)
	defer c.Close()
	status, err := c.Echo(ctx)
	if err == nil && status != dimse.Success {
		err = fmt.Errorf("status %04XH", uint16(status))
	}
	if err != nil {
		return fmt.Errorf("verifying our own listener: %w", err)
	}
	return c.Release(ctx)
}

// dialSelf connects from an address that is among the selves before the listener
// can see it.
func (g *Gateway) dialSelf(ctx context.Context, to string) (net.Conn, error) {
	target, err := netip.ParseAddrPort(to)
	if err != nil {
		return nil, err
	}
	var own netip.AddrPort
	var binding error
	d := net.Dialer{ControlContext: func(_ context.Context, _, _ string, c syscall.RawConn) error {
		err := c.Control(func(fd uintptr) {
			if own, binding = bind(int(fd), target.Addr()); binding == nil {
				g.selves.add(own)
			}
		})
		return errors.Join(err, binding)
	}}
	nc, err := d.DialContext(ctx, "tcp", to)
	if err != nil {
		g.selves.remove(own)
	}
	return nc, err
}

// bind gives a socket that address, which is this machine's, and a free port.
func bind(fd int, a netip.Addr) (netip.AddrPort, error) {
	var err error
	if a.Is4() {
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: a.As4()})
	} else {
		err = unix.Bind(fd, &unix.SockaddrInet6{Addr: a.As16()})
	}
	if err != nil {
		return netip.AddrPort{}, err
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}, err
	}
	switch at := name.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(at.Addr), uint16(at.Port)), nil
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(at.Addr).Unmap(), uint16(at.Port)), nil
	}
	return netip.AddrPort{}, errors.New("a socket without an address")
}

// reachable is an address that a listener of that one answers on.
func reachable(a net.Addr) string {
	ap := addressAndPort(a)
	switch {
	case !ap.IsValid() || !ap.Addr().IsUnspecified():
		return a.String()
	case ap.Addr().Is4():
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), ap.Port()).String()
	}
	return netip.AddrPortFrom(netip.IPv6Loopback(), ap.Port()).String()
}

// addressAndPort is the zero AddrPort if there is none.
func addressAndPort(a net.Addr) netip.AddrPort {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}

// isSelf reports whether a connection is our own Echo's.
func (g *Gateway) isSelf(nc net.Conn) bool { return g.selves.has(addressAndPort(nc.RemoteAddr())) }

// serveSelf runs one connection of Echo's to its end.
func (g *Gateway) serveSelf(ctx context.Context, nc net.Conn) {
	defer nc.Close()
	defer g.survive("own verification")
	in, err := ul.Receive(ctx, nc, g.config.Limits)
	if err == nil {
		err = g.answerSelf(ctx, in)
	}
	if err != nil && ctx.Err() == nil {
		g.parts.Log.Warn("our own verification ended early", "error", err)
	}
}

// answerSelf answers an Echo.
func (g *Gateway) answerSelf(ctx context.Context, in *ul.Indication) error {
	response := ul.Response{}
	for _, c := range in.Request.Contexts {
		response.Contexts = append(response.Contexts, ul.AcceptedContext{ID: c.ID, Result: ul.Acceptance, TransferSyntax: c.TransferSyntaxes[0]})
	}
	as, err := in.Accept(response)
	if err != nil {
		return err
	}
	conn := dimse.NewConn(as)
	defer conn.Close()
	var x *dimse.Exchange
	x = dimse.NewExchange(conn, func(ctx context.Context, m *dimse.Message) error {
		if err := g.parts.DB.Update(ctx, func(*store.Tx) error { return nil }); ctx.Err() != nil {
			return err // the writer hangs; that it fails, for want of room, is an answer
		}
		return x.Respond(ctx, m, dimse.Command{Status: dimse.Success}, nil)
	})
	if err := x.Run(ctx); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
