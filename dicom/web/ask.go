package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"

	"cordon/dicom"
)

// StorePart is one instance to store: a Part 10 file.
type StorePart struct {
	TransferSyntaxUID dicom.UID // named in the part's header; may be empty
	Data              io.Reader
}

// Store stores instances (STOW-RS, PS3.18 §10.5), all of the study unless that is
// empty. Each part's data is read to its end before the next part is asked for. The response is what
// the archive said of each: whoever sent an instance looks for it there, and one that is not
// there was not stored; nor was any, if it answers before it was given everything. An error of parts, or of reading one, breaks the request off and is returned.
func (c *Client) Store(ctx context.Context, study dicom.UID, parts iter.Seq2[StorePart, error]) (StoreResponse, error) {
	next, stop := iter.Pull2(parts)
	defer stop()
	body := newParts(next)
	r := Resource{Kind: KindStudies}
	if study != "" {
		r = Resource{Kind: KindStudy, Study: study}
	}
	a, err := c.exchange(ctx, Request{
		Method: http.MethodPost, Resource: r, ContentType: body.writer.ContentType(), Body: body,
		Accept: Accept{Single(TypeJSON), {Type: TypeXML, Q: 500}},
	})
	if err != nil {
		return StoreResponse{}, err
	}
	out, err := c.storeResponse(a)
	a.Body.Close() // nobody reads the request's body any more
	if err == nil && len(out.Stored) > 0 && !body.whole() {
		return StoreResponse{}, &AnswerError{Status: a.Status, Why: "stored, before it had been given everything"}
	}
	return out, err
}

// storeResponse reads the answer to a store. Its body counts where it has one that names instances,
// whatever the status, since archives differ in which they choose.
func (c *Client) storeResponse(a *Answer) (StoreResponse, error) {
	var out StoreResponse
	if a.Status >= 300 && a.Status < 400 || a.Status >= 500 || !a.Type.IsJSON() && !a.Type.isXML() {
		return out, &AnswerError{Status: a.Status, Why: statusText(a.Status)}
	}
	n := 0
	err := c.dataSets(a, func(d DataSet) error {
		out = ParseStoreResponse(d)
		n++
		return nil
	})
	switch {
	case err == nil && n == 1 && (a.Status < 300 || len(out.Stored)+len(out.Failed)+len(out.Other) > 0):
		return out, nil
	case errors.Is(err, ErrAway):
		return StoreResponse{}, err
	}
	return StoreResponse{}, &AnswerError{Status: a.Status, Why: statusText(a.Status) + ", without a response that can be read"}
}

// parts is the body of a store: multipart/related, made as it is read.
type parts struct {
	next   func() (StorePart, error, bool)
	head   bytes.Buffer // boundaries and headers that are due
	writer *MultipartWriter
	data   io.Reader // of the part under way
	ended  bool
	err    error
}

func newParts(next func() (StorePart, error, bool)) *parts {
	p := &parts{next: next}
	p.writer = NewMultipartWriter(&p.head, Related(TypeDICOM, ""))
	return p
}

func (p *parts) Read(b []byte) (int, error) {
	for p.err == nil {
		switch {
		case p.head.Len() > 0:
			return p.head.Read(b)
		case p.data != nil:
			n, err := p.data.Read(b)
			if err == io.EOF {
				p.data, err = nil, nil
			}
			p.err = err
			if n > 0 || err != nil {
				return n, err
			}
		case p.ended:
			p.err = io.EOF
		default:
			p.err = p.begin()
		}
	}
	return 0, p.err
}

// whole reports whether all parts have been read to their end, the last boundary
// included.
func (p *parts) whole() bool { return p.ended && p.head.Len() == 0 }

// begin begins the next part, or ends the body.
func (p *parts) begin() error {
	part, err, ok := p.next()
	switch {
	case !ok:
		p.ended = true
		return p.writer.Close()
	case err != nil:
		return err
	}
	media := Single(TypeDICOM)
	if part.TransferSyntaxUID != "" {
		media.Params = map[string]string{"transfer-syntax": string(part.TransferSyntaxUID)}
	}
	p.data = part.Data
	_, err = p.writer.Part(media, "")
	return err
}

// Query searches (QIDO-RS, PS3.18 §10.6) and passes each match on as it comes. more
// says that the archive has further ones, beyond its own limit or that of the query. An error of each
// ends the search and is returned.
func (c *Client) Query(ctx context.Context, q Query, each func(DataSet) error) (more bool, err error) {
	raw, meant, err := c.rawQuery(ctx, q)
	if err != nil {
		return false, err
	}
	return c.query(ctx, q.Resource(), raw, func(d DataSet) error {
		if !meant(d) {
			return nil
		}
		return each(d)
	})
}

func (c *Client) query(ctx context.Context, r Resource, raw string, each func(DataSet) error) (more bool, err error) {
	a, err := c.Do(ctx, Request{Resource: r, RawQuery: raw, Accept: acceptJSON()})
	if err != nil {
		return false, err
	}
	defer a.Body.Close()
	return a.More, c.dataSets(a, each)
}

// Metadata passes on the metadata of each instance of a study, series or instance (PS3.18 §10.4.1.1.2).
// [ErrPartial] comes after all that the archive gave.
func (c *Client) Metadata(ctx context.Context, r Resource, each func(DataSet) error) error {
	r.Kind = KindMetadata
	a, err := c.Do(ctx, Request{Resource: r, Accept: acceptJSON()})
	if err != nil {
		return err
	}
	defer a.Body.Close()
	if err := c.dataSets(a, each); err != nil {
		return err
	}
	return a.whole()
}

func acceptJSON() Accept {
	return Accept{Single(TypeJSON), {Type: TypePlainJSON, Q: 500}}
}

// Retrieve retrieves instances as Part 10 files, frames or bulk data (WADO-RS, PS3.18
// §10.4), and passes each part on as a stream, to be read before each returns. An archive that answers with
// one body instead of parts is taken to mean one part. Without accept, instances are wanted as they are stored.
// An error of each ends it and is returned. What is no multipart body is an *[AnswerError]; [ErrPartial]
// comes after all that the archive gave.
func (c *Client) Retrieve(ctx context.Context, r Resource, accept Accept, each func(*Part) error) error {
	if len(accept) == 0 {
		accept = Accept{Related(TypeDICOM, "*")}
	}
	a, err := c.Do(ctx, Request{Resource: r, Accept: accept})
	if err != nil {
		return err
	}
	defer a.Body.Close()
	if a.Type.Type != TypeRelated {
		return c.single(a, each)
	}
	m, err := a.Multipart(c.limits.Multipart)
	if err != nil {
		return err
	}
	for {
		p, err := m.Next()
		if err == io.EOF {
			return a.whole()
		}
		if err == nil {
			err = each(p)
		}
		var broken *MultipartError
		switch {
		case err == nil:
		case errors.As(err, &broken) && !errors.Is(err, ErrAway) && ctx.Err() == nil: // nobody's fault but the archive's
			return &AnswerError{Status: a.Status, Why: broken.Why}
		default:
			return err
		}
	}
}

// ErrPartial means that the archive said of an answer, all of which was passed on, that it is
// not all that was asked for (PS3.18 §10.4.3.1: 206).
var ErrPartial = errors.New("the archive gave a part of what was asked for")

func (a *Answer) whole() error {
	if a.Status == http.StatusPartialContent {
		return ErrPartial
	}
	return nil
}

// single passes on a body that is one part by itself. Nothing but its length, or the end of
// its chunks, shows that it is whole; one without either is not taken.
func (c *Client) single(a *Answer, each func(*Part) error) error {
	if a.Status == http.StatusNoContent {
		return nil
	}
	if a.framed && (a.Type.Type == TypeDICOM || a.Type.Type == TypeOctetStream) {
		return each(&Part{Type: a.Type, body: a.Body})
	}
	return &AnswerError{Status: a.Status, Why: "neither multipart/related nor one instance"}
}

// dataSets reads a body of JSON or XML; 204 and nothing at all are no data sets.
func (c *Client) dataSets(a *Answer, each func(DataSet) error) error {
	if a.Status == http.StatusNoContent {
		return nil
	}
	var err error
	switch {
	case a.Type.IsJSON():
		err = ReadJSON(a.Body, c.limits.DataSets, each)
	case a.Type.isXML():
		var d DataSet
		if d, err = ReadXML(a.Body, c.limits.DataSets); err == nil {
			err = each(d)
		}
	default:
		return &AnswerError{Status: a.Status, Why: "neither DICOM JSON nor XML"}
	}
	var format *FormatError
	if errors.As(err, &format) && !errors.Is(err, ErrAway) {
		return &AnswerError{Status: a.Status, Why: fmt.Sprint(format)}
	}
	return err
}
