// Package dimse implements the DICOM message exchange (PS3.7) on an association of package ul: command sets, messages
// with their data sets as streams, C-ECHO and C-STORE as service class user, and several operations at a time.
//
// A user:
//
//	c := dimse.NewConn(association)
//	defer c.Close()
//	rsp, err := c.Store(ctx, contextID, dimse.StoreRequest{SOPClassUID: class, SOPInstanceUID: instance}, dataSet)
//	if err == nil && rsp.Status.Class() == dimse.ClassSuccess { ... }
//	err = c.Release(ctx)
//
// A provider calls Receive until io.EOF and answers each message with Send. Where operations overlap, because they are
// cancelled, have operations within them or were negotiated to be asynchronous, an Exchange does the receiving.
//
// Memory is bounded whatever the peer sends: a command set is at most 64 KiB, and a data set is read from the
// association as its reader asks, never kept.
//
// A peer that breaks the rules of message exchange (a data set without its command, fragments of two messages mixed, a
// command set that is too long or cannot be read) is aborted, as the service user, and Receive or the data set's reader
// says why. One goroutine may receive, others send.
//
// What it will not do: look into data sets, decide on statuses, or start a goroutine.
package dimse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"cordon/dicom"
	"cordon/dicom/ul"
)

// Conn exchanges messages on an association.
type Conn struct {
	a      *ul.Association
	in     data          // the data set of the message last received
	lastID atomic.Uint32 // the last message id given out

	mu   sync.Mutex  // guards what follows
	stop func() bool // ends the watch over the context of the message last received
}

// NewConn returns a Conn that owns the association.
func NewConn(a *ul.Association) *Conn {
	return &Conn{a: a, stop: func() bool { return true }}
}

// Association is the association underneath.
func (c *Conn) Association() *ul.Association { return c.a }

// NextMessageID returns a message id that was not used lately.
func (c *Conn) NextMessageID() uint16 { return uint16(c.lastID.Add(1)) }

// Send sends a message. cmd.HasData is set by whether data is nil. data is read to io.EOF, not closed; an error from it
// aborts the association. If ctx is done before the message is sent, the association is aborted.
//
// The bytes of data are sent as they are. A data set has an even length (PS3.5 §7.1.1, §A.5); of an odd one the last
// fragment is odd, and DCMTK for one aborts at that.
func (c *Conn) Send(ctx context.Context, contextID uint8, cmd Command, data io.Reader) error {
	cmd.HasData = data != nil
	set, err := cmd.Encode()
	if err != nil {
		return err
	}
	stop := c.a.AbortWhenDone(ctx)
	defer stop()
	if _, err := c.a.WriteMessage(contextID, set, data); err != nil {
		return fmt.Errorf("sending %v: %w", cmd.Field, err)
	}
	return nil
}

// Respond sends the response to a request: it fills in the fields that every response repeats.
func (c *Conn) Respond(ctx context.Context, rq *Message, rsp Command, data io.Reader) error {
	rsp.Field = rq.Command.Field.Response()
	rsp.MessageIDBeingRespondedTo = rq.Command.MessageID
	if rsp.AffectedSOPClassUID == "" {
		rsp.AffectedSOPClassUID = cmp.Or(rq.Command.AffectedSOPClassUID, rq.Command.RequestedSOPClassUID)
	}
	if rsp.AffectedSOPInstanceUID == "" {
		rsp.AffectedSOPInstanceUID = cmp.Or(rq.Command.AffectedSOPInstanceUID, rq.Command.RequestedSOPInstanceUID)
	}
	return c.Send(ctx, rq.ContextID, rsp, data)
}

// StoreRequest names what Store sends (PS3.7 §9.1.1).
type StoreRequest struct {
	SOPClassUID, SOPInstanceUID dicom.UID
	Priority                    Priority
	MoveOriginatorAETitle       dicom.AETitle
	MoveOriginatorMessageID     *uint16
}

// Store sends a C-STORE request with the data set that data yields, encoded in the context's transfer syntax, and returns
// the response, whatever its status. ctx bounds the whole operation; when it is done the association is aborted.
func (c *Conn) Store(ctx context.Context, contextID uint8, rq StoreRequest, data io.Reader) (Command, error) {
	if data == nil {
		return Command{}, errors.New("C-STORE-RQ without a data set")
	}
	return c.perform(ctx, contextID, rq.command(), data)
}

func (rq StoreRequest) command() Command {
	return Command{
		Field:                   CStoreRQ,
		AffectedSOPClassUID:     rq.SOPClassUID,
		AffectedSOPInstanceUID:  rq.SOPInstanceUID,
		Priority:                rq.Priority,
		MoveOriginatorAETitle:   rq.MoveOriginatorAETitle,
		MoveOriginatorMessageID: rq.MoveOriginatorMessageID,
	}
}

// Echo sends a C-ECHO request on the first context for Verification and returns the response's status.
func (c *Conn) Echo(ctx context.Context) (Status, error) {
	for _, pc := range c.a.Contexts() {
		if pc.AbstractSyntax == dicom.Verification {
			rsp, err := c.perform(ctx, pc.ID, Command{Field: CEchoRQ, AffectedSOPClassUID: dicom.Verification}, nil)
			return rsp.Status, err
		}
	}
	return 0, errors.New("no presentation context for verification")
}

// perform sends a request and returns its response. A data set of the response is skipped.
func (c *Conn) perform(ctx context.Context, contextID uint8, cmd Command, data io.Reader) (Command, error) {
	cmd.MessageID = c.NextMessageID()
	if err := c.Send(ctx, contextID, cmd, data); err != nil {
		return Command{}, err
	}
	m, err := c.Receive(ctx)
	if err != nil {
		return Command{}, fmt.Errorf("awaiting %v: %w", cmd.Field.Response(), eofIsUnexpected(err))
	}
	if m.Command.Field != cmd.Field.Response() || m.Command.MessageIDBeingRespondedTo != cmd.MessageID {
		c.Abort()
		return Command{}, fmt.Errorf("awaiting %v to message %d: received %v to message %d", cmd.Field.Response(), cmd.MessageID,
			m.Command.Field, m.Command.MessageIDBeingRespondedTo)
	}
	return m.Command, nil
}

// eofIsUnexpected makes a release in the middle of an exchange an error that nobody takes for its orderly end.
func eofIsUnexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Release releases the association in order; see ul.Association.Release. Close must still be called.
func (c *Conn) Release(ctx context.Context) error { return c.a.Release(ctx) }

// Abort aborts the association as the service user. It may be called from any goroutine. Close must still be called.
func (c *Conn) Abort() error { return c.a.Abort(ul.Abort{Source: ul.AbortSourceUser}) }

// Close ends the association, aborting it if it was not released; see ul.Association.Close.
func (c *Conn) Close() error {
	c.watch(func() bool { return true })
	return c.a.Close()
}

// watch ends the watch over the context of the message last received, and makes stop what ends the next.
func (c *Conn) watch(stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stop()
	c.stop = stop
}

func (c *Conn) endWatch() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stop()
}
