package ul

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

const (
	firstInbox = 4 << 10         // what a connection holds before it is an association
	readAhead  = 64 << 10        // beyond the PDU that is being read
	hurryLimit = 1 * time.Second // how long to wait for the peer to close once the context is done
)

// inbox is the receiving side of a connection.
type inbox struct {
	buf      []byte // buf[off:end] is received and not yet used
	off, end int
	pdvs     []byte        // what is left of the P-DATA-TF that is being read; aliases buf
	consumed int           // bytes of buf that pdvs came from, freed by the next receive
	skip     int64         // bytes of a PDU that is not wanted, still to come
	writeErr error         // a write failed; the read looks for what the peer said about it
	underWay bool          // inside a message
	budget   time.Duration // how much longer the peer may fall short of the minimum throughput
	ack      func()        // see tune
	arrived  func() bool   // see tune
}

func (in *inbox) buffered() int { return in.end - in.off }

// grow makes room for need bytes from off on, and for at least one more byte. It allocates no more than twice what has
// already been received, so that a length alone costs nothing.
func (in *inbox) grow(need int) {
	if in.off == in.end {
		in.off, in.end = 0, 0
	}
	if in.off > 0 && (in.off+need > len(in.buf) || in.end == len(in.buf)) {
		in.end = copy(in.buf, in.buf[in.off:in.end])
		in.off = 0
	}
	if in.end == len(in.buf) {
		in.resize(max(firstInbox, 2*len(in.buf)))
	}
}

func (in *inbox) resize(n int) {
	if n <= len(in.buf) {
		return
	}
	in.buf = slices.Grow(in.buf[:in.end], n-in.end)[:n]
}

// ReadPDV returns the next presentation data value, on an accepted presentation context. Its Data is valid until the next call.
//
// The error is io.EOF after the peer released the association; the release is already answered. It is *Abort if either
// side aborted, and wraps os.ErrDeadlineExceeded if the peer was idle or too slow and was aborted for it.
func (a *Association) ReadPDV() (PDV, error) {
	a.rmu.Lock()
	defer a.rmu.Unlock()
	for {
		if err := a.ended(); err != nil {
			return PDV{}, err
		}
		if len(a.in.pdvs) == 0 {
			a.receive()
			continue
		}
		pdv, rest, err := splitPDV(a.in.pdvs)
		if _, ok := a.Context(pdv.ContextID); err == nil && !ok {
			err = invalid("presentation context %d: not negotiated", pdv.ContextID)
		}
		if err != nil {
			a.in.pdvs = nil
			a.answerViolation(evt19InvalidPDU, err)
			continue
		}
		a.in.pdvs = rest
		a.in.underWay = !pdv.Last || len(rest) > 0
		return pdv, nil
	}
}

// hear does what the protocol machine says about what the peer sent before it had our answer, when it may send nothing but
// an A-ABORT (Sta3).
func (a *Association) hear() error {
	a.rmu.Lock()
	defer a.rmu.Unlock()
	for a.state() == sta3 && (a.in.buffered() > a.in.consumed || a.in.arrived()) {
		a.receive()
	}
	return a.ended()
}

// receive reads one PDU and does what the protocol machine says. What it did shows in the state, in ended and in in.pdvs.
func (a *Association) receive() {
	if err := a.receivePDU(); err != nil && err != errInterrupted {
		a.readFailed(err)
	}
}

func (a *Association) receivePDU() error {
	if err := a.discard(); err != nil {
		return err
	}
	if err := a.fill(pduHeaderLen); err != nil {
		return err
	}
	h := a.in.buf[a.in.off:]
	typ, n := h[0], binary.BigEndian.Uint32(h[2:])
	e, err := a.classify(typ, n)
	switch a.outcome(e) {
	case aa1, aa7, aa8:
		if err == nil {
			err = &violation{fmt.Sprintf("PDU type %02XH in state Sta%d", typ, a.state()), Abort{AbortSourceProvider, AbortUnexpectedPDU}}
		}
		fallthrough
	case aa6:
		a.in.skip = pduHeaderLen + int64(n)
		a.answerViolation(e, err)
		return nil
	}
	if err := a.fill(pduHeaderLen + int(n)); err != nil {
		return err
	}
	a.in.consumed = pduHeaderLen + int(n)
	a.dispatch(e, a.in.buf[a.in.off+pduHeaderLen:a.in.off+a.in.consumed])
	return nil
}

// discard frees the PDU that was last used, and reads past one that is not wanted, as long as it says it is.
func (a *Association) discard() error {
	a.in.off += a.in.consumed
	a.in.consumed = 0
	for a.in.skip > 0 {
		if a.in.buffered() == 0 {
			if err := a.fill(1); err != nil {
				return err
			}
		}
		k := min(a.in.skip, int64(a.in.buffered()))
		a.in.off += int(k)
		a.in.skip -= k
	}
	return nil
}

// classify returns the event that a PDU's header stands for. An error comes with evt19InvalidPDU only.
func (a *Association) classify(typ uint8, n uint32) (event, error) {
	var e event
	limit := uint32(4)
	switch typ {
	case typeAssociateRQ:
		e, limit = evt6AssociateRQ, a.limits.MaxAssociateLength
	case typeAssociateAC:
		e, limit = evt3AssociateAC, a.limits.MaxAssociateLength
	case typeAssociateRJ:
		e = evt4AssociateRJ
	case typeData:
		e, limit = evt10Data, a.limits.MaxPDULength
	case typeReleaseRQ:
		e = evt12ReleaseRQ
	case typeReleaseRP:
		e = evt13ReleaseRP
	case typeAbort:
		e = evt16Abort
	default:
		return evt19InvalidPDU, &violation{fmt.Sprintf("PDU type %02XH", typ), Abort{AbortSourceProvider, AbortUnrecognizedPDU}}
	}
	if n > limit || n < 4 {
		return evt19InvalidPDU, invalid("PDU type %02XH of %d bytes, from 4 to %d are allowed", typ, n, limit)
	}
	return e, nil
}

// outcome is what the machine will do with the event.
func (a *Association) outcome(e event) action {
	return stateTable[e-1][a.state()-1]
}

// dispatch decodes a PDU, moves the protocol machine and performs its action.
func (a *Association) dispatch(e event, body []byte) {
	var err, cause error
	switch e {
	case evt3AssociateAC:
		a.rs, err = decodeResponse(body)
		if err == nil {
			err = a.checkResponse()
		}
	case evt4AssociateRJ:
		cause = &Rejection{body[1], body[2], body[3]}
	case evt6AssociateRQ:
		cause, err = a.readRequest(body)
	case evt13ReleaseRP:
		cause = io.EOF
	case evt16Abort:
		cause = &Abort{body[2], body[3]}
	}
	if err != nil {
		a.answerViolation(evt19InvalidPDU, err)
		return
	}
	if act, err := a.step(e, cause); err == nil {
		a.perform(act, body)
	}
}

// perform does what an action says about a received PDU (PS3.8 tables 9-6 to 9-9).
func (a *Association) perform(act action, body []byte) {
	switch act {
	case ae6:
		if a.machine.refuse {
			a.send(encodeRejection(unsupportedVersion), a.limits.WriteTimeout)
		}
	case dt2, ar6:
		a.in.pdvs = body
	case ar2, ar10: // the service user is ready to release: its response follows at once
		a.respondRelease(io.EOF)
	case ar8:
		if a.machine.requestor {
			a.respondRelease(nil)
		}
	case ae4, ar3, aa2, aa3:
		a.nc.Close()
	}
}

// respondRelease is the service user's A-RELEASE response (AR-4, AR-9).
func (a *Association) respondRelease(cause error) {
	if _, err := a.step(evt14ReleaseResponse, cause); err == nil {
		a.send(encodeRelease(typeReleaseRP), a.limits.WriteTimeout)
	}
}

// answerViolation moves the machine by the event of a PDU that may not be, and sends the A-ABORT that it asks for.
//
// PS3.8 gives AA-1 the service user as its source. In Sta2 no service user knows of the connection yet, and its reason
// would not be significant, so the abort is the provider's and says why.
func (a *Association) answerViolation(e event, err error) {
	act, stepErr := a.step(e, err)
	if v, ok := errors.AsType[*violation](err); ok && stepErr == nil && act != aa6 {
		a.sendAbort(v.abort)
	}
}

// readFailed ends the association after a read error: the peer closed, the network failed or a timer ran out.
func (a *Association) readFailed(err error) {
	late := errors.Is(err, os.ErrDeadlineExceeded)
	switch {
	case a.in.writeErr != nil:
		late, err = false, a.in.writeErr
	case err == io.EOF:
		err = fmt.Errorf("transport connection closed: %w", io.ErrUnexpectedEOF)
	case !late:
		err = fmt.Errorf("reading: %w", err)
	}
	if late {
		if _, stepErr := a.step(evt18ARTIMExpired, err); stepErr != nil {
			a.abort(Abort{Source: AbortSourceUser}, err)
			return
		}
	} else {
		a.step(evt17TransportClosed, err)
	}
	a.nc.Close()
}

// fill reads until need bytes are buffered.
func (a *Association) fill(need int) error {
	for a.in.buffered() < need {
		a.in.grow(need)
		if err := a.read(); err != nil {
			return err
		}
	}
	return nil
}

// errInterrupted is the error of a read that would only wait for an association that has ended.
var errInterrupted = errors.New("the association has ended")

// read appends what one read of the connection returns to the inbox.
func (a *Association) read() error {
	idle := a.in.buffered() == 0 && !a.in.underWay
	if idle {
		a.in.budget = a.limits.Grace
	}
	for {
		started := time.Now()
		deadline, err := a.armRead(started, idle)
		if err != nil {
			return err
		}
		n, err := a.nc.Read(a.in.buf[a.in.end:])
		now := time.Now()
		a.in.account(n, now.Sub(started), idle, a.limits)
		switch {
		case n > 0:
			a.in.ack()
			return nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		case !now.Before(deadline) && !(idle && a.in.writeErr == nil && a.mayBeSilent(now)):
			return a.tooLate(idle)
		} // interrupted, or it may be silent: look again
	}
}

// account counts n received bytes for the peer, and the time that we waited for them, unless it was idle, against it.
// Time in which we were busy, and did not read, does not count.
func (in *inbox) account(n int, waited time.Duration, idle bool, l Limits) {
	in.end += n
	if !idle {
		in.budget -= waited
	}
	in.budget = min(l.Grace, in.budget+time.Duration(n)*time.Second/time.Duration(l.MinThroughput))
}

// armRead sets the deadline of the next read and returns it.
func (a *Association) armRead(now time.Time, idle bool) (time.Time, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cause != nil && !a.draining {
		return time.Time{}, errInterrupted
	}
	deadline := now.Add(max(a.in.budget, 0))
	switch {
	case a.in.writeErr != nil:
		deadline = now.Add(explainLimit)
	case !a.artim.IsZero():
		deadline = a.artim
	case idle:
		deadline = now.Add(a.limits.Idle)
	}
	return deadline, a.nc.SetReadDeadline(deadline)
}

// tooLate says which limit the peer has passed.
func (a *Association) tooLate(idle bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case !a.artim.IsZero():
		return fmt.Errorf("state Sta%d: no answer within %v: %w", a.machine.state, a.limits.ARTIM, os.ErrDeadlineExceeded)
	case idle:
		return fmt.Errorf("no PDU within %v: %w", a.limits.Idle, os.ErrDeadlineExceeded)
	}
	return fmt.Errorf("less than %d bytes a second: %w", a.limits.MinThroughput, os.ErrDeadlineExceeded)
}
