package gateway

import (
	"context"
	"errors"
	"fmt"

	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/metric"
	"cordon/policy"
)

// outgoing is what is known of an object on its way out of an archive: to a
// device that the archive calls, or to the one whose C-GET it answers.
type outgoing struct {
	archive   string        // which sends it
	title     dicom.AETitle // the archive's own
	device    string        // the declared device that it is for; "" of a learned one
	called    dicom.AETitle // that device's title
	retrieval *retrieval    // the C-MOVE or C-GET that it belongs to; may be nil
	back      bool          // the device opened the association: the object goes back on it
}

// readdress makes what custody keeps of a held object go to the device when it
// is released, from the archive.
func (out *outgoing) readdress(row *custody.Object) {
	device := out.device
	if device == "" {
		device = string(out.called)
	}
	row.Device, row.CallingAE, row.CalledAE = out.device, string(out.title), string(out.called)
	row.Archive, row.Also = outletName(device), nil
}

// receiveOutgoing reads one object that an archive sends to a device.
func (s *session) receiveOutgoing(ctx context.Context, m *dimse.Message) (operation, error) {
	l := s.linkOf(m.ContextID)
	if !s.mayStore(m.ContextID) || l == nil {
		return nil, s.turnDown(ctx, s.down, m, statusWrongContext, "not a context for storage")
	}
	keepOriginator(&m.Command)
	o := &object{session: s, message: m, from: s.down, link: l, out: &outgoing{
		archive:   s.admission.Archive,
		title:     s.rq.Calling,
		device:    s.admission.Destination,
		called:    l.to.upstream.AETitle,
		retrieval: s.g.moves.of(s.admission.Archive, &m.Command),
	}}
	if v := o.out.retrieval; v != nil {
		m.Command.MoveOriginatorMessageID = &v.id // as the device that moves it knows it
	}
	return o.take(ctx)
}

// passOut sends the judged bytes to the device and answers the archive with its
// status. Nothing is kept for a device: the archive has its copy, and whoever
// asked for the object is told.
func (o *object) passOut(ctx context.Context) error {
	s := o.session
	rsp, err := o.sendOut(ctx)
	switch {
	case errors.Is(err, errBuffer):
		s.log.Error("object cannot be read back: the sender is asked to try again", "error", err)
		return o.refuse(ctx, statusCannotBeKept, "out of resources")
	case errors.Is(err, errNoAnswer) && o.out.back: // its place in the window is taken for good
		s.cut(fmt.Errorf("the device that asked for an object: %w", err))
		return nil
	case err != nil:
		s.log.Warn("device did not take an object", "device", o.out.device, "error", err)
		s.g.parts.Metrics.Count(metric.InstancesSent, 1, "away")
		return o.refuse(ctx, statusAway, "the device cannot be reached")
	}
	o.recordSent(rsp.Status)
	return o.answer(ctx, rsp)
}

func (o *object) sendOut(ctx context.Context) (dimse.Command, error) {
	if !o.out.back {
		return o.send(ctx)
	}
	x := o.session.down
	id, err := sameContext(x, o.message)
	if err != nil {
		return dimse.Command{}, err
	}
	return o.storeOn(ctx, newArchive(Upstream{Name: o.row(custody.Spooled).Archive}), x, id) // whose health nobody asks for
}

// recordSent notes what became of an object that went out; it joins the ledger
// within a second.
func (o *object) recordSent(status dimse.Status) {
	s := o.session
	outcome := "refused"
	if status.Class() != dimse.ClassFailure {
		outcome = "sent"
		s.tally.sent.Add(1)
		o.leaveCopy()
	}
	s.g.parts.Metrics.Count(metric.InstancesSent, 1, outcome)
	s.g.parts.Ledger.Note("instance.sent", s.who(o.entry(map[string]any{
		"archive": o.out.archive, "destination": string(o.out.called), "status": uint16(status),
	})))
}

// holdOut keeps an object that must not go out. Whoever retrieves it is told
// that it failed, in the final response. Some archives end the whole retrieve at
// the first failure (Orthanc), and one held instance must not keep back the rest
// of a study: so the archive is answered with a warning. Where nobody is known
// to retrieve it, it is answered with a failure. What people released to the
// archive goes out of it again.
func (o *object) holdOut(ctx context.Context) error {
	s := o.session
	released, err := s.g.parts.Custody.WasReleased(ctx, string(o.message.Command.AffectedSOPInstanceUID), o.digest())
	switch {
	case err != nil:
		s.log.Error("not known whether an object was released once", "error", err)
	case released:
		return o.passOut(ctx)
	}
	kept, err := s.g.parts.Custody.Keep(ctx, o.buffer, o.row(custody.Held))
	if err != nil {
		s.log.Error("object cannot be kept: the sender is asked to try again", "error", err)
		return o.refuse(ctx, statusCannotBeKept, "out of resources")
	}
	status := statusHeldOut
	if v := o.out.retrieval; v != nil {
		v.hold(o.message.Command.AffectedSOPInstanceUID)
		status = dimse.WarningElementsDiscarded
	}
	o.noticeHeld(kept.ID)
	s.g.parts.Metrics.Count(metric.InstancesSent, 1, "held")
	o.count(statusHeldOut, "held by the gateway") // whatever the archive is told
	return o.from.Respond(ctx, o.message, dimse.Command{Status: status, ErrorComment: "held by the gateway"}, nil)
}

// refuseOut turns back an object of a retrieve that is refused. The archive is
// answered as for one that is held, for the same reason.
func (o *object) refuseOut(ctx context.Context) error {
	s, status := o.session, o.refusal()
	o.count(status, o.decision.Reason)
	if err := s.recordRefused(ctx, o.message, status, o.decision.Reason); err != nil {
		return err
	}
	o.out.retrieval.hold(o.message.Command.AffectedSOPInstanceUID)
	s.g.parts.Metrics.Count(metric.InstancesSent, 1, "held")
	return o.from.Respond(ctx, o.message, dimse.Command{Status: dimse.WarningElementsDiscarded, ErrorComment: "refused by the gateway"}, nil)
}

// answer handles a message of the other side, in the goroutine that reads it:
// an object of a C-GET, or a report.
func (l *link) answer(ctx context.Context, from *dimse.Exchange, m *dimse.Message) error {
	s := l.s
	if m.Command.Field == dimse.CCancelRQ {
		return nil // of an operation that we perform: none can be cancelled
	}
	if !s.under.begin() {
		return errStopping
	}
	by := service{
		receive: func(ctx context.Context, m *dimse.Message) (operation, error) { return l.receive(ctx, from, m) },
		here:    true, // the C-GET goes on after its object
		cut:     func(error) { from.Conn().Abort() },
		done:    s.under.end,
	}
	if m.Command.Field == dimse.CStoreRQ {
		return s.serve(ctx, m, by)
	}
	select {
	case l.places <- struct{}{}:
	case <-ctx.Done():
		s.under.end()
		return context.Cause(ctx)
	}
	by.done = func() {
		<-l.places
		s.under.end()
	}
	return s.serve(ctx, m, by)
}

func (l *link) receive(ctx context.Context, from *dimse.Exchange, m *dimse.Message) (operation, error) {
	grant, ok := l.s.grant(m.ContextID)
	switch {
	case !ok || !m.Command.Field.IsKnown(), l.storesOnly(): // of the last, the other side may know contexts by other ids
		return nil, l.s.notServed(ctx, from, m, dimse.UnrecognizedOperation)
	case m.Command.Field == dimse.CStoreRQ:
		return l.receiveSuboperation(ctx, from, m)
	case !fitting(grant.Service, m), !invokes(policy.Roles{SCU: grant.Roles.SCP, SCP: grant.Roles.SCU}, m),
		m.Command.Field == dimse.CGetRQ, m.Command.Field == dimse.CMoveRQ: // nothing is retrieved from a device
		return nil, l.s.notServed(ctx, from, m, dimse.SOPClassNotSupported)
	}
	r := &relay{
		s: l.s, m: m, service: grant.Service, archive: l.to.upstream.Name, from: from,
		inward: l.s.theirOrigin(l.to.upstream.Name), outward: l.s.origin(),
	}
	return r.receive(ctx)
}

// receiveSuboperation reads one object of the C-GET under way.
func (l *link) receiveSuboperation(ctx context.Context, from *dimse.Exchange, m *dimse.Message) (operation, error) {
	v := l.expected()
	if grant, _ := l.s.grant(m.ContextID); v == nil || !grant.Roles.SCP {
		return nil, l.s.turnDown(ctx, from, m, statusWrongContext, "no C-GET is under way")
	}
	o := &object{session: l.s, message: m, from: from, link: l, out: &outgoing{
		archive:   l.to.upstream.Name,
		title:     l.to.upstream.AETitle,
		device:    l.s.admission.Device,
		called:    l.s.rq.Calling,
		retrieval: v,
		back:      true,
	}}
	return o.take(ctx)
}
