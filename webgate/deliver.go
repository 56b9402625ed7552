package webgate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"time"

	"cordon/custody"
	"cordon/dicom/dimse"
	"cordon/dicom/web"
	"cordon/metric"
	"cordon/transfer"
)

// deliver takes admitted objects to the archive, or makes them durable here.
func (st *storing) deliver(ctx context.Context, batch []*object) {
	up := st.rq.up
	switch {
	case up.SpoolFirst, st.rq.paranoid:
		st.keepAll(ctx, batch)
	case up.away():
		st.keepAll(ctx, batch)
	case up.Web != nil:
		st.deliverWeb(ctx, batch)
	default:
		for _, o := range batch {
			st.deliverDIMSE(ctx, o)
		}
	}
}

// keepAll makes objects durable here for the archive later, or has their sender keep
// them, if that is what the site wants.
func (st *storing) keepAll(ctx context.Context, batch []*object) {
	for _, o := range batch {
		st.keep(ctx, o)
	}
}

func (st *storing) keep(ctx context.Context, o *object) {
	rq, r := st.rq, o.result
	if rq.up.RefuseDown && !rq.up.SpoolFirst && !rq.paranoid {
		st.refuse(r, statusCannotKeep, "the archive is away: try again later")
		return
	}
	defer o.buffer.Discard()
	if _, err := rq.s.parts.Custody.Keep(ctx, o.buffer, o.row(custody.Spooled)); err != nil {
		rq.log.Error("object cannot be kept: the sender is asked to try again", "error", err)
		st.refuse(r, statusCannotKeep, "out of resources")
		return
	}
	rq.visit.tally.spooled.Add(1)
	rq.s.parts.Metrics.Count(metric.WebObjects, 1, "spooled")
	o.leaveCopy()
	if rq.s.parts.Wake != nil {
		rq.s.parts.Wake()
	}
	r.status, r.why, r.later = dimse.Success, "", true
	o.moved(rq.wayOfCaller(transfer.Received), dimse.Success, "")
}

// deliverWeb sends objects in one STOW-RS request. What the archive's answer does not
// name was not stored, whatever its status: it is kept here.
func (st *storing) deliverWeb(ctx context.Context, batch []*object) {
	up, began := st.rq.up, time.Now()
	for _, o := range batch {
		st.begins(o)
	}
	rsp, err := up.Web.Store(ctx, "", st.parts(batch))
	switch {
	case errors.Is(err, errBuffer):
		st.unreadable(batch, err)
		return
	case err != nil:
		st.undelivered(ctx, batch, err)
		return
	}
	up.asked(nil)
	st.rq.s.parts.Metrics.Observe(metric.DeliveryDuration, time.Since(began).Seconds(), up.Name)
	for _, o := range batch {
		switch said, ok := rsp.Of(o.file.SOPInstanceUID); {
		case !ok:
			st.notDelivered(ctx, o, errUnnamed)
		case said.Failure != 0:
			st.delivered(ctx, o, failure(dimse.Status(said.Failure)))
		default:
			st.delivered(ctx, o, stored(dimse.Status(said.Warning)))
		}
	}
}

var errUnnamed = errors.New("the archive's answer does not name the instance")

// unreadable has the sender try again, since what was received cannot be read back.
func (st *storing) unreadable(batch []*object, err error) {
	st.rq.log.Error("object cannot be read back: the sender is asked to try again", "error", err)
	for _, o := range batch {
		st.refuse(o.result, statusCannotKeep, "out of resources")
	}
}

// undelivered decides about objects whose request failed as a whole. If the archive
// minds what is in it, each goes by itself, so that the others are stored; that one
// is refused as the archive refuses it.
func (st *storing) undelivered(ctx context.Context, batch []*object, err error) {
	up := st.rq.up
	up.asked(err)
	status, minds := objection(err)
	switch {
	case minds && len(batch) > 1:
		for _, o := range batch {
			st.deliverWeb(ctx, []*object{o})
		}
	case minds:
		st.delivered(ctx, batch[0], status)
	default:
		for _, o := range batch {
			st.notDelivered(ctx, o, err)
		}
	}
}

// objection is the status for an answer by which the archive refuses what it was
// sent. Any other failure is the archive's own.
func objection(err error) (dimse.Status, bool) {
	var answer *web.AnswerError
	if !errors.As(err, &answer) {
		return 0, false
	}
	switch answer.Status {
	case http.StatusUnsupportedMediaType:
		return statusSyntax, true
	case http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return statusProcessing, true
	}
	return 0, false
}

// parts are the objects as the body of a STOW-RS request carries them: the bytes that
// were judged.
func (st *storing) parts(batch []*object) iter.Seq2[web.StorePart, error] {
	return func(yield func(web.StorePart, error) bool) {
		for _, o := range batch {
			data, err := o.buffer.Open()
			if err != nil {
				yield(web.StorePart{}, errors.Join(errBuffer, err))
				return
			}
			more := yield(web.StorePart{Data: &ours{data}}, nil) // its file says in which transfer syntax; some archives take no parameter
			data.Close()
			if !more {
				return
			}
		}
	}
}

// ours is a reader whose errors are our own fault.
type ours struct{ io.Reader }

func (r *ours) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = errors.Join(errBuffer, err)
	}
	return n, err
}

// deliverDIMSE sends one object by C-STORE.
func (st *storing) deliverDIMSE(ctx context.Context, o *object) {
	rq := st.rq
	data, closer, size, err := o.dataSet()
	if err != nil {
		st.unreadable([]*object{o}, err)
		return
	}
	defer closer.Close()
	st.begins(o)
	rsp, err := rq.up.archives.Store(ctx, rq.up.Name, rq.admission.Calling, dimse.StoreRequest{
		SOPClassUID: o.file.SOPClassUID, SOPInstanceUID: o.file.SOPInstanceUID,
	}, o.file.TransferSyntaxUID, &ours{data}, size)
	switch {
	case errors.Is(err, errBuffer):
		st.unreadable([]*object{o}, err)
	case errors.Is(err, dimse.ErrNotAccepted):
		st.delivered(ctx, o, statusSyntax)
	case err != nil:
		st.notDelivered(ctx, o, err)
	case rsp.Status.Class() == dimse.ClassPending, rsp.Status.Class() == dimse.ClassCancel: // neither taken nor refused
		st.notDelivered(ctx, o, fmt.Errorf("status %04X", uint16(rsp.Status)))
	default:
		st.delivered(ctx, o, rsp.Status)
	}
}

// begins notes that an object is about to be sent.
func (st *storing) begins(o *object) {
	w := st.rq.wayOfArchive(transfer.Sent)
	w.Study = clip(o.report.Identity.StudyInstanceUID, maxUID)
	st.rq.visit.moved.Begin(w, o.patient)
}

// notDelivered keeps an object that the archive did not answer for.
func (st *storing) notDelivered(ctx context.Context, o *object, err error) {
	o.moved(st.rq.wayOfArchive(transfer.Sent), statusCannotKeep, "no answer")
	st.rq.log.Warn("archive failed: object is to be kept here", "error", loggable(err))
	st.keep(ctx, o)
}

// delivered settles an object that the archive has answered for.
func (st *storing) delivered(ctx context.Context, o *object, status dimse.Status) {
	rq, r := st.rq, o.result
	if transient(status) {
		rq.log.Warn("archive is out of resources: object is to be kept here", "status", uint16(status))
		o.moved(rq.wayOfArchive(transfer.Sent), status, "")
		st.keep(ctx, o)
		return
	}
	if err := st.copyToOthers(ctx, o, status); err != nil {
		rq.log.Error("object cannot be kept for further archives: the sender is asked to try again", "error", err)
		st.refuse(r, statusCannotKeep, "out of resources")
		return
	}
	defer o.buffer.Discard()
	kind, outcome := "object.delivered", "delivered"
	if status.Class() == dimse.ClassFailure {
		kind, outcome, r.why = "object.refused_by_archive", "refused_by_archive", "refused by the archive"
		rq.visit.tally.refused.Add(1)
	} else {
		rq.visit.tally.delivered.Add(1)
		o.leaveCopy()
		w := rq.wayOfArchive(transfer.Sent)
		w.Study = clip(o.report.Identity.StudyInstanceUID, maxUID)
		rq.visit.moved.Durable(ctx, w) // before success is answered
	}
	r.status = status
	rq.s.parts.Metrics.Count(metric.WebObjects, 1, outcome)
	rq.s.parts.Ledger.Note(kind, o.entry(map[string]any{"archive": rq.up.Name, "status": uint16(status)}))
	o.moved(rq.wayOfArchive(transfer.Sent), status, "")
	o.moved(rq.wayOfCaller(transfer.Received), status, "from the archive")
}

// copyToOthers makes an object that the archive has taken durable here for the further
// archives that get it too.
func (st *storing) copyToOthers(ctx context.Context, o *object, status dimse.Status) error {
	rq := st.rq
	if len(rq.admission.Also) == 0 || status.Class() == dimse.ClassFailure {
		return nil
	}
	row := o.row(custody.Spooled)
	row.Archive, row.Also = row.Also[0], row.Also[1:]
	_, err := rq.s.parts.Custody.Keep(ctx, o.buffer, row)
	if err == nil && rq.s.parts.Wake != nil {
		rq.s.parts.Wake()
	}
	return err
}

// transient reports whether the archive may take the same object later (PS3.4
// §B.2.3: A7xx, out of resources).
func transient(s dimse.Status) bool { return s&0xFF00 == 0xA700 }
