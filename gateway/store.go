package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/finding"
	"cordon/judge"
	"cordon/policy"
)

// Failure statuses of a C-STORE response that are ours (PS3.4 §B.2.3 leaves
// Cxxx to the implementation). Any other failure is the archive's own.
const (
	statusNoDataSet       dimse.Status = 0xC010                     // the request announced no data set
	statusNoInstance                   = dimse.InvalidSOPInstance   // 0117: the command names no instance, or none that can be
	statusWrongInstance   dimse.Status = 0xC011                     // command and data set name different instances
	statusRefusedByPolicy dimse.Status = 0xC012                     // the site's rules refuse it instead of holding it
	statusWrongContext                 = dimse.SOPClassNotSupported // 0122: the command's class is not the context's, or not for storage
	statusCannotBeKept                 = dimse.OutOfResources       // A700: no room or no ledger; senders retry
)

// store takes one object from its C-STORE request to its response. An error
// ends the association; nothing was acknowledged then.
func (s *session) store(ctx context.Context, m *dimse.Message) error {
	switch {
	case m.Data == nil:
		return s.refuse(ctx, m, statusNoDataSet, "no data set")
	case m.Command.AffectedSOPClassUID != m.Context.AbstractSyntax:
		return s.refuse(ctx, m, statusWrongContext, "SOP class is not the presentation context's")
	case !s.mayStore(m.ContextID): // Verification's, say
		return s.refuse(ctx, m, statusWrongContext, "not a context for storage")
	case m.Command.AffectedSOPInstanceUID == "", len(m.Command.AffectedSOPInstanceUID) > maxUID:
		return s.refuse(ctx, m, statusNoInstance, "no SOP Instance UID, or too long a one")
	}
	keepOriginator(&m.Command)
	o := &object{session: s, message: m, buffer: s.g.parts.Custody.NewBuffer()}
	defer o.buffer.Discard()
	if err := o.receive(ctx); err != nil {
		return err
	}
	if o.unkept != nil {
		s.log.Error("object cannot be kept: the sender is asked to try again", "error", o.unkept)
		return s.refuse(ctx, m, statusCannotBeKept, "out of resources")
	}
	switch o.report.Verdict {
	case finding.Admit:
		o.notice("")
		return o.deliver(ctx)
	case finding.Refuse:
		return s.refuse(ctx, m, o.refusal(), o.decision.Reason)
	}
	return o.keep(ctx, custody.Held)
}

// mayStore reports whether the context was granted for storage.
func (s *session) mayStore(context uint8) bool {
	return slices.ContainsFunc(s.admission.Contexts, func(g policy.Grant) bool {
		return g.ID == context && g.Service == policy.ServiceStore
	})
}

// maxUID is the longest UID of a command that is taken, in bytes: twice what
// PS3.5 §9.1 allows, since irregular ones name their objects well enough.
const maxUID = 128

// keepOriginator drops a move originator that cannot be an AE title: commands
// are not judged, and nothing else in one is a text of the sender's choice.
func keepOriginator(c *dimse.Command) {
	if _, err := dicom.ParseAETitle(string(c.MoveOriginatorAETitle)); err != nil {
		c.MoveOriginatorAETitle, c.MoveOriginatorMessageID = "", nil
	}
}

// shown is what a record holds of a UID that may be of any length: records are
// bounded, and none may be lost to what a peer says.
func shown(u dicom.UID) string { return clip(string(u), maxUID) }

// clip cuts text to at most n bytes of valid UTF-8.
func clip(text string, n int) string { return strings.ToValidUTF8(text[:min(len(text), n)], "") }

// refuse records the refusal, then answers with the failure status. The error
// comment holds no patient data; it is cut to what the attribute holds
// ((0000,0902), LO).
func (s *session) refuse(ctx context.Context, m *dimse.Message, status dimse.Status, comment string) error {
	if m.Data != nil { // a data set that nobody asked for is still on its way
		if _, err := io.Copy(io.Discard, m.Data); err != nil {
			return err
		}
	}
	s.tally.refused++
	s.g.counts.refused.Add(1)
	if status != statusCannotBeKept { // that one has said so
		s.log.Warn("object refused", "status", uint16(status), "reason", comment)
	}
	err := s.g.recordRefusal(ctx, s.peer, "object.refused", s.who(map[string]any{
		"status": uint16(status), "reason": comment,
		"sop_class_uid":    shown(m.Command.AffectedSOPClassUID),
		"sop_instance_uid": shown(m.Command.AffectedSOPInstanceUID),
	}))
	if err != nil && status != statusCannotBeKept { // that one keeps nothing, and asks for another try
		return fmt.Errorf("refusal not recorded: %w", err)
	}
	return s.down.Respond(ctx, m, dimse.Command{Status: status, ErrorComment: comment[:min(len(comment), 64)]}, nil)
}

// object is one instance on its way through.
type object struct {
	session  *session
	message  *dimse.Message
	buffer   *custody.Buffer
	report   finding.Report
	decision policy.Decision
	bypassed bool  // its verdict is set aside
	unkept   error // why the buffer could not take it
}

// receive reads the data set once, into the buffer and through the judgement.
// If the buffer fails, the rest is read and dropped, so that the sender can be
// answered. The error is the modality's connection's.
func (o *object) receive(ctx context.Context) error {
	s := o.session
	o.bypassed = s.bypassed()
	jm := s.g.parts.Judge.Begin(s.excepting(judge.Source{
		TransferSyntax: o.message.Context.TransferSyntax,
		SOPClassUID:    o.message.Command.AffectedSOPClassUID,
		SOPInstanceUID: o.message.Command.AffectedSOPInstanceUID,
		Monitor:        s.admission.Monitor,
		Bypass:         o.bypassed,
	}))
	n, err := io.Copy(&intake{o: o, jm: jm, room: s.g.config.MaxObject}, o.message.Data)
	if err != nil { // it will not be kept: nobody waits for engines
		ended, cancel := context.WithCancel(ctx)
		cancel()
		ctx = ended
	}
	o.report, o.decision = jm.Finish(ctx)
	if errors.Is(err, errTooLong) {
		s.g.recordFailure(context.WithoutCancel(ctx), s.peer, err)
		s.down.Association().Abort(ul.Abort{Source: ul.AbortSourceUser})
	}
	if err != nil {
		return fmt.Errorf("receiving an object, after %d bytes: %w", n, err)
	}
	s.tally.received++
	s.g.counts.received.Add(1)
	s.g.counts.bytes.Add(uint64(n))
	return nil
}

var errTooLong = errors.New("object is longer than the limit")

// intake is where an object's bytes go as they arrive.
type intake struct {
	o    *object
	jm   *judge.Judgement
	room int64
}

func (in *intake) Write(p []byte) (int, error) {
	if in.room -= int64(len(p)); in.room < 0 {
		return 0, errTooLong
	}
	if in.o.unkept == nil {
		_, in.o.unkept = in.o.buffer.Write(p)
	}
	return in.jm.Write(p)
}

// refusal is the status for a verdict of refuse.
func (o *object) refusal() dimse.Status {
	if finding.Has(o.report.Findings, finding.AnnouncedMismatch) {
		return statusWrongInstance
	}
	return statusRefusedByPolicy
}

// keep makes the object durable here, then answers success. If that fails, the
// sender keeps its copy and is asked to try again.
func (o *object) keep(ctx context.Context, state custody.State) error {
	s := o.session
	kept, err := s.g.parts.Custody.Keep(ctx, o.buffer, o.row(state))
	if err != nil {
		s.log.Error("object cannot be kept: the sender is asked to try again", "error", err)
		return s.refuse(ctx, o.message, statusCannotBeKept, "out of resources")
	}
	if state == custody.Held {
		s.tally.held++
		s.g.counts.held.Add(1)
		o.notice(kept.ID)
		s.log.Warn("object held", "id", kept.ID, "reason", o.decision.Reason)
	} else {
		s.tally.spooled++
		s.g.counts.spooled.Add(1)
		o.leaveCopy()
		s.archive.wakeUp()
	}
	return s.down.Respond(ctx, o.message, dimse.Command{Status: dimse.Success}, nil)
}

// row is what custody keeps of the object. The identity is the command's,
// since that is what a delivery has to say again.
func (o *object) row(state custody.State) custody.Object {
	s, c := o.session, &o.message.Command
	row := custody.Object{
		State:             state,
		Device:            s.admission.Device,
		CallingAE:         string(s.rq.Calling),
		CalledAE:          string(s.rq.Called),
		Archive:           s.archive.upstream.Name,
		SOPClassUID:       string(c.AffectedSOPClassUID),
		SOPInstanceUID:    string(c.AffectedSOPInstanceUID),
		StudyInstanceUID:  o.report.Identity.StudyInstanceUID,
		SeriesInstanceUID: o.report.Identity.SeriesInstanceUID,
		TransferSyntaxUID: string(o.message.Context.TransferSyntax),
		Bytes:             o.report.Bytes, // as judged: custody keeps nothing else
		SHA256:            o.report.SHA256,
		Findings:          o.report.Findings,
		Engines:           o.report.Engines,
		Priority:          uint16(c.Priority),
		MoveOriginatorAE:  string(c.MoveOriginatorAETitle),
	}
	if c.MoveOriginatorMessageID != nil {
		row.MoveOriginatorID = *c.MoveOriginatorMessageID
	}
	return row
}

// deliver sends the judged bytes to the archive and answers with its status.
// If the archive does not answer, or is out of resources, the object is kept
// here and delivered later.
func (o *object) deliver(ctx context.Context) error {
	s := o.session
	rsp, err := o.send(ctx)
	switch {
	case errors.Is(err, errBuffer):
		s.log.Error("object cannot be read back: the sender is asked to try again", "error", err)
		return s.refuse(ctx, o.message, statusCannotBeKept, "out of resources")
	case errors.Is(err, errResting): // said when it failed, and when the association began
		return o.keep(ctx, custody.Spooled)
	case err != nil:
		s.log.Warn("archive failed: object is to be kept here", "error", err)
		return o.keep(ctx, custody.Spooled)
	case transient(rsp.Status):
		s.log.Warn("archive is out of resources: object is to be kept here", "status", uint16(rsp.Status))
		return o.keep(ctx, custody.Spooled)
	}
	o.record(rsp.Status)
	return s.down.Respond(ctx, o.message, dimse.Command{
		Status:           rsp.Status,
		OffendingElement: rsp.OffendingElement,
		ErrorComment:     rsp.ErrorComment,
		ErrorID:          rsp.ErrorID,
	}, nil)
}

// transient reports whether the archive may take the same object later
// (PS3.4 §B.2.3: A7xx, out of resources).
func transient(s dimse.Status) bool { return s&0xFF00 == 0xA700 }

// record notes what became of a delivery; it joins the ledger within a second.
func (o *object) record(status dimse.Status) {
	s := o.session
	kind := "object.delivered"
	if status.Class() == dimse.ClassFailure {
		kind = "object.refused_by_archive"
		s.tally.refused++
		s.g.counts.refused.Add(1)
	} else {
		s.tally.delivered++
		s.g.counts.delivered.Add(1)
		s.archive.delivered()
		o.leaveCopy()
	}
	body := map[string]any{
		"association":      s.id,
		"archive":          s.archive.upstream.Name,
		"status":           uint16(status),
		"sop_class_uid":    string(o.message.Command.AffectedSOPClassUID),
		"sop_instance_uid": string(o.message.Command.AffectedSOPInstanceUID),
		"bytes":            o.report.Bytes,
		"sha256":           fmt.Sprintf("%x", o.report.SHA256),
		"findings":         finding.IDs(o.report.Findings),
		"alarm":            o.decision.Alarm,
		"reason":           o.decision.Reason,
	}
	if excepted := finding.Exceptions(o.report.Findings); len(excepted) > 0 {
		body["exceptions"] = excepted
	}
	s.g.parts.Ledger.Note(kind, body)
}

// send delivers on the mirrored association. An association that turns out to
// be stale is replaced once.
func (o *object) send(ctx context.Context) (dimse.Command, error) {
	s := o.session
	fresh := false
	if s.up == nil {
		if err := s.dialUpstream(ctx); err != nil {
			return dimse.Command{}, err
		}
		fresh = true
	}
	rsp, err := o.sendOnce(ctx)
	if err != nil && !fresh && ctx.Err() == nil && isStale(err) {
		if err := s.dialUpstream(ctx); err != nil {
			return dimse.Command{}, err
		}
		rsp, err = o.sendOnce(ctx)
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

// sendOnce delivers on the association at hand, and hangs it up if it fails.
func (o *object) sendOnce(ctx context.Context) (rsp dimse.Command, err error) {
	s := o.session
	id, err := contextFor(s.up, o.message.Context.AbstractSyntax, o.message.Context.TransferSyntax)
	if err != nil {
		return rsp, err
	}
	data, err := o.buffer.Open()
	if err != nil {
		return rsp, fmt.Errorf("%w: %w", errBuffer, err)
	}
	defer data.Close()
	c := &o.message.Command
	rsp, err = s.g.storeTo(ctx, s.archive, s.up, id, dimse.StoreRequest{
		SOPClassUID:             c.AffectedSOPClassUID,
		SOPInstanceUID:          c.AffectedSOPInstanceUID,
		Priority:                c.Priority,
		MoveOriginatorAETitle:   c.MoveOriginatorAETitle,
		MoveOriginatorMessageID: c.MoveOriginatorMessageID,
	}, data, o.report.Bytes)
	if err != nil {
		s.dropUpstream()
	}
	return rsp, err
}

// storeTo sends one object of size bytes to an archive and waits for the
// answer, both within the response timeout of the last byte moving.
func (g *Gateway) storeTo(ctx context.Context, a *archive, up *dimse.Conn, id uint8, rq dimse.StoreRequest, data io.Reader, size int64) (dimse.Command, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := newWatch(g.config.ResponseTimeout, func() { cancel(errNoAnswer) })
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
