package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"time"

	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/finding"
	"cordon/judge"
	"cordon/metric"
	"cordon/policy"
)

// receiveObject reads one object of a modality's, and returns what is left to be
// done for it. An error ends the association; nothing was acknowledged then.
func (s *session) receiveObject(ctx context.Context, m *dimse.Message) (operation, error) {
	l := s.linkOf(m.ContextID)
	if !s.mayStore(m.ContextID) || l == nil { // Verification's, say
		return nil, s.turnDown(ctx, s.down, m, statusWrongContext, "not a context for storage")
	}
	o := &object{session: s, message: m, from: s.down, link: l}
	return o.take(ctx)
}

// mayStore reports whether the context was granted for storage by whoever
// opened the association.
func (s *session) mayStore(context uint8) bool {
	g, ok := s.grant(context)
	return ok && g.Service == policy.ServiceStore && g.Roles.SCU
}

// take checks the command, reads the object into a buffer and through a
// judgement, and returns what is left to be done. One that is refused before
// leaves nothing.
func (o *object) take(ctx context.Context) (operation, error) {
	s, m := o.session, o.message
	switch {
	case m.Data == nil:
		s.countUnread(o.from, m, statusNoDataSet, "no data set")
		return nil, s.refuse(ctx, o.from, m, statusNoDataSet, "no data set")
	case m.Command.AffectedSOPClassUID != m.Context.AbstractSyntax:
		return nil, s.turnDown(ctx, o.from, m, statusWrongContext, "SOP class is not the presentation context's")
	case m.Command.AffectedSOPInstanceUID == "", len(m.Command.AffectedSOPInstanceUID) > maxUID:
		return nil, s.turnDown(ctx, o.from, m, statusNoInstance, "no SOP Instance UID, or too long a one")
	}
	keepOriginator(&m.Command)
	if o.from == s.down { // and not what an archive sends it
		s.observe(m, "")
	}
	o.buffer = s.g.parts.Custody.NewBuffer()
	if o.out == nil && (o.link.to.upstream.Delivery == SpoolFirst || s.paranoid()) {
		o.buffer.Expect()
	}
	if err := o.receive(ctx); err != nil {
		o.buffer.Discard()
		return nil, err
	}
	return o.settle, nil
}

// settle does what the verdict says.
func (o *object) settle(ctx context.Context) error {
	defer o.buffer.Discard()
	s := o.session
	if o.unkept != nil {
		s.log.Error("object cannot be kept: the sender is asked to try again", "error", o.unkept)
		return o.refuse(ctx, statusCannotBeKept, "out of resources")
	}
	switch o.report.Verdict {
	case finding.Admit:
		o.notice("")
		if o.out != nil {
			return o.passOut(ctx)
		}
		return o.deliver(ctx)
	case finding.Refuse:
		if o.out != nil && o.out.retrieval != nil {
			return o.refuseOut(ctx)
		}
		return o.refuse(ctx, o.refusal(), o.decision.Reason)
	}
	if o.out != nil {
		return o.holdOut(ctx)
	}
	return o.keep(ctx, custody.Held)
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

// turnDown is refuse for a request whose data set has not been read: it is read
// past first, since some senders listen only then.
func (s *session) turnDown(ctx context.Context, from *dimse.Exchange, m *dimse.Message, status dimse.Status, comment string) error {
	if err := s.drain(from, m); err != nil {
		return err
	}
	s.countUnread(from, m, status, comment)
	return s.refuse(ctx, from, m, status, comment)
}

// drain reads past a data set, as far as one may be long.
func (s *session) drain(from *dimse.Exchange, m *dimse.Message) error {
	if m.Data == nil {
		return nil
	}
	n, err := io.Copy(io.Discard, io.LimitReader(m.Data, s.g.config.MaxObject+1))
	if err == nil && n > s.g.config.MaxObject {
		from.Conn().Abort()
		err = errTooLong
	}
	return err
}

// refuse records the refusal, then answers with the failure status. The error
// comment holds no patient data; it is cut to what the attribute holds
// ((0000,0902), LO).
func (s *session) refuse(ctx context.Context, from *dimse.Exchange, m *dimse.Message, status dimse.Status, comment string) error {
	err := s.recordRefused(ctx, m, status, comment)
	if err != nil && status != statusCannotBeKept { // that one keeps nothing, and asks for another try
		return err
	}
	return from.Respond(ctx, m, dimse.Command{Status: status, ErrorComment: comment[:min(len(comment), 64)]}, nil)
}

// recordRefused counts and records that an object was refused.
func (s *session) recordRefused(ctx context.Context, m *dimse.Message, status dimse.Status, reason string) error {
	s.tally.refused.Add(1)
	s.g.counts.refused.Add(1)
	if status != statusCannotBeKept { // that one has said so
		s.log.Warn("object refused", "status", uint16(status), "reason", reason)
	}
	err := s.g.recordRefusal(ctx, s.peer, "object.refused", s.who(map[string]any{
		"status": uint16(status), "reason": reason,
		"sop_class_uid":    shown(m.Command.AffectedSOPClassUID),
		"sop_instance_uid": shown(m.Command.AffectedSOPInstanceUID),
	}))
	if err != nil {
		return fmt.Errorf("refusal not recorded: %w", err)
	}
	return nil
}

// object is one instance on its way through.
type object struct {
	session  *session
	message  *dimse.Message
	from     *dimse.Exchange // where it came from, and is answered
	link     *link           // the archive that it is for; of one on its way out, the other side
	out      *outgoing       // on its way out; nil on its way in
	buffer   *custody.Buffer
	report   finding.Report
	decision policy.Decision
	patient  judge.Patient
	bypassed bool  // its verdict is set aside
	paranoid bool  // it is of a contained device
	unkept   error // why the buffer could not take it
}

// receive reads the data set once, into the buffer and through the judgement.
// If the buffer fails, the rest is read and dropped, so that the sender can be
// answered. The error is the modality's connection's.
func (o *object) receive(ctx context.Context) error {
	s := o.session
	o.paranoid = o.out == nil && s.paranoid()
	o.bypassed = !o.paranoid && s.bypassed()
	jm := s.g.parts.Judge.Begin(s.excepting(o.origin(), judge.Source{
		TransferSyntax: o.message.Context.TransferSyntax,
		SOPClassUID:    o.message.Command.AffectedSOPClassUID,
		SOPInstanceUID: o.message.Command.AffectedSOPInstanceUID,
		Monitor:        s.admission.Monitor,
		Bypass:         o.bypassed,
		Strict:         o.paranoid,
		ScanLater:      o.paranoid,
		Unhashed:       true, // see digest
	}))
	in := &intake{buffer: o.buffer, jm: jm, room: s.g.config.MaxObject}
	n, err := io.Copy(in, o.message.Data)
	o.unkept = in.unkept
	if err != nil { // it will not be kept: nobody waits for engines
		ended, cancel := context.WithCancel(ctx)
		cancel()
		ctx = ended
	}
	last := time.Now()
	o.report, o.decision = jm.Finish(ctx)
	o.patient = jm.Patient()
	if errors.Is(err, errTooLong) {
		s.g.recordFailure(context.WithoutCancel(ctx), s.peer, err)
		o.from.Conn().Abort()
	}
	if err != nil {
		return fmt.Errorf("receiving an object, after %d bytes: %w", n, err)
	}
	s.tally.received.Add(1)
	s.g.counts.received.Add(1)
	s.g.counts.bytes.Add(uint64(n))
	s.g.parts.Metrics.Observe(metric.ObjectSize, float64(n))
	s.g.parts.Metrics.Observe(metric.VerdictDuration, time.Since(last).Seconds(), o.report.Verdict.String())
	return nil
}

// digest is that of the object's bytes, all of which have come. The buffer makes
// it, of the same bytes that were judged, once: of an object in memory beside its
// delivery, while the archive has its turn.
func (o *object) digest() custody.Digest {
	sum, err := o.buffer.SHA256()
	if err != nil { // nothing can be done with it either
		o.session.log.Error("object cannot be read back", "error", err)
	}
	return sum
}

var errTooLong = errors.New("object is longer than the limit")

// intake is where an object's bytes go as they arrive.
type intake struct {
	buffer *custody.Buffer
	jm     *judge.Judgement
	room   int64
	unkept error // why the buffer could not take it
}

func (in *intake) Write(p []byte) (int, error) {
	if in.room -= int64(len(p)); in.room < 0 {
		return 0, errTooLong
	}
	if in.unkept == nil {
		_, in.unkept = in.buffer.Write(p)
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
	s, row := o.session, o.row(state)
	kept, err := s.g.parts.Custody.Keep(ctx, o.buffer, row)
	if err != nil {
		s.log.Error("object cannot be kept: the sender is asked to try again", "error", err)
		return o.refuse(ctx, statusCannotBeKept, "out of resources")
	}
	if state == custody.Held {
		o.noticeHeld(kept.ID)
	} else {
		s.tally.spooled.Add(1)
		s.g.counts.spooled.Add(1)
		o.leaveCopy()
		s.g.wakeFor(row)
		s.g.scanner.wakeUp()
	}
	o.count(dimse.Success, "")
	return o.from.Respond(ctx, o.message, dimse.Command{Status: dimse.Success}, nil)
}

// noticeHeld counts and tells of an object that is held.
func (o *object) noticeHeld(id string) {
	s := o.session
	s.tally.held.Add(1)
	s.g.counts.held.Add(1)
	o.notice(id)
	s.log.Warn("object held", "id", id, "reason", o.decision.Reason)
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
		Archive:           o.link.to.upstream.Name,
		Also:              s.admission.Also,
		SOPClassUID:       string(c.AffectedSOPClassUID),
		SOPInstanceUID:    string(c.AffectedSOPInstanceUID),
		StudyInstanceUID:  o.report.Identity.StudyInstanceUID,
		SeriesInstanceUID: o.report.Identity.SeriesInstanceUID,
		TransferSyntaxUID: string(o.message.Context.TransferSyntax),
		Bytes:             o.report.Bytes, // as judged: custody keeps nothing else
		SHA256:            o.digest(),
		Findings:          o.report.Findings,
		Engines:           o.report.Engines,
		Reason:            o.decision.Reason,
		Priority:          uint16(c.Priority),
		MoveOriginatorAE:  string(c.MoveOriginatorAETitle),
		AwaitsScan:        o.paranoid && state == custody.Spooled,
	}
	if c.MoveOriginatorMessageID != nil {
		row.MoveOriginatorID = *c.MoveOriginatorMessageID
	}
	if o.out != nil {
		o.out.readdress(&row)
	}
	return row
}

// deliver sends the judged bytes to the archive and answers with its status.
// If the archive does not answer, or is out of resources, the object is kept
// here and delivered later. Its Delivery may say otherwise.
func (o *object) deliver(ctx context.Context) error {
	s, mode := o.session, o.link.to.upstream.Delivery
	if mode == SpoolFirst || o.paranoid {
		return o.keep(ctx, custody.Spooled)
	}
	rsp, err := o.send(ctx)
	switch {
	case errors.Is(err, errBuffer):
		s.log.Error("object cannot be read back: the sender is asked to try again", "error", err)
		return o.refuse(ctx, statusCannotBeKept, "out of resources")
	case errors.Is(err, errResting): // said when it failed, and when the association began
		return o.await(ctx)
	case err != nil:
		s.log.Warn("archive failed", "error", err)
		return o.await(ctx)
	case transient(rsp.Status) && mode != RefuseWhenDown:
		s.log.Warn("archive is out of resources: object is to be kept here", "status", uint16(rsp.Status))
		return o.keep(ctx, custody.Spooled)
	}
	if err := o.copyToOthers(ctx, rsp.Status); err != nil {
		s.log.Error("object cannot be kept for further archives: the sender is asked to try again", "error", err)
		return o.refuse(ctx, statusCannotBeKept, "out of resources")
	}
	o.record(rsp.Status)
	return o.answer(ctx, rsp)
}

// answer passes the other side's answer on.
func (o *object) answer(ctx context.Context, rsp dimse.Command) error {
	o.count(rsp.Status, "from the other side")
	return o.from.Respond(ctx, o.message, dimse.Command{
		Status:           rsp.Status,
		OffendingElement: rsp.OffendingElement,
		ErrorComment:     comment(rsp.ErrorComment),
		ErrorID:          rsp.ErrorID,
	}, nil)
}

// copyToOthers makes an object that the archive has taken durable here for the
// further archives that get it too. What the archive refuses is nobody's.
func (o *object) copyToOthers(ctx context.Context, status dimse.Status) error {
	s := o.session
	if len(s.admission.Also) == 0 || status.Class() == dimse.ClassFailure {
		return nil
	}
	row := o.row(custody.Spooled)
	row.Archive, row.Also = row.Also[0], row.Also[1:]
	if _, err := s.g.parts.Custody.Keep(ctx, o.buffer, row); err != nil {
		return err
	}
	s.g.wakeFor(row)
	return nil
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
		s.tally.refused.Add(1)
		s.g.counts.refused.Add(1)
	} else {
		s.tally.delivered.Add(1)
		s.g.counts.delivered.Add(1)
		o.link.to.delivered()
		o.leaveCopy()
	}
	s.g.parts.Ledger.Note(kind, o.entry(map[string]any{"archive": o.link.to.upstream.Name, "status": uint16(status)}))
}

// entry is what the ledger keeps of the object, and more.
func (o *object) entry(more map[string]any) map[string]any {
	body := map[string]any{
		"association":      o.session.id,
		"sop_class_uid":    string(o.message.Command.AffectedSOPClassUID),
		"sop_instance_uid": string(o.message.Command.AffectedSOPInstanceUID),
		"bytes":            o.report.Bytes,
		"sha256":           o.digest().String(),
		"findings":         finding.IDs(o.report.Findings),
		"alarm":            o.decision.Alarm,
		"reason":           o.decision.Reason,

		"study_instance_uid":  clip(o.report.Identity.StudyInstanceUID, maxUID), // by these an archive is asked whether it has it
		"series_instance_uid": clip(o.report.Identity.SeriesInstanceUID, maxUID),
	}
	if excepted := finding.Exceptions(o.report.Findings); len(excepted) > 0 {
		body["exceptions"] = excepted
	}
	maps.Copy(body, more)
	return body
}
