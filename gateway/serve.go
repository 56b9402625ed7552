package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"cordon/metric"
)

// Serve accepts associations from l until ctx ends, then lets the objects
// under way finish within the grace period, closes the rest, and returns nil.
// It closes l. Several listeners may be served at a time.
func (g *Gateway) Serve(ctx context.Context, l net.Listener) error {
	accepting, ended := context.WithCancel(ctx)
	var recording sync.WaitGroup
	recording.Go(func() { repeat(accepting, omissionInterval, g.recordOmissions) }) // both end when nothing is under way any more
	recording.Go(func() { repeat(accepting, turnedInterval, g.recordTurnedAway) })
	err := g.attend(ctx, l, func(work context.Context, start func(func()), nc net.Conn) {
		if g.isSelf(nc) {
			start(func() { g.serveSelf(ctx, nc) }) // ends with its connection, or with ctx
			return
		}
		c := callerOf(g.site(), address(nc))
		if !g.door.lets(c, time.Now()) {
			g.refuseEntry(ctx, nc, c, start)
			return
		}
		start(func() { g.serve(ctx, work, nc, c, nil) }) // ends with its connection, or with work
	})
	ended()
	recording.Wait()
	g.recordTurnedAway(context.WithoutCancel(ctx))
	g.recordOmission(context.WithoutCancel(ctx))
	g.recordHangUps(context.WithoutCancel(ctx))
	return err
}

// accept hands each connection to start until ctx ends. Errors of a single
// accept, such as too many open files, are waited out.
func (g *Gateway) accept(ctx context.Context, l net.Listener, start func(net.Conn)) error {
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			start(nc)
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("gateway: %w", err)
		default:
			g.parts.Log.Warn("cannot accept a connection", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
}

// serve runs one connection to its end. A panic ends this association alone;
// it is counted, and what was not acknowledged is the sender's to send again. Via
// is the way of one that was made to an archive itself, else nil.
func (g *Gateway) serve(ctx, work context.Context, nc net.Conn, c caller, via *detour) {
	defer nc.Close()
	defer g.survive("association")
	peer := address(nc)
	if !g.seats.take(c, g.site()) {
		g.noSeat(ctx, work, nc, c)
		return
	}
	defer g.seats.giveBack(c)

	if via != nil {
		if err := via.find(nc); err != nil {
			g.noAssociation(work, peer, err)
			return
		}
		if g.pass(ctx, work, nc, c, via) {
			return
		}
	}
	in, err := g.receive(ctx, nc, c, g.config.Limits) // nothing is under way yet: it ends with ctx
	if err != nil {
		if ctx.Err() == nil {
			g.noAssociation(work, peer, err)
		}
		return
	}
	s := newSession(g, peer, in)
	s.detour = via
	if err := s.run(ctx, work); err != nil {
		s.log.Warn("association ended early", "error", err)
	}
}

var errNoSeat = errors.New("too many associations")

// noSeat tells a peer to come back later.
func (g *Gateway) noSeat(ctx, work context.Context, nc net.Conn, c caller) {
	g.counts.rejected.Add(1)
	g.parts.Metrics.Count(metric.Rejections, 1, "no seat")
	g.noAssociation(work, address(nc), errNoSeat)
	if g.door.standing.Enter(c.holder) {
		defer g.door.standing.Leave(c.holder)
		g.turnAway(ctx, nc, c, rejectFull)
	}
}

// survive, deferred, ends what ran by a panic of ours, counts it, and lets the
// rest go on.
func (g *Gateway) survive(what string) {
	if p := recover(); p != nil {
		g.counts.panics.Add(1)
		g.parts.Log.Error("ended by a fault of ours", "what", what, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	}
}

// address of the peer, without the port and the interface; the zero Addr if it
// has none.
func address(nc net.Conn) netip.Addr {
	ap, err := netip.ParseAddrPort(nc.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}
