package console

import (
	"context"
	"net/http"
	"time"

	"cordon/console/answer"
	"cordon/console/route"
	"cordon/custody"
	"cordon/finding"
	"cordon/people"
)

// recallRoutes are those of what was delivered and then found harmful.
func (c *Console) recallRoutes() []route.Route {
	if c.parts.Recalls == nil {
		return nil
	}
	return []route.Route{
		{Method: "GET", Pattern: "/api/v1/recall", May: people.HeldRead, Handler: c.recallList, Doc: route.Doc{
			Summary: "What is to be recalled from archives, the oldest first", Response: Recall{}, Lines: true,
			Query: []route.Param{{Name: "all", Summary: "true: also what was", Example: "true"}}}},
		{Method: "POST", Pattern: "/api/v1/recall/{id}/done", May: people.OperateChange, Fresh: true, Handler: c.recallDone, Doc: route.Doc{
			Summary: "Say that an object was recalled", Request: VaultRequest{}, Response: custody.Decision{}, Example: VaultRequest{By: "A. Able", Reason: "deleted in the archive"}}},
	}
}

// Recalls are the functions of whoever judges delivered objects again.
type Recalls struct {
	Counts func(context.Context) (RescanCounts, error)
	List   func(ctx context.Context, all bool) ([]Recall, error)
	Done   func(ctx context.Context, id, by, reason string) error
}

// RescanCounts are about objects delivered unscanned or under a bypass.
type RescanCounts struct {
	Waiting        int   `json:"waiting"` // for their rescan
	WaitingBytes   int64 `json:"waiting_bytes"`
	Recalls        int   `json:"recalls"`         // found harmful, and nobody has acknowledged that
	NotRescannable int   `json:"not_rescannable"` // and will stay so
}

// Recall is an object that was delivered and then found harmful.
type Recall struct {
	ID                string                 `json:"id"`
	FoundAt           time.Time              `json:"found_at"`
	ReceivedAt        time.Time              `json:"received_at"`
	Device            string                 `json:"device"`
	CallingAE         string                 `json:"calling_ae"`
	Archive           string                 `json:"archive"`
	StudyInstanceUID  string                 `json:"study_instance_uid"`
	SeriesInstanceUID string                 `json:"series_instance_uid"`
	SOPClassUID       string                 `json:"sop_class_uid"`
	SOPInstanceUID    string                 `json:"sop_instance_uid"`
	Bytes             int64                  `json:"bytes"`
	SHA256            custody.Digest         `json:"sha256"`
	Reason            string                 `json:"reason"`
	Findings          []finding.Finding      `json:"findings"`
	Engines           []finding.EngineResult `json:"engines,omitempty"`
	VaultID           string                 `json:"vault_id,omitempty"` // of the evidence
	DoneAt            time.Time              `json:"done_at,omitzero"`
	DoneBy            string                 `json:"done_by,omitempty"`
	DoneReason        string                 `json:"done_reason,omitempty"`
}

// recallList writes what is to be recalled, the oldest first; with ?all=true
// also what was.
func (c *Console) recallList(w http.ResponseWriter, r *http.Request) {
	all, err := c.parts.Recalls.List(r.Context(), r.URL.Query().Get("all") == "true")
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	out := answer.NewLines(w)
	for _, one := range all {
		if err := out.Write(one); err != nil {
			return // the reader has gone
		}
	}
}

func (c *Console) recallDone(w http.ResponseWriter, r *http.Request) {
	var rq VaultRequest
	err := answer.Read(w, r, &rq)
	if err == nil {
		err = c.parts.Recalls.Done(r.Context(), r.PathValue("id"), rq.By, rq.Reason)
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, custody.Decision{Done: true, By: []string{rq.By}})
}
