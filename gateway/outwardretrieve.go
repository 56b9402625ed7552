package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/policy"
)

// Retrieve has an archive send the objects that an identifier names (PS3.4
// §C.4.2, §C.4.3): in Explicit VR Little Endian, of the Study Root model. It calls
// object with each, one at a time and no more once it has returned. They come by
// C-GET; from an archive that has none by C-MOVE to the gateway itself, see
// policy.Site.Returns. data is valid until object returns, and the status is the
// archive's answer. The final response is returned whatever its status.
//
// The objects come as the archive keeps them where their SOP classes can be
// known before and are few: then each is proposed in every transfer syntax.
func (g *Gateway) Retrieve(ctx context.Context, archive string, calling dicom.AETitle, identifier []byte, object func(rq dimse.StoreRequest, ts dicom.UID, data io.Reader) dimse.Status) (dimse.Command, error) {
	v := &returning{g: g, archive: archive, calling: calling, identifier: identifier, object: object}
	defer v.end()
	gets, err := v.scout(ctx)
	if err != nil || !gets {
		return v.final, err
	}
	return v.final, v.get(ctx)
}

// returning is one retrieve of the gateway's own.
type returning struct {
	g          *Gateway
	archive    string
	calling    dicom.AETitle
	identifier []byte
	classes    []dicom.UID // SOP classes of what is to come, as far as they are known
	final      dimse.Command
	watch      *watch // of the archive's silence

	mu     sync.Mutex                                                  // held while an object is taken
	object func(dimse.StoreRequest, dicom.UID, io.Reader) dimse.Status // nil once nothing is taken any more
}

// end lets nothing be taken any more. It waits for what is being taken.
func (v *returning) end() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.object = nil
}

// scout asks the archive which SOP classes are to come, and whether it has a
// C-GET. If it has none, it moves the objects here.
func (v *returning) scout(ctx context.Context) (gets bool, err error) {
	o, err := v.g.outward(ctx, v.archive, ul.Request{Calling: v.calling, Contexts: proposing(
		dicom.StudyRootQueryRetrieveInformationModelFind,
		dicom.StudyRootQueryRetrieveInformationModelGet,
		dicom.StudyRootQueryRetrieveInformationModelMove,
	)})
	if err != nil {
		return false, err
	}
	return gets, v.g.converse(ctx, o.conn, nil, func(ctx context.Context, x *dimse.Exchange) error {
		if _, gets = o.accepts(dicom.StudyRootQueryRetrieveInformationModelGet); !gets {
			return v.move(ctx, o, x)
		}
		v.classes, err = o.classes(ctx, x, v.identifier)
		return err
	})
}

// get performs a C-GET, whose objects come on the same association.
func (v *returning) get(ctx context.Context) error {
	rq := ul.Request{Calling: v.calling, Contexts: proposing(dicom.StudyRootQueryRetrieveInformationModelGet)}
	classes := v.classes
	if len(classes) == 0 {
		classes = usualClasses
	}
	rq.Contexts = append(rq.Contexts, dimse.StorageContexts(classes, maxContexts-len(rq.Contexts))...)
	for _, c := range rq.Contexts {
		role := ul.RoleSelection{SOPClass: c.AbstractSyntax, SCP: true}
		if !slices.Contains(rq.Roles, role) && policy.ServiceOf(c.AbstractSyntax) == policy.ServiceStore {
			rq.Roles = append(rq.Roles, role)
		}
	}
	o, err := v.g.outward(ctx, v.archive, rq)
	if err != nil {
		return err
	}
	return v.g.converse(ctx, o.conn, v.serve, func(ctx context.Context, x *dimse.Exchange) error {
		return v.perform(ctx, o, x, dimse.Command{Field: dimse.CGetRQ, AffectedSOPClassUID: dicom.StudyRootQueryRetrieveInformationModelGet}, nil)
	})
}

// perform performs the retrieve as long as the archive says or sends something.
func (v *returning) perform(ctx context.Context, o *outward, x *dimse.Exchange, rq dimse.Command, named func(uint16) error) error {
	within, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	v.watch = newWatch(v.g.config.RetrieveTimeout, func() { cancel(errNoAnswer) })
	defer v.watch.stop()
	op, _, err := o.begin(ctx, x, rq, v.identifier, named)
	if err != nil {
		return err
	}
	defer op.Abandon()
	for {
		v.watch.moved()
		reply, err := op.Next(within)
		if err != nil {
			return o.away(ctx, cmp.Or(context.Cause(within), err))
		}
		if v.final = reply.Command; v.final.Status.Class() != dimse.ClassPending {
			return nil
		}
	}
}

// serve answers what the archive sends on the association of a C-GET.
func (v *returning) serve(ctx context.Context, x *dimse.Exchange, m *dimse.Message) error {
	switch m.Command.Field {
	case dimse.CCancelRQ:
		return nil
	case dimse.CStoreRQ:
		status, err := v.take(m)
		if err != nil {
			return err
		}
		return x.Respond(ctx, m, dimse.Command{Status: status}, nil)
	}
	return x.Respond(ctx, m, dimse.Command{Status: dimse.UnrecognizedOperation}, nil)
}

// take hands one object on and reads it to its end. An error ends the
// association.
func (v *returning) take(m *dimse.Message) (dimse.Status, error) {
	c := &m.Command
	switch {
	case m.Data == nil:
		return statusNoDataSet, nil
	case c.AffectedSOPClassUID != m.Context.AbstractSyntax:
		return statusWrongContext, nil // the next message is received past its data set
	case c.AffectedSOPInstanceUID == "", len(c.AffectedSOPInstanceUID) > maxUID:
		return statusNoInstance, nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.object == nil {
		return statusUnasked, nil
	}
	data := &bounded{r: &watched{m.Data, v.watch}, room: v.g.config.MaxObject}
	status := v.object(dimse.StoreRequest{SOPClassUID: c.AffectedSOPClassUID, SOPInstanceUID: c.AffectedSOPInstanceUID}, m.Context.TransferSyntax, data)
	if _, err := io.Copy(io.Discard, data); err != nil {
		return status, err
	}
	return status, nil
}

// bounded reads at most so many bytes; more are an error.
type bounded struct {
	r    io.Reader
	room int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.room -= int64(n); b.room < 0 {
		return 0, errTooLong
	}
	return n, err
}

// move performs a C-MOVE to the gateway itself: the objects come on associations
// that the archive opens, and find their way here by what they say of the move.
func (v *returning) move(ctx context.Context, o *outward, x *dimse.Exchange) error {
	if err := v.g.site().Returnable(v.archive); err != nil {
		return fmt.Errorf("%w: %w", dimse.ErrNotAccepted, err)
	}
	var name originator
	defer func() { v.g.moves.end([]originator{name}) }()
	return v.perform(ctx, o, x, dimse.Command{
		Field:               dimse.CMoveRQ,
		AffectedSOPClassUID: dicom.StudyRootQueryRetrieveInformationModelMove,
		MoveDestination:     v.g.site().ReturnTitle(),
	}, func(id uint16) error {
		own := originator{v.archive, v.calling, id}
		if !v.g.moves.expect(own, v) {
			return fmt.Errorf("%w: a retrieve under the same message id is under way", dimse.ErrAway)
		}
		name = own
		return nil
	})
}

// receiveReturned reads an object that an archive sends to the gateway itself,
// which belongs to a retrieve of ours or to nothing.
func (s *session) receiveReturned(ctx context.Context, m *dimse.Message) (operation, error) {
	v := s.g.moves.returns(s.admission.Archive, &m.Command)
	if v == nil || !s.mayStore(m.ContextID) {
		return nil, s.turnDown(ctx, s.down, m, statusUnasked, "belongs to no retrieve of the gateway's")
	}
	status, err := v.take(m)
	if err != nil {
		return nil, errors.Join(err, s.down.Conn().Abort())
	}
	return nil, s.down.Respond(ctx, m, dimse.Command{Status: status}, nil)
}

// returned reports whether a context is for objects that the gateway retrieves
// itself.
func (s *session) returned(grant policy.Grant) bool {
	return s.admission.Direction == policy.FromArchive && s.admission.Destination == "" && grant.Service == policy.ServiceStore
}
