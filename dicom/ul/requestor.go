package ul

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"

	"cordon/dicom"
)

// Dial connects to address, "host:port", with TLS if config is not nil, and requests an association. ctx bounds the
// establishment only. The error is *Rejection or *Abort if the peer answered with one, else the network's; an
// association of which no context was accepted is established all the same.
func Dial(ctx context.Context, address string, config *tls.Config, rq Request, l Limits) (*Association, error) {
	if err := rq.complete(l.withDefaults()); err != nil {
		return nil, err
	}
	nc, err := connect(ctx, address, config, l.withDefaults())
	if err != nil {
		return nil, err
	}
	return Associate(ctx, nc, rq, l)
}

// Associate is Dial on a transport connection that is there already. It owns nc.
func Associate(ctx context.Context, nc net.Conn, rq Request, l Limits) (*Association, error) {
	l = l.withDefaults()
	if err := rq.complete(l); err != nil {
		nc.Close()
		return nil, err
	}
	a := newAssociation(nc, l, true)
	a.rq = &rq
	a.step(evt1AssociateRequest, nil)
	a.step(evt2TransportConfirm, nil)
	if err := a.negotiate(ctx); err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

// complete fills in what Dial says of a Request, and checks it.
func (rq *Request) complete(l Limits) error {
	if rq.ApplicationContext == "" {
		rq.ApplicationContext = ApplicationContextName
	}
	if rq.ImplementationClassUID == "" {
		rq.ImplementationClassUID, rq.ImplementationVersionName = dicom.ImplementationClassUID, dicom.ImplementationVersionName
	}
	rq.MaxPDULength = l.MaxPDULength
	return checkRequest(rq)
}

// connect opens the transport connection within ARTIM.
func connect(ctx context.Context, address string, config *tls.Config, l Limits) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, l.ARTIM)
	defer cancel()
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", address)
	if err != nil || config == nil {
		return nc, err
	}
	if config.ServerName == "" && !config.InsecureSkipVerify {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			nc.Close()
			return nil, err
		}
		config = config.Clone()
		config.ServerName = host
	}
	t := tls.Client(nc, config)
	if err := t.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, &HandshakeError{Address: address, Err: err}
	}
	return t, nil
}

// HandshakeError is a TLS handshake that failed. Under TLS 1.3 a server that
// refuses our certificate says so later, in answer to the A-ASSOCIATE-RQ.
type HandshakeError struct {
	Address string
	Err     error
}

func (e *HandshakeError) Error() string {
	return fmt.Sprintf("TLS handshake with %s: %v", e.Address, e.Err)
}
func (e *HandshakeError) Unwrap() error { return e.Err }

// negotiate sends the A-ASSOCIATE-RQ (AE-2) and reads until the machine leaves Sta5.
func (a *Association) negotiate(ctx context.Context) error {
	stop := a.AbortWhenDone(ctx)
	defer stop()
	pdu, err := encodeRequest(a.rq)
	if err != nil {
		return err
	}
	if err := a.send(pdu, a.limits.WriteTimeout); err != nil {
		return a.writeFailed(err)
	}
	a.rmu.Lock()
	defer a.rmu.Unlock()
	for a.state() == sta5 {
		a.receive()
	}
	return a.ended()
}

// checkResponse checks an A-ASSOCIATE-AC against our request and takes over what they agree on.
func (a *Association) checkResponse() error {
	if err := checkAnswers(a.rq, a.rs); err != nil {
		return err
	}
	a.use()
	return nil
}
