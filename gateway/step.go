package gateway

import (
	"context"
	"fmt"
	"io"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/metric"
	"cordon/mpps"
	"cordon/policy"
)

// Steps keeps messages about performed procedure steps whose archive is away,
// and delivers them in order. A mpps.Spool is one.
type Steps interface {
	Waiting(upstream string, instance dicom.UID) bool
	Keep(ctx context.Context, m mpps.Message) error
}

// isStep reports whether a request is one that may be kept: an N-CREATE or N-SET
// of a modality about its procedure step (PS3.4 annex F).
func (r *relay) isStep() bool {
	field := r.m.Command.Field
	return r.s.g.parts.Steps != nil && r.service == policy.ServiceMPPS && r.link != nil &&
		(field == dimse.NCreateRQ || field == dimse.NSetRQ) && r.m.Context.AbstractSyntax == dicom.ModalityPerformedProcedureStep
}

// step relays an N-CREATE or N-SET, or keeps it: while the other side is away,
// and while an earlier one about the same step is kept, which it must not
// overtake.
func (r *relay) step(ctx context.Context) error {
	if r.s.g.parts.Steps.Waiting(r.archive, r.instance()) {
		return r.keepStep(ctx, false)
	}
	x, op, err := r.begin(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return r.keepStep(ctx, false)
	}
	reply, err := r.next(ctx, x, op, r.s.g.config.ResponseTimeout)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return r.keepStep(ctx, true)
	}
	if !r.s.passes(ctx, reply.Data, r.m.Context.TransferSyntax, r.outward) {
		return r.refuse(ctx, statusHeldMatches, "answer not let through")
	}
	r.note(relayedKind(r.service), map[string]any{"status": uint16(reply.Command.Status)})
	r.s.g.parts.Metrics.Count(metric.Steps, 1, "relayed")
	return r.respond(ctx, reply.Command, reply.Data)
}

// instance is the procedure step that the request is about.
func (r *relay) instance() dicom.UID {
	if r.m.Command.Field == dimse.NCreateRQ {
		return r.m.Command.AffectedSOPInstanceUID
	}
	return r.m.Command.RequestedSOPInstanceUID
}

// keepStep makes the request durable here, then answers success. sent tells that
// the other side may have performed it.
func (r *relay) keepStep(ctx context.Context, sent bool) error {
	err := r.s.g.parts.Steps.Keep(ctx, mpps.Message{
		Upstream: r.archive, Association: r.s.id, Device: r.s.admission.Device,
		Calling: r.s.rq.Calling, Called: r.s.rq.Called, Address: r.s.peer,
		Create: r.m.Command.Field == dimse.NCreateRQ, Uncertain: sent,
		SOPInstanceUID: r.instance(), TransferSyntaxUID: r.m.Context.TransferSyntax, Data: r.data,
	})
	if err != nil {
		r.s.log.Error("message about a procedure step cannot be kept: the sender is asked to try again", "archive", r.archive, "error", err)
		return r.refuse(ctx, dimse.ResourceLimitation, "the other side is away, and it cannot be kept here")
	}
	r.s.log.Warn("message about a procedure step kept until the other side is back", "operation", r.m.Command.Field, "archive", r.archive)
	return r.respond(ctx, dimse.Command{Status: dimse.Success}, nil)
}

// StepNetwork is the gateway as messages about procedure steps are delivered
// through it.
func (g *Gateway) StepNetwork() mpps.Network { return stepper{g} }

type stepper struct{ g *Gateway }

// Send implements mpps.Network, under the modality's own AE title.
func (p stepper) Send(ctx context.Context, m mpps.Message) (status dimse.Status, err error) {
	a := p.g.archives[m.Upstream]
	switch {
	case a == nil:
		return 0, fmt.Errorf("%w: archive %s is not in the configuration", mpps.ErrAway, m.Upstream)
	case a.resting():
		return 0, fmt.Errorf("%w: %w", mpps.ErrAway, errResting)
	}
	conn, err := p.g.associate(ctx, a, ul.Request{
		Calling: m.Calling, Called: a.upstream.AETitle,
		Contexts: []ul.ProposedContext{{ID: 1, AbstractSyntax: dicom.ModalityPerformedProcedureStep, TransferSyntaxes: []dicom.UID{m.TransferSyntaxUID}}},
	})
	if err != nil {
		return 0, fmt.Errorf("%w: %w", mpps.ErrAway, err)
	}
	err = p.g.converse(ctx, conn, nil, func(ctx context.Context, x *dimse.Exchange) (err error) {
		pc, ok := conn.Association().Context(1)
		if !ok {
			return fmt.Errorf("%w: it accepts no presentation context for procedure steps", mpps.ErrAway)
		}
		status, err = p.g.request(ctx, x, pc, stepCommand(m), func(w io.Writer, _ dicom.UID) error {
			_, err := w.Write(m.Data)
			return err
		})
		return err
	})
	return status, err
}

// stepCommand is the command of a kept request, as the modality sent it.
func stepCommand(m mpps.Message) dimse.Command {
	if m.Create {
		return dimse.Command{Field: dimse.NCreateRQ, AffectedSOPClassUID: dicom.ModalityPerformedProcedureStep, AffectedSOPInstanceUID: m.SOPInstanceUID}
	}
	return dimse.Command{Field: dimse.NSetRQ, RequestedSOPClassUID: dicom.ModalityPerformedProcedureStep, RequestedSOPInstanceUID: m.SOPInstanceUID}
}
