package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"

	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/policy"
	"cordon/transfer"
)

// session is one association with a modality, and its links to the archives
// that serve it. Of an association that an archive opened, the archive is in
// the modality's place, and the link leads to the device that objects are for.
type session struct {
	g         *Gateway
	id        string
	log       *slog.Logger
	peer      netip.Addr
	private   string  // the archive that opened it on a connection of its own; else ""
	detour    *detour // the way of a device that called an archive itself; else nil
	in        *ul.Indication
	rq        *ul.Request
	asked     policy.Association // what admission was asked about
	admission policy.Admission
	links     []*link
	down      *dimse.Exchange // to whoever opened the association
	tally     tally
	moved     *transfer.Transfers

	under   underWay
	places  chan struct{}           // one taken by each operation of the window
	cut     context.CancelCauseFunc // ends the association, because of an operation that failed
	mu      sync.Mutex              // guards what follows
	running map[uint16]*relay       // what can be cancelled, by the requestor's message id

	askedCommitment atomic.Bool // commitment was asked for on it
}

// tally counts the objects of one association.
type tally struct {
	received, delivered, held, spooled, refused, sent atomic.Int64
}

func newSession(g *Gateway, peer netip.Addr, in *ul.Indication) *session {
	id := rand.Text()
	return &session{
		moved:   newTransfers(g, id),
		g:       g,
		id:      id,
		log:     g.parts.Log.With("association", id, "peer", peer, "calling", in.Request.Calling),
		peer:    peer,
		in:      in,
		rq:      &in.Request,
		running: map[uint16]*relay{},
	}
}

// run takes the association from its request to its end. When ctx ends it
// stops after the operations under way; when work ends it is cut.
func (s *session) run(ctx, work context.Context) (err error) {
	if rejection := s.admit(); rejection != nil {
		return s.reject(work, *rejection, s.admission.Refusal.String())
	}
	if d := s.admission.Device; d != "" {
		s.g.door.recognise(callerOf(s.g.site(), s.peer))
		if !s.g.callers.Enter(d) {
			return s.reject(work, rejectFull, "too many associations of this device")
		}
		defer s.g.callers.Leave(d)
	}
	if err := s.intend(work); err != nil {
		s.log.Error("the ledger cannot be written: associations are turned away", "error", err)
		return s.in.Reject(rejectCongested)
	}
	s.wouldRefuse(s.admission.WouldRefuse...)
	outcome := "aborted"
	defer func() { s.end(work, outcome, err) }()

	response, rejection := s.mirror(work)
	defer s.closeLinks(work)
	if rejection != nil {
		outcome = "rejected by the other side"
		return s.reject(work, *rejection, outcome)
	}
	as, err := s.in.Accept(response)
	if err != nil {
		return err
	}
	conn := dimse.NewConn(as)
	defer conn.Close()
	s.down = dimse.NewExchange(conn, s.answer)
	s.places = make(chan struct{}, window(as.Window().Performed))
	s.agree()
	s.g.counts.associations.Add(1)
	s.g.live.add(s)
	defer s.g.live.remove(s)
	outcome, err = s.messages(ctx, work)
	return err
}

// messages serves the association until it ends, and says how it did.
func (s *session) messages(ctx, work context.Context) (outcome string, err error) {
	operations, cut := context.WithCancelCause(work)
	s.cut = cut
	defer s.under.wait()
	defer cut(nil)
	for _, l := range s.links {
		l.attend(work)
	}
	var stopped atomic.Bool
	stop := context.AfterFunc(ctx, func() { // ends with the operations under way
		stopped.Store(true)
		s.under.close(operations)
		s.down.Conn().Abort()
	})
	defer stop()
	s.present(work)
	switch err := s.down.Run(operations); {
	case stopped.Load() && work.Err() == nil:
		return "stopped", nil
	case errors.Is(err, io.EOF):
		return "released", nil
	default:
		return "aborted", err
	}
}

// errStopping ends an association whose peer goes on while we stop.
var errStopping = errors.New("the gateway is stopping")

// errFault ends what a panic of ours broke off.
var errFault = errors.New("a fault of the gateway's own")

// answer handles one message of whoever opened the association, in the
// goroutine that reads it: it reads the data set, and leaves the rest to a
// goroutine of the operation's own, so that a C-CANCEL is heard and, where a
// window was negotiated, the next operation can begin. Where none was, an
// object is seen to its end here: nothing else can come.
func (s *session) answer(ctx context.Context, m *dimse.Message) error {
	if m.Command.Field == dimse.CCancelRQ {
		s.cancel(ctx, m.Command.MessageIDBeingRespondedTo)
		return nil
	}
	if !s.under.begin() {
		s.under.close(ctx) // what is under way in the window is answered first
		return errStopping
	}
	if m.Command.Field == dimse.CEchoRQ {
		defer s.under.end()
		return s.echo(ctx, m)
	}
	select {
	case s.places <- struct{}{}:
	case <-ctx.Done():
		s.under.end()
		return context.Cause(ctx)
	}
	return s.serve(ctx, m, service{s.receive, cap(s.places) == 1, s.cut, func() {
		<-s.places
		s.under.end()
	}})
}

// service is how requests of one association are served.
type service struct {
	receive receiver
	here    bool        // an object is seen to its end where it was read
	cut     func(error) // ends the association, because of an operation that failed
	done    func()      // the operation is over
}

// serve receives a request and carries it on.
func (s *session) serve(ctx context.Context, m *dimse.Message, by service) error {
	carriedOn := false
	defer func() {
		if !carriedOn { // a panic of ours included
			by.done()
		}
	}()
	rest, err := by.receive(ctx, m)
	switch {
	case err != nil || rest == nil:
		return err
	case m.Command.Field == dimse.CStoreRQ && by.here:
		return rest(ctx)
	}
	carriedOn = true
	go s.carryOn(ctx, rest, by) // ends with the operation; the session waits for it
	return nil
}

// carryOn sees an operation to its end, in a goroutine of its own. An error
// ends the association that its request came on.
func (s *session) carryOn(ctx context.Context, rest operation, by service) {
	defer by.done()
	err := errFault
	defer func() {
		if err != nil {
			by.cut(err)
		}
	}()
	defer s.g.survive("operation")
	err = rest(ctx)
}

// operation is what is left to do of a request whose data set has been read. An
// error ends the association.
type operation func(context.Context) error

// receiver reads a request, and returns what is left to be done for it, or nil.
type receiver func(context.Context, *dimse.Message) (operation, error)

// receive reads a request, and returns what is left to be done for it, or nil.
func (s *session) receive(ctx context.Context, m *dimse.Message) (operation, error) {
	switch c := &m.Command; {
	case !c.Field.IsKnown():
		return nil, s.notServed(ctx, s.down, m, dimse.UnrecognizedOperation)
	case c.Field == dimse.CStoreRQ && s.admission.Direction == policy.FromArchive && s.admission.Destination == "":
		return s.receiveReturned(ctx, m)
	case c.Field == dimse.CStoreRQ && s.admission.Direction == policy.FromArchive:
		return s.receiveOutgoing(ctx, m)
	case c.Field == dimse.CStoreRQ:
		return s.receiveObject(ctx, m)
	default:
		return s.receiveRelayed(ctx, m)
	}
}

func (s *session) echo(ctx context.Context, m *dimse.Message) error {
	if g, _ := s.grant(m.ContextID); g.Service != policy.ServiceEcho {
		return s.notServed(ctx, s.down, m, dimse.SOPClassNotSupported)
	}
	s.observe(m, "")
	return s.down.Respond(ctx, m, dimse.Command{Status: dimse.Success}, nil)
}

// grant is what was granted for a presentation context.
func (s *session) grant(context uint8) (policy.Grant, bool) {
	for _, g := range s.admission.Contexts {
		if g.ID == context {
			return g, g.Reason == policy.Granted
		}
	}
	return policy.Grant{}, false
}

// windowLimit is the most operations that one association performs at a time.
const windowLimit = 8

// window is how many operations of a negotiated window are used; 0 is
// unlimited.
func window(n uint16) int {
	if n == 0 || n > windowLimit {
		return windowLimit
	}
	return int(n)
}

// underWay counts the operations of a session that are under way, so that one
// that stops can wait for them.
type underWay struct {
	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

// begin reports whether another operation may begin; then end ends it.
func (u *underWay) begin() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return false
	}
	u.running.Add(1)
	return true
}

func (u *underWay) end() { u.running.Done() }

// wait waits for those that are under way, and lets no other begin.
func (u *underWay) wait() {
	u.mu.Lock()
	u.closed = true
	u.mu.Unlock()
	u.running.Wait()
}

// close is wait, at most until ctx is done.
func (u *underWay) close(ctx context.Context) {
	idle := make(chan struct{})
	go func() { // ends with the last operation, for which the session waits as well
		u.wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-ctx.Done():
	}
}
