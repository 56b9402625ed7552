package ul

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
)

// Association is an established association.
type Association struct{ nc net.Conn }

// Indication is a received A-ASSOCIATE-RQ awaiting Accept or Reject.
type Indication struct {
	Request Request
	a       *Association
}

var errNotYet = errors.New("not available")

// Dial requests an association.
func Dial(ctx context.Context, address string, config *tls.Config, rq Request, l Limits) (*Association, error) {
	return nil, errNotYet
}

// Receive reads the A-ASSOCIATE-RQ from an accepted connection.
func Receive(ctx context.Context, nc net.Conn, l Limits) (*Indication, error) { return nil, errNotYet }

// Accept answers with an A-ASSOCIATE-AC.
func (i *Indication) Accept(rs Response) (*Association, error) { return nil, errNotYet }

// Reject answers with an A-ASSOCIATE-RJ and closes.
func (i *Indication) Reject(r Rejection) error { return errNotYet }

// Abort answers with an A-ABORT and closes.
func (i *Indication) Abort(ab Abort) error { return errNotYet }

// RemoteAddr is the peer's address.
func (i *Indication) RemoteAddr() net.Addr { return i.a.nc.RemoteAddr() }

// TLS is the state of the TLS connection, if it is one.
func (i *Indication) TLS() (tls.ConnectionState, bool) { return i.a.TLS() }

// Respond answers each proposed context with what choose returns: a transfer syntax and a result.
func (r *Request) Respond(choose func(ProposedContext) (AcceptedContext, error)) Response {
	return Response{}
}

// Request is the request that the association was negotiated from.
func (a *Association) Request() *Request { return nil }

// Response is the answer to it.
func (a *Association) Response() *Response { return nil }

// Context is the accepted presentation context with the id.
func (a *Association) Context(id uint8) (Context, bool) { return Context{}, false }

// Contexts are the accepted presentation contexts, in the order of their ids.
func (a *Association) Contexts() []Context { return nil }

// RemoteAddr is the peer's address.
func (a *Association) RemoteAddr() net.Addr { return a.nc.RemoteAddr() }

// TLS is the state of the TLS connection, if it is one.
func (a *Association) TLS() (tls.ConnectionState, bool) { return tls.ConnectionState{}, false }

// PeerMaxPDU is the longest P-DATA-TF that the peer receives; 0 is unlimited.
func (a *Association) PeerMaxPDU() uint32 { return 0 }

// ReadPDV returns the next presentation data value; its Data is valid until the next call.
func (a *Association) ReadPDV() (PDV, error) { return PDV{}, errNotYet }

// WriteMessage sends a command set and, unless data is nil, a data set.
func (a *Association) WriteMessage(id uint8, command []byte, data io.Reader) (int64, error) {
	return 0, errNotYet
}

// Release releases the association in order.
func (a *Association) Release(ctx context.Context) error { return errNotYet }

// Abort aborts the association.
func (a *Association) Abort(ab Abort) error { return errNotYet }

// Close ends the association.
func (a *Association) Close() error { return nil }
