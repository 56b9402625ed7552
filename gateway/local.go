package gateway

import (
	"context"
	"io"
	"slices"

	"cordon/commitment"
	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/policy"
)

// Commitment answers for storage commitment (PS3.4 annex J): what it says is
// durable. A commitment.Commitment is one.
type Commitment interface {
	Action(ctx context.Context, who commitment.Requestor, info io.Reader, ts dicom.UID) (dimse.Status, error)
	Reported(ctx context.Context, archive string, event uint16, info io.Reader, ts dicom.UID) (dimse.Status, error)
	Present(ctx context.Context, who commitment.Requestor) error
}

// local reports whether the gateway itself answers for a service.
func (s *session) local(service policy.Service) bool {
	return service == policy.ServiceEcho || service == policy.ServiceCommit
}

// receiveLocal reads and answers a message of storage commitment, as a device
// asks for it, or an archive reports it.
func (s *session) receiveLocal(ctx context.Context, m *dimse.Message) (operation, error) {
	request := s.admission.Direction == policy.Inbound
	if rsp := commitmentFault(m, request); rsp != dimse.Success {
		return nil, s.notServed(ctx, s.down, m, rsp)
	}
	s.observe(m, "")
	var status dimse.Status
	var err error
	if request {
		status, err = s.g.parts.Commitment.Action(ctx, s.requestor(m.ContextID), m.Data, m.Context.TransferSyntax)
		if err == nil && !s.askedCommitment.Swap(true) {
			s.present(ctx)
		}
	} else {
		status, err = s.g.parts.Commitment.Reported(ctx, s.admission.Archive, *m.Command.EventTypeID, m.Data, m.Context.TransferSyntax)
	}
	if err != nil {
		s.log.Error("storage commitment", "status", uint16(status), "error", err)
	}
	if err := s.drain(s.down, m); err != nil {
		return nil, err
	}
	return nil, s.down.Respond(ctx, m, dimse.Command{
		Status: status, ActionTypeID: m.Command.ActionTypeID, EventTypeID: m.Command.EventTypeID,
	}, nil)
}

// commitmentFault is the status for a message that is not a request for storage
// commitment, or a report of it (PS3.4 §J.3.2, §J.3.3).
func commitmentFault(m *dimse.Message, request bool) dimse.Status {
	c := &m.Command
	field, class, instance, typeID := dimse.NEventReportRQ, c.AffectedSOPClassUID, c.AffectedSOPInstanceUID, c.EventTypeID
	if request {
		field, class, instance, typeID = dimse.NActionRQ, c.RequestedSOPClassUID, c.RequestedSOPInstanceUID, c.ActionTypeID
	}
	switch {
	case c.Field != field:
		return dimse.UnrecognizedOperation
	case class != dicom.StorageCommitmentPushModel:
		return dimse.NoSuchSOPClass
	case instance != dicom.StorageCommitmentPushModelInstance:
		return dimse.NoSuchSOPInstance
	case request && (typeID == nil || *typeID != 1):
		return dimse.NoSuchActionType
	case !request && (typeID == nil || *typeID != 1 && *typeID != 2):
		return dimse.NoSuchEventType
	case m.Data == nil:
		return dimse.InvalidArgumentValue
	}
	return dimse.Success
}

// requestor is who asks for commitment on a presentation context.
func (s *session) requestor(context uint8) commitment.Requestor {
	return commitment.Requestor{
		Association: s.id,
		Device:      s.admission.Device,
		Calling:     s.rq.Calling,
		Called:      s.rq.Called,
		Address:     s.peer,
		Archives:    s.committing(context),
	}
}

// committing lists the archives that the association's objects go to and that
// take part in storage commitment.
func (s *session) committing(context uint8) []string {
	var out []string
	for _, name := range append([]string{s.admission.Archive}, s.admission.Also...) {
		for _, a := range s.g.site().Archives {
			if a.Name == name && (len(a.Services) == 0 || slices.Contains(a.Services, policy.ServiceCommit)) {
				out = append(out, name)
			}
		}
	}
	if g, _ := s.grant(context); len(out) == 0 && g.Archive != "" {
		out = append(out, g.Archive)
	}
	return out
}

// present tells commitment of a device that may take reports on the
// association.
func (s *session) present(ctx context.Context) {
	if s.admission.Direction != policy.Inbound || s.g.parts.Commitment == nil {
		return
	}
	for _, pc := range s.down.Conn().Association().Contexts() {
		if pc.AbstractSyntax == dicom.StorageCommitmentPushModel {
			if err := s.g.parts.Commitment.Present(ctx, s.requestor(pc.ID)); err != nil {
				s.log.Error("reports of commitment that wait are not sent now", "error", err)
			}
			return
		}
	}
}
