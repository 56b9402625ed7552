package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"cordon/evidence"
)

// EvidenceRequest asks for an evidence pack.
type EvidenceRequest struct {
	From    time.Time         `json:"from"`
	To      time.Time         `json:"to"`                // excluded
	Mapping *evidence.Mapping `json:"mapping,omitempty"` // the one for HIPAA if nil
	By      string            `json:"by,omitempty"`      // as asserted
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
		refuse(w, err)
		return
	}
	rq, err := readEvidenceRequest(w, r)
	if err != nil {
		refuse(w, err)
		return
	}
	signed, err := c.parts.Evidence.Make(r.Context(), rq)
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	out := newStream(w)
	out.end(signed.JSON(out))
}

// unhurried gives a request the time that a pack takes. An answer that goes to
// memory has no deadlines to move.
func unhurried(w http.ResponseWriter) error {
	control := http.NewResponseController(w)
	if err := patience(control); err != nil {
		return err
	}
	end := time.Now().Add(evidenceTime)
	control.SetReadDeadline(end) // where patience found deadlines, these are too
	control.SetWriteDeadline(end)
	return nil
}

func readEvidenceRequest(w http.ResponseWriter, r *http.Request) (evidence.Request, error) {
	var rq EvidenceRequest
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxEvidenceRequest))
	d.DisallowUnknownFields()
	if err := d.Decode(&rq); err != nil {
		return evidence.Request{}, fmt.Errorf("%w: %w", errRequest, err)
	}
	if rq.Mapping == nil {
		mapping, err := evidence.ReadMapping(evidence.HIPAA())
		return evidence.Request{From: rq.From, To: rq.To, Mapping: mapping, By: rq.By}, err
	}
	if err := rq.Mapping.Check(); err != nil {
		return evidence.Request{}, fmt.Errorf("%w: %w", errRequest, err)
	}
	return evidence.Request{From: rq.From, To: rq.To, Mapping: *rq.Mapping, By: rq.By}, nil
}
