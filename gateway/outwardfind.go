package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
)

// Find performs a C-FIND (PS3.4 §C.4.1) of a class, with an identifier in
// Explicit VR Little Endian, and calls match with each match, in the transfer
// syntax that the archive accepted; data is match's own. An error of match
// cancels the query and is returned. The final response is returned whatever
// its status.
func (g *Gateway) Find(ctx context.Context, archive string, calling dicom.AETitle, class dicom.UID, identifier []byte, match func(data []byte, ts dicom.UID) error) (dimse.Command, error) {
	o, err := g.outward(ctx, archive, ul.Request{Calling: calling, Contexts: proposing(class)})
	if err != nil {
		return dimse.Command{}, err
	}
	var final dimse.Command
	var stopped error
	err = g.converse(ctx, o.conn, nil, func(ctx context.Context, x *dimse.Exchange) (err error) {
		final, stopped, err = o.find(ctx, x, class, identifier, match)
		return err
	})
	return final, errors.Join(err, stopped)
}

// proposing proposes classes whose messages are written here: each in Explicit
// VR Little Endian, and in the syntax that everybody has to accept.
func proposing(classes ...dicom.UID) []ul.ProposedContext {
	var out []ul.ProposedContext
	for _, class := range classes {
		for _, ts := range []dicom.UID{dicom.ExplicitVRLittleEndian, dicom.ImplicitVRLittleEndian} {
			out = append(out, ul.ProposedContext{AbstractSyntax: class, TransferSyntaxes: []dicom.UID{ts}})
		}
	}
	return out
}

// accepts is the context that the archive accepted for a class, of those that
// proposing proposed.
func (o *outward) accepts(class dicom.UID) (ul.Context, bool) {
	for _, ts := range []dicom.UID{dicom.ExplicitVRLittleEndian, dicom.ImplicitVRLittleEndian} {
		if id, err := contextFor(o.conn, class, ts); err == nil {
			return o.conn.Association().Context(id)
		}
	}
	return ul.Context{}, false
}

// begin sends a request with an identifier; named, if not nil, is told its
// message id before.
func (o *outward) begin(ctx context.Context, x *dimse.Exchange, rq dimse.Command, identifier []byte, named func(uint16) error) (*dimse.Operation, ul.Context, error) {
	pc, ok := o.accepts(rq.AffectedSOPClassUID)
	if !ok {
		return nil, pc, fmt.Errorf("%w: archive %s: %v of %s", dimse.ErrNotAccepted, o.to.upstream.Name, rq.Field, rq.AffectedSOPClassUID)
	}
	data, err := inSyntax(identifier, pc.TransferSyntax)
	if err != nil {
		return nil, pc, err
	}
	op, err := x.Prepare(ctx, pc.ID, rq.Field)
	if err != nil {
		return nil, pc, o.away(ctx, err)
	}
	if named != nil {
		if err := named(op.MessageID()); err != nil {
			return nil, pc, err
		}
	}
	if err := op.Send(ctx, rq, bytes.NewReader(data)); err != nil {
		return nil, pc, o.away(ctx, err)
	}
	return op, pc, nil
}

// find performs a C-FIND on the association. stopped is match's error, after
// which the association is still of use if err is nil.
func (o *outward) find(ctx context.Context, x *dimse.Exchange, class dicom.UID, identifier []byte, match func([]byte, dicom.UID) error) (final dimse.Command, stopped, err error) {
	op, pc, err := o.begin(ctx, x, dimse.Command{Field: dimse.CFindRQ, AffectedSOPClassUID: class}, identifier, nil)
	if err != nil {
		return final, nil, err
	}
	defer op.Abandon()
	for {
		reply, err := o.next(ctx, op, o.g.config.QueryTimeout)
		if err != nil {
			return final, stopped, err
		}
		if reply.Command.Status.Class() != dimse.ClassPending {
			return reply.Command, stopped, nil
		}
		if stopped != nil {
			continue
		}
		if stopped = match(reply.Data, pc.TransferSyntax); stopped != nil {
			if err := op.Cancel(ctx); err != nil {
				return final, stopped, err
			}
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, cancelPatience)
			defer cancel()
		}
	}
}

// cancelPatience is how long an archive has to end a query that was cancelled;
// then it is hung up on.
const cancelPatience = 5 * time.Second

// next awaits the next response.
func (o *outward) next(ctx context.Context, op *dimse.Operation, patience time.Duration) (dimse.Reply, error) {
	waiting, cancel := context.WithTimeoutCause(ctx, patience, errNoAnswer)
	defer cancel()
	reply, err := op.Next(waiting)
	if err != nil {
		return reply, o.away(ctx, err)
	}
	return reply, nil
}

// inSyntax is an identifier in Explicit VR Little Endian, in another
// uncompressed transfer syntax.
func inSyntax(identifier []byte, ts dicom.UID) ([]byte, error) {
	if ts == dicom.ExplicitVRLittleEndian {
		return identifier, nil
	}
	from, _ := dicom.LookupTransferSyntax(dicom.ExplicitVRLittleEndian)
	to, ok := dicom.LookupTransferSyntax(ts)
	if !ok {
		return nil, fmt.Errorf("transfer syntax %s is not known", ts)
	}
	elements, err := dicom.ReadElements(identifier, from, maxSubjectElements)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := dicom.NewWriter(&b, to)
	rest := elements
	for len(rest) > 0 {
		rest = writeElement(w, rest)
	}
	return b.Bytes(), w.Close()
}

// writeElement writes the first of the elements, a sequence with all that is in
// it, and returns the rest.
func writeElement(w *dicom.Writer, es []dicom.DataElement) []dicom.DataElement {
	e, rest := es[0], es[1:]
	if e.VR != dicom.SQ {
		w.Element(e.Tag, e.VR, e.Value)
		return rest
	}
	w.BeginSequence(e.Tag, dicom.Defined)
	for len(rest) > 0 && rest[0].Tag == dicom.TagItem && rest[0].Depth > e.Depth {
		item := rest[0]
		w.BeginItem(dicom.Defined)
		for rest = rest[1:]; len(rest) > 0 && rest[0].Tag != dicom.TagItem && rest[0].Depth >= item.Depth; {
			rest = writeElement(w, rest)
		}
		w.EndItem()
	}
	w.EndSequence()
	return rest
}
