package console

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"cordon/console/answer"
	"cordon/console/route"
	"cordon/deadman"
	"cordon/people"
)

// DeadmanRequest is a person's review of what came in uninspected.
type DeadmanRequest struct {
	By     string `json:"by"` // of whoever signed in; at the control socket, as asserted
	Reason string `json:"reason"`
}

// Asserted is the name that it is made under.
func (r *DeadmanRequest) Asserted() *string { return &r.By }

// deadmanRoutes are those of what went past Cordon.
func (c *Console) deadmanRoutes() []route.Route {
	if c.parts.Deadman == nil {
		return nil
	}
	return []route.Route{
		{Method: "GET", Pattern: "/api/v1/deadman", May: people.FlowRead, Handler: c.deadmanList, Doc: route.Doc{
			Summary: "When images went past Cordon, and nobody has reviewed it", Response: deadman.Event{}, Lines: true,
			Query: []route.Param{{Name: "all", Summary: "true: also what was reviewed", Example: "true"}}}},
		{Method: "POST", Pattern: "/api/v1/deadman/review", May: people.HeldDecide, Handler: c.deadmanReview, Doc: route.Doc{
			Summary: "Say that what came in uninspected was looked at", Request: DeadmanRequest{}, Response: []deadman.Event{}, Example: DeadmanRequest{By: "A. Able", Reason: "all of it is ours"}}},
	}
}

// deadmanList writes when the dead-man's bypass was open.
func (c *Console) deadmanList(w http.ResponseWriter, r *http.Request) {
	events, err := c.parts.Deadman.List(r.Context(), r.URL.Query().Get("all") == "true")
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	out := answer.NewLines(w)
	for _, e := range events {
		if err := out.Write(e); err != nil {
			return // the reader has gone
		}
	}
}

func (c *Console) deadmanReview(w http.ResponseWriter, r *http.Request) {
	var rq DeadmanRequest
	if err := answer.Read(w, r, &rq); err != nil {
		answer.Refuse(w, err)
		return
	}
	done, err := c.parts.Deadman.Review(r.Context(), rq.By, rq.Reason)
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, done)
}

// pastCordon are the times that nobody has reviewed.
func (c *Console) pastCordon(ctx context.Context) ([]deadman.Event, error) {
	if c.parts.Deadman == nil {
		return nil, nil
	}
	return c.parts.Deadman.List(ctx, false)
}

// uninspected says what went past Cordon while it was down.
func (s *Status) uninspected() {
	if len(s.Deadman) == 0 {
		return
	}
	first, last := s.Deadman[0], s.Deadman[len(s.Deadman)-1]
	if last.Until.IsZero() {
		s.degrade("deadman.unreviewed", last.Archive, fmt.Sprintf("Images may still go past Cordon to archive %s, uninspected: the dead-man's bypass is open since %s and closes within seconds.", last.Archive, last.Since.Local().Format(time.DateTime)))
		return
	}
	times := "once"
	if n := len(s.Deadman); n > 1 {
		times = fmt.Sprintf("%d times", n)
	}
	s.degrade("deadman.unreviewed", last.Archive, fmt.Sprintf("Images went past Cordon to archive %s, uninspected, %s between %s and %s: look at what came in (cordon deadman review).",
		last.Archive, times, first.Since.Local().Format(time.DateTime), last.Until.Local().Format(time.DateTime)))
}
