package ul

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"

	"cordon/dicom"
)

// Indication is an A-ASSOCIATE-RQ that awaits an answer. Exactly one of Accept, Reject and Abort must be called.
type Indication struct {
	Request Request
	a       *Association
}

var unsupportedVersion = Rejection{RejectedPermanent, RejectSourceACSE, RejectProtocolVersion}

// Receive reads an A-ASSOCIATE-RQ from a connection just accepted, after the TLS handshake if nc is a *tls.Conn, all
// within ARTIM. Anything else is answered with an A-ABORT, a request that no one could accept (protocol version,
// application context, AE titles outside their repertoire) with an A-ASSOCIATE-RJ, which is then the error.
//
// Receive owns nc: on error it has waited for the peer to close, at most ARTIM, and closed it. When ctx is done it closes it at once.
func Receive(ctx context.Context, nc net.Conn, l Limits) (*Indication, error) {
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	defer stop()
	a := newAssociation(nc, l, false)
	a.step(evt5TransportOpened, nil)
	if err := a.handshake(ctx); err != nil {
		a.step(evt17TransportClosed, err)
		nc.Close()
		return nil, err
	}
	err := a.awaitRequest()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		a.Close()
		return nil, err
	}
	i := &Indication{Request: *a.rq, a: a}
	if r := unacceptable(a.rq); r != nil {
		return nil, errors.Join(r, i.Reject(*r))
	}
	return i, nil
}

// handshake does the TLS handshake now, within ARTIM, so that its error is known as one.
func (a *Association) handshake(ctx context.Context) error {
	t, ok := a.nc.(*tls.Conn)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithDeadline(ctx, a.artim)
	defer cancel()
	if err := t.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	return nil
}

// awaitRequest reads until the machine leaves Sta2.
func (a *Association) awaitRequest() error {
	a.rmu.Lock()
	defer a.rmu.Unlock()
	for a.state() == sta2 {
		a.receive()
	}
	return a.ended()
}

// readRequest decodes an A-ASSOCIATE-RQ. Cause is the rejection of a protocol version that is not ours.
func (a *Association) readRequest(body []byte) (cause, err error) {
	rq, version, err := decodeRequest(body)
	if err != nil {
		return nil, err
	}
	a.rq = rq
	if version&protocolVersion == 0 {
		a.machine.refuse = true
		return &unsupportedVersion, nil
	}
	return nil, nil
}

// unacceptable returns the rejection of a request that breaks a rule no policy could waive.
func unacceptable(rq *Request) *Rejection {
	reason := uint8(0)
	if _, err := dicom.ParseAETitle(string(rq.Called)); err != nil {
		reason = RejectCalledAETitle
	}
	if _, err := dicom.ParseAETitle(string(rq.Calling)); err != nil {
		reason = RejectCallingAETitle
	}
	if rq.ApplicationContext != ApplicationContextName {
		reason = RejectApplicationContext
	}
	if reason == 0 {
		return nil
	}
	return &Rejection{RejectedPermanent, RejectSourceUser, reason}
}

// RemoteAddr is the peer's address.
func (i *Indication) RemoteAddr() net.Addr { return i.a.RemoteAddr() }

// TLS is the state of the TLS connection, and whether there is one.
func (i *Indication) TLS() (tls.ConnectionState, bool) { return i.a.TLS() }

// Accept sends an A-ASSOCIATE-AC, unless the peer went away, or broke the rules, while it waited. A proposed context that rs leaves out is answered with NoReason, and one whose UIDs are
// invalid cannot be accepted. It is an error, and aborts, to answer a context or a transfer syntax that was not proposed.
func (i *Indication) Accept(rs Response) (*Association, error) {
	a := i.a
	err := a.hear()
	if err == nil {
		err = a.establish(i.Request, &rs)
	}
	if err != nil {
		a.Close()
		return nil, err
	}
	pdu, err := encodeResponse(&rs)
	if err == nil {
		err = a.sendControl(evt7AssociateAccept, pdu)
	}
	if err != nil {
		a.Close()
		return nil, fmt.Errorf("sending A-ASSOCIATE-AC: %w", err)
	}
	return a, nil
}

// Reject sends an A-ASSOCIATE-RJ, waits for the peer to close, at most ARTIM, and closes the connection.
func (i *Indication) Reject(r Rejection) error {
	_, err := i.a.step(evt8AssociateReject, &r)
	if err == nil {
		err = i.a.send(encodeRejection(r), i.a.limits.WriteTimeout)
	}
	i.a.Close()
	if err != nil {
		return fmt.Errorf("sending A-ASSOCIATE-RJ: %w", err)
	}
	return nil
}

// Abort sends an A-ABORT, waits for the peer to close, at most ARTIM, and closes the connection.
func (i *Indication) Abort(ab Abort) error {
	err := i.a.Abort(ab)
	i.a.Close()
	return err
}

// establish completes rs as the answer to rq and takes over what they agree on.
func (a *Association) establish(rq Request, rs *Response) error {
	rs.Called, rs.Calling = rq.Called, rq.Calling
	rs.ApplicationContext = ApplicationContextName
	rs.MaxPDULength = a.limits.MaxPDULength
	if rs.ImplementationClassUID == "" {
		rs.ImplementationClassUID, rs.ImplementationVersionName = dicom.ImplementationClassUID, dicom.ImplementationVersionName
	}
	if err := checkAnswers(&rq, rs); err != nil {
		return err
	}
	rs.Contexts = completeAnswers(&rq, rs.Contexts)
	a.rq, a.rs = &rq, rs
	a.use()
	return nil
}

// use notes the accepted contexts and makes room for data.
func (a *Association) use() {
	for _, c := range a.rs.Contexts {
		if c.Result != Acceptance {
			continue
		}
		i := slices.IndexFunc(a.rq.Contexts, func(p ProposedContext) bool { return p.ID == c.ID })
		a.inUse[c.ID>>1] = Context{c.ID, a.rq.Contexts[i].AbstractSyntax, c.TransferSyntax}
	}
	a.in.buf = append(make([]byte, 0, int(a.limits.MaxPDULength)+pduHeaderLen+readAhead), a.in.buf[a.in.off:a.in.end]...)
	a.in.off, a.in.end = 0, len(a.in.buf)
	a.in.buf = a.in.buf[:cap(a.in.buf)]
}
