package webgate

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/web"
	"cordon/judge"
	"cordon/ledger"
	"cordon/metric"
	"cordon/query"
	"cordon/store"
)

// search is QIDO-RS (PS3.18 §10.6). What is asked is checked as a C-FIND identifier is,
// and asked anew; each result is read, judged and written anew. Where there are more
// than fit a page, a Warning says so (PS3.18 §8.3.4.4).
func (rq *request) search(ctx context.Context) error {
	media, ok := rq.accept.Best(web.Single(web.TypeJSON), web.Related(web.TypeXML, ""))
	if !ok {
		return refused(http.StatusNotAcceptable, `results are given as application/dicom+json, or multipart/related; type="application/dicom+xml"`)
	}
	q, err := web.ParseQuery(rq.resource, rq.r.URL.RawQuery)
	if err != nil {
		return err
	}
	if q.Limit <= 0 || q.Limit > rq.s.config.MaxMatches {
		q.Limit = rq.s.config.MaxMatches
	}
	identifier, err := rq.checkQuery(q)
	if err != nil {
		return err
	}
	page := &page{rq: rq, q: q, rows: newRows(rq.s.parts.Custody, media)}
	defer page.rows.discard()
	if err := page.ask(ctx, identifier); err != nil {
		rq.s.parts.Metrics.Count(metric.Queries, 1, rq.up.Name, "failed")
		return err
	}
	status, outcome := http.StatusOK, answered
	if page.withheld > 0 {
		status, outcome = http.StatusPartialContent, "withheld"
		rq.w.Header().Add("Warning", warning("some results were not let through"))
	}
	if page.more {
		rq.w.Header().Add("Warning", warning("There are additional results that can be requested, with offset"))
	}
	rq.visit.tally.queries.Add(1)
	rq.s.parts.Metrics.Count(metric.Queries, 1, rq.up.Name, outcome)
	rq.noteQuery("query.answered", identifier, map[string]any{"matches": page.rows.n, "held": page.withheld, "limited": page.more, "status": status})
	return page.rows.answer(rq, status)
}

// checkQuery holds a query against the rules for identifiers, as whose it would be
// asked over DIMSE, and returns it as one. It is refused as it is or passed on as it is.
func (rq *request) checkQuery(q web.Query) ([]byte, error) {
	d, err := q.Identifier()
	if err != nil {
		return nil, err
	}
	var identifier bytes.Buffer
	if err := d.Encode(&identifier, dicom.ExplicitVRLittleEndian); err != nil {
		return nil, refused(http.StatusBadRequest, "the query cannot be written as an identifier")
	}
	refusal := rq.s.config.Query.Check(query.Request{
		Command: dimse.CFindRQ, SOPClass: dicom.StudyRootQueryRetrieveInformationModelFind,
		TransferSyntax: dicom.ExplicitVRLittleEndian, Identifier: identifier.Bytes(),
		Extended: relational,
	})
	switch {
	case refusal == nil:
		return identifier.Bytes(), nil
	case rq.admission.Monitor || rq.bypassed:
		rq.log.Warn("query passed on that would have been refused", "reason", refusal)
		rq.noteQuery("query.passed", identifier.Bytes(), map[string]any{"reason": refusal.Error()})
		return identifier.Bytes(), nil
	}
	rq.noteQuery("query.refused", identifier.Bytes(), map[string]any{"reason": refusal.Error(), "status": http.StatusBadRequest})
	return nil, refused(http.StatusBadRequest, "query: "+refusal.Error())
}

// relational says that series and instances may be searched without naming what they
// are of (PS3.18 §10.6.1.1; PS3.4 table C.5.1-1).
var relational = []byte{1}

// page is the results of one search.
type page struct {
	rq       *request
	q        web.Query
	rows     *rows
	withheld int
	skipped  int // of an archive that has no offset
	more     bool
}

// errEnough ends a search whose page is full.
var errEnough = errors.New("the page is full")

func (p *page) ask(ctx context.Context, identifier []byte) (err error) {
	if p.rq.up.Web != nil {
		err = p.askWeb(ctx)
	} else {
		err = p.askDIMSE(ctx, identifier)
	}
	if errors.Is(err, errEnough) {
		p.more = true
		return nil
	}
	return err
}

// askWeb asks for one result more than fits, to know whether there are further ones.
func (p *page) askWeb(ctx context.Context) error {
	q := p.q
	q.Limit++
	more, err := p.rq.up.Web.Query(ctx, q, func(d web.DataSet) error {
		return p.add(ctx, d, func() { d.RewriteURIs(p.q.Resource(), p.rq.link) })
	})
	p.rq.up.asked(err)
	p.more = p.more || more
	return err
}

func (p *page) askDIMSE(ctx context.Context, identifier []byte) error {
	rq := p.rq
	rsp, err := rq.up.archives.Find(ctx, rq.up.Name, rq.admission.Calling, dicom.StudyRootQueryRetrieveInformationModelFind, identifier, func(data []byte, ts dicom.UID) error {
		if p.skipped < p.q.Offset {
			p.skipped++
			return nil
		}
		if query.CheckMatch(data, ts) != nil && !rq.admission.Monitor && !rq.bypassed {
			return p.withhold()
		}
		d, err := web.Row(p.q.Level, data, ts, web.Limits{}, rq.link)
		if err != nil {
			return p.withhold()
		}
		return p.add(ctx, d, func() {})
	})
	switch {
	case err != nil:
		return err
	case rsp.Status.Class() == dimse.ClassFailure && transient(rsp.Status):
		return dimse.ErrAway
	case rsp.Status.Class() == dimse.ClassFailure:
		return refused(http.StatusBadGateway, fmt.Sprintf("the archive answered status %04X", uint16(rsp.Status)))
	}
	return nil
}

// add judges a result as it came, has its addresses made ours, and puts it on the page.
func (p *page) add(ctx context.Context, d web.DataSet, relink func()) error {
	if p.rows.n+p.withheld >= p.q.Limit {
		return errEnough
	}
	if p.q.Study != "" && d.UID(dicom.TagStudyInstanceUID) != p.q.Study && d.Find(dicom.TagStudyInstanceUID) != nil {
		return errOther
	}
	passes, err := p.rq.passes(ctx, d)
	switch {
	case err != nil:
		return err
	case !passes:
		return p.withhold()
	}
	relink()
	return p.rows.add(d)
}

func (p *page) withhold() error {
	p.withheld++
	return nil
}

// maxKeptIdentifier bounds an identifier on the ledger, in bytes: what one sealed
// string holds, in base64.
const maxKeptIdentifier = 12_000

// noteQuery puts a query on the ledger within a second, with its identifier, which
// names patients, sealed.
func (rq *request) noteQuery(kind string, identifier []byte, more map[string]any) {
	body := rq.who(more)
	body["operation"], body["service"] = rq.route.operation, string(rq.route.service)
	body["resource"], body["transfer_syntax"] = rq.resource.Kind.String(), string(dicom.ExplicitVRLittleEndian)
	body["sop_class_uid"] = string(dicom.StudyRootQueryRetrieveInformationModelFind)
	l := rq.s.parts.Ledger
	p := judge.PatientOf(identifier, dicom.ExplicitVRLittleEndian).Reveal()
	rq.s.parts.DB.Later(func(tx *store.Tx) error {
		if len(identifier) > maxKeptIdentifier {
			body["identifier_bytes"] = len(identifier)
		} else {
			sealed, err := l.Seal(tx, ledger.Subject(p.ID, p.Issuer, string(rq.resource.Study)), base64.StdEncoding.EncodeToString(identifier))
			if err != nil {
				return err
			}
			body["identifier"] = sealed
		}
		return l.Append(tx, kind, body)
	}, func(err error) {
		l.Missed(err)
		rq.log.Error("query not recorded", "error", err)
	})
}
