package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/metric"
)

// send delivers on the link's association. One that turns out to be stale is
// replaced once.
func (o *object) send(ctx context.Context) (dimse.Command, error) {
	x, fresh, err := o.link.exchange(ctx)
	if err != nil {
		return dimse.Command{}, err
	}
	rsp, err := o.sendOn(ctx, x)
	if err != nil && !fresh && ctx.Err() == nil && isStale(err) {
		if x, _, err = o.link.exchange(ctx); err != nil {
			return dimse.Command{}, err
		}
		rsp, err = o.sendOn(ctx, x)
	}
	return rsp, err
}

// isStale reports whether an association that failed may just have been too
// old, so that a new one is worth a try.
func isStale(err error) bool {
	for _, other := range []error{errContextRefused, errNoAnswer, errBuffer} {
		if errors.Is(err, other) {
			return false
		}
	}
	return true
}

// sendOn delivers on the association at hand, and hangs it up if it fails.
func (o *object) sendOn(ctx context.Context, x *dimse.Exchange) (rsp dimse.Command, err error) {
	id, err := contextFor(x.Conn(), o.message.Context.AbstractSyntax, o.message.Context.TransferSyntax)
	if err != nil {
		return rsp, err
	}
	rsp, err = o.storeOn(ctx, o.link.to, x, id)
	if err != nil && !errors.Is(err, errBuffer) {
		o.link.drop(x)
	}
	return rsp, err
}

// storeOn sends the object as its own C-STORE request said.
func (o *object) storeOn(ctx context.Context, to *archive, x *dimse.Exchange, id uint8) (dimse.Command, error) {
	data, err := o.buffer.Open()
	if err != nil {
		return dimse.Command{}, fmt.Errorf("%w: %w", errBuffer, err)
	}
	defer data.Close()
	var hashing sync.WaitGroup
	defer hashing.Wait()
	defer to.traffic.enter()()
	c, out := &o.message.Command, o.wayOut(x)
	o.session.moved.Begin(out, o.patient)
	rsp, err := o.session.g.storeTo(ctx, to, x, id, dimse.StoreRequest{
		SOPClassUID:             c.AffectedSOPClassUID,
		SOPInstanceUID:          c.AffectedSOPInstanceUID,
		Priority:                c.Priority,
		MoveOriginatorAETitle:   c.MoveOriginatorAETitle,
		MoveOriginatorMessageID: c.MoveOriginatorMessageID,
	}, &handedOn{data, func() { hashing.Go(func() { o.digest() }) }}, o.report.Bytes) // ends within milliseconds
	if err != nil {
		o.session.moved.Add(out, o.patient, c.AffectedSOPClassUID, statusAway, "no answer")
	} else {
		o.session.moved.Add(out, o.patient, c.AffectedSOPClassUID, rsp.Status, "")
		o.session.moved.Durable(ctx, out)
	}
	return rsp, err
}

// handedOn says when the last byte has been read: then the archive has its turn.
type handedOn struct {
	io.Reader
	done func()
}

func (r *handedOn) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err == io.EOF && r.done != nil {
		r.done()
		r.done = nil
	}
	return n, err
}

// storer is a dimse.Conn, or a dimse.Exchange.
type storer interface {
	Store(ctx context.Context, contextID uint8, rq dimse.StoreRequest, data io.Reader) (dimse.Command, error)
}

// storeTo sends one object of size bytes to an archive and waits for the
// answer, both within the response timeout of the last byte moving.
func (g *Gateway) storeTo(ctx context.Context, a *archive, up storer, id uint8, rq dimse.StoreRequest, data io.Reader, size int64) (dimse.Command, error) {
	a.moving.Add(1)
	defer a.moving.Add(-1)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	began := time.Now()
	watch := newWatch(g.config.ResponseTimeout, func() { cancel(errNoAnswer) }) // from the first byte on
	defer watch.stop()
	rsp, err := up.Store(ctx, id, rq, &watched{data, watch})
	if err != nil && errors.Is(context.Cause(ctx), errNoAnswer) {
		err = errNoAnswer
	}
	switch class := rsp.Status.Class(); {
	case err != nil:
	case rsp.AffectedSOPInstanceUID != "" && rsp.AffectedSOPInstanceUID != rq.SOPInstanceUID:
		err = errors.New("archive answered for another instance")
	case class == dimse.ClassPending || class == dimse.ClassCancel: // neither taken nor refused
		err = fmt.Errorf("archive answered status %04X, which a C-STORE cannot have", uint16(rsp.Status))
	}
	if err != nil && size%2 == 1 {
		err = fmt.Errorf("%w: %w", errOddLength, err)
	}
	a.sent(err, g.config.RetryMin, g.config.RetryMax)
	if _, out := isOutlet(a.upstream.Name); err == nil && !out {
		g.parts.Metrics.Observe(metric.DeliveryDuration, time.Since(began).Seconds(), a.upstream.Name)
	}
	return rsp, err
}

var (
	errBuffer   = errors.New("reading what was received") // our own fault, not the archive's
	errNoAnswer = errors.New("archive does not answer")
	// Fragments have even lengths (PS3.8 §9.3.5.1), so a data set of odd length
	// cannot be sent as it is without breaking that rule. Some archives take it;
	// others abort, or fall silent.
	errOddLength      = errors.New("archive does not take a data set of odd length")
	errContextRefused = errors.New("archive accepts no such presentation context now")
	errNotProposed    = errors.New("presentation context was not proposed")
)

// contextFor finds the accepted presentation context with exactly this
// abstract and transfer syntax. Nothing is transcoded, so no other will do.
func contextFor(c *dimse.Conn, abstract, transfer dicom.UID) (uint8, error) {
	for _, pc := range c.Association().Contexts() {
		if pc.AbstractSyntax == abstract && pc.TransferSyntax == transfer {
			return pc.ID, nil
		}
	}
	for _, pc := range c.Association().Request().Contexts {
		if pc.AbstractSyntax == abstract && slices.Contains(pc.TransferSyntaxes, transfer) {
			return 0, fmt.Errorf("%w: %s in %s", errContextRefused, abstract, transfer)
		}
	}
	return 0, fmt.Errorf("%w: %s in %s", errNotProposed, abstract, transfer)
}
