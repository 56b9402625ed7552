package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/policy"
)

// pool keeps associations with archives from the end of one session to the next
// that would ask the same archive for the same: under the same calling AE title
// and user identity, with the same roles, negotiations and contexts. A modality
// that associates for every image then costs its archive one association.
//
// Life of a carrier: a link dials it, and its session uses it alone. At the
// session's end it waits here, if all that it may carry is objects for the
// archive and nothing is outstanding; the next session that fits takes it out.
// It is released when nobody came in time, when it is old, when the archive has
// no place for another, and when the gateway stops.
type pool struct {
	age time.Duration // from its beginning on, after which none is kept

	mu      sync.Mutex
	idle    []*carrier      // the one that waits longest is the first
	crowded map[string]bool // archives that had no place while others waited
	serving int             // calls of Serve; nothing waits without one
	running sync.WaitGroup  // readers and releases; the last Serve waits for them
}

const (
	maxIdle     = 8                      // that wait for one archive
	answersSoon = 250 * time.Millisecond // an archive that has a place
	makesRoom   = 50 * time.Millisecond  // an archive, once an association has ended
)

// carrierAge bounds how long an archive is not asked again whether it accepts
// the title, the identity and our certificate.
const carrierAge = time.Minute

func newPool() *pool { return &pool{age: carrierAge, crowded: map[string]bool{}} }

// carrier is an association with the other side, which may carry the objects of
// one session after the other, never of two at a time.
type carrier struct {
	x      *dimse.Exchange
	to     *archive
	seenAs netip.Addr // the address that the archive was called under; the zero Addr: ours
	since  time.Time
	owner  atomic.Pointer[link] // whose requests are served: nobody's while it waits, and until its session is accepted
	read   chan struct{}        // closed when its reader has ended; nil while it has none
	timer  *time.Timer          // until it is released; while it waits
}

// errNobody ends an association on which the other side asks for something
// while it belongs to nobody.
var errNobody = errors.New("a request on an association that is not in use")

func newCarrier(c *dimse.Conn, to *archive) *carrier {
	u := &carrier{to: to, since: time.Now()}
	u.x = dimse.NewExchange(c, func(ctx context.Context, m *dimse.Message) error {
		if l := u.owner.Load(); l != nil {
			return l.answer(ctx, u.x, m)
		}
		return errNobody
	})
	u.x.LimitReplies(maxMessage)
	return u
}

// attend makes the carrier's requests l's, and starts its reader if it has none.
func (p *pool) attend(ctx context.Context, u *carrier, l *link) {
	u.owner.Store(l)
	if u.read != nil {
		return
	}
	u.read = make(chan struct{})
	p.running.Go(func() { // ends with the association, at the latest with ctx
		defer close(u.read)
		defer p.forget(u)
		defer u.x.Conn().Close()
		defer l.s.g.survive("association with " + u.to.upstream.Name)
		if err := u.x.Run(ctx); !errors.Is(err, io.EOF) {
			l.s.g.parts.Log.Debug("association with the other side ended early", "archive", u.to.upstream.Name, "error", err)
		}
	})
}

// take returns an association that waits and fits a request, or nil.
func (p *pool) take(to *archive, as netip.Addr, rq *ul.Request) *carrier {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, u := range slices.Backward(p.idle) { // the last one is the least likely to be stale
		if u.to == to && u.seenAs == as && !over(u.x) && interchangeable(u.x.Conn().Association().Request(), rq) {
			p.remove(i)
			return u
		}
	}
	return nil
}

// keep lets a carrier wait for another session, or reports that it cannot.
func (p *pool) keep(u *carrier) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	wait := u.to.upstream.KeepIdle
	if p.serving == 0 || wait <= 0 || time.Since(u.since) > p.age || u.read == nil || !u.x.Idle() || over(u.x) {
		return false
	}
	if same := p.waitFor(u.to); len(same) >= maxIdle {
		p.release(same[0])
	}
	u.owner.Store(nil)
	u.timer = time.AfterFunc(wait, func() { p.expire(u) })
	p.idle = append(p.idle, u)
	return true
}

// waitFor needs mu. It returns the places of those that wait for an archive.
func (p *pool) waitFor(to *archive) (places []int) {
	for i, u := range p.idle {
		if u.to == to {
			places = append(places, i)
		}
	}
	return places
}

// remove needs mu. The carrier is the caller's.
func (p *pool) remove(i int) *carrier {
	u := p.idle[i]
	u.timer.Stop()
	p.idle = slices.Delete(p.idle, i, i+1)
	return u
}

// forget drops a carrier whose association has ended.
func (p *pool) forget(u *carrier) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.idle, u); i >= 0 {
		p.remove(i)
	}
}

// expire releases a carrier that nobody came for.
func (p *pool) expire(u *carrier) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.idle, u); i >= 0 {
		p.release(i)
	}
}

// release needs mu. It waits for nothing.
func (p *pool) release(i int) {
	u := p.remove(i)
	p.running.Go(func() { u.release(context.Background()) }) // ends within ARTIM; how is nobody's business
}

// release releases the association and waits for its reader.
func (u *carrier) release(ctx context.Context) error {
	err := u.x.Conn().Release(ctx)
	if u.read == nil { // nobody else closes it
		u.x.Conn().Close()
	} else {
		<-u.read
	}
	return err
}

// open makes a new association with an archive. One that serves few at a time may
// be full with those that wait here: if it does not answer soon, or turns us away
// for now, they are released, and from then on before it is asked.
func (p *pool) open(ctx context.Context, to Upstream, rq ul.Request, l ul.Limits) (*ul.Association, error) {
	if err := gone(ctx, p.clear(to.Name)); err != nil {
		return nil, err
	}
	soon := time.AfterFunc(answersSoon, func() { p.crowd(to.Name) })
	defer soon.Stop()
	as, err := to.associate(ctx, rq, l)
	var rejection *ul.Rejection
	if !errors.As(err, &rejection) || rejection.Result == ul.RejectedPermanent {
		return as, err
	}
	released := p.crowd(to.Name)
	if len(released) == 0 || gone(ctx, released) != nil {
		return nil, err
	}
	return to.associate(ctx, rq, l)
}

// gone waits until associations are released, and the archive knows.
func gone(ctx context.Context, released []*carrier) error {
	if len(released) == 0 {
		return nil
	}
	for _, u := range released {
		select {
		case <-u.read: // within ARTIM
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(makesRoom):
		return nil
	}
}

// clear releases what waits for an archive that has no place for others meanwhile.
func (p *pool) clear(archive string) (released []*carrier) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.crowded[archive] {
		released = p.makeRoom(archive)
	}
	return released
}

// crowd notes that an archive has no place while associations with it wait, and
// releases these.
func (p *pool) crowd(archive string) (released []*carrier) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if released = p.makeRoom(archive); len(released) > 0 {
		p.crowded[archive] = true
	}
	return released
}

// makeRoom needs mu. It releases what waits for an archive.
func (p *pool) makeRoom(archive string) (released []*carrier) {
	for i := len(p.idle) - 1; i >= 0; i-- {
		if u := p.idle[i]; u.to.upstream.Name == archive {
			released = append(released, u)
			p.release(i)
		}
	}
	return released
}

// distrust hangs up on all that wait for an archive one of whose associations
// turned out to be stale.
func (p *pool) distrust(to *archive) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := len(p.idle) - 1; i >= 0; i-- {
		if p.idle[i].to == to {
			p.remove(i).x.Conn().Abort() // its reader closes it
		}
	}
}

// begin says that another call of Serve has begun.
func (p *pool) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serving++
}

// end says that one is over, and all its sessions are. With the last one, what
// waits is released.
func (p *pool) end() {
	p.mu.Lock()
	p.serving--
	last := p.serving == 0
	for last && len(p.idle) > 0 {
		p.release(len(p.idle) - 1)
	}
	p.mu.Unlock()
	if last {
		p.running.Wait()
	}
}

// interchangeable reports whether two requests ask for the same, but for the ids
// of contexts.
func interchangeable(a, b *ul.Request) bool {
	return a.Calling == b.Calling && a.Called == b.Called &&
		slices.EqualFunc(a.Contexts, b.Contexts, sameProposal) &&
		slices.Equal(a.Roles, b.Roles) &&
		slices.EqualFunc(a.Extended, b.Extended, sameExtension) &&
		slices.EqualFunc(a.Unknown, b.Unknown, func(a, b ul.SubItem) bool { return a.Type == b.Type && bytes.Equal(a.Data, b.Data) }) &&
		sameWindow(a.Async, b.Async) &&
		sameIdentity(a.UserIdentity, b.UserIdentity)
}

func sameProposal(a, b ul.ProposedContext) bool {
	return a.AbstractSyntax == b.AbstractSyntax && slices.Equal(a.TransferSyntaxes, b.TransferSyntaxes)
}

func sameExtension(a, b ul.ExtendedNegotiation) bool {
	return a.SOPClass == b.SOPClass && bytes.Equal(a.Information, b.Information)
}

func sameWindow(a, b *ul.AsyncWindow) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// sameIdentity reports whether the other side would know two users for one. A
// ticket or a token is for one association (PS3.7 §D.3.3.7), and so is an answer
// to it: these are never the same.
func sameIdentity(a, b *ul.UserIdentity) bool {
	if a == nil || b == nil {
		return a == b
	}
	lasting := a.Type == ul.IdentityUserName || a.Type == ul.IdentityPasscode
	return lasting && !a.ResponseRequested && !b.ResponseRequested &&
		a.Type == b.Type && bytes.Equal(a.Primary, b.Primary) && bytes.Equal(a.Secondary, b.Secondary)
}

// storesOnly reports whether all that the link is for is objects for an archive:
// the other side has nothing to ask on it, and nothing of a session outlives it.
func (l *link) storesOnly() bool {
	if _, out := isOutlet(l.to.upstream.Name); out || l.s.admission.Direction == policy.FromArchive {
		return false
	}
	for _, c := range l.rq.Contexts {
		if g, ok := l.s.grant(c.ID); !ok || g.Service != policy.ServiceStore || g.Roles.SCP {
			return false
		}
	}
	return true
}

// accepted is the other side's answer to the link's own context, whose id may be
// another on an association that was made for an earlier session.
func (l *link) accepted(id uint8) (ul.AcceptedContext, bool) {
	i := slices.IndexFunc(l.rq.Contexts, func(c ul.ProposedContext) bool { return c.ID == id })
	as := l.x.Conn().Association()
	if i < 0 || i >= len(as.Request().Contexts) {
		return ul.AcceptedContext{}, false
	}
	for _, a := range as.Response().Contexts {
		if a.ID == as.Request().Contexts[i].ID {
			a.ID = id
			return a, true
		}
	}
	return ul.AcceptedContext{}, false
}
