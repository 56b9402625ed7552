package webgate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/web"
	"cordon/finding"
	"cordon/metric"
	"cordon/transfer"
)

// fetched is what becomes of each object that an archive sends. Each is whole, judged
// and of what was asked for; the buffer of one that is given is the receiver's.
type fetched struct {
	give     func(*object) error
	withheld []withheld
}

// withheld is an instance that does not go out, and why.
type withheld struct {
	instance dicom.UID // "" if it cannot be told
	why      string
}

// fetch has the archive send what a resource names, and judges it. An error of give
// ends it and is returned.
func (rq *request) fetch(ctx context.Context, r web.Resource, accept web.Accept, f *fetched) error {
	if rq.up.Web == nil {
		return rq.fetchDIMSE(ctx, r, f)
	}
	r.Kind = kindOf(r)
	err := rq.up.Web.Retrieve(ctx, r, accept, func(part *web.Part) error {
		return rq.take(ctx, r, part, f)
	})
	rq.up.asked(err)
	if errors.Is(err, web.ErrPartial) {
		f.withheld = append(f.withheld, withheld{"", partial})
		return nil
	}
	return err
}

const partial = "the archive itself left something out"

// kindOf is the kind of a resource's whole instances.
func kindOf(r web.Resource) web.Kind {
	switch {
	case r.Instance != "":
		return web.KindInstance
	case r.Series != "":
		return web.KindSeries
	}
	return web.KindStudy
}

// take receives one object of an archive and settles it.
func (rq *request) take(ctx context.Context, r web.Resource, data io.Reader, f *fetched) error {
	o, err := rq.receive(ctx, data, rq.archiveOrigin())
	if err != nil {
		return err
	}
	id := o.report.Identity
	name := dicom.UID(clip(id.SOPInstanceUID, maxUID))
	why, err := rq.settleOut(ctx, r, o)
	switch {
	case err != nil:
		o.buffer.Discard()
		return err
	case why != "":
		o.buffer.Discard()
		f.withheld = append(f.withheld, withheld{name, why})
		rq.visit.tally.withheld.Add(1)
		rq.s.parts.Metrics.Count(metric.InstancesSent, 1, "held")
		o.moved(rq.wayOfArchive(transfer.Received), statusHeld, why)
		return nil
	}
	o.moved(rq.wayOfArchive(transfer.Received), dimse.Success, "")
	o.leaveCopy()
	return f.give(o)
}

// settleOut says why an object does not go out, or "". One that is held is kept, so that
// people can decide; what they released to the archive goes out of it again.
func (rq *request) settleOut(ctx context.Context, r web.Resource, o *object) (why string, err error) {
	switch {
	case o.unkept != nil:
		return "", fmt.Errorf("object cannot be kept: %w", o.unkept)
	case o.report.Verdict == finding.Admit:
		o.notice("")
	case o.report.Verdict == finding.Refuse:
		return o.decision.Reason, nil
	default:
		released, err := rq.s.parts.Custody.WasReleased(ctx, o.report.Identity.SOPInstanceUID, o.report.SHA256)
		if err != nil || !released {
			return rq.holdOut(ctx, o, err)
		}
	}
	if status, why := o.read(); status == statusCannotKeep {
		return "", fmt.Errorf("%w: %w", errBuffer, o.unkept)
	} else if status != dimse.Success {
		return why, nil
	}
	if !within(r, o.report.Identity) {
		rq.log.Error("the archive gave another object than it was asked for")
		return "the archive gave another object", nil
	}
	return "", nil
}

// within reports whether an object is of what was asked for.
func within(r web.Resource, id finding.Identity) bool {
	return (r.Study == "" || string(r.Study) == id.StudyInstanceUID) && (r.Series == "" || string(r.Series) == id.SeriesInstanceUID) &&
		(r.Instance == "" || string(r.Instance) == id.SOPInstanceUID)
}

// holdOut keeps an object that must not go out. It came from the archive, which is why
// it has the archive in the place of its device; a release takes it back there.
func (rq *request) holdOut(ctx context.Context, o *object, unknown error) (string, error) {
	if unknown != nil {
		rq.log.Error("not known whether an object was released once", "error", unknown)
	}
	row := o.row(custody.Held)
	row.Device, row.Also = rq.up.Name, nil
	kept, err := rq.s.parts.Custody.Keep(ctx, o.buffer, row)
	if err != nil {
		return "", fmt.Errorf("object cannot be kept: %w", err)
	}
	o.noticeHeld(kept.ID)
	return heldHere, nil
}

const heldHere = "held here until people decide"

// fetchDIMSE is fetch by C-GET or C-MOVE. Each data set gets the file meta information
// of its command, and is judged as that file.
func (rq *request) fetchDIMSE(ctx context.Context, r web.Resource, f *fetched) error {
	identifier, err := retrieveIdentifier(r)
	if err != nil {
		return err
	}
	var ours error
	rsp, err := rq.up.archives.Retrieve(ctx, rq.up.Name, rq.admission.Calling, identifier, func(c dimse.StoreRequest, ts dicom.UID, data io.Reader) dimse.Status {
		before := len(f.withheld)
		switch {
		case ours != nil:
			return dimse.OutOfResources
		case rq.takeDIMSE(ctx, r, c, ts, data, f, &ours):
			return dimse.OutOfResources
		case len(f.withheld) > before: // some archives end a retrieve at the first failure
			return dimse.WarningElementsDiscarded
		}
		return dimse.Success
	})
	switch {
	case ours != nil:
		return ours
	case err != nil:
		return err
	case transient(rsp.Status):
		return fmt.Errorf("%w: status %04X", dimse.ErrAway, uint16(rsp.Status))
	case rsp.Status.Class() != dimse.ClassSuccess && rsp.Status.Class() != dimse.ClassWarning:
		return refused(http.StatusBadGateway, fmt.Sprintf("the archive answered status %04X", uint16(rsp.Status)))
	case rsp.NumberOfFailedSuboperations != nil && *rsp.NumberOfFailedSuboperations > 0:
		f.withheld = append(f.withheld, withheld{"", fmt.Sprintf("the archive failed to send %d", *rsp.NumberOfFailedSuboperations)})
	}
	return nil
}

func (rq *request) takeDIMSE(ctx context.Context, r web.Resource, c dimse.StoreRequest, ts dicom.UID, data io.Reader, f *fetched, ours *error) (failed bool) {
	var meta bytes.Buffer
	if *ours = dicom.WriteFileMeta(&meta, dicom.FileMeta{SOPClassUID: c.SOPClassUID, SOPInstanceUID: c.SOPInstanceUID, TransferSyntaxUID: ts}); *ours == nil {
		*ours = rq.take(ctx, r, io.MultiReader(&meta, data), f)
	}
	return *ours != nil
}

// retrieveIdentifier is a resource as the identifier of a C-GET or C-MOVE (PS3.4
// §C.4.3.1.3).
func retrieveIdentifier(r web.Resource) ([]byte, error) {
	var d web.DataSet
	level := web.LevelStudy
	d.SetString(dicom.TagStudyInstanceUID, dicom.UI, string(r.Study))
	if r.Series != "" {
		level = web.LevelSeries
		d.SetString(dicom.TagSeriesInstanceUID, dicom.UI, string(r.Series))
	}
	if r.Instance != "" {
		level = web.LevelInstance
		d.SetString(dicom.TagSOPInstanceUID, dicom.UI, string(r.Instance))
	}
	d.SetString(dicom.TagQueryRetrieveLevel, dicom.CS, level.String())
	var out bytes.Buffer
	err := d.Encode(&out, dicom.ExplicitVRLittleEndian)
	return out.Bytes(), err
}

// errHeld is why an instance is not given.
var errHeld = refused(http.StatusForbidden, "the instance is "+heldHere)

// instance is one whole instance, judged. It is the shelf's, and stays until the
// request is at its end.
func (rq *request) instance(ctx context.Context) (*object, error) {
	it, err := rq.shelved(ctx)
	if err != nil {
		return nil, err
	}
	return it.object, nil
}

func (rq *request) shelved(ctx context.Context) (*shelved, error) {
	r := web.Resource{Kind: web.KindInstance, Study: rq.resource.Study, Series: rq.resource.Series, Instance: rq.resource.Instance}
	it, err := rq.s.shelf.get(ctx, rq.key(r), func() (*object, error) {
		var found *object
		f := &fetched{give: func(o *object) error {
			if found != nil {
				o.buffer.Discard()
				return errTwo
			}
			found = o
			return nil
		}}
		err := rq.fetch(ctx, r, nil, f)
		switch {
		case err != nil && found != nil:
			found.buffer.Discard()
			return nil, err
		case !isAway(err) && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)):
			return nil, context.Canceled
		case err != nil && !isMissing(err):
			return nil, err
		case len(f.withheld) > 0 && found != nil:
			found.buffer.Discard()
			return nil, errTwo
		case len(f.withheld) > 0:
			return nil, withheldError(f.withheld)
		case found == nil:
			return nil, rq.missing(ctx, r)
		}
		return found, nil
	})
	if err == nil {
		rq.uses = append(rq.uses, it)
	}
	return it, err
}

var errTwo = refused(http.StatusBadGateway, "the archive gave several objects for one instance")

func (rq *request) key(r web.Resource) instanceKey {
	return instanceKey{rq.up.Name, r.Study, r.Series, r.Instance, rq.admission.Monitor, rq.bypassed}
}

// isMissing reports whether an archive says that it does not have what was asked for.
func isMissing(err error) bool {
	var answer *web.AnswerError
	return errors.As(err, &answer) && (answer.Status == http.StatusNotFound || answer.Status == http.StatusGone)
}

// missing is the answer where the archive has nothing: what is held on its way in is
// said to be.
func (rq *request) missing(ctx context.Context, r web.Resource) error {
	held, err := rq.heldOn(ctx, r)
	switch {
	case err != nil:
		return err
	case len(held) > 0:
		return errHeld
	}
	return errNotFound
}

// heldOn lists the instances of a resource that are held here for the archive.
func (rq *request) heldOn(ctx context.Context, r web.Resource) ([]withheld, error) {
	held, err := rq.s.parts.Custody.List(ctx, custody.Filter{
		States: []custody.State{custody.Held}, Archive: rq.up.Name, StudyInstanceUID: string(r.Study), SOPInstanceUID: string(r.Instance),
		Limit: maxHeld,
	})
	if err == nil && len(held) == maxHeld {
		err = errManyHeld
	}
	if err != nil {
		return nil, err
	}
	var out []withheld
	for _, o := range held {
		if r.Series == "" || o.SeriesInstanceUID == string(r.Series) || o.SeriesInstanceUID == "" {
			out = append(out, withheld{dicom.UID(o.SOPInstanceUID), heldHere})
		}
	}
	return out, nil
}

// maxHeld is of how many held instances of one study it is known which they are. With
// more, nothing of it goes out.
const maxHeld = 20_000

var errManyHeld = refused(http.StatusForbidden, "more instances of the study are held here than can be told from the others: ask for others by themselves")

// withheldError is the answer where nothing of what the archive has goes out.
func withheldError(held []withheld) error {
	for _, w := range held {
		if w.why == heldHere {
			return errHeld
		}
	}
	return refused(http.StatusBadGateway, "nothing that the archive gave can go out: "+held[0].why)
}
