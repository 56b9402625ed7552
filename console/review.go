package console

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"cordon/console/answer"
	"cordon/console/route"
	"cordon/people"
	"cordon/review"
)

// reviewRoutes are those of the activity reviews.
func (c *Console) reviewRoutes() []route.Route {
	if c.parts.Reviews == nil {
		return nil
	}
	return []route.Route{
		{Method: "GET", Pattern: "/api/v1/review", May: people.LedgerRead, Handler: c.reviewList, Doc: route.Doc{
			Summary: "The activity reviews, the latest first", Response: review.Review{}, Lines: true}},
		{Method: "GET", Pattern: "/api/v1/review/{id}", May: people.LedgerRead, Handler: c.reviewShow, Doc: route.Doc{
			Summary: "One activity review", Response: review.Review{}}},
		{Method: "POST", Pattern: "/api/v1/review/{id}/sign", May: people.ReviewSign, Handler: c.reviewSign, Doc: route.Doc{
			Summary: "Sign an activity review", Request: VaultRequest{}, Response: review.Review{}, Example: VaultRequest{By: "B. Best", Reason: "all of it is the new scanner"}}},
	}
}

// reviewList writes all activity reviews, the latest first.
func (c *Console) reviewList(w http.ResponseWriter, r *http.Request) {
	all, err := c.parts.Reviews.List(r.Context())
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	out := answer.NewLines(w)
	for _, one := range all {
		if out.Write(one) != nil {
			return // the reader has gone
		}
	}
}

func (c *Console) reviewShow(w http.ResponseWriter, r *http.Request) {
	one, err := c.parts.Reviews.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, one)
}

func (c *Console) reviewSign(w http.ResponseWriter, r *http.Request) {
	var rq VaultRequest
	err := answer.Read(w, r, &rq)
	var one review.Review
	if err == nil {
		one, err = c.parts.Reviews.Sign(r.Context(), r.PathValue("id"), rq.custody())
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, one)
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
		s.degrade("activity.failed", "", "The activity review could not be made: "+a.Error+".")
	case a.Overdue > 0:
		s.degrade("activity.overdue", "", fmt.Sprintf("%s overdue: %s (cordon review show %s).", activity(a.Overdue), whom, a.Oldest))
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
