package console

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"cordon/deadman"
)

// DeadmanRequest is a person's review of what came in uninspected.
type DeadmanRequest struct {
	By     string `json:"by"` // as asserted
	Reason string `json:"reason"`
}

// deadmanList writes when the dead-man's bypass was open.
func (c *Console) deadmanList(w http.ResponseWriter, r *http.Request) {
	events, err := c.parts.Deadman.List(r.Context(), r.URL.Query().Get("all") == "true")
	if err != nil {
		refuse(w, err)
		return
	}
	out := newLines(w)
	for _, e := range events {
		if err := out.write(e); err != nil {
			return // the reader has gone
		}
	}
}

func (c *Console) deadmanReview(w http.ResponseWriter, r *http.Request) {
	var rq DeadmanRequest
	if err := read(w, r, &rq); err != nil {
		refuse(w, err)
		return
	}
	done, err := c.parts.Deadman.Review(r.Context(), rq.By, rq.Reason)
	if err != nil {
		refuse(w, err)
		return
	}
	reply(w, done)
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
		s.degrade(fmt.Sprintf("Images may still go past Cordon to archive %s, uninspected: the dead-man's bypass is open since %s and closes within seconds.", last.Archive, last.Since.Local().Format(time.DateTime)))
		return
	}
	times := "once"
	if n := len(s.Deadman); n > 1 {
		times = fmt.Sprintf("%d times", n)
	}
	s.degrade(fmt.Sprintf("Images went past Cordon to archive %s, uninspected, %s between %s and %s: look at what came in (cordon deadman review).",
		last.Archive, times, first.Since.Local().Format(time.DateTime), last.Until.Local().Format(time.DateTime)))
}
