package webgate

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/web"
	"cordon/finding"
	"cordon/judge"
	"cordon/metric"
	"cordon/policy"
	"cordon/transfer"
)

// retrieve is WADO-RS of whole instances (PS3.18 §10.4): all are judged before the
// response begins. If that is more than is kept ahead, the response begins with what
// there is, and breaks off if something is held later.
func (rq *request) retrieve(ctx context.Context) error {
	wanted, ok := rq.wanted()
	if !ok {
		return refused(http.StatusNotAcceptable, `instances are given as multipart/related; type="application/dicom"`)
	}
	out := &outgoing{rq: rq, pile: pile{custody: rq.s.parts.Custody}}
	defer out.pile.discard()
	f := &fetched{give: func(o *object) error { return out.take(ctx, o) }}
	out.fetched = f
	err := rq.fetch(ctx, rq.resource, wanted, f)
	if err != nil && !isMissing(err) {
		return err
	}
	if err := out.finish(ctx); err != nil {
		return err
	}
	return nil
}

// wanted is what the archive is asked for: instances as they are stored, if the client
// takes that, else in the transfer syntaxes that it takes.
func (rq *request) wanted() (web.Accept, bool) {
	if _, ok := rq.accept.Best(web.Related(web.TypeDICOM, ""), web.Single(web.TypeDICOM)); !ok {
		return nil, false
	}
	var named web.Accept
	for _, m := range rq.accept {
		ts := m.TransferSyntax()
		if m.Q == 0 || m.Part() != web.TypeDICOM && m.Type != "*/*" && m.Type != "multipart/*" && m.Type != web.TypeRelated && m.Type != "application/*" {
			continue
		}
		if ts == "" || ts == "*" {
			return nil, true
		}
		if _, known := dicom.LookupTransferSyntax(ts); known {
			named = append(named, web.Related(web.TypeDICOM, ts))
		}
	}
	return named, len(named) > 0
}

// outgoing is whole instances on their way to whoever asked.
type outgoing struct {
	rq      *request
	fetched *fetched
	pile    pile
	parts   *web.MultipartWriter // nil before the response has begun
	sent    int
}

// leaving is what is said of an instance once it has gone.
type leaving struct {
	ts     dicom.UID
	object *object
}

// take adds a judged instance to those that go out.
func (out *outgoing) take(ctx context.Context, o *object) error {
	ts := o.file.TransferSyntaxUID
	if _, ok := out.rq.accept.Best(web.Related(web.TypeDICOM, ts), single(ts)); !ok {
		o.buffer.Discard()
		out.fetched.withheld = append(out.fetched.withheld, withheld{o.file.SOPInstanceUID, "stored in a transfer syntax that was not asked for"})
		return nil
	}
	if err := out.pile.add(o.buffer, leaving{ts, o}); err != nil {
		return err
	}
	if out.parts == nil && !out.pile.full(out.rq.s.config.MaxAhead) {
		return nil
	}
	if out.parts != nil && len(out.fetched.withheld) > 0 {
		return errHeldLate
	}
	if err := out.begin(ctx); err != nil {
		return err
	}
	return out.flush(ctx)
}

func single(ts dicom.UID) web.MediaType {
	m := web.Single(web.TypeDICOM)
	m.Params = map[string]string{"transfer-syntax": string(ts)}
	return m
}

// errHeldLate breaks a response off that has begun.
var errHeldLate = refused(http.StatusForbidden, "an instance is held whose study was too long to be judged ahead: retrieve it series by series")

// finish sends what there is.
func (out *outgoing) finish(ctx context.Context) error {
	rq, f := out.rq, out.fetched
	if out.parts != nil && len(f.withheld) > 0 {
		return errHeldLate
	}
	if err := out.addHeld(ctx); err != nil {
		return err
	}
	rq.recordRetrieve(out.sent+len(out.pile.entries), len(f.withheld))
	switch {
	case out.parts == nil && len(out.pile.entries) == 0 && len(f.withheld) > 0:
		rq.nameWithheld(f.withheld)
		return withheldError(f.withheld)
	case out.parts == nil && len(out.pile.entries) == 0:
		return errNotFound
	}
	if err := out.begin(ctx); err != nil {
		return err
	}
	if err := out.flush(ctx); err != nil {
		return err
	}
	return rq.end(out.parts.Close())
}

// addHeld names what is held here of the resource beside what the archive gave.
func (out *outgoing) addHeld(ctx context.Context) error {
	held, err := out.rq.heldOn(ctx, out.rq.resource)
	if err != nil {
		return err
	}
	given := map[dicom.UID]bool{}
	for _, e := range out.pile.entries {
		given[e.tag.(leaving).object.file.SOPInstanceUID] = true
	}
	for _, w := range out.fetched.withheld {
		given[w.instance] = true
	}
	for _, w := range held {
		if !given[w.instance] && out.parts == nil {
			given[w.instance] = true
			out.fetched.withheld = append(out.fetched.withheld, w)
		}
	}
	return nil
}

// begin writes the status line: 206 if something is left out.
func (out *outgoing) begin(context.Context) error {
	if out.parts != nil {
		return nil
	}
	rq, status := out.rq, http.StatusOK
	if len(out.fetched.withheld) > 0 {
		status = http.StatusPartialContent
		rq.nameWithheld(out.fetched.withheld)
	}
	out.parts = web.NewMultipartWriter(rq.w, web.Related(web.TypeDICOM, ""))
	rq.begin(status, out.parts.ContentType())
	return nil
}

// flush writes what is piled up.
func (out *outgoing) flush(ctx context.Context) error {
	rq, some := out.rq, make([]byte, block)
	err := out.pile.each(func(r io.Reader, e entry) error {
		l := e.tag.(leaving)
		o := l.object
		o.moved(rq.wayOfCaller(transfer.Sent), dimse.Success, "")
		w, err := out.parts.Part(single(l.ts), rq.retrieveURL(dicom.UID(o.report.Identity.StudyInstanceUID), dicom.UID(o.report.Identity.SeriesInstanceUID), o.file.SOPInstanceUID))
		if err != nil {
			return err
		}
		if _, err := io.CopyBuffer(w, r, some); err != nil {
			return err
		}
		rq.recordSent(o)
		out.sent++
		return ctx.Err()
	})
	out.pile.discard()
	out.pile.bytes, out.pile.large = 0, 0
	return err
}

// recordSent notes an object that went out; it joins the ledger within a second.
func (rq *request) recordSent(o *object) {
	rq.visit.tally.sent.Add(1)
	rq.s.parts.Metrics.Count(metric.InstancesSent, 1, "sent")
	rq.s.parts.Ledger.Note("instance.sent", rq.visit.who(o.entry(map[string]any{"archive": rq.up.Name, "destination": destination(rq), "status": 0})))
}

// destination is who gets an object, for a record.
func destination(rq *request) string {
	for _, name := range []string{rq.admission.Device, rq.peer.Subject} {
		if name != "" {
			return clip(name, maxWhy)
		}
	}
	return rq.address.String()
}

// recordRetrieve notes how a retrieval of instances went.
func (rq *request) recordRetrieve(completed, held int) {
	outcome := "answered"
	if held > 0 {
		outcome = "warning"
	}
	rq.s.parts.Metrics.Count(metric.Retrieves, 1, rq.up.Name, outcome)
	rq.s.parts.Ledger.Note("retrieve.ended", rq.visit.who(map[string]any{
		"operation": rq.route.operation, "archive": rq.up.Name, "service": string(rq.route.service), "resource": rq.resource.Kind.String(),
		"completed": completed, "held": held,
	}))
}

// maxNamed is how many instances one Warning header names.
const maxNamed = 16

// nameWithheld says in a header which instances are missing from the response, and
// why (PS3.18 §10.4.3.2).
func (rq *request) nameWithheld(held []withheld) {
	names := make([]string, 0, maxNamed)
	for _, w := range held {
		if w.instance != "" && len(names) < maxNamed {
			names = append(names, string(w.instance))
		}
	}
	says := strconv.Itoa(len(held)) + " left out, " + held[0].why
	if len(names) > 0 {
		says += ": " + strings.Join(names, " ")
	}
	rq.w.Header().Add("Warning", warningOf(says, 2048))
}

// begin writes the status line and the headers that every answer has. From here on
// nothing but a broken connection says that something went wrong.
func (rq *request) begin(status int, contentType string) {
	h := rq.w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	rq.began = true
	rq.w.WriteHeader(status)
}

// passes reports whether a small data set of the archive's may go out. What is not let
// through is left out, and counted.
func (rq *request) passes(ctx context.Context, d web.DataSet) (bool, error) {
	passes, err := rq.lets(ctx, d, rq.archiveOrigin())
	if err == nil && !passes {
		rq.visit.tally.withheld.Add(1)
	}
	return passes, err
}

// lets judges a small data set.
func (rq *request) lets(ctx context.Context, d web.DataSet, from policy.Origin) (bool, error) {
	data, err := encode(d)
	if err != nil {
		return false, err
	}
	jm := rq.s.parts.Judge.Begin(rq.excepting(from, judge.Source{
		TransferSyntax: dicom.ExplicitVRLittleEndian, Size: int64(len(data)), Monitor: rq.admission.Monitor, Bypass: rq.bypassed,
	}))
	jm.Write(data)
	report, decision := jm.Finish(ctx)
	if report.Verdict != finding.Admit {
		rq.log.Warn("data set not let through", "reason", decision.Reason)
	}
	return report.Verdict == finding.Admit, nil
}
