package console

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"cordon/commitment"
	"cordon/console/answer"
	"cordon/console/route"
	"cordon/custody"
	"cordon/mpps"
	"cordon/people"
)

// What waits for a peer: requests for storage commitment that are not answered
// yet, and messages about procedure steps whose archive is away.

// waitingRoutes are those of both.
func (c *Console) waitingRoutes() (all []route.Route) {
	if s := c.parts.Commitment; s != nil {
		all = append(all,
			route.Route{Method: "GET", Pattern: "/api/v1/commitment", May: people.HeldRead, Handler: listing(s.List), Doc: route.Doc{
				Summary: "Requests for storage commitment that are not answered yet", Response: commitment.Item{}, Lines: true}},
			route.Route{Method: "POST", Pattern: "/api/v1/commitment/{id}/retry", May: people.OperateChange, Handler: deciding(s.Retry), Doc: decidingDoc("Try again to answer a request for storage commitment")},
			route.Route{Method: "POST", Pattern: "/api/v1/commitment/{id}/drop", May: people.OperateChange, Handler: deciding(s.Drop), Doc: decidingDoc("Give up a request for storage commitment")},
		)
	}
	if s := c.parts.Steps; s != nil {
		all = append(all,
			route.Route{Method: "GET", Pattern: "/api/v1/step", May: people.HeldRead, Handler: listing(s.List), Doc: route.Doc{
				Summary: "Messages about procedure steps that wait for their archive", Response: mpps.Item{}, Lines: true}},
			route.Route{Method: "POST", Pattern: "/api/v1/step/{id}/retry", May: people.OperateChange, Handler: deciding(s.Retry), Doc: decidingDoc("Try again to deliver a message about a procedure step")},
			route.Route{Method: "POST", Pattern: "/api/v1/step/{id}/drop", May: people.OperateChange, Handler: deciding(s.Drop), Doc: decidingDoc("Give up a message about a procedure step")},
		)
	}
	return all
}

func decidingDoc(summary string) route.Doc {
	return route.Doc{Summary: summary, Request: VaultRequest{}, Response: custody.Decision{}, Example: VaultRequest{By: "A. Able", Reason: "the archive is repaired"}}
}

// listing writes one JSON object a line.
func listing[T any](list func(context.Context) ([]T, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		all, err := list(r.Context())
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
}

// deciding does what one person asks for.
func deciding(act func(context.Context, int64, custody.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var rq VaultRequest
		err := answer.Read(w, r, &rq)
		if err == nil {
			var id int64
			if id, err = strconv.ParseInt(r.PathValue("id"), 10, 64); err != nil {
				err = fmt.Errorf("%w: %q is not a number as the list shows it", answer.ErrRequest, r.PathValue("id"))
			} else {
				err = act(r.Context(), id, rq.custody())
			}
		}
		if err != nil {
			answer.Refuse(w, err)
			return
		}
		answer.JSON(w, custody.Decision{Done: true, By: []string{rq.By}})
	}
}

// waiting asks both how much waits.
func (c *Console) waiting(ctx context.Context, s *Status) (err error) {
	if c.parts.Commitment != nil {
		if s.Commitment, err = c.parts.Commitment.Status(ctx); err != nil {
			return err
		}
	}
	if c.parts.Steps != nil {
		s.Steps, err = c.parts.Steps.Status(ctx)
	}
	return err
}

// longCommitment is the age from which a request for commitment that is not
// answered is worth a sentence.
const longCommitment = 24 * time.Hour

// judgeWaiting says what of it somebody must look at.
func (s *Status) judgeWaiting(now time.Time) {
	if n := s.Commitment.GivenUp; n > 0 {
		s.degrade("commitment.undelivered", "", fmt.Sprintf("The answer to %s for storage commitment could not be given to its device: a person must decide (cordon commitment list).", count(n, "request")))
	}
	for _, t := range s.Commitment.Troubles {
		if t.Refuses {
			s.degrade("commitment.refused", t.Archive, fmt.Sprintf("Archive %s does not do storage commitment for Cordon, and devices are told that nothing is committed: switch it on there, or take commit out of its services.", t.Archive))
		} else {
			s.Says = append(s.Says, fmt.Sprintf("Archive %s cannot be asked for storage commitment since %s: %s.", t.Archive, t.Since.Local().Format("15:04"), t.Says))
		}
	}
	if pending := s.Commitment.Open + s.Commitment.Reporting; pending > 0 && now.Sub(s.Commitment.Oldest) > longCommitment {
		s.degrade("commitment.late", "", fmt.Sprintf("Devices wait for the answer to %s for storage commitment, the oldest for %s (cordon commitment list).", count(pending, "request"), age(now.Sub(s.Commitment.Oldest))))
	}
	if n := s.Steps.Stuck; n > 0 {
		s.degrade("step.refused", "", fmt.Sprintf("An archive refused %s about procedure steps: a person must decide (cordon step list).", count(n, "message")))
	}
	if n := s.Steps.Waiting - s.Steps.Stuck; n > 0 {
		s.Says = append(s.Says, fmt.Sprintf("Kept until their archive is back: %s about procedure steps, the oldest for %s.", count(n, "message"), age(now.Sub(s.Steps.Oldest))))
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
