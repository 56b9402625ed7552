package webgate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"

	"cordon/dicom"
	"cordon/dicom/web"
	"cordon/finding"
	"cordon/judge"
)

// picture is a kind of image that may go out: what its first bytes are.
type picture struct {
	media string
	magic []byte
}

var pictures = []picture{
	{"image/jpeg", []byte("\xFF\xD8\xFF")},
	{"image/png", []byte("\x89PNG\r\n\x1a\n")},
	{"image/gif", []byte("GIF8")},
}

// maxPicture is the longest rendering that is taken, in bytes.
const maxPicture = 64 << 20

// rendered is WADO-RS of renderings and thumbnails (PS3.18 §10.4.1.1.3, §10.4.4): the
// archive renders, if it speaks DICOMweb and the instance was judged; what comes is an
// image of a kind that it says, and judged as a file.
func (rq *request) rendered(ctx context.Context) error {
	query, err := web.ParseRendering(rq.r.URL.RawQuery)
	if err != nil {
		return err
	}
	return rq.render(ctx, rq.resource, query)
}

func (rq *request) render(ctx context.Context, r web.Resource, query string) error {
	var offers []web.MediaType
	for _, p := range pictures {
		offers = append(offers, web.Single(p.media))
	}
	media, ok := rq.accept.Best(offers...)
	switch {
	case !ok:
		return refused(http.StatusNotAcceptable, "renderings are given as image/jpeg, image/png or image/gif")
	case r.Instance == "" && r.Kind == web.KindRendered:
		return refused(http.StatusNotImplemented, "instances and frames are rendered, not series or studies")
	case rq.up.Web == nil:
		return refused(http.StatusNotImplemented, "the archive does not render: it speaks no DICOMweb")
	}
	if err := rq.mayRender(ctx, r); err != nil {
		return err
	}
	image, err := rq.askPicture(ctx, r, query, media)
	rq.up.asked(err)
	if err != nil {
		return err
	}
	defer image.buffer.Discard()
	body, err := image.buffer.Open()
	if err != nil {
		return errors.Join(errBuffer, err)
	}
	defer body.Close()
	rq.accessed(r.Study)
	rq.w.Header().Set("Content-Length", strconv.FormatInt(image.report.Bytes, 10))
	rq.begin(http.StatusOK, media.Type)
	_, err = io.Copy(rq.w, body)
	return rq.end(err)
}

// mayRender judges the instance that is to be rendered. Of which instance the thumbnail of
// a study or series is, the archive alone knows: none of them may be held.
func (rq *request) mayRender(ctx context.Context, r web.Resource) error {
	if r.Instance != "" {
		_, err := rq.instance(ctx)
		return err
	}
	held, err := rq.heldOn(ctx, r)
	if err == nil && len(held) > 0 {
		err = errHeld
	}
	return err
}

// askPicture has the archive render, and judges what comes.
func (rq *request) askPicture(ctx context.Context, r web.Resource, query string, media web.MediaType) (*object, error) {
	a, err := rq.up.Web.Do(ctx, web.Request{Resource: r, RawQuery: query, Accept: web.Accept{media}})
	if err != nil {
		return nil, err
	}
	defer a.Body.Close()
	if a.Type.Type != media.Type {
		return nil, errOther
	}
	o := &object{rq: rq, from: rq.archiveOrigin(), buffer: rq.s.parts.Custody.NewBuffer()}
	jm := rq.s.parts.Judge.Begin(rq.excepting(o.from, judge.Source{Monitor: rq.admission.Monitor, Bypass: rq.bypassed}))
	in := &intake{buffer: o.buffer, jm: jm, room: maxPicture}
	head := &head{most: 16}
	_, err = io.Copy(io.MultiWriter(head, in), a.Body)
	o.report, o.decision = jm.Finish(ctx)
	switch {
	case err == nil && in.unkept != nil:
		err = in.unkept
	case errors.Is(err, errTooLong), err == nil && !isPicture(media.Type, head.bytes):
		err = errOther
	case err == nil && o.report.Verdict != finding.Admit:
		rq.log.Warn("rendering not let through", "reason", o.decision.Reason)
		err = refused(http.StatusForbidden, "the rendering is not let through")
	}
	if err != nil {
		o.buffer.Discard()
		return nil, err
	}
	return o, nil
}

// isPicture reports whether an image begins as its media type does.
func isPicture(media string, head []byte) bool {
	for _, p := range pictures {
		if p.media == media {
			return bytes.HasPrefix(head, p.magic)
		}
	}
	return false
}

// head keeps the first bytes of what is written.
type head struct {
	most  int
	bytes []byte
}

func (h *head) Write(p []byte) (int, error) {
	h.bytes = append(h.bytes, p[:min(len(p), h.most-len(h.bytes))]...)
	return len(p), nil
}

// accessed notes once in a visit that something of a study was given out.
func (rq *request) accessed(study dicom.UID) {
	if rq.visit.sees(study) {
		rq.s.parts.Ledger.Note("study.accessed", rq.who(map[string]any{"resource": rq.resourceName(), "study_instance_uid": string(study)}))
	}
}

// resourceName is what was asked for, for a record.
func (rq *request) resourceName() string {
	if rq.route.kind == kindURI {
		return "rendered"
	}
	return rq.resource.Kind.String()
}
