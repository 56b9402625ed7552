// Package dimse implements the DICOM message exchange (PS3.7) over an association.
package dimse

import (
	"context"
	"io"

	"cordon/dicom"
	"cordon/dicom/ul"
)

// Conn exchanges messages on an association.
type Conn struct{ a *ul.Association }

// Message is a received message. Data is nil if there is no data set; it is read from the association as it comes,
// ends with io.EOF after the last fragment, and is valid until the next Receive, which drains what is left.
type Message struct {
	ContextID uint8
	Context   ul.Context
	Command   Command
	Data      io.Reader
}

// StoreRequest names what Store sends (PS3.7 §9.1.1).
type StoreRequest struct {
	SOPClassUID, SOPInstanceUID dicom.UID
	Priority                    Priority
	MoveOriginatorAETitle       dicom.AETitle
	MoveOriginatorMessageID     *uint16
}

// NewConn returns a Conn that owns the association.
func NewConn(a *ul.Association) *Conn { return &Conn{a: a} }

// Association is the association underneath.
func (c *Conn) Association() *ul.Association { return c.a }

// Receive returns the next message, or io.EOF after the peer released the association.
func (c *Conn) Receive(ctx context.Context) (*Message, error) { return nil, errNotYet }

// Send sends a message; data is nil exactly if the command has no data set.
func (c *Conn) Send(ctx context.Context, contextID uint8, cmd Command, data io.Reader) error {
	return errNotYet
}

// Echo sends a C-ECHO request and returns the response's status.
func (c *Conn) Echo(ctx context.Context) (Status, error) { return 0, errNotYet }

// Store sends a C-STORE request and returns the response.
func (c *Conn) Store(ctx context.Context, contextID uint8, rq StoreRequest, data io.Reader) (Command, error) {
	return Command{}, errNotYet
}

// Release releases the association in order and closes it.
func (c *Conn) Release(ctx context.Context) error { return c.a.Release(ctx) }

// Abort aborts the association.
func (c *Conn) Abort() error { return c.a.Abort(ul.Abort{}) }

// Close ends the association, aborting it if it was not released.
func (c *Conn) Close() error { return c.a.Close() }
