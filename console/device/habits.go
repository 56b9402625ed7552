package device

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"cordon/console/answer"
	"cordon/custody"
	"cordon/exception"
	"cordon/finding"
	"cordon/people"
)

func habitIn(e exception.Exception) habit {
	k, _ := finding.Lookup(e.Finding)
	return habit{e, cmp.Or(k.Title, e.Finding)}
}

// habits is what the page of all exceptions shows.
type habits struct {
	Waiting, Standing, Over []habit // proposals; approved ones, the next to end first; the rest
	Error                   string
	ID                      string // of the one that the error is about
	Reason                  string // as it was typed
}

func (s *pages) showHabits(w http.ResponseWriter, r *http.Request) {
	h, err := s.gatherHabits(r.Context())
	if err != nil {
		s.View.Refuse(w, r, err)
		return
	}
	s.habits.Show(w, r, h)
}

// gatherHabits are the exceptions of the devices that whoever asks may see.
func (s *pages) gatherHabits(ctx context.Context) (h habits, err error) {
	all, err := s.Exceptions.List(ctx)
	if err != nil {
		return h, err
	}
	said, err := s.Devices.Inventories(ctx)
	for _, e := range all {
		if !sees(ctx, said[e.Device]) {
			continue
		}
		switch e.State {
		case exception.Proposed:
			h.Waiting = append(h.Waiting, habitIn(e))
		case exception.Approved:
			h.Standing = append(h.Standing, habitIn(e))
		default:
			h.Over = append(h.Over, habitIn(e))
		}
	}
	slices.SortStableFunc(h.Standing, func(a, b habit) int { return a.Expires.Compare(b.Expires) })
	slices.Reverse(h.Over)
	return h, err
}

// decideHabit approves or revokes an exception, and goes back to where that was asked.
func (s *pages) decideHabit(yes bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		err := r.ParseForm()
		if err == nil {
			err = s.performHabit(r, id, yes)
		}
		said := "device.said.by.revoked"
		if yes {
			said = "device.said.by.excepted"
		}
		back := "/exceptions"
		if name := r.PostFormValue("device"); name != "" {
			back = "/devices/" + url.PathEscape(name)
		}
		if err == nil {
			s.View.Back(w, r, back, said)
			return
		}
		h, gathering := s.gatherHabits(r.Context())
		if gathering != nil {
			s.View.Refuse(w, r, gathering)
			return
		}
		h.Error, h.ID, h.Reason = err.Error(), id, r.PostFormValue("reason")
		s.habits.Again(w, r, err, h)
	}
}

func (s *pages) performHabit(r *http.Request, id string, yes bool) error {
	ctx := r.Context()
	by, err := people.From(ctx).By(r.PostFormValue("by"))
	if err != nil {
		return err
	}
	rq := custody.Request{By: by, Reason: r.PostFormValue("reason")}
	if !yes {
		_, err := s.Exceptions.Revoke(ctx, id, rq)
		return err
	}
	const day = 24 * time.Hour
	days := 365
	if text := r.PostFormValue("days"); text != "" {
		if days, err = strconv.Atoi(text); err != nil || days < 1 || days > int(exception.MaxTerm/day) {
			return fmt.Errorf("%w: an exception lasts for 1 to %d days", answer.ErrRequest, exception.MaxTerm/day)
		}
	}
	_, err = s.Exceptions.Approve(ctx, id, rq, time.Duration(days)*day)
	return err
}
