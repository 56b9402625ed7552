package console

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"cordon/review"
)

// withReviews gives the site activity reviews, and makes the first as if its
// week were over.
func (s *site) withReviews(t *testing.T) review.Review {
	t.Helper()
	s.parts.Reviews = review.New(review.Config{Owner: "Ann Able"}, review.Parts{DB: s.db, Ledger: s.parts.Ledger, Log: slog.New(slog.DiscardHandler)})
	now := time.Now().UTC()
	over := now.AddDate(0, 0, 8-(int(now.Weekday())+6)%7) // the Tuesday after the next Monday
	if n, err := s.parts.Reviews.Make(t.Context(), over); err != nil || n != 1 {
		t.Fatalf("%d reviews made, %v", n, err)
	}
	all, err := s.parts.Reviews.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.api = serve(t, t.Context(), s.API())
	return all[len(all)-1]
}

func TestActivityReviewsAreShownAndSigned(t *testing.T) {
	s := newSite(t)
	one := s.withReviews(t)
	if _, body := fetch(t, http.MethodGet, s.page+"/", ""); !strings.Contains(body, "Ann Able must look at it and sign") {
		t.Errorf("the page does not say so:\n%s", body)
	}
	if _, body := fetch(t, http.MethodGet, s.page+"/metrics", ""); !strings.Contains(body, "cordon_activity_reviews_waiting 1\n") || !strings.Contains(body, "cordon_activity_reviews_overdue 0\n") {
		t.Errorf("metrics:\n%s", body)
	}
	for _, rq := range []struct {
		path, body string
		code       int
	}{
		{"/api/v1/review/" + one.ID + "/sign", `{"by":"Ann Able"}`, http.StatusBadRequest},
		{"/api/v1/review/1999-01-01/sign", `{"by":"Ann Able","reason":"seen"}`, http.StatusNotFound},
		{"/api/v1/review/" + one.ID + "/sign", `{"by":"Ann Able","reason":"seen"}`, http.StatusOK},
		{"/api/v1/review/" + one.ID + "/sign", `{"by":"Ann Able","reason":"again"}`, http.StatusConflict},
	} {
		if code, text := fetch(t, http.MethodPost, s.api+rq.path, rq.body); code != rq.code {
			t.Errorf("%s %s: %d %s", rq.path, rq.body, code, text)
		}
	}
	if _, body := fetch(t, http.MethodGet, s.api+"/api/v1/review", ""); !strings.Contains(body, `"signed_by":"Ann Able"`) || !strings.Contains(body, `"note":"seen"`) {
		t.Errorf("list: %s", body)
	}
	if code, _ := fetch(t, http.MethodGet, s.api+"/api/v1/review/1999-01-01", ""); code != http.StatusNotFound {
		t.Errorf("no such review: %d", code)
	}
}

func TestStatusSaysWhatIsOverdue(t *testing.T) {
	for _, c := range []struct {
		name   string
		status review.Status
		level  Level
		says   string
	}{
		{"nothing", review.Status{}, Well, "Imaging is flowing."},
		{"waiting", review.Status{Waiting: 1, Oldest: "2026-11-16"}, Well, "An activity review is waiting: somebody must look at it and sign (cordon review show 2026-11-16)."},
		{"overdue", review.Status{Waiting: 3, Overdue: 2, Oldest: "2026-11-16", Owner: "Ann"}, Degraded, "2 activity reviews are overdue: Ann must look at it and sign"},
		{"not made", review.Status{Overdue: 1, Error: "disk full"}, Degraded, "could not be made: disk full."},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Status{Flow: Flow{Accepting: true}, ActivityReviews: c.status}
			s.judge(time.Now())
			if all := strings.Join(s.Says, " "); s.Level != c.level || !strings.Contains(all, c.says) {
				t.Errorf("%s: %s", s.Level, all)
			}
		})
	}
}
