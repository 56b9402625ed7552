package dimse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"

	"cordon/dicom/ul"
)

const (
	defaultMaxReply = 1 << 20 // bytes of a response's data set that are kept
	unlimitedWindow = 64      // operations at a time that we invoke of a peer that sets no limit
)

// Exchange runs several operations at a time on one association, in both directions. One goroutine is in Run and reads:
// it hands each response to the Operation that waits for it, and each request, C-CANCEL included, to serve. Everything
// else may be called from any goroutine.
//
//	x := dimse.NewExchange(c, serve)
//	go x.Run(ctx)                                        // until the association ends
//	o, err := x.Begin(ctx, contextID, request, dataSet)  // when the negotiated window has a place
//	for r, err := o.Next(ctx); err == nil; r, err = o.Next(ctx) { ... } // pending responses, then the final one, then io.EOF
//
// serve runs in the goroutine that reads: nothing else is received until it returns, and the request's Data is valid only
// until then. A provider that performs several operations at a time reads the data set and goes on in a goroutine of its
// own, which answers with Respond. An error of serve aborts the association. Where a window was negotiated, a request under
// the message id of one that has no final response yet is answered with DuplicateInvocation, and serve does not see it.
type Exchange struct {
	c        *Conn
	serve    func(context.Context, *Message) error
	maxReply int64
	places   chan struct{} // one taken by each operation under way

	mu         sync.Mutex
	waiting    map[uint16]*Operation // by message id, until the final response
	performing map[uint16]bool       // message ids of the peer's operations, until then; nil without a window
	err        error                 // why the exchange ended
	ended      chan struct{}         // closed then
}

// NewExchange returns an Exchange on c, whose owner still closes it. As many operations are invoked at a time as the
// association's window lets us (PS3.7 §D.3.3.3): one, if there is none. If serve is nil, requests are answered with
// UnrecognizedOperation.
func NewExchange(c *Conn, serve func(context.Context, *Message) error) *Exchange {
	c.lastID.Store(rand.Uint32()) // a move originator's message id tells apart moves on several associations
	x := &Exchange{
		c:        c,
		serve:    serve,
		maxReply: defaultMaxReply,
		places:   make(chan struct{}, invocable(c.a)),
		waiting:  map[uint16]*Operation{},
		ended:    make(chan struct{}),
	}
	if c.a.Window().Performed != 1 {
		x.performing = map[uint16]bool{}
	}
	return x
}

// invocable is how many operations we may invoke at a time on the association.
func invocable(a *ul.Association) int {
	w := a.Window()
	if w.Invoked == 0 || w.Invoked > unlimitedWindow {
		return unlimitedWindow
	}
	return int(w.Invoked)
}

// LimitReplies bounds the data set of one response, in bytes; 1 MiB if it is not called. A longer one aborts the
// association. It must be called before Run.
func (x *Exchange) LimitReplies(n int64) { x.maxReply = n }

// Conn is the connection underneath.
func (x *Exchange) Conn() *Conn { return x.c }

// Idle reports whether no operation is under way: every request of ours has its final response.
func (x *Exchange) Idle() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.waiting) == 0
}

// Ended is closed when the association has ended, or Run has.
func (x *Exchange) Ended() <-chan struct{} { return x.ended }

// Run receives until the association ends. The error is io.EOF after the peer released it; when ctx is done it is
// aborted, and the error is ctx's cause; a message that breaks the rules, and an error of serve, abort it as well.
// Operations under way learn the same error.
func (x *Exchange) Run(ctx context.Context) error {
	why := errPanic
	defer func() { x.end(why) }()
	for {
		m, err := x.c.Receive(ctx)
		if err == nil {
			err = x.handle(ctx, m)
		}
		if err != nil {
			why = err
			return err
		}
	}
}

// errPanic is what operations under way learn when serve panics.
var errPanic = errors.New("message exchange: broken off by a fault")

// end makes err what operations under way learn. It aborts what is still established.
func (x *Exchange) end(err error) {
	x.mu.Lock()
	x.err = err
	x.mu.Unlock()
	close(x.ended)
	x.c.Abort()
}

func (x *Exchange) handle(ctx context.Context, m *Message) error {
	switch {
	case m.Command.Field.IsResponse():
		return x.reply(ctx, m)
	case m.Command.Field == CCancelRQ && x.serve == nil:
		return nil // it has no response (PS3.7 §9.3.2.3)
	}
	if m.Command.Field != CCancelRQ {
		if !x.undertake(m.Command.MessageID) {
			x.c.in.unread = maxUnread
			return x.c.Respond(ctx, m, Command{Status: DuplicateInvocation}, nil)
		}
		x.c.a.Busy(1)
	}
	if x.serve == nil {
		return x.Respond(ctx, m, Command{Status: UnrecognizedOperation}, nil)
	}
	return x.serve(ctx, m)
}

// Respond answers a request; see Conn.Respond. While a request awaits its final response, the peer may be silent for
// longer than the association's idle time.
func (x *Exchange) Respond(ctx context.Context, rq *Message, rsp Command, data io.Reader) error {
	if isFinal(rq.Command.Field, rsp.Status) {
		defer x.c.a.Busy(-1)
		x.answered(rq.Command.MessageID) // the peer may use it again as soon as it is answered
	}
	return x.c.Respond(ctx, rq, rsp, data)
}

// undertake notes the message id of a request that is to be performed, or reports that the peer has an operation under way
// that has it (PS3.7 annex C).
func (x *Exchange) undertake(id uint16) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.performing == nil {
		return true
	}
	if x.performing[id] {
		return false
	}
	x.performing[id] = true
	return true
}

func (x *Exchange) answered(id uint16) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.performing, id)
}

// isFinal reports whether the status ends the operation that a request began: only C-FIND, C-GET and C-MOVE have responses
// that do not.
func isFinal(request CommandField, s Status) bool {
	return s.Class() != ClassPending || request != CFindRQ && request != CGetRQ && request != CMoveRQ
}

// reply hands a response to the operation that waits for it.
func (x *Exchange) reply(ctx context.Context, m *Message) error {
	c := &m.Command
	x.mu.Lock()
	o := x.waiting[c.MessageIDBeingRespondedTo]
	x.mu.Unlock()
	if o == nil || c.Field != o.field.Response() {
		return x.c.violated("%v to message %d: no such request is outstanding", c.Field, c.MessageIDBeingRespondedTo)
	}
	data, err := x.readReply(m)
	if err != nil {
		return err
	}
	final := isFinal(o.field, c.Status)
	if final {
		x.forget(o) // whoever has the response finds its place free
	}
	select {
	case o.replies <- Reply{Command: *c, Data: data}:
	case <-o.abandoned:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if final {
		close(o.replies)
	}
	return nil
}

// readReply reads a response's data set into memory.
func (x *Exchange) readReply(m *Message) ([]byte, error) {
	if m.Data == nil {
		return nil, nil
	}
	data, err := io.ReadAll(io.LimitReader(m.Data, x.maxReply+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > x.maxReply {
		return nil, x.c.violated("presentation context %d: data set of %v longer than %d bytes", m.ContextID, m.Command.Field, x.maxReply)
	}
	return data, nil
}

// Begin sends a request under a message id of its own, with the data set that data yields, or none if it is nil. It waits
// until the window has a place. If ctx is done before the request is sent whole, the association is aborted.
func (x *Exchange) Begin(ctx context.Context, contextID uint8, rq Command, data io.Reader) (*Operation, error) {
	o, err := x.Prepare(ctx, contextID, rq.Field)
	if err != nil {
		return nil, err
	}
	return o, o.Send(ctx, rq, data)
}

// Prepare waits until the window has a place and takes it for an operation, whose message id is then known. The caller
// must Send its request.
func (x *Exchange) Prepare(ctx context.Context, contextID uint8, field CommandField) (*Operation, error) {
	select {
	case x.places <- struct{}{}:
		return x.expect(contextID, field), nil
	case <-x.ended:
		return nil, x.cause()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// expect makes an operation that responses can reach.
func (x *Exchange) expect(contextID uint8, field CommandField) *Operation {
	x.mu.Lock()
	defer x.mu.Unlock()
	id := x.c.NextMessageID()
	for x.waiting[id] != nil {
		id = x.c.NextMessageID()
	}
	o := &Operation{x: x, id: id, contextID: contextID, field: field, replies: make(chan Reply, 1), abandoned: make(chan struct{})}
	x.waiting[id] = o
	x.c.a.Busy(1)
	return o
}

// forget gives an operation's place in the window back, once: an operation that failed to be sent may have been answered
// meanwhile.
func (x *Exchange) forget(o *Operation) {
	x.mu.Lock()
	waits := x.waiting[o.id] == o
	if waits {
		delete(x.waiting, o.id)
	}
	x.mu.Unlock()
	if waits {
		x.c.a.Busy(-1)
		<-x.places
	}
}

// cause is why the exchange ended. A release in the middle of an operation is no orderly end.
func (x *Exchange) cause() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return eofIsUnexpected(x.err)
}

// Store is Conn.Store beside other operations. When ctx is done before the response, the association goes on, and the
// response is dropped when it comes.
func (x *Exchange) Store(ctx context.Context, contextID uint8, rq StoreRequest, data io.Reader) (Command, error) {
	o, err := x.Begin(ctx, contextID, rq.command(), data)
	if err != nil {
		return Command{}, err
	}
	defer o.Abandon()
	r, err := o.Next(ctx)
	if err != nil {
		return Command{}, fmt.Errorf("awaiting %v: %w", CStoreRSP, err)
	}
	return r.Command, nil
}
