package webgate

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"cordon/dicom/web"
	"cordon/policy"
)

// route is one method of one kind of resource. What has no row does not exist.
type route struct {
	kind      web.Kind
	method    string
	operation string
	service   policy.Service
	body      func(contentType string) error // says whether a body of this type is taken; nil: none is
	serve     func(*request, context.Context) error
}

const kindURI web.Kind = 255 // WADO-URI has no resource of its own

// routes are in the order of PS3.18: §9 (URI), §10.4 retrieve, §10.5 store, §10.6
// search, §11 worklist.
func routes() []route {
	const retrieve, store, query, ups = policy.ServiceRetrieve, policy.ServiceStore, policy.ServiceQuery, policy.ServiceUPS
	return []route{
		{kindURI, http.MethodGet, "WADO-URI", retrieve, nil, (*request).retrieveURI},

		{web.KindStudy, http.MethodGet, "WADO-RS", retrieve, nil, (*request).retrieve},
		{web.KindSeries, http.MethodGet, "WADO-RS", retrieve, nil, (*request).retrieve},
		{web.KindInstance, http.MethodGet, "WADO-RS", retrieve, nil, (*request).retrieve},
		{web.KindMetadata, http.MethodGet, "WADO-RS", retrieve, nil, (*request).metadata},
		{web.KindFrames, http.MethodGet, "WADO-RS", retrieve, nil, (*request).frames},
		{web.KindBulkData, http.MethodGet, "WADO-RS", retrieve, nil, (*request).bulkData},
		{web.KindRendered, http.MethodGet, "WADO-RS", retrieve, nil, (*request).rendered},
		{web.KindThumbnail, http.MethodGet, "WADO-RS", retrieve, nil, (*request).rendered},

		{web.KindStudies, http.MethodPost, "STOW-RS", store, storable, (*request).store},
		{web.KindStudy, http.MethodPost, "STOW-RS", store, storable, (*request).store},

		{web.KindStudies, http.MethodGet, "QIDO-RS", query, nil, (*request).search},
		{web.KindSeriesList, http.MethodGet, "QIDO-RS", query, nil, (*request).search},
		{web.KindInstances, http.MethodGet, "QIDO-RS", query, nil, (*request).search},

		{web.KindWorkitems, http.MethodGet, "UPS-RS", ups, nil, (*request).workitems},
		{web.KindWorkitems, http.MethodPost, "UPS-RS", ups, workitem, (*request).workitems},
		{web.KindWorkitem, http.MethodGet, "UPS-RS", ups, nil, (*request).workitems},
		{web.KindWorkitem, http.MethodPost, "UPS-RS", ups, workitem, (*request).workitems},
		{web.KindState, http.MethodPut, "UPS-RS", ups, workitem, (*request).workitems},
		{web.KindCancel, http.MethodPost, "UPS-RS", ups, workitem, (*request).workitems},
	}
}

// find reads the path of a request, below the base or that of WADO-URI. The
// archive is "" unless the path names one: {base}/archives/NAME/studies….
func (s *Server) find(r *http.Request) (route, web.Resource, string, error) {
	path := r.URL.EscapedPath()
	if path == s.config.URI {
		found, err := s.routed(kindURI, r.Method)
		return found, web.Resource{}, "", err
	}
	below, ok := strings.CutPrefix(path, s.config.Base)
	if !ok || !strings.HasPrefix(below, "/") {
		return route{}, web.Resource{}, "", refused(http.StatusNotFound, "no such service here")
	}
	archive := ""
	if rest, named := strings.CutPrefix(below, "/archives/"); named {
		archive, below, _ = strings.Cut(rest, "/")
		below = "/" + below
		if s.upstreams[archive] == nil { // and nothing else is looked up by it
			return route{}, web.Resource{}, "", refused(http.StatusNotFound, "no such archive here")
		}
	}
	resource, err := web.ParseResource(below)
	if err != nil {
		return route{}, web.Resource{}, "", err
	}
	found, err := s.routed(resource.Kind, r.Method)
	return found, resource, archive, err
}

func (s *Server) routed(kind web.Kind, method string) (route, error) {
	var methods []string
	for _, r := range s.routes {
		if r.kind != kind {
			continue
		}
		if r.method == method {
			return r, nil
		}
		methods = append(methods, r.method)
	}
	if methods == nil {
		return route{}, refused(http.StatusNotImplemented, "this service is not offered here")
	}
	return route{}, &notAllowed{slices.Compact(methods)}
}

// notAllowed is the answer to a method that a resource does not have.
type notAllowed struct{ methods []string }

func (e *notAllowed) Error() string { return "the resource has no such method" }

// unescape reads one value of a query.
func unescape(s string) (string, error) { return url.QueryUnescape(s) }
