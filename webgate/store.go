package webgate

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"

	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/web"
	"cordon/finding"
	"cordon/metric"
	"cordon/transfer"
)

// storable says whether a body of this type can be stored.
func storable(contentType string) error {
	if contentType == "" {
		return refused(http.StatusUnsupportedMediaType, "no Content-Type: multipart/related is stored")
	}
	m, err := web.ParseMediaType(contentType)
	switch {
	case err != nil:
		return err
	case m.Type != web.TypeRelated && m.Type != web.TypeDICOM:
		return refused(http.StatusUnsupportedMediaType, "the Content-Type is neither multipart/related nor application/dicom (PS3.18 §10.5.1.3)")
	}
	return nil
}

// store is STOW-RS (PS3.18 §10.5): each part is judged as an object. Those that are
// admitted go to the archive a few at a time, while the next are received.
func (rq *request) store(ctx context.Context) error {
	st := &storing{rq: rq, study: rq.resource.Study}
	defer st.discard()
	work := workOf(ctx) // what has come whole is delivered, whether its sender waits or not
	broken := st.readBody(work, rq.r.Header.Get("Content-Type"))
	st.dispatch(work)
	st.running.Wait()
	if ctx.Err() != nil && !errors.Is(broken, errStalled) { // nobody is there to be told
		return context.Cause(ctx)
	}
	return st.answer(broken)
}

// storing is one request that stores.
type storing struct {
	rq      *request
	study   dicom.UID // that all must be of; "": any
	results []*result
	loose   loose
	batch   []*object // admitted, not yet on their way
	size    int64     // of these
	running sync.WaitGroup
}

// result is what became of one part.
type result struct {
	class, instance, study, series dicom.UID // as far as they are known
	status                         dimse.Status
	why                            string
	later                          bool // durable here, for the archive later
	object                         *object
}

const (
	batchObjects = 8       // in one request to the archive
	batchBytes   = 8 << 20 // from which on it is sent
)

// readBody receives the parts, or the one instance that the body is. An error is the
// body's: what came before it counts.
func (st *storing) readBody(ctx context.Context, contentType string) error {
	if kind, err := web.ParseMediaType(contentType); err == nil && kind.Type == web.TypeDICOM {
		return st.takeFile(ctx, st.rq.r.Body)
	}
	m, err := web.NewMultipartReader(st.rq.r.Body, contentType, web.MultipartLimits{})
	if err != nil {
		return err
	}
	for {
		part, err := m.Next()
		if err == io.EOF && len(st.results)+len(st.loose.metadata) == 0 {
			return refused(http.StatusBadRequest, "multipart body: no part")
		}
		if err == io.EOF {
			return st.assemble(ctx)
		}
		if err == nil {
			err = st.take(ctx, m, part)
		}
		if err != nil {
			return err
		}
	}
}

// take receives one part.
func (st *storing) take(ctx context.Context, m *web.MultipartReader, part *web.Part) error {
	if part.Type.Part() != web.TypeDICOM {
		return st.takeOther(ctx, m, part)
	}
	return st.takeFile(ctx, part)
}

// takeFile receives one file.
func (st *storing) takeFile(ctx context.Context, file io.Reader) error {
	r := st.expect()
	o, err := st.rq.receive(ctx, file, st.rq.origin())
	if errors.Is(err, errTooLong) {
		st.refuse(r, statusTooLong, "longer than is taken")
	}
	if err != nil {
		return err
	}
	st.settle(ctx, r, o)
	return nil
}

// expect adds a result, which is a failure until something else is known.
func (st *storing) expect() *result {
	r := &result{status: statusProcessing, why: "not received whole"}
	st.results = append(st.results, r)
	return r
}

// settle does what the verdict says.
func (st *storing) settle(ctx context.Context, r *result, o *object) {
	rq, id := st.rq, o.report.Identity
	r.object, o.result = o, r
	r.class, r.instance = dicom.UID(clip(id.SOPClassUID, maxUID)), dicom.UID(clip(id.SOPInstanceUID, maxUID))
	r.study, r.series = dicom.UID(id.StudyInstanceUID), dicom.UID(id.SeriesInstanceUID)
	rq.visit.tally.received.Add(1)
	rq.s.parts.Metrics.Count(metric.WebObjects, 1, "received")
	switch {
	case o.unkept != nil:
		rq.log.Error("object cannot be kept: the sender is asked to try again", "error", o.unkept)
		st.refuse(r, statusCannotKeep, "out of resources")
	case o.report.Verdict == finding.Admit:
		o.notice("")
		st.admit(ctx, r, o)
	case o.report.Verdict == finding.Refuse:
		st.refuse(r, statusRefused, o.decision.Reason)
	default:
		st.hold(ctx, r, o)
	}
}

// admit puts an object among those that go to the archive next.
func (st *storing) admit(ctx context.Context, r *result, o *object) {
	status, why := o.read()
	switch {
	case status != dimse.Success:
		st.refuse(r, status, why)
		return
	case st.study != "" && r.study != st.study:
		st.refuse(r, statusWrongStudy, "of another study than the path names")
		return
	}
	may, objection := st.rq.admission.MayStore(r.class)
	if objection != nil && may {
		st.rq.wouldRefuse(*objection)
	}
	if !may {
		st.refuse(r, statusNotAllowed, "SOP class not permitted")
		return
	}
	if len(st.batch) > 0 && (st.size >= batchBytes || len(st.batch) >= batchObjects || st.inBatch(r.instance)) {
		st.dispatch(ctx)
	}
	st.batch, st.size = append(st.batch, o), st.size+o.report.Bytes
}

// inBatch reports whether the batch has an instance of that name: the archive's answer
// tells them apart by nothing else.
func (st *storing) inBatch(instance dicom.UID) bool {
	return slices.ContainsFunc(st.batch, func(o *object) bool { return o.file.SOPInstanceUID == instance })
}

// dispatch sends the batch on its way, once the one before has arrived.
func (st *storing) dispatch(ctx context.Context) {
	st.running.Wait()
	batch := st.batch
	st.batch, st.size = nil, 0
	if len(batch) == 0 {
		return
	}
	st.running.Go(func() { // ends with the batch; the request waits for it
		defer st.survive()
		st.deliver(ctx, batch)
	})
}

// survive ends a batch that a fault of ours broke off: nothing of it was acknowledged.
func (st *storing) survive() {
	if fault := recover(); fault != nil {
		st.rq.log.Error("fault of the gateway's own", "fault", fault, "stack", string(debug.Stack()))
	}
}

// hold makes an object durable in custody. Over the web the sender is told.
func (st *storing) hold(ctx context.Context, r *result, o *object) {
	defer o.buffer.Discard()
	kept, err := st.rq.s.parts.Custody.Keep(ctx, o.buffer, o.row(custody.Held))
	if err != nil {
		st.rq.log.Error("object cannot be kept: the sender is asked to try again", "error", err)
		st.refuse(r, statusCannotKeep, "out of resources")
		return
	}
	o.noticeHeld(kept.ID)
	r.status, r.why = statusHeld, "held here until people decide: "+o.decision.Reason
	o.moved(st.rq.wayOfCaller(transfer.Received), r.status, "held by the gateway")
}

// refuse counts and records that an object was refused, and sets its result.
func (st *storing) refuse(r *result, status dimse.Status, why string) {
	rq := st.rq
	r.status, r.why = status, why
	rq.visit.tally.refused.Add(1)
	rq.s.parts.Metrics.Count(metric.WebObjects, 1, "refused")
	if r.object != nil {
		r.object.moved(rq.wayOfCaller(transfer.Received), status, why)
		r.object.buffer.Discard()
	}
	if status != statusCannotKeep {
		rq.log.Warn("object refused", "status", uint16(status), "reason", why)
	}
	err := rq.record("object.refused", rq.who(map[string]any{
		"status": uint16(status), "reason": clip(why, maxWhy),
		"sop_class_uid": string(r.class), "sop_instance_uid": string(r.instance),
	}))
	if err != nil {
		rq.log.Error("refusal not recorded", "error", err)
	}
}

// discard frees every buffer.
func (st *storing) discard() {
	for _, r := range st.results {
		if r.object != nil {
			r.object.buffer.Discard()
		}
	}
	for _, b := range st.loose.buffers {
		b.Discard()
	}
	st.rq.s.loose.Add(-st.loose.bytes)
}

// answer writes the Store Instances Response Module (PS3.18 annex I). Where the body
// broke off, the status is that of what broke it, so that nobody takes the request for
// done; the module still says which instances were stored.
func (st *storing) answer(broken error) error {
	rq := st.rq
	if broken != nil && !slices.ContainsFunc(st.results, func(r *result) bool { return r.instance != "" }) {
		return broken
	}
	rsp, later := st.response()
	status := rsp.StatusCode()
	switch {
	case broken != nil:
		var why string
		status, why = answerOf(broken)
		rq.w.Header().Set("Warning", warning(why))
		if err := rq.recordRefused(status, why); err != nil {
			return err
		}
	case st.allCannotKeep():
		status = http.StatusServiceUnavailable
		rq.w.Header().Set("Retry-After", "30")
	case later > 0:
		rq.w.Header().Set("Warning", warning("instances are kept here and go to the archive later"))
	}
	rq.count(answered)
	media, ok := rq.accept.Best(web.Single(web.TypeJSON), web.Single(web.TypeXML))
	if !ok {
		media = web.Single(web.TypeJSON)
	}
	rq.began = true
	if err := web.WriteDataSet(rq.w, status, media, rsp.DataSet()); err != nil || broken == nil {
		return err
	}
	rq.linger()
	return nil
}

// allCannotKeep reports whether nothing was stored for want of room alone: the same
// request may do later.
func (st *storing) allCannotKeep() bool {
	return !slices.ContainsFunc(st.results, func(r *result) bool { return r.status != statusCannotKeep })
}

// response is what became of each part, in the order of the parts; later counts those
// that wait here for the archive.
func (st *storing) response() (rsp web.StoreResponse, later int) {
	for _, r := range st.results {
		switch {
		case r.status.Class() != dimse.ClassFailure:
			s := web.StoredInstance{SOPClassUID: r.class, SOPInstanceUID: r.instance, RetrieveURL: st.rq.retrieveURL(r.study, r.series, r.instance)}
			if r.status != dimse.Success {
				s.WarningReason = uint16(r.status)
			}
			rsp.Stored = append(rsp.Stored, s)
			if r.later {
				later++
			}
		case r.instance == "":
			rsp.Other = append(rsp.Other, uint16(r.status))
		default:
			rsp.Failed = append(rsp.Failed, web.FailedInstance{SOPClassUID: r.class, SOPInstanceUID: r.instance, FailureReason: uint16(r.status), Comment: r.why})
		}
	}
	if st.study != "" {
		rsp.RetrieveURL = st.rq.retrieveURL(st.study, "", "")
	}
	return rsp, later
}
