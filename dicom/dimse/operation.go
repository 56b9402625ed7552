package dimse

import (
	"context"
	"io"
	"sync"
)

// Operation is a request that we have sent and its responses. Begin makes it, or Prepare and Send do. It is over after the final response, or when
// the association ends; whoever loses interest before calls Abandon.
type Operation struct {
	x         *Exchange
	id        uint16
	contextID uint8
	field     CommandField
	replies   chan Reply // closed after the final one
	abandoned chan struct{}
	once      sync.Once
}

// Reply is a response, with its data set.
type Reply struct {
	Command Command
	Data    []byte // nil if there is none
}

// MessageID is the id of the request.
func (o *Operation) MessageID() uint16 { return o.id }

// Send sends the request that the operation was prepared for, of the same kind; see Exchange.Begin. After an error the
// operation is over, and its place is free.
func (o *Operation) Send(ctx context.Context, rq Command, data io.Reader) error {
	rq.MessageID = o.id
	err := o.x.c.Send(ctx, o.contextID, rq, data)
	if err != nil {
		o.x.forget(o)
	}
	return err
}

// Next returns the next response: pending ones first, then the final one. The error is io.EOF after it, the cause of the
// association's end, or ctx's, which leaves the operation as it is.
func (o *Operation) Next(ctx context.Context) (Reply, error) {
	select {
	case r, ok := <-o.replies:
		return o.received(r, ok)
	default:
	}
	select {
	case r, ok := <-o.replies:
		return o.received(r, ok)
	case <-ctx.Done():
		return Reply{}, context.Cause(ctx)
	case <-o.x.ended:
	}
	select { // it came before the end
	case r, ok := <-o.replies:
		return o.received(r, ok)
	default:
		return Reply{}, o.x.cause()
	}
}

func (o *Operation) received(r Reply, ok bool) (Reply, error) {
	if !ok {
		return Reply{}, io.EOF
	}
	return r, nil
}

// Cancel sends a C-CANCEL request (PS3.7 §9.3.2.3). The operation goes on until its final response.
func (o *Operation) Cancel(ctx context.Context) error {
	return o.x.c.Send(ctx, o.contextID, Command{Field: CCancelRQ, MessageIDBeingRespondedTo: o.id}, nil)
}

// Abandon drops the responses that are still to come. The operation keeps its place in the window until the final one. It may be called more than once.
func (o *Operation) Abandon() { o.once.Do(func() { close(o.abandoned) }) }
