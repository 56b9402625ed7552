package webgate

import (
	"context"
	"net/http"

	"cordon/dicom/web"
)

func (st *storing) assemble(context.Context) error { return nil }
func (st *storing) takeOther(ctx context.Context, m *web.MultipartReader, part *web.Part) error {
	return refused(http.StatusUnsupportedMediaType, "x")
}

type shelf struct{}

func newShelf() *shelf                                { return &shelf{} }
func (s *shelf) clear()                               {}
func workitem(string) error                           { return nil }
func (rq *request) retrieveURI(context.Context) error { return errNotOffered }
func (rq *request) retrieve(context.Context) error    { return errNotOffered }
func (rq *request) metadata(context.Context) error    { return errNotOffered }
func (rq *request) frames(context.Context) error      { return errNotOffered }
func (rq *request) bulkData(context.Context) error    { return errNotOffered }
func (rq *request) rendered(context.Context) error    { return errNotOffered }
func (rq *request) search(context.Context) error      { return errNotOffered }
func (rq *request) workitems(context.Context) error   { return errNotOffered }

var errNotOffered = refused(http.StatusNotImplemented, "this service is not offered here")
