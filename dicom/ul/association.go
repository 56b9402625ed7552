package ul

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Association is a connection on its way through the protocol machine; callers see it once it is established.
//
// Life of an association: Dial, or Receive and Accept, establish it (Sta6). ReadPDV and WriteMessage use it. It ends
// when either side releases or aborts it, when a limit is passed, or when the connection breaks; the first cause is
// kept, and is what every later call returns. Close waits, at most ARTIM, for the peer to close the connection after
// us, so that our last PDU is not lost, and then closes it.
type Association struct {
	nc     net.Conn
	limits Limits
	rq     *Request
	rs     *Response
	inUse  [128]Context // by id>>1; an ID of 0 is not in use

	mu       sync.Mutex // guards what follows, and the setting of deadlines; held for no input or output
	machine  machine
	artim    time.Time // when the ARTIM timer, or our patience for an answer, runs out; zero while neither runs
	cause    error     // why the association ended
	draining bool      // Close waits for the peer to close
	hurry    bool      // the context is done: do not wait long
	busy     int       // reasons why the peer may be silent: see Busy
	lastBusy time.Time // when the last of them ended

	rmu sync.Mutex // held by whoever reads; guards what follows
	in  inbox

	writing chan struct{} // full while someone writes; guards what follows. Never taken while mu is held
	out     outbox
}

func newAssociation(nc net.Conn, l Limits, requestor bool) *Association {
	l = l.withDefaults()
	a := &Association{nc: nc, limits: l, machine: machine{state: sta1, requestor: requestor}, writing: make(chan struct{}, 1)}
	a.in.ack, a.in.arrived = tune(nc)
	a.in.budget = l.Grace
	return a
}

// Request is the A-ASSOCIATE-RQ that the association was negotiated from.
func (a *Association) Request() *Request { return a.rq }

// Response is the A-ASSOCIATE-AC that answered it.
func (a *Association) Response() *Response { return a.rs }

// Context returns the accepted presentation context with the id.
func (a *Association) Context(id uint8) (Context, bool) {
	c := a.inUse[id>>1]
	return c, c.ID == id && id != 0
}

// Contexts returns the accepted presentation contexts in the order of their ids.
func (a *Association) Contexts() []Context {
	var cs []Context
	for _, c := range a.inUse {
		if c.ID != 0 {
			cs = append(cs, c)
		}
	}
	return cs
}

// RemoteAddr is the peer's address.
func (a *Association) RemoteAddr() net.Addr { return a.nc.RemoteAddr() }

// TLS is the state of the TLS connection, and whether there is one.
func (a *Association) TLS() (tls.ConnectionState, bool) {
	if t, ok := a.nc.(*tls.Conn); ok {
		return t.ConnectionState(), true
	}
	return tls.ConnectionState{}, false
}

// PeerMaxPDU is the longest P-DATA-TF that the peer receives, in bytes; 0 is unlimited.
func (a *Association) PeerMaxPDU() uint32 {
	if a.machine.requestor {
		return a.rs.MaxPDULength
	}
	return a.rq.MaxPDULength
}

// Window is the asynchronous operations window as we see it (PS3.7 §D.3.3.3): how many operations we may invoke at a
// time, and how many the peer may; 0 is unlimited. Without a negotiated one it is one each.
func (a *Association) Window() AsyncWindow {
	if a.rq.Async == nil || a.rs.Async == nil {
		return AsyncWindow{Invoked: 1, Performed: 1}
	}
	w := *a.rs.Async
	if !a.machine.requestor {
		w.Invoked, w.Performed = w.Performed, w.Invoked
	}
	return w
}

// Busy adds n to the reasons why the peer may be silent: it waits for us, or we for it, with a limit of our own. While
// there is one, the association is not idle. It may be called from any goroutine.
func (a *Association) Busy(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.busy += n; a.busy == 0 {
		a.lastBusy = time.Now()
	}
}

// mayBeSilent reports whether the peer's silence at the time given is no idleness. While a timer of the protocol runs it
// may not.
func (a *Association) mayBeSilent(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.artim.IsZero() && a.cause == nil && (a.busy > 0 || now.Sub(a.lastBusy) < a.limits.Idle)
}

// AbortWhenDone aborts the association when ctx is done, until stop is called. stop reports whether it came in time.
// The goroutine that aborts is the context's and ends with the abort.
func (a *Association) AbortWhenDone(ctx context.Context) (stop func() bool) {
	if ctx.Done() == nil {
		return func() bool { return true }
	}
	return context.AfterFunc(ctx, func() {
		a.hurryUp()
		a.abort(Abort{Source: AbortSourceUser}, context.Cause(ctx))
	})
}

// hurryUp shortens the wait for the peer to close, from now on.
func (a *Association) hurryUp() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hurry = true
	if a.machine.state == sta13 {
		a.artim = time.Now().Add(hurryLimit)
		a.nc.SetReadDeadline(past)
	}
}

// Abort sends an A-ABORT, unless the association has ended. It may be called from any goroutine, at any time, and
// interrupts calls in other goroutines. Close must still be called.
func (a *Association) Abort(ab Abort) error {
	return a.abort(ab, &ab)
}

func (a *Association) abort(ab Abort, cause error) error {
	act, err := a.step(evt15AbortRequest, cause)
	switch {
	case err != nil: // it has ended already, or never began
		return nil
	case act == aa2:
		return a.nc.Close()
	}
	a.interruptRead()
	return a.sendAbort(ab)
}

// Release sends an A-RELEASE-RQ and waits, at most ARTIM, for the peer to agree. Data that arrives meanwhile is
// discarded, unless another goroutine is in ReadPDV. Close must still be called.
func (a *Association) Release(ctx context.Context) error {
	stop := a.AbortWhenDone(ctx)
	defer stop()
	if err := a.sendControl(evt11ReleaseRequest, encodeRelease(typeReleaseRQ)); err != nil {
		return err
	}
	a.rmu.Lock()
	defer a.rmu.Unlock()
	for {
		if err := a.ended(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("releasing the association: %w", err)
		}
		a.in.pdvs = nil
		a.receive()
	}
}

// Close ends the association: it aborts it if it is still established, waits, at most ARTIM, for the peer to close the
// connection, and closes it. It returns no error that a caller could do anything about.
func (a *Association) Close() error {
	if a.abort(Abort{Source: AbortSourceUser}, net.ErrClosed) != nil {
		a.nc.Close()
	}
	a.mu.Lock()
	a.draining = true
	a.mu.Unlock()
	a.rmu.Lock()
	defer a.rmu.Unlock()
	for a.state() == sta13 {
		a.receive()
	}
	a.nc.Close()
	return nil
}

// ended returns why the association ended, or nil.
func (a *Association) ended() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cause
}

func (a *Association) state() state {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.machine.state
}

// step moves the protocol machine, runs its timer and, if that ends the association, keeps the cause.
func (a *Association) step(e event, cause error) (action, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	act, err := a.machine.step(e)
	if err != nil {
		if a.cause != nil {
			return no, a.cause
		}
		return no, err
	}
	if a.cause == nil {
		a.cause = cause
	}
	a.runTimer(act)
	return act, nil
}

// runTimer starts or stops ARTIM (PS3.8 §9.1.5). The standard leaves the wait for an answer to an A-ASSOCIATE-RQ or an
// A-RELEASE-RQ to the service user; we wait as long, and then abort.
func (a *Association) runTimer(act action) {
	limit := a.limits.ARTIM
	if a.hurry {
		limit = min(limit, hurryLimit)
	}
	switch {
	case a.machine.startsARTIM(act), act == ae2, act == ar1, act == ar8:
		a.artim = time.Now().Add(limit)
	case act == aa6, act == aa7, act == ar6, act == ar9, act == ar10: // still waiting
	default:
		a.artim = time.Time{}
	}
}

// interruptRead makes a read in progress return, so that it sees why the association ended.
func (a *Association) interruptRead() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.draining {
		a.nc.SetReadDeadline(past)
	}
}

// past is a deadline that interrupts what waits for it.
var past = time.Unix(1, 0)
