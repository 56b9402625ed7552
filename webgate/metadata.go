package webgate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/web"
	"cordon/finding"
)

// metadata is WADO-RS of metadata (PS3.18 §10.4.1.1.2). An archive's own is read,
// judged, and written anew, with our addresses for bulk data; where the archive speaks
// DIMSE it is made from the instances.
func (rq *request) metadata(ctx context.Context) error {
	media, ok := rq.accept.Best(web.Single(web.TypeJSON), web.Related(web.TypeXML, ""))
	if !ok {
		return refused(http.StatusNotAcceptable, `metadata is given as application/dicom+json, or multipart/related; type="application/dicom+xml"`)
	}
	rows := newRows(rq.s.parts.Custody, media)
	defer rows.discard()
	held, err := rq.gather(ctx, rows.add)
	if err != nil && !isMissing(err) {
		return err
	}
	more, err := rq.heldOn(ctx, rq.resource)
	if err != nil {
		return err
	}
	for _, w := range more {
		if !rows.names[w.instance] {
			held = append(held, w)
		}
	}
	switch {
	case rows.n == 0 && len(held) > 0:
		rq.nameWithheld(held)
		return withheldError(held)
	case rows.n == 0:
		return errNotFound
	}
	status := http.StatusOK
	if len(held) > 0 {
		status = http.StatusPartialContent
		rq.nameWithheld(held)
	}
	rq.accessed(rq.resource.Study)
	return rows.answer(rq, status)
}

// gather passes on the metadata of each instance of the resource that may go out, and
// returns which may not.
func (rq *request) gather(ctx context.Context, add func(web.DataSet) error) ([]withheld, error) {
	if rq.up.Web == nil {
		return rq.gatherDIMSE(ctx, add)
	}
	outHeld, err := rq.heldOut(ctx)
	if err != nil {
		return nil, err
	}
	var held []withheld
	r := rq.resource
	err = rq.up.Web.Metadata(ctx, r, func(d web.DataSet) error {
		instance := d.UID(dicom.TagSOPInstanceUID)
		if instance.Validate() != nil || !within(r, identityOf(d)) {
			return errOther
		}
		if outHeld[instance] {
			held = append(held, withheld{instance, heldHere})
			return nil
		}
		passes, err := rq.passes(ctx, d)
		switch {
		case err != nil:
			return err
		case !passes:
			held = append(held, withheld{instance, "metadata not let through"})
			return nil
		}
		rq.relink(d, instance)
		return add(d)
	})
	rq.up.asked(err)
	if errors.Is(err, web.ErrPartial) {
		held, err = append(held, withheld{"", partial}), nil
	}
	return held, err
}

var errOther = refused(http.StatusBadGateway, "the archive gave something else than was asked for")

// gatherDIMSE makes the metadata from the instances, which stay on the shelf, since
// their frames are asked for next.
func (rq *request) gatherDIMSE(ctx context.Context, add func(web.DataSet) error) ([]withheld, error) {
	f := &fetched{}
	f.give = func(o *object) error {
		id := o.report.Identity
		r := web.Resource{Study: dicom.UID(id.StudyInstanceUID), Series: dicom.UID(id.SeriesInstanceUID), Instance: dicom.UID(id.SOPInstanceUID)}
		d, err := rq.metadataOf(o, r)
		if err != nil {
			o.buffer.Discard()
		}
		switch {
		case errors.Is(err, errBuffer):
			return err
		case err != nil: // the others of its study can be read
			rq.log.Warn("metadata cannot be read", "error", loggable(err))
			f.withheld = append(f.withheld, withheld{r.Instance, "its metadata cannot be read"})
			return nil
		}
		rq.s.shelf.put(rq.key(r), o)
		return add(d)
	}
	err := rq.fetch(ctx, rq.resource, nil, f)
	return f.withheld, err
}

// metadataOf reads a judged instance without its bulk data.
func (rq *request) metadataOf(o *object, r web.Resource) (web.DataSet, error) {
	parsed, err := o.parse(func(path string) string { return rq.bulkLink(r, path) })
	if err != nil {
		return nil, err
	}
	return parsed.DataSet, nil
}

// heldOut are the instances of the resource's study that are held because of what the
// archive gave.
func (rq *request) heldOut(ctx context.Context) (map[dicom.UID]bool, error) {
	held, err := rq.s.parts.Custody.List(ctx, custody.Filter{
		States: []custody.State{custody.Held}, Archive: rq.up.Name, Device: rq.up.Name, StudyInstanceUID: string(rq.resource.Study),
		SOPInstanceUID: string(rq.resource.Instance), Limit: maxHeld,
	})
	if err == nil && len(held) == maxHeld {
		err = errManyHeld
	}
	out := map[dicom.UID]bool{}
	for _, o := range held {
		out[dicom.UID(o.SOPInstanceUID)] = true
	}
	return out, err
}

// identityOf is what a data set says it is of.
func identityOf(d web.DataSet) (id finding.Identity) {
	id.StudyInstanceUID, id.SeriesInstanceUID = string(d.UID(dicom.TagStudyInstanceUID)), string(d.UID(dicom.TagSeriesInstanceUID))
	id.SOPInstanceUID = string(d.UID(dicom.TagSOPInstanceUID))
	return id
}

// relink puts our addresses in the place of the archive's: bulk data is cut from the
// judged instance, wherever the archive has it.
func (rq *request) relink(d web.DataSet, instance dicom.UID) {
	r := web.Resource{
		Study: d.UID(dicom.TagStudyInstanceUID), Series: d.UID(dicom.TagSeriesInstanceUID), Instance: instance,
	}
	rq.relinkBulk(d, r, "")
	d.RewriteURIs(r, rq.link)
	if e := d.Find(tagRetrieveURL); e != nil {
		e.Value = []byte(rq.retrieveURL(r.Study, r.Series, r.Instance))
	}
}

const tagRetrieveURL dicom.Tag = 0x00081190

func (rq *request) relinkBulk(d web.DataSet, r web.Resource, path string) {
	for i := range d {
		e := &d[i]
		here := path + fmt.Sprintf("%08X", uint32(e.Tag))
		if e.BulkDataURI != "" {
			e.BulkDataURI = rq.bulkLink(r, here)
		}
		for n, item := range e.Items {
			rq.relinkBulk(item, r, here+"/"+strconv.Itoa(n+1)+"/")
		}
	}
}

// bulkLink is where a value of an instance is given out.
func (rq *request) bulkLink(r web.Resource, path string) string {
	r.Kind, r.Bulk = web.KindBulkData, "bulkdata/"+path
	if r.Study == "" || r.Series == "" || r.Instance == "" {
		return ""
	}
	return rq.link(r)
}

// encode is a data set as it is judged: without the values that are elsewhere.
func encode(d web.DataSet) ([]byte, error) {
	var out bytes.Buffer
	err := here(d).Encode(&out, dicom.ExplicitVRLittleEndian)
	return out.Bytes(), err
}

// here is a data set without the values that are elsewhere.
func here(d web.DataSet) web.DataSet {
	out := make(web.DataSet, 0, len(d))
	for _, e := range d {
		if e.BulkDataURI != "" {
			continue
		}
		items := make([]web.DataSet, len(e.Items))
		for i, item := range e.Items {
			items[i] = here(item)
		}
		if e.Items != nil {
			e.Items = items
		}
		out = append(out, e)
	}
	return out
}

// rows is an answer of data sets under way, kept until its status is known: an array
// of DICOM JSON, or multipart/related of XML (PS3.18 §8.7.3).
type rows struct {
	buffer *custody.Buffer
	parts  *web.MultipartWriter // nil: JSON
	array  *web.JSONWriter
	names  map[dicom.UID]bool // of the instances in it
	n      int
}

func newRows(c *custody.Custody, media web.MediaType) *rows {
	r := &rows{buffer: c.NewPile(), names: map[dicom.UID]bool{}}
	r.array = web.NewJSONWriter(r.buffer)
	if media.Part() == web.TypeXML {
		r.parts = web.NewMultipartWriter(r.buffer, media)
	}
	return r
}

func (r *rows) discard() { r.buffer.Discard() }

func (r *rows) add(d web.DataSet) error {
	r.names[d.UID(dicom.TagSOPInstanceUID)] = true
	r.n++
	if r.parts != nil {
		w, err := r.parts.Part(web.Single(web.TypeXML), "")
		if err != nil {
			return err
		}
		return d.WriteXML(w)
	}
	return r.array.Write(d)
}

// answer writes what was added.
func (r *rows) answer(rq *request, status int) error {
	contentType, end := web.TypeJSON, r.array.Close
	if r.parts != nil {
		contentType, end = r.parts.ContentType(), r.parts.Close
	}
	if err := end(); err != nil {
		return err
	}
	body, err := r.buffer.Open()
	if err != nil {
		return errors.Join(errBuffer, err)
	}
	defer body.Close()
	rq.begin(status, contentType)
	_, err = io.Copy(rq.w, body)
	return rq.end(err)
}
