package webgate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"time"

	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/finding"
	"cordon/judge"
	"cordon/metric"
	"cordon/policy"
	"cordon/transfer"
)

// object is one instance on its way through, as a Part 10 file.
type object struct {
	rq       *request
	from     policy.Origin // who sent it: a caller, or an archive
	buffer   *custody.Buffer
	report   finding.Report
	decision policy.Decision
	patient  judge.Patient
	unkept   error           // why the buffer could not take it
	file     dicom.Beginning // once it is admitted: what it is, and where its data set is
	reading  *reading        // of what it is made of
	result   *result         // of one that is stored: what its sender is told
}

// receive reads a file once, into a buffer and through a judgement. If the buffer
// fails, the rest is read and dropped, so that the sender can be answered. The error
// is the sender's; then there is no object.
func (rq *request) receive(ctx context.Context, r io.Reader, from policy.Origin) (*object, error) {
	return rq.receiveFrom(ctx, func(w io.Writer) error {
		_, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, make([]byte, block))
		return err
	}, from)
}

// receiveFrom is receive of what write writes.
func (rq *request) receiveFrom(ctx context.Context, write func(io.Writer) error, from policy.Origin) (*object, error) {
	o := &object{rq: rq, from: from, buffer: rq.s.parts.Custody.NewBuffer(), reading: &reading{}}
	jm := rq.s.parts.Judge.Begin(rq.excepting(from, judge.Source{
		Monitor:   rq.admission.Monitor,
		Bypass:    rq.bypassed,
		Strict:    rq.paranoid,
		ScanLater: rq.paranoid, // see gateway: it is scanned before it is delivered
		Unhashed:  true,        // the buffer's digest is of the same bytes
	}))
	in := &intake{buffer: o.buffer, jm: jm, room: rq.s.config.MaxObject}
	err := write(in)
	o.unkept = in.unkept
	if err != nil { // it will not be kept: nobody waits for engines
		ended, cancel := context.WithCancel(ctx)
		cancel()
		ctx = ended
	}
	last := time.Now()
	o.report, o.decision = jm.Finish(ctx)
	o.patient = jm.Patient()
	if err != nil {
		o.buffer.Discard()
		return nil, err
	}
	if o.unkept == nil {
		o.report.SHA256, o.unkept = o.buffer.SHA256()
	}
	m := rq.s.parts.Metrics
	m.Count(metric.ReceivedWeb, float64(o.report.Bytes))
	m.Observe(metric.ObjectSize, float64(o.report.Bytes))
	m.Observe(metric.VerdictDuration, time.Since(last).Seconds(), o.report.Verdict.String())
	return o, nil
}

// block is how much is read at once, in bytes.
const block = 256 << 10

// excepting adds to a source what is approved for its origin.
func (rq *request) excepting(origin policy.Origin, from judge.Source) judge.Source {
	from.Origin = origin
	from.Exceptions = rq.s.parts.Exceptions.For(origin, time.Now())
	return from
}

// intake is where an object's bytes go as they arrive.
type intake struct {
	buffer *custody.Buffer
	jm     *judge.Judgement
	room   int64
	unkept error
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

// origin is who sends the request, as exceptions know it.
func (rq *request) origin() policy.Origin {
	return policy.Origin{Device: rq.admission.Device, CallingAE: rq.admission.Calling, Address: rq.address}
}

// archiveOrigin is the archive as the origin of what it answers: what is excepted for
// it is excepted under its name.
func (rq *request) archiveOrigin() policy.Origin { return policy.Origin{Device: rq.up.Name} }

// read finds out what an admitted file is: it has to be a whole Part 10 file that
// names one instance, and that one throughout.
func (o *object) read() (dimse.Status, string) {
	if finding.Has(o.report.Findings, identityMismatch) {
		return statusWrongName, "file meta information names another instance than the data set"
	}
	id := o.report.Identity
	data, err := o.buffer.Open()
	if err != nil {
		o.unkept = err
		return statusCannotKeep, "out of resources"
	}
	defer data.Close()
	o.file, err = dicom.ReadBeginning(data, o.report.Bytes)
	switch {
	case errors.Is(err, dicom.ErrNoObject), finding.Has(o.report.Findings, noMeta), id.StudyInstanceUID == "",
		string(o.file.SOPInstanceUID) != id.SOPInstanceUID, string(o.file.SOPClassUID) != id.SOPClassUID:
		return statusNoObject, "no Part 10 file that names its SOP class, instance and study"
	case err != nil:
		o.unkept = err
		return statusCannotKeep, "out of resources"
	}
	return dimse.Success, ""
}

// Findings that over the web say that a file is not what its sender says it is.
const (
	identityMismatch = "identity-mismatch"
	noMeta           = "no-meta"
)

// dataSet is a reader of the object's data set as a message carries it, to be closed,
// and its length.
func (o *object) dataSet() (io.Reader, io.Closer, int64, error) {
	data, err := o.buffer.Open()
	if err != nil {
		return nil, nil, 0, fmt.Errorf("%w: %w", errBuffer, err)
	}
	if _, err := io.CopyN(io.Discard, data, o.file.DataSet); err != nil {
		data.Close()
		return nil, nil, 0, fmt.Errorf("%w: %w", errBuffer, err)
	}
	length := o.report.Bytes - o.file.DataSet
	return o.file.Message(data, length), data, length + o.file.Padding(length), nil
}

// errBuffer is our own fault, not the archive's.
var errBuffer = errors.New("reading what was received")

// row is what custody keeps of the object. It is a file of its own, so it has no
// transfer syntax in its row.
func (o *object) row(state custody.State) custody.Object {
	rq, id := o.rq, o.report.Identity
	return custody.Object{
		State:             state,
		Device:            rq.admission.Device,
		CallingAE:         string(rq.admission.Calling),
		CalledAE:          string(rq.s.config.Site().AETitle),
		Archive:           rq.up.Name,
		Also:              rq.admission.Also,
		SOPClassUID:       clip(id.SOPClassUID, maxUID),
		SOPInstanceUID:    clip(id.SOPInstanceUID, maxUID),
		StudyInstanceUID:  clip(id.StudyInstanceUID, maxUID),
		SeriesInstanceUID: clip(id.SeriesInstanceUID, maxUID),
		Bytes:             o.report.Bytes,
		SHA256:            o.report.SHA256,
		Findings:          o.report.Findings,
		Engines:           o.report.Engines,
		Reason:            o.decision.Reason,
		AwaitsScan:        rq.paranoid && state == custody.Spooled,
	}
}

// entry is what the ledger keeps of the object, and more.
func (o *object) entry(more map[string]any) map[string]any {
	body := map[string]any{
		"visit":              o.rq.visit.id,
		"sop_class_uid":      clip(o.report.Identity.SOPClassUID, maxUID),
		"sop_instance_uid":   clip(o.report.Identity.SOPInstanceUID, maxUID),
		"study_instance_uid": clip(o.report.Identity.StudyInstanceUID, maxUID),
		"bytes":              o.report.Bytes,
		"sha256":             fmt.Sprintf("%x", o.report.SHA256),
		"findings":           finding.IDs(o.report.Findings),
		"alarm":              o.decision.Alarm,
		"reason":             o.decision.Reason,
	}
	if excepted := finding.Exceptions(o.report.Findings); len(excepted) > 0 {
		body["exceptions"] = excepted
	}
	maps.Copy(body, more)
	return body
}

// notice proposes exceptions for what alone kept the object back, or would have but
// for monitor mode. held is its id in the vault, or "".
func (o *object) notice(held string) {
	s := o.rq.s
	s.parts.Exceptions.Noticed(o.from, held, s.parts.Judge.Tolerable(o.report), func(err error) {
		o.rq.log.Error("what may be excepted is not counted", "error", err)
	})
}

// noticeHeld counts and tells of an object that is held.
func (o *object) noticeHeld(id string) {
	o.rq.visit.tally.held.Add(1)
	o.rq.s.parts.Metrics.Count(metric.WebObjects, 1, "held")
	o.notice(id)
	o.rq.log.Warn("object held", "id", id, "reason", o.decision.Reason)
}

// leaveCopy hands an object that passed without every engine's word, or under a
// bypass, to whoever judges it again later.
func (o *object) leaveCopy() {
	leave := o.rq.s.parts.Passed
	if leave != nil && (o.rq.bypassed || unscanned(o.report.Engines)) {
		leave(o.buffer, o.row(custody.Spooled), o.rq.bypassed)
	}
}

// unscanned reports whether an engine has not scanned all of the object.
func unscanned(es []finding.EngineResult) bool {
	for _, e := range es {
		if e.Result == finding.Unscanned {
			return true
		}
	}
	return false
}

// moved counts the object for the sum of its study on one way.
func (o *object) moved(w transfer.Way, status dimse.Status, why string) {
	w.Study = clip(o.report.Identity.StudyInstanceUID, maxUID)
	o.rq.visit.moved.Add(w, o.patient, dicom.UID(o.report.Identity.SOPClassUID), status, why)
}

// wayOfCaller is the way between the caller and us.
func (rq *request) wayOfCaller(direction string) transfer.Way {
	return transfer.Way{
		Direction: direction, Peer: rq.admission.Device, Address: rq.address.String(), Own: string(rq.s.config.Site().AETitle),
	}
}

// wayOfArchive is the way between the archive and us.
func (rq *request) wayOfArchive(direction string) transfer.Way {
	return transfer.Way{Direction: direction, Peer: rq.up.Name, Own: string(rq.admission.Calling)}
}
