package gateway

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/judge"
	"cordon/ledger"
	"cordon/query"
	"cordon/store"
)

// QueryConfig is what may be asked of the archives. Zero limits mean the
// defaults that are given beside them.
type QueryConfig struct {
	Rules      query.Rules // what identifiers may say
	MaxMatches int         // of one C-FIND; 20,000. Then the archive is told to stop, and the query fails
	PerMinute  int         // C-FIND, C-MOVE and C-GET requests of one address; 1,200. As many may come at once
}

func (c QueryConfig) withDefaults() QueryConfig {
	if c.MaxMatches == 0 {
		c.MaxMatches = 20_000
	}
	if c.PerMinute == 0 {
		c.PerMinute = 1200
	}
	return c
}

// checkQuery says why a C-FIND, C-MOVE or C-GET is not performed, or nil. It is
// refused as it is or passed on as it is: a key that is left out would match
// more.
func (r *relay) checkQuery() *dimse.Command {
	if !isQuery(r.m.Command.Field) {
		return nil
	}
	g := r.s.g
	if _, ok := g.queries.Take(r.s.peer, time.Now()); !ok {
		status := statusTooMany
		if r.m.Command.Field != dimse.CFindRQ {
			status = statusTooManyMoves
		}
		return &dimse.Command{Status: status, ErrorComment: fmt.Sprintf("more than %d requests a minute", g.config.Query.PerMinute)}
	}
	if r.m.Data == nil {
		return &dimse.Command{Status: statusNoDataSet, ErrorComment: "no identifier"}
	}
	refusal := g.config.Query.Rules.Check(query.Request{
		Command:        r.m.Command.Field,
		SOPClass:       r.m.Context.AbstractSyntax,
		TransferSyntax: r.m.Context.TransferSyntax,
		Identifier:     r.data,
		Extended:       r.agreed(),
	})
	switch {
	case refusal == nil:
		return nil
	case r.deliversAll():
		r.s.log.Warn("request passed on that would have been refused", "operation", r.m.Command.Field, "reason", refusal)
		r.noteQuery("query.passed", map[string]any{"reason": refusal.Error()})
		return nil
	}
	r.s.log.Warn("request refused", "operation", r.m.Command.Field, "reason", refusal)
	return &dimse.Command{Status: refusal.Status, OffendingElement: refusal.Offending, ErrorComment: refusal.Comment}
}

// isQuery reports whether a request's data set is an identifier.
func isQuery(f dimse.CommandField) bool {
	return f == dimse.CFindRQ || f == dimse.CMoveRQ || f == dimse.CGetRQ
}

// agreed is what both sides agreed on for the request's SOP class in extended
// negotiation.
func (r *relay) agreed() []byte {
	for _, e := range r.from.Conn().Association().Response().Extended {
		if e.SOPClass == r.m.Context.AbstractSyntax {
			return e.Information
		}
	}
	return nil
}

// deliversAll reports whether what is found wrong is recorded and passed on:
// the device is going live, or inspection is bypassed.
func (r *relay) deliversAll() bool { return r.s.admission.Monitor || r.s.bypassed() }

// lets reports whether a match may go on to the one who asked.
func (r *relay) lets(ctx context.Context, match []byte) bool {
	if refusal := query.CheckMatch(match, r.m.Context.TransferSyntax); refusal != nil && len(match) > 0 {
		r.s.log.Warn("match that readers could trip over", "archive", r.archive, "reason", refusal)
		if !r.deliversAll() {
			return false
		}
	}
	return r.s.passes(ctx, match, r.m.Context.TransferSyntax, r.outward)
}

// tooMany tells the archive to stop (C-CANCEL) and answers that the query
// matches more than is passed on. What was found so far has gone out.
func (r *relay) tooMany(ctx context.Context, x *dimse.Exchange, op *dimse.Operation, matches, held int) error {
	if err := op.Cancel(ctx); err != nil {
		r.s.log.Info("cancellation not passed on", "error", err)
	}
	r.s.log.Warn("query matches more than is passed on", "archive", r.archive, "matches", matches)
	rsp := dimse.Command{Status: statusTooMany, ErrorComment: fmt.Sprintf("more than %d matches; ask for less", matches)}
	r.counted("limited")
	r.noteQuery("query.answered", map[string]any{"matches": matches, "held": held, "limited": true, "status": uint16(rsp.Status)})
	if err := r.respond(ctx, rsp, nil); err != nil {
		return err
	}
	r.finish(ctx, x, op)
	return nil
}

// maxKeptIdentifier bounds an identifier on the ledger, in bytes: what one
// sealed string holds, in base64.
const maxKeptIdentifier = 12_000

// noteQuery puts a query on the ledger within a second, with its identifier.
func (r *relay) noteQuery(kind string, more map[string]any) {
	g, body := r.s.g, r.s.who(r.entry(more))
	seal := r.sealIdentifier()
	g.parts.DB.Later(func(tx *store.Tx) error {
		if err := seal(tx, body); err != nil {
			return err
		}
		return g.parts.Ledger.Append(tx, kind, body)
	}, func(err error) {
		g.parts.Ledger.Missed(err)
		r.s.log.Error("query not recorded", "error", err)
	})
}

// sealIdentifier returns what adds the identifier of a C-FIND to a record's
// body, sealed: it names patients.
func (r *relay) sealIdentifier() func(*store.Tx, map[string]any) error {
	data, l := r.data, r.s.g.parts.Ledger
	switch {
	case r.m.Command.Field != dimse.CFindRQ:
		return func(*store.Tx, map[string]any) error { return nil }
	case len(data) == 0 || len(data) > maxKeptIdentifier:
		return func(_ *store.Tx, body map[string]any) error {
			body["identifier_bytes"] = len(data)
			return nil
		}
	}
	subject := subjectOf(data, r.m.Context.TransferSyntax)
	return func(tx *store.Tx, body map[string]any) error {
		sealed, err := l.Seal(tx, subject, base64.StdEncoding.EncodeToString(data))
		if err != nil {
			return err
		}
		body["identifier"] = sealed
		return nil
	}
}

// subjectOf is whom an identifier is about: a patient or a study, if it names
// one. It is whom objects of the same patient are about.
func subjectOf(identifier []byte, ts dicom.UID) string {
	p, study := judge.PatientOf(identifier, ts).Reveal(), ""
	syntax, _ := dicom.LookupTransferSyntax(ts)
	elements, err := dicom.ReadElements(identifier, syntax, maxSubjectElements)
	if err != nil {
		return ledger.Subject(p.ID, p.Issuer, "")
	}
	for _, e := range elements {
		if e.Depth == 0 && e.Tag == dicom.TagStudyInstanceUID {
			study = clip(string(dicom.TrimUID(e.Value)), maxUID)
		}
	}
	return ledger.Subject(p.ID, p.Issuer, study)
}

// maxSubjectElements is more than an identifier may have.
const maxSubjectElements = 1024
