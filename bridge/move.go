package bridge

import (
	"context"
	"errors"
	"io"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
)

// move answers a C-MOVE (PS3.4 §C.4.2): the objects go to the destination, on an
// association that the archive opens through the gateway.
func (s *session) move(ctx, within context.Context, m *dimse.Message, identifier []byte) (dimse.Command, []byte) {
	d := &destination{s: s, title: m.Command.MoveDestination, originator: m.Command.MessageID}
	defer func() { d.close(ctx) }()
	return s.retrieve(ctx, within, m, identifier, func(p *plan) (sink, error) {
		d.contexts = dimse.StorageContexts(p.classes(), maxContexts)
		return d, d.open(ctx)
	})
}

// maxContexts is what one association can propose (PS3.8 §9.3.2.2: odd ids).
const maxContexts = 128

// destination is where a C-MOVE moves objects to.
type destination struct {
	s          *session
	title      dicom.AETitle
	originator uint16 // message id of the C-MOVE
	contexts   []ul.ProposedContext
	conn       *dimse.Conn // nil while there is none
	lost       int
}

// maxLost is how often the association with a destination may be lost: one object
// that it does not take ends no retrieve.
const maxLost = 3

// open associates with the destination, as the archive.
func (d *destination) open(ctx context.Context) error {
	nc, err := d.s.b.out.dial(ctx)
	if err != nil {
		return err
	}
	as, err := ul.Associate(ctx, nc, ul.Request{Calling: d.s.b.config.AETitle, Called: d.title, Contexts: d.contexts}, d.s.b.config.Limits)
	if err != nil {
		return err
	}
	d.conn = dimse.NewConn(as)
	return nil
}

// takes implements sink.
func (d *destination) takes(class, ts dicom.UID) bool {
	if d.conn == nil {
		return true // it did when the association was there; else it says so when it is again
	}
	_, ok := contextFor(d.conn.Association(), class, ts)
	return ok
}

// store implements sink.
func (d *destination) store(ctx context.Context, rq dimse.StoreRequest, ts dicom.UID, data io.Reader) (dimse.Status, error) {
	if d.conn == nil {
		if err := d.open(ctx); err != nil {
			return 0, err
		}
	}
	id, ok := contextFor(d.conn.Association(), rq.SOPClassUID, ts)
	if !ok {
		return dimse.SOPClassNotSupported, nil
	}
	rq.MoveOriginatorAETitle, rq.MoveOriginatorMessageID = d.s.calling, &d.originator
	rsp, err := d.conn.Store(ctx, id, rq, data)
	if err == nil {
		return rsp.Status, nil
	}
	d.conn.Close()
	d.conn = nil
	if d.lost++; d.lost < maxLost && ctx.Err() == nil {
		d.s.log.Warn("bridge: association with the move destination lost", "error", err)
		return dimse.ProcessingFailure, nil
	}
	return 0, err
}

// close ends the association in order.
func (d *destination) close(ctx context.Context) {
	if d.conn == nil {
		return
	}
	if err := d.conn.Release(ctx); err != nil {
		d.s.log.Debug("bridge: association with the move destination not released", "error", err)
	}
	d.conn.Close()
}

// destinationStatus is the status of a C-MOVE whose destination cannot be
// associated with.
func destinationStatus(err error) dimse.Status {
	var r *ul.Rejection
	if errors.As(err, &r) && r.Result == ul.RejectedPermanent {
		return statusDestination
	}
	return statusUnperformed
}
