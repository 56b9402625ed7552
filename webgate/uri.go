package webgate

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/web"
	"cordon/transfer"
)

// retrieveURI is WADO-URI (PS3.18 §9): one instance as it is stored, or rendered by the
// archive, as over WADO-RS.
func (rq *request) retrieveURI(ctx context.Context) error {
	q, err := web.ParseURIRequest(rq.r.URL.RawQuery)
	if err != nil {
		return err
	}
	rq.resource = q.Resource()
	kind, ok := q.ContentType.Best(web.Single("image/jpeg"), web.Single("image/png"), web.Single("image/gif"), web.Single(web.TypeDICOM))
	switch {
	case len(q.ContentType) == 0: // PS3.18 §9.5.1
		kind = web.Single("image/jpeg")
	case !ok:
		return refused(http.StatusNotAcceptable, "contentType is application/dicom, image/jpeg, image/png or image/gif")
	}
	if kind.Type == web.TypeDICOM {
		if len(q.Rendering) > 0 || q.Frame > 0 { // an instance that was to be anonymised must not go out as it is
			return refused(http.StatusNotImplemented, "instances are given whole, as they are stored")
		}
		return rq.giveFile(ctx, q.TransferSyntax)
	}
	query, err := uriRendering(q.Rendering)
	if err != nil {
		return err
	}
	rq.accept = web.Accept{kind}
	r := rq.resource
	r.Kind = web.KindRendered
	return rq.render(ctx, r, query)
}

// uriRendering is a rendering's parameters as WADO-RS has them (PS3.18 §8.3.5).
func uriRendering(parameters []string) (string, error) {
	given := map[string]string{}
	for _, p := range parameters {
		name, value, _ := strings.Cut(p, "=")
		given[name] = value
	}
	var out []string
	for _, to := range []struct{ name, form string }{
		{"columns", "viewport={columns},{rows}"}, {"windowCenter", "window={windowCenter},{windowWidth},linear"},
		{"imageQuality", "quality={imageQuality}"}, {"annotation", "annotation={annotation}"}, {"iccprofile", "iccprofile={iccprofile}"},
	} {
		if given[to.name] == "" {
			continue
		}
		text := to.form
		for name, value := range given {
			if strings.Contains(text, "{"+name+"}") {
				text = strings.ReplaceAll(text, "{"+name+"}", value)
				delete(given, name)
			}
		}
		if strings.Contains(text, "{") {
			return "", refused(http.StatusBadRequest, "rows and columns, and windowCenter and windowWidth, come together (PS3.18 §9.5.2)")
		}
		out = append(out, text)
	}
	delete(given, "charset")
	if len(given) > 0 {
		return "", refused(http.StatusNotImplemented, "a parameter that no rendering of the archive's has")
	}
	return strings.Join(out, "&"), nil
}

// giveFile answers with the judged instance as it is stored.
func (rq *request) giveFile(ctx context.Context, ts dicom.UID) error {
	o, err := rq.instance(ctx)
	if err != nil {
		return err
	}
	if ts != "" && ts != o.file.TransferSyntaxUID {
		return refused(http.StatusNotAcceptable, "the instance is given as it is stored, which is in another transfer syntax")
	}
	body, err := o.buffer.Open()
	if err != nil {
		return errors.Join(errBuffer, err)
	}
	defer body.Close()
	rq.w.Header().Set("Content-Length", strconv.FormatInt(o.report.Bytes, 10))
	rq.begin(http.StatusOK, web.TypeDICOM)
	if _, err := io.Copy(rq.w, body); err != nil {
		return err
	}
	o.sentBy(rq).moved(rq.wayOfCaller(transfer.Sent), dimse.Success, "")
	rq.recordSent(o.sentBy(rq))
	rq.recordRetrieve(1, 0)
	return rq.end(nil)
}

// sentBy is an instance of the shelf as another request than the one that fetched it
// gives it out.
func (o *object) sentBy(rq *request) *object {
	mine := *o
	mine.rq = rq
	return &mine
}
