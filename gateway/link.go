package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/policy"
)

// link is a session's way to the other side: an association with one archive,
// or with the device that an archive sends to. It is made with the session's
// own, and made anew when it was lost and is needed again.
type link struct {
	s        *session
	to       *archive
	rq       ul.Request    // what the other side is asked for
	rejected *ul.Rejection // it rejected the association for good
	getting  chan struct{} // full while a C-GET is under way, whose objects come on this association
	places   chan struct{} // one taken by each request of the other side, but objects

	mu        sync.Mutex
	x         *dimse.Exchange // nil while the other side is away
	carrier   *carrier        // of x
	called    bool            // the other side was called, or a carrier taken
	read      func(*carrier)  // nil until the session is accepted
	retrieval *retrieval      // the C-GET under way
}

// exchange returns the association, and whether it was made just now. The first
// may be one that an earlier session left; one that replaces it is new.
func (l *link) exchange(ctx context.Context) (x *dimse.Exchange, fresh bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.x != nil && !over(l.x) {
		return l.x, false, nil
	}
	l.x, l.carrier = nil, nil
	if l.carrier = l.reuse(); l.carrier == nil {
		if l.carrier, err = l.dial(ctx); err != nil {
			return nil, false, err
		}
		fresh = true
	}
	l.x = l.carrier.x
	if l.read != nil {
		l.read(l.carrier)
	}
	return l.x, fresh, nil
}

// reuse returns an association that an earlier session left, the first time, or
// nil.
func (l *link) reuse() *carrier {
	first := !l.called
	l.called = true
	if !first || !l.storesOnly() {
		return nil
	}
	return l.s.g.pool.take(l.to, l.s.seenAs(l.to), &l.rq)
}

func over(x *dimse.Exchange) bool {
	select {
	case <-x.Ended():
		return true
	default:
		return false
	}
}

// dial associates with the other side, if it is not resting after a failure.
func (l *link) dial(ctx context.Context) (*carrier, error) {
	if l.to.resting() {
		return nil, errResting
	}
	c, err := l.s.g.associateWith(ctx, l.to, l.s.upstreamOf(l.to), l.rq)
	if err != nil {
		return nil, err
	}
	l.remember(c)
	u := newCarrier(c, l.to)
	u.seenAs = l.s.seenAs(l.to)
	return u, nil
}

var errResting = errors.New("it failed a moment ago and is tried again later")

// remember keeps what the other side accepted.
func (l *link) remember(c *dimse.Conn) {
	var as []accepted
	for _, pc := range c.Association().Contexts() {
		as = append(as, accepted{l.to.upstream.Name, l.rq.Calling, pc.AbstractSyntax, pc.TransferSyntax})
	}
	l.s.g.memory.remember(as, func(err error) { l.s.log.Error("accepted contexts not remembered", "error", err) })
}

// attend reads the association from here on, and each that replaces it.
func (l *link) attend(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.read = func(u *carrier) { l.s.g.pool.attend(ctx, u, l) }
	if l.carrier != nil {
		l.read(l.carrier)
	}
}

// agree narrows what the other side is asked for from here on to what was
// agreed: an association that replaces the first must accept the same.
func (l *link) agree(as *ul.Association) {
	var agreed []ul.ProposedContext
	for _, c := range l.rq.Contexts {
		if pc, ok := as.Context(c.ID); ok {
			c.TransferSyntaxes = []dicom.UID{pc.TransferSyntax}
			agreed = append(agreed, c)
		}
	}
	l.rq.Contexts = agreed
}

// drop hangs up an association that can no longer be used. Others with the same
// side may be no better.
func (l *link) drop(x *dimse.Exchange) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.x == x {
		l.x, l.carrier = nil, nil
	}
	x.Conn().Abort()
	l.s.g.pool.distrust(l.to)
}

// close leaves the association to the next session, or releases it.
func (l *link) close(ctx context.Context) {
	l.mu.Lock()
	u := l.carrier
	l.x, l.carrier = nil, nil
	l.mu.Unlock()
	if u == nil || l.storesOnly() && l.s.g.pool.keep(u) {
		return
	}
	if err := u.release(ctx); err != nil {
		l.s.log.Debug("association with the other side not released", "archive", l.to.upstream.Name, "error", err)
	}
}

// closeLinks releases the other sides.
func (s *session) closeLinks(ctx context.Context) {
	var closing sync.WaitGroup
	for _, l := range s.links {
		closing.Go(func() { l.close(ctx) }) // ends within ARTIM
	}
	closing.Wait()
}

// linkOf is the link that serves a presentation context, or nil.
func (s *session) linkOf(context uint8) *link {
	g, ok := s.grant(context)
	if !ok {
		return nil
	}
	return s.linkTo(g.Archive)
}

// linkTo is the link to an archive, or nil. "" is the device that an archive
// sends to.
func (s *session) linkTo(archive string) *link {
	if archive == "" && s.admission.Direction == policy.FromArchive {
		archive = outletName(s.admission.Destination)
	}
	for _, l := range s.links {
		if l.to.upstream.Name == archive {
			return l
		}
	}
	return nil
}

// sameContext finds the presentation context for a message on the other side.
func sameContext(x *dimse.Exchange, m *dimse.Message) (uint8, error) {
	if pc, ok := x.Conn().Association().Context(m.ContextID); ok && pc == m.Context {
		return pc.ID, nil
	}
	id, err := contextFor(x.Conn(), m.Context.AbstractSyntax, m.Context.TransferSyntax)
	if err != nil {
		return 0, fmt.Errorf("relaying: %w", err)
	}
	return id, nil
}
