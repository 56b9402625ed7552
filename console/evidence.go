package console

import (
	"fmt"
	"net/http"
	"time"

	"cordon/console/answer"
	"cordon/console/route"
	"cordon/evidence"
	"cordon/people"
)

// EvidenceRequest asks for an evidence pack.
type EvidenceRequest struct {
	From    time.Time         `json:"from,omitzero"`     // zero: since the ledger began
	To      time.Time         `json:"to"`                // excluded
	Mapping *evidence.Mapping `json:"mapping,omitempty"` // the one for HIPAA if nil
	By      string            `json:"by,omitempty"`      // as asserted
}

// Asserted is the name that it is made under.
func (r *EvidenceRequest) Asserted() *string { return &r.By }

func (c *Console) evidenceRoutes() []route.Route {
	if c.parts.Evidence == nil {
		return nil
	}
	return []route.Route{{Method: "POST", Pattern: "/api/v1/evidence", May: people.ReportRead, Asserted: true, Handler: c.evidencePack, Doc: route.Doc{
		Summary: "An evidence pack: for each control what the ledger shows; it may take minutes", Request: EvidenceRequest{}, Response: evidence.Signed{},
		Example: EvidenceRequest{From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)}}}}
}

const (
	// maxEvidenceRequest bounds the request: a mapping.
	maxEvidenceRequest = 4 << 20
	// evidenceTime is how long a pack may take to make: it verifies the whole
	// ledger.
	evidenceTime = 2 * time.Hour
)

// evidencePack answers with the pack's JSON.
func (c *Console) evidencePack(w http.ResponseWriter, r *http.Request) {
	if err := unhurried(w); err != nil {
		answer.Refuse(w, err)
		return
	}
	rq, err := readEvidenceRequest(w, r)
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	signed, err := c.parts.Evidence.Make(r.Context(), rq)
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	out := answer.NewStream(w)
	out.End(signed.JSON(out))
}

// unhurried gives a request the time that a pack takes. An answer that goes to
// memory has no deadlines to move.
func unhurried(w http.ResponseWriter) error {
	control := http.NewResponseController(w)
	if err := answer.Patience(control); err != nil {
		return err
	}
	end := time.Now().Add(evidenceTime)
	control.SetReadDeadline(end) // where patience found deadlines, these are too
	control.SetWriteDeadline(end)
	return nil
}

func readEvidenceRequest(w http.ResponseWriter, r *http.Request) (evidence.Request, error) {
	var rq EvidenceRequest
	if err := answer.ReadUpTo(w, r, &rq, maxEvidenceRequest); err != nil {
		return evidence.Request{}, err
	}
	if rq.Mapping == nil {
		mapping, err := evidence.ReadMapping(evidence.HIPAA())
		return evidence.Request{From: rq.From, To: rq.To, Mapping: mapping, By: rq.By}, err
	}
	if err := rq.Mapping.Check(); err != nil {
		return evidence.Request{}, fmt.Errorf("%w: %w", answer.ErrRequest, err)
	}
	return evidence.Request{From: rq.From, To: rq.To, Mapping: *rq.Mapping, By: rq.By}, nil
}
