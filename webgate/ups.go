package webgate

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"cordon/dicom"
	"cordon/dicom/web"
)

// workitem says whether a body of this type can be a workitem's.
func workitem(contentType string) error {
	m, err := web.ParseMediaType(contentType)
	if err != nil || !m.IsJSON() && m.Type != web.TypeXML {
		return refused(http.StatusUnsupportedMediaType, "a workitem is sent as application/dicom+json or application/dicom+xml")
	}
	return nil
}

// maxWorkitem is the longest workitem that is taken, in bytes.
const maxWorkitem = 1 << 20

// workitems is UPS-RS (PS3.18 §11) towards an archive that speaks DICOMweb: what is
// sent is read, judged and written anew, and so is the answer. Subscriptions, whose
// events need a channel of their own, have no route.
func (rq *request) workitems(ctx context.Context) error {
	if rq.up.Web == nil {
		return refused(http.StatusNotImplemented, "the archive does not offer this: it speaks no DICOMweb")
	}
	media, ok := rq.accept.Best(web.Single(web.TypeJSON), web.Related(web.TypeXML, ""))
	if !ok {
		return refused(http.StatusNotAcceptable, "workitems are given as application/dicom+json")
	}
	ask, err := rq.workitemRequest(ctx)
	if err != nil {
		return err
	}
	a, err := rq.up.Web.Do(ctx, ask)
	rq.up.asked(err)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	rows := newRows(rq.s.parts.Custody, media)
	defer rows.discard()
	rq.noteWorkitem(a.Status) // done it is, whatever becomes of the answer
	held, err := rq.readWorkitems(ctx, a, rows)
	if err != nil {
		return err
	}
	return rq.answerWorkitems(a.Status, rows, held)
}

// workitemRequest is what the archive is asked.
func (rq *request) workitemRequest(ctx context.Context) (web.Request, error) {
	query, err := workitemQuery(rq.resource.Kind, rq.r.URL.RawQuery)
	if err != nil {
		return web.Request{}, err
	}
	ask := web.Request{Method: rq.r.Method, Resource: rq.resource, RawQuery: query, Accept: web.Accept{web.Single(web.TypeJSON)}}
	if rq.route.body == nil {
		return ask, nil
	}
	limits := web.Limits{Bytes: maxWorkitem, DataSets: 1}
	var sent []web.DataSet
	m, err := web.ParseMediaType(rq.r.Header.Get("Content-Type"))
	switch {
	case err != nil:
		return web.Request{}, err
	case m.IsJSON():
		err = web.ReadJSON(rq.r.Body, limits, func(d web.DataSet) error {
			sent = append(sent, d)
			return nil
		})
	default:
		var d web.DataSet
		d, err = web.ReadXML(rq.r.Body, limits)
		sent = []web.DataSet{d}
	}
	if err != nil {
		return web.Request{}, err
	}
	if len(sent) != 1 {
		return web.Request{}, refused(http.StatusBadRequest, "one workitem is expected")
	}
	if refersAway(sent[0]) {
		return web.Request{}, refused(http.StatusBadRequest, "a value of the workitem is at an address: send it with the workitem")
	}
	passes, err := rq.lets(ctx, sent[0], rq.origin())
	if err != nil {
		return web.Request{}, refused(http.StatusBadRequest, "the workitem cannot be written as a data set")
	}
	if !passes {
		return web.Request{}, refused(http.StatusForbidden, "the workitem is not let through")
	}
	ask.ContentType = web.TypeJSON
	ask.Body = bytes.NewReader(append(sent[0].AppendJSON([]byte("[")), ']'))
	if rq.resource.Kind != web.KindWorkitems && rq.r.Method != http.MethodGet {
		ask.Body = bytes.NewReader(sent[0].AppendJSON(nil))
	}
	return ask, nil
}

// refersAway reports whether a value is elsewhere, where the archive would get what
// nobody has judged.
func refersAway(d web.DataSet) bool {
	return slices.ContainsFunc(d, func(e web.Element) bool {
		return e.BulkDataURI != "" || slices.ContainsFunc(e.Items, refersAway)
	})
}

// A value of a search for workitems, and the parameters beside attributes.
var (
	searchName  = regexp.MustCompile(`^([0-9A-Fa-f]{8}|[A-Z][A-Za-z0-9]{1,63})(\.([0-9A-Fa-f]{8}|[A-Z][A-Za-z0-9]{1,63})){0,3}$`)
	searchValue = regexp.MustCompile(`^[^\x00-\x1F\x7F]{0,256}$`)
	searchWords = map[string]*regexp.Regexp{
		"limit": regexp.MustCompile(`^[0-9]{1,6}$`), "offset": regexp.MustCompile(`^[0-9]{1,9}$`),
		"fuzzymatching": regexp.MustCompile(`^(true|false)$`), "includefield": searchValue,
	}
)

// workitemQuery is the query of a request as it goes on: known parameters, each in its
// form. A new workitem's UID may be in it (PS3.18 §11.4.1).
func workitemQuery(kind web.Kind, raw string) (string, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return "", refused(http.StatusBadRequest, "the query cannot be read")
	}
	values.Del("accept")
	if kind == web.KindWorkitems && len(values) == 1 && values.Has("workitem") && dicom.UID(values.Get("workitem")).Validate() == nil {
		return "workitem=" + values.Get("workitem"), nil
	}
	if kind == web.KindWorkitems && len(raw) > 0 && !strings.Contains(raw, "=") && dicom.UID(raw).Validate() == nil { // POST /workitems?{UID}
		return raw, nil
	}
	if kind != web.KindWorkitems && len(values) > 0 {
		return "", refused(http.StatusBadRequest, "a query where none is expected")
	}
	for name, v := range values {
		form := searchWords[name]
		if form == nil && searchName.MatchString(name) {
			form = searchValue
		}
		if form == nil || len(v) > 32 {
			return "", refused(http.StatusBadRequest, "a query parameter that a search for workitems does not have (PS3.18 §11.9)")
		}
		for _, value := range v {
			if !form.MatchString(value) {
				return "", refused(http.StatusBadRequest, "a query parameter that is not in its form (PS3.18 §11.9)")
			}
		}
	}
	return values.Encode(), nil
}

// readWorkitems reads the archive's answer, at most a page of it.
func (rq *request) readWorkitems(ctx context.Context, a *web.Answer, rows *rows) (held int, err error) {
	if !a.Type.IsJSON() {
		n, err := io.Copy(io.Discard, io.LimitReader(a.Body, 1))
		if err == nil && n > 0 {
			err = errOther
		}
		return 0, err
	}
	err = web.ReadJSON(a.Body, web.Limits{DataSets: rq.s.config.MaxMatches}, func(d web.DataSet) error {
		passes, err := rq.passes(ctx, d)
		if err == nil && !passes {
			held++
			return nil
		}
		if err != nil {
			return err
		}
		d.RewriteURIs(rq.resource, rq.link)
		return rows.add(d)
	})
	return held, err
}

func (rq *request) answerWorkitems(status int, rows *rows, held int) error {
	if held > 0 {
		rq.w.Header().Add("Warning", warning("some workitems were not let through"))
		status = http.StatusPartialContent
	}
	if rows.n == 0 && rq.r.Method != http.MethodGet {
		rq.w.Header().Set("Content-Length", "0")
		rq.begin(status, web.TypeJSON)
		return rq.end(nil)
	}
	return rows.answer(rq, status)
}

// noteWorkitem notes a request about workitems; it joins the ledger within a second.
func (rq *request) noteWorkitem(status int) {
	rq.visit.tally.queries.Add(1)
	rq.s.parts.Ledger.Note("operation.relayed", rq.who(map[string]any{
		"operation": rq.route.operation + " " + rq.r.Method, "service": string(rq.route.service), "status": status, "reason": rq.resource.Kind.String(),
	}))
}
