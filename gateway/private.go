package gateway

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"
)

// ServeArchive is Serve for one archive alone, on a listener that nobody else can
// reach: whoever calls there is that archive, and needs no seat. It is for an
// archive that is part of this process, and sends objects to devices.
func (g *Gateway) ServeArchive(ctx context.Context, archive string, l net.Listener) error {
	return g.attend(ctx, l, func(work context.Context, start func(func()), nc net.Conn) {
		start(func() { g.servePrivate(ctx, work, nc, archive) }) // ends with its connection, or with work
	})
}

// attend hands connections from l to handle until ctx ends, then lets what it has
// started finish within the grace period.
func (g *Gateway) attend(ctx context.Context, l net.Listener, handle func(work context.Context, start func(func()), nc net.Conn)) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	work, cancel := context.WithCancel(context.WithoutCancel(ctx)) // associations outlive ctx by the grace period
	defer cancel()
	g.pool.begin()
	var running sync.WaitGroup
	err := g.accept(ctx, l, func(nc net.Conn) { handle(work, func(f func()) { running.Go(f) }, nc) })
	grace := time.AfterFunc(g.config.Grace, cancel)
	running.Wait()
	g.pool.end()
	grace.Stop()
	return err
}

// servePrivate runs one connection of an archive that is part of this process.
func (g *Gateway) servePrivate(ctx, work context.Context, nc net.Conn, archive string) {
	defer nc.Close()
	defer g.survive("association")
	peer := netip.AddrFrom4([4]byte{127, 0, 0, 1}) // it is here
	in, err := g.receive(ctx, nc, caller{holder: peer}, g.config.Limits)
	if err != nil {
		if ctx.Err() == nil {
			g.noAssociation(work, peer, err)
		}
		return
	}
	s := newSession(g, peer, in)
	s.private = archive
	if err := s.run(ctx, work); err != nil {
		s.log.Warn("association ended early", "error", err)
	}
}
