package gateway

import (
	"context"
	"slices"
	"sync"

	"cordon/asset"
	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/policy"
)

// retrieval is what is known of a C-MOVE or C-GET while it runs: which of its
// objects were held on their way out.
type retrieval struct {
	id   uint16     // the requestor's message id
	ours *returning // it is the gateway's own; else nil

	mu   sync.Mutex
	held []dicom.UID
}

// hold notes an object that did not go out.
func (v *retrieval) hold(instance dicom.UID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !slices.Contains(v.held, instance) {
		v.held = append(v.held, instance)
	}
}

func (v *retrieval) heldBack() []dicom.UID {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.held)
}

// originator names a C-MOVE to an archive as its C-STORE requests do.
type originator struct {
	archive string
	title   dicom.AETitle
	id      uint16
}

// moves are the C-MOVEs under way, so that an object that comes back through
// the gateway is known for one of theirs.
type moves struct {
	mu      *sync.Mutex
	running map[originator]*retrieval
}

func newMoves() moves { return moves{&sync.Mutex{}, map[originator]*retrieval{}} }

func (ms moves) begin(o originator, v *retrieval) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	ms.running[o] = v
}

// expect notes a C-MOVE of the gateway's own, unless a move is known by that name.
func (ms moves) expect(o originator, v *returning) bool {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if ms.running[o] != nil {
		return false
	}
	ms.running[o] = &retrieval{ours: v}
	return true
}

func (ms moves) end(names []originator) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	for _, o := range names {
		delete(ms.running, o)
	}
}

// awaiting lists the archives that objects of the gateway's own moves come from.
func (ms moves) awaiting() []string {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	var out []string
	for o, v := range ms.running {
		if v.ours != nil {
			out = append(out, o.archive)
		}
	}
	return out
}

// find is the move that an object belongs to, or nil.
func (ms moves) find(archive string, c *dimse.Command) *retrieval {
	if c.MoveOriginatorMessageID == nil {
		return nil
	}
	ms.mu.Lock()
	defer ms.mu.Unlock()
	return ms.running[originator{archive, c.MoveOriginatorAETitle, *c.MoveOriginatorMessageID}]
}

// of is the move of a device that an object for a device belongs to, or nil.
func (ms moves) of(archive string, c *dimse.Command) *retrieval {
	if v := ms.find(archive, c); v != nil && v.ours == nil {
		return v
	}
	return nil
}

// returns is the move of the gateway's own that an object for the gateway
// belongs to, or nil.
func (ms moves) returns(archive string, c *dimse.Command) *returning {
	if v := ms.find(archive, c); v != nil {
		return v.ours
	}
	return nil
}

// move relays a C-MOVE (PS3.4 §C.4.2) to a destination that the device may move
// objects to.
func (r *relay) move(ctx context.Context) error {
	destination := r.m.Command.MoveDestination
	if _, err := dicom.ParseAETitle(string(destination)); err != nil {
		return r.refuse(ctx, statusDestination, "move destination is no AE title")
	}
	may, objection := r.s.admission.MayMove(destination)
	switch {
	case !may:
		r.s.tell(asset.Observation{Service: r.service, Refused: []policy.Objection{{Service: r.service, Destination: destination}}})
		return r.refuse(ctx, statusDestination, "move destination unknown or not permitted")
	case objection != nil:
		r.s.observe(r.m, destination, *objection)
		r.s.wouldRefuse(*objection)
	default:
		r.s.observe(r.m, destination)
	}
	v := &retrieval{id: r.m.Command.MessageID}
	var names []originator // one, or two after a stale association
	r.named = func(id uint16) {
		names = append(names, originator{r.archive, r.s.rq.Calling, id})
		r.s.g.moves.begin(names[len(names)-1], v) // before the first object can come back
	}
	defer func() { r.s.g.moves.end(names) }()
	x, op, err := r.begin(ctx)
	if err != nil {
		return r.unperformed(ctx, err)
	}
	return r.retrieve(ctx, x, op, v)
}

// get relays a C-GET (PS3.4 §C.4.3), whose objects come on the same
// association, one C-GET at a time.
func (r *relay) get(ctx context.Context) error {
	select {
	case r.link.getting <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-r.link.getting }()
	v := &retrieval{id: r.m.Command.MessageID}
	r.link.expect(v)
	defer r.link.expect(nil)
	x, op, err := r.begin(ctx)
	if err != nil {
		return r.unperformed(ctx, err)
	}
	return r.retrieve(ctx, x, op, v)
}

// expect makes v the C-GET whose objects come on the link; nil for none.
func (l *link) expect(v *retrieval) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.retrieval = v
}

func (l *link) expected() *retrieval {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.retrieval
}

// retrieve passes the responses of a C-MOVE or C-GET on. The final one says
// what was held on the way out, whatever the archive makes of it.
func (r *relay) retrieve(ctx context.Context, x *dimse.Exchange, op *dimse.Operation, v *retrieval) error {
	defer op.Abandon()
	var last dimse.Command
	for {
		reply, err := r.next(ctx, x, op, r.s.g.config.RetrieveTimeout)
		if err != nil && ctx.Err() == nil && last.NumberOfRemainingSuboperations != nil {
			r.s.log.Warn("retrieve broken off", "archive", r.archive, "error", err)
			return r.endRetrieve(ctx, dimse.Reply{Command: brokenOff(last)}, v.heldBack())
		}
		if err != nil {
			return r.unperformed(ctx, err)
		}
		if !r.s.passes(ctx, reply.Data, r.m.Context.TransferSyntax, r.outward) {
			reply.Data = nil // the list of what failed; that some did, the counts say
		}
		if reply.Command.Status.Class() != dimse.ClassPending {
			return r.endRetrieve(ctx, reply, v.heldBack())
		}
		last = reply.Command
		if err := r.respond(ctx, reply.Command, reply.Data); err != nil {
			return err
		}
	}
}

// brokenOff is the final response to a retrieve that ended after the pending
// response given: what remained has failed.
func brokenOff(pending dimse.Command) dimse.Command {
	rsp := pending
	rsp.Status, rsp.ErrorComment = statusBroken, "the archive went away in the middle"
	rsp.NumberOfFailedSuboperations = number(count(rsp.NumberOfFailedSuboperations) + count(rsp.NumberOfRemainingSuboperations))
	rsp.NumberOfRemainingSuboperations = nil
	return rsp
}

// endRetrieve records the retrieve and passes its final response on.
func (r *relay) endRetrieve(ctx context.Context, final dimse.Reply, held []dicom.UID) error {
	rsp, data := final.Command, final.Data
	if len(held) > 0 {
		rsp, data = withHeld(rsp, data, r.m.Context.TransferSyntax, held)
	}
	r.counted(outcomes[rsp.Status.Class()])
	r.note("retrieve.ended", map[string]any{
		"destination": string(r.m.Command.MoveDestination),
		"status":      uint16(rsp.Status),
		"completed":   count(rsp.NumberOfCompletedSuboperations),
		"failed":      count(rsp.NumberOfFailedSuboperations),
		"warning":     count(rsp.NumberOfWarningSuboperations),
		"held":        len(held),
	})
	return r.respond(ctx, rsp, data)
}

func count(n *uint16) int {
	if n == nil {
		return 0
	}
	return int(*n)
}

// withHeld makes a final response say that objects were held on their way out
// (PS3.4 §C.4.2.1.5, §C.4.3.1.4): they count as failed, are in the Failed SOP
// Instance UID List, and success becomes the warning B000. The archive was
// answered a warning for each, and may have counted it as that or as completed.
func withHeld(rsp dimse.Command, data []byte, ts dicom.UID, held []dicom.UID) (dimse.Command, []byte) {
	left := len(held)
	for _, n := range []**uint16{&rsp.NumberOfWarningSuboperations, &rsp.NumberOfCompletedSuboperations} {
		take := min(left, count(*n))
		if take > 0 {
			*n = number(count(*n) - take)
		}
		left -= take
	}
	rsp.NumberOfFailedSuboperations = number(count(rsp.NumberOfFailedSuboperations) + len(held) - left)
	if count(rsp.NumberOfFailedSuboperations) < len(held) {
		rsp.NumberOfFailedSuboperations = number(len(held))
	}
	if rsp.Status.Class() == dimse.ClassSuccess {
		rsp.Status = dimse.WarningCoercion // B000, sub-operations complete with failures
	}
	return rsp, failedList(data, ts, held)
}

func number(n int) *uint16 {
	v := uint16(max(0, min(n, 0xFFFF)))
	return &v
}
