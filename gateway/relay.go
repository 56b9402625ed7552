package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/policy"
)

// relay is one operation that the other side performs, from its request to its
// final response.
type relay struct {
	s       *session
	m       *dimse.Message  // the request, its data set already read
	data    []byte          // of it; nil if there is none, or it is in the buffer
	buffer  *custody.Buffer // of it, where it may be large
	place   func()          // gives its place back, where it is long; nil if it has none
	held    bool            // the verdict on the buffer does not let it through
	service policy.Service
	archive string          // the archive's name, whichever side it is on
	from    *dimse.Exchange // who asked, and is answered
	link    *link           // the other side of a modality's request; nil of an archive's
	inward  policy.Origin   // who sent the request
	outward policy.Origin   // who answers it
	named   func(id uint16) // told the message id that the other side gets; nil: nobody needs to know

	mu        sync.Mutex
	op        *dimse.Operation
	cancelled bool
}

// receiveRelayed reads a request that is not about an object, and returns what
// is left to be done for it.
func (s *session) receiveRelayed(ctx context.Context, m *dimse.Message) (operation, error) {
	grant, ok := s.grant(m.ContextID)
	switch {
	case !ok || !fitting(grant.Service, m) || !invokes(grant.Roles, m):
		return nil, s.notServed(ctx, s.down, m, dimse.SOPClassNotSupported)
	case s.local(grant.Service):
		return s.receiveLocal(ctx, m)
	}
	l := s.linkOf(m.ContextID)
	if l == nil {
		return nil, s.notServed(ctx, s.down, m, dimse.SOPClassNotSupported)
	}
	r := &relay{
		s: s, m: m, service: grant.Service, archive: l.to.upstream.Name, from: s.down, link: l,
		inward: s.origin(), outward: s.theirOrigin(l.to.upstream.Name),
	}
	if s.admission.Direction == policy.FromArchive {
		r.archive = s.admission.Archive
		r.inward, r.outward = s.theirOrigin(r.archive), policy.Origin{Device: s.admission.Destination}
	}
	if m.Command.Field != dimse.CMoveRQ { // its destination may not be permitted
		s.observe(m, "")
	}
	return r.receive(ctx)
}

// receive reads and judges the request's data set.
func (r *relay) receive(ctx context.Context) (rest operation, err error) {
	defer func() {
		if rest == nil { // a panic of ours included
			r.discard()
		}
	}()
	switch {
	case unnamed(&r.m.Command):
		return nil, r.refuseRest(ctx, dimse.InvalidSOPInstance, "what cannot be a UID")
	case r.service == policy.ServicePrint && r.m.Data != nil:
		return r.receiveLarge(ctx)
	}
	switch r.data, err = r.readData(ctx); {
	case errors.Is(err, errMessageTooLong):
		return nil, r.refuseRest(ctx, statusTooLong, "data set longer than is relayed")
	case errors.Is(err, errNoPlace):
		return nil, r.refuseRest(ctx, statusTooMany, errNoPlace.Error())
	case err != nil:
		return nil, err
	}
	if r.link != nil {
		r.s.mu.Lock()
		r.s.running[r.m.Command.MessageID] = r
		r.s.mu.Unlock()
	}
	return r.perform, nil
}

// refuseRest refuses a request of which not all has been read.
func (r *relay) refuseRest(ctx context.Context, status dimse.Status, comment string) error {
	r.discard() // the rest may take its time
	if err := r.s.drain(r.from, r.m); err != nil {
		return err
	}
	return r.refuse(ctx, status, comment)
}

// perform judges the request and has the other side perform it.
func (r *relay) perform(ctx context.Context) error {
	defer r.forget()
	defer r.discard()
	if rsp := r.checkQuery(); rsp != nil {
		return r.refuseWith(ctx, *rsp)
	}
	if r.held || !r.s.passes(ctx, r.data, r.m.Context.TransferSyntax, r.inward) {
		return r.refuse(ctx, statusHeldRequest, "data set not let through")
	}
	if r.isStep() {
		return r.step(ctx)
	}
	switch r.m.Command.Field {
	case dimse.CFindRQ:
		return r.find(ctx)
	case dimse.CMoveRQ:
		return r.move(ctx)
	case dimse.CGetRQ:
		return r.get(ctx)
	}
	return r.once(ctx)
}

func (r *relay) forget() {
	if r.link != nil {
		r.s.mu.Lock()
		defer r.s.mu.Unlock()
		if r.s.running[r.m.Command.MessageID] == r {
			delete(r.s.running, r.m.Command.MessageID)
		}
	}
}

// begin sends the request on.
func (r *relay) begin(ctx context.Context) (*dimse.Exchange, *dimse.Operation, error) {
	x, fresh, err := r.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	op, err := r.beginOn(ctx, x)
	if err != nil && !fresh && ctx.Err() == nil && over(x) { // it was stale
		if x, _, err = r.open(ctx); err != nil {
			return nil, nil, err
		}
		op, err = r.beginOn(ctx, x)
	}
	return x, op, err
}

// open returns the other side.
func (r *relay) open(ctx context.Context) (x *dimse.Exchange, fresh bool, err error) {
	if r.link == nil {
		return r.s.down, true, nil
	}
	return r.link.exchange(ctx)
}

func (r *relay) beginOn(ctx context.Context, x *dimse.Exchange) (*dimse.Operation, error) {
	id, err := sameContext(x, r.m)
	if err != nil {
		return nil, err
	}
	data, err := r.body()
	if err != nil {
		return nil, err
	}
	op, err := r.beginWith(ctx, x, id, data)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.op = op
	if r.cancelled {
		return op, op.Cancel(ctx)
	}
	return op, nil
}

// beginWith sends the request when the window has a place for it. If none comes
// free in time, what is under way goes on all the same: a long retrieve, say.
func (r *relay) beginWith(ctx context.Context, x *dimse.Exchange, id uint8, data io.ReadCloser) (*dimse.Operation, error) {
	var from io.Reader // nil for no data set
	if data != nil {
		defer data.Close()
		from = data
	}
	patient, cancel := context.WithTimeoutCause(ctx, r.s.g.config.QueryTimeout, errNoAnswer)
	defer cancel()
	op, err := x.Prepare(patient, id, r.m.Command.Field)
	if err != nil {
		return nil, err
	}
	if r.named != nil {
		r.named(op.MessageID())
	}
	return op, op.Send(ctx, bare(r.m.Command), from)
}

// reader reads a data set, or is nil for none.
func reader(data []byte) io.Reader {
	if data == nil {
		return nil
	}
	return bytes.NewReader(data)
}

// cancel passes a C-CANCEL on. One for an operation that has ended means
// nothing (PS3.7 §9.3.2.3).
func (s *session) cancel(ctx context.Context, id uint16) {
	s.mu.Lock()
	r := s.running[id]
	s.mu.Unlock()
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cancelled = true
	if r.op != nil {
		if err := r.op.Cancel(ctx); err != nil {
			s.log.Info("cancellation not passed on", "error", err)
		}
	}
}

// next waits for the next response. If none comes in time, the association is
// of no more use: the operation would hold its place for good.
func (r *relay) next(ctx context.Context, x *dimse.Exchange, op *dimse.Operation, timeout time.Duration) (dimse.Reply, error) {
	patient, cancel := context.WithTimeoutCause(ctx, timeout, errNoAnswer)
	defer cancel()
	reply, err := op.Next(patient)
	if err != nil && err != io.EOF && r.link != nil {
		op.Abandon()
		r.link.drop(x)
	}
	return reply, err
}

// once relays an operation that has one response.
func (r *relay) once(ctx context.Context) error {
	x, op, err := r.begin(ctx)
	if err != nil {
		return r.unperformed(ctx, err)
	}
	reply, err := r.next(ctx, x, op, r.s.g.config.QueryTimeout)
	if err != nil {
		return r.unperformed(ctx, err)
	}
	if !r.s.passes(ctx, reply.Data, r.m.Context.TransferSyntax, r.outward) {
		return r.refuse(ctx, statusHeldMatches, "answer not let through")
	}
	r.note(relayedKind(r.service), map[string]any{"status": uint16(reply.Command.Status)})
	return r.respond(ctx, reply.Command, reply.Data)
}

// finish awaits the final response of an operation that has been cancelled and
// answered already. Without one, its place in the window is lost.
func (r *relay) finish(ctx context.Context, x *dimse.Exchange, op *dimse.Operation) {
	for {
		if _, err := r.next(ctx, x, op, r.s.g.config.ResponseTimeout); err != nil {
			return
		}
	}
}

// unperformed answers a request that the other side did not perform.
func (r *relay) unperformed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.s.log.Warn("operation not performed", "operation", r.m.Command.Field, "archive", r.archive, "error", err)
	status := statusAway
	switch {
	case r.op != nil:
		status = statusBroken
	case r.m.Command.Field == dimse.CMoveRQ, r.m.Command.Field == dimse.CGetRQ:
		status = statusAwayMove
	}
	return r.refuse(ctx, status, "the other side cannot be reached")
}

// respond passes a response on under the request's own message id.
func (r *relay) respond(ctx context.Context, rsp dimse.Command, data []byte) error {
	if unnamed(&rsp) {
		rsp.AffectedSOPClassUID, rsp.AffectedSOPInstanceUID = "", "" // the request's own are said again
	}
	rsp.Field = r.m.Command.Field.Response()
	return r.from.Respond(ctx, r.m, bare(rsp), reader(data))
}

// refuse records that a request was not performed, or its answer not let
// through, and answers with a failure.
func (r *relay) refuse(ctx context.Context, status dimse.Status, comment string) error {
	return r.refuseWith(ctx, refusal(r.m.Command.Field, status, comment))
}

func (r *relay) refuseWith(ctx context.Context, rsp dimse.Command) error {
	body := r.s.who(r.entry(map[string]any{"status": uint16(rsp.Status), "reason": rsp.ErrorComment}))
	if len(rsp.OffendingElement) > 0 {
		body["offending_element"] = rsp.OffendingElement[0].String()
	}
	err := r.s.g.recordRefusalWith(ctx, r.s.peer, refusedKind(r.service), body, r.sealIdentifier())
	if err != nil {
		return fmt.Errorf("refusal not recorded: %w", err)
	}
	r.counted("refused")
	return r.from.Respond(ctx, r.m, rsp, nil)
}

// refusal is the response to a request that is not performed. The services of
// PS3.7 §10 have no statuses of an implementation's own.
func refusal(field dimse.CommandField, status dimse.Status, comment string) dimse.Command {
	rsp := dimse.Command{Status: status, ErrorComment: comment}
	if field&0x0F00 != 0 && status >= 0xA000 {
		id := uint16(status)
		rsp.Status, rsp.ErrorID = dimse.ProcessingFailure, &id
	}
	return rsp
}

// notServed answers a request that the presentation context is not for, or that
// nobody knows.
func (s *session) notServed(ctx context.Context, from *dimse.Exchange, m *dimse.Message, status dimse.Status) error {
	if err := s.drain(from, m); err != nil {
		return err
	}
	err := s.g.recordRefusal(ctx, s.peer, "operation.refused", s.who(map[string]any{
		"operation": m.Command.Field.String(), "status": uint16(status), "reason": "not a context for it",
		"sop_class_uid": shown(m.Context.AbstractSyntax),
	}))
	if err != nil {
		return fmt.Errorf("refusal not recorded: %w", err)
	}
	return from.Respond(ctx, m, dimse.Command{Status: status}, nil)
}

// note puts an operation on the ledger within a second.
func (r *relay) note(kind string, more map[string]any) {
	r.s.g.parts.Ledger.Note(kind, r.s.who(r.entry(more)))
}

// entry is what the ledger keeps of an operation, and more.
func (r *relay) entry(more map[string]any) map[string]any {
	c := &r.m.Command
	body := map[string]any{
		"operation":       c.Field.String(),
		"service":         string(r.service),
		"archive":         r.archive,
		"sop_class_uid":   shown(r.m.Context.AbstractSyntax),
		"transfer_syntax": string(r.m.Context.TransferSyntax),
	}
	for _, instance := range []dicom.UID{c.RequestedSOPInstanceUID, c.AffectedSOPInstanceUID} {
		if instance != "" {
			body["sop_instance_uid"] = shown(instance)
		}
	}
	for key, value := range more {
		body[key] = value
	}
	return body
}

// relayedKind and refusedKind are what the ledger calls an operation of a
// service that was performed, and one that was not.
func relayedKind(s policy.Service) string {
	if s == policy.ServiceMPPS {
		return "step.relayed"
	}
	return "operation.relayed"
}

func refusedKind(s policy.Service) string {
	switch s {
	case policy.ServiceQuery, policy.ServiceWorklist:
		return "query.refused"
	case policy.ServiceRetrieve:
		return "retrieve.refused"
	case policy.ServiceMPPS:
		return "step.refused"
	}
	return "operation.refused"
}
