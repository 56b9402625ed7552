package console

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"cordon/review"
)

// reviewRoutes are those of the activity reviews.
func (c *Console) reviewRoutes(mux *http.ServeMux) {
	if c.parts.Reviews == nil {
		return
	}
	mux.HandleFunc("GET /api/v1/review", c.reviewList)
	mux.HandleFunc("GET /api/v1/review/{id}", c.reviewShow)
	mux.HandleFunc("POST /api/v1/review/{id}/sign", c.reviewSign)
}

// reviewList writes all activity reviews, the latest first.
func (c *Console) reviewList(w http.ResponseWriter, r *http.Request) {
	all, err := c.parts.Reviews.List(r.Context())
	if err != nil {
		refuse(w, err)
		return
	}
	out := newLines(w)
	for _, one := range all {
		if out.write(one) != nil {
			return // the reader has gone
		}
	}
}

func (c *Console) reviewShow(w http.ResponseWriter, r *http.Request) {
	one, err := c.parts.Reviews.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		refuse(w, err)
		return
	}
	reply(w, one)
}

func (c *Console) reviewSign(w http.ResponseWriter, r *http.Request) {
	var rq VaultRequest
	err := read(w, r, &rq)
	var one review.Review
	if err == nil {
		one, err = c.parts.Reviews.Sign(r.Context(), r.PathValue("id"), rq.custody())
	}
	if err != nil {
		refuse(w, err)
		return
	}
	reply(w, one)
}

// activityReviews asks how things stand with them.
func (c *Console) activityReviews(ctx context.Context, now time.Time) (review.Status, error) {
	if c.parts.Reviews == nil {
		return review.Status{}, nil
	}
	return c.parts.Reviews.Status(ctx, now)
}

// reviewed says what there is to say about activity reviews.
func (s *Status) reviewed() {
	a := s.ActivityReviews
	whom := "somebody must look at it and sign"
	if a.Owner != "" {
		whom = a.Owner + " must look at it and sign"
	}
	switch {
	case a.Error != "":
		s.degrade("The activity review could not be made: " + a.Error + ".")
	case a.Overdue > 0:
		s.degrade(fmt.Sprintf("%s overdue: %s (cordon review show %s).", activity(a.Overdue), whom, a.Oldest))
	case a.Waiting > 0:
		s.Says = append(s.Says, fmt.Sprintf("%s waiting: %s (cordon review show %s).", activity(a.Waiting), whom, a.Oldest))
	}
}

func activity(n int) string {
	if n == 1 {
		return "An activity review is"
	}
	return fmt.Sprintf("%d activity reviews are", n)
}
