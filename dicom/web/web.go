// Package web implements the formats of the DICOM web services (PS3.18): the
// paths and queries of requests, media types, multipart bodies, the DICOM JSON
// Model (annex F), the Native DICOM Model in XML (PS3.19 §A.1), the responses of
// the Store transaction, and a client of all that.
//
// A server reads a request:
//
//	r, err := web.ParseResource(request.URL.EscapedPath()[len(base):])
//	q, err := web.ParseQuery(r, request.URL.RawQuery)        // a search
//	m, err := web.NewMultipartReader(request.Body, request.Header.Get("Content-Type"), web.MultipartLimits{})
//	for part, err := m.Next(); err == nil; part, err = m.Next() { … } // a store; each part is a stream
//
// and a client asks an archive:
//
//	c, err := web.NewClient(web.ClientConfig{Base: url})
//	err = c.Query(ctx, q, func(match web.DataSet) error { … })
//	answer, err := c.Store(ctx, study, parts)
//
// Life of a part: its header is read within limits, its body is handed on as a
// stream until the boundary, and nothing of it is kept. Small data sets
// (identifiers, matches, metadata) are kept as a [DataSet], text in UTF-8, within
// [Limits].
//
// Both sides are hostile until proven otherwise: what is not in the standard's
// form is an error that names the rule and never repeats a value. Redirects are
// not followed, nothing is decompressed, and nobody's Content-Length of a part
// is believed.
//
// It will not serve HTTP, decide who may ask, judge content, or look at pixels.
package web

import (
	"fmt"
	"net/http"
)

// Refusal says why a request is not in a form that can be answered.
type Refusal struct {
	Status int    // of HTTP: 400, 404, 405, 406, 413, 414 or 415
	Why    string // for whoever sent it; it holds no value of the request
}

func (r *Refusal) Error() string { return r.Why }

func refuse(status int, format string, args ...any) *Refusal {
	return &Refusal{Status: status, Why: fmt.Sprintf(format, args...)}
}

func bad(format string, args ...any) *Refusal {
	return refuse(http.StatusBadRequest, format, args...)
}
