package gateway

import (
	"context"

	"cordon/dicom/dimse"
	"cordon/policy"
)

// find relays a C-FIND (PS3.7 §9.1.2): each match is judged before it goes on.
// One that is held is left out, and the final response says so.
func (r *relay) find(ctx context.Context) error {
	x, op, err := r.begin(ctx)
	if err != nil {
		return r.unperformed(ctx, err)
	}
	defer op.Abandon()
	matches, held := 0, 0
	for {
		reply, err := r.next(ctx, x, op, r.s.g.config.QueryTimeout)
		if err != nil {
			return r.unperformed(ctx, err)
		}
		passes := r.lets(ctx, reply.Data)
		pending := reply.Command.Status.Class() == dimse.ClassPending
		switch {
		case !pending:
			return r.endFind(ctx, reply, passes, matches, held)
		case matches+held >= r.s.g.config.Query.MaxMatches:
			return r.tooMany(ctx, x, op, matches, held)
		case !passes:
			held++
		default:
			matches++
			if err := r.respond(ctx, reply.Command, reply.Data); err != nil {
				return err
			}
		}
	}
}

// endFind records the query and passes its final response on.
func (r *relay) endFind(ctx context.Context, final dimse.Reply, passes bool, matches, held int) error {
	rsp, data := final.Command, final.Data
	if !passes {
		data, held = nil, held+1
	}
	if held > 0 && rsp.Status.Class() == dimse.ClassSuccess {
		rsp.Status, rsp.ErrorComment = r.incomplete(), "matches were not let through"
	}
	outcome := outcomes[rsp.Status.Class()]
	if held > 0 {
		outcome = "withheld"
	}
	r.counted(outcome)
	r.noteQuery("query.answered", map[string]any{"matches": matches, "held": held, "status": uint16(rsp.Status)})
	return r.respond(ctx, rsp, data)
}

// incomplete is the status of an answer from which matches were withheld. A
// list of studies is never called complete then: somebody may rely on a study's
// not being in it. A worklist stays a success, since many modalities discard it
// on a failure, and one hostile entry must not stop every scanner that asks:
// whose entry is missing stands before the modality.
func (r *relay) incomplete() dimse.Status {
	if r.service == policy.ServiceWorklist {
		return dimse.Success
	}
	return statusHeldMatches
}
