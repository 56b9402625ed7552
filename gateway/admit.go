package gateway

import (
	"cmp"
	"context"
	"time"

	"cordon/dicom/ul"
	"cordon/metric"
	"cordon/policy"
)

// The rejections that a modality can see (PS3.8 table 9-21).
var (
	rejectCalling     = ul.Rejection{Result: ul.RejectedPermanent, Source: ul.RejectSourceUser, Reason: ul.RejectCallingAETitle}
	rejectCalled      = ul.Rejection{Result: ul.RejectedPermanent, Source: ul.RejectSourceUser, Reason: ul.RejectCalledAETitle}
	rejectApplication = ul.Rejection{Result: ul.RejectedPermanent, Source: ul.RejectSourceUser, Reason: ul.RejectApplicationContext}
	rejectNow         = ul.Rejection{Result: ul.RejectedTransient, Source: ul.RejectSourceUser, Reason: ul.RejectUserNoReason}
	rejectCongested   = ul.Rejection{Result: ul.RejectedTransient, Source: ul.RejectSourcePresentation, Reason: ul.RejectTemporaryCongestion}
	rejectFull        = ul.Rejection{Result: ul.RejectedTransient, Source: ul.RejectSourcePresentation, Reason: ul.RejectLocalLimitExceeded}
)

// admit asks policy about the association and returns how to reject it, or nil.
func (s *session) admit() *ul.Rejection {
	if s.rq.ApplicationContext != ul.ApplicationContextName {
		return &rejectApplication // before policy is asked; the reason is in the rejection
	}
	contexts := make([]policy.Context, 0, len(s.rq.Contexts))
	for _, c := range s.rq.Contexts {
		contexts = append(contexts, policy.Context{ID: c.ID, AbstractSyntax: c.AbstractSyntax, Roles: proposedRoles(s.rq, c.AbstractSyntax)})
	}
	shown, isTLS := showsItself(s.in)
	s.asked = policy.Association{
		TLS:             isTLS,
		Certificate:     shown,
		Address:         s.peer,
		Calling:         s.rq.Calling,
		Called:          s.rq.Called,
		Implementation:  s.rq.ImplementationClassUID,
		HasUserIdentity: s.rq.UserIdentity != nil,
		At:              wallClock(time.Now()),
		Contexts:        contexts,
		Awaited:         s.g.moves.awaiting(),
		Private:         s.private,
		Through:         s.detour.called(),
	}
	s.admission = s.g.site().Admit(s.asked)
	s.observeAssociation()
	switch s.admission.Refusal {
	case policy.NotRefused:
		return nil
	case policy.UnknownCalled, policy.ForeignArchive:
		return &rejectCalled
	case policy.OutsideHours:
		return &rejectNow
	case policy.NoArchive:
		return &rejectCongested
	}
	return &rejectCalling
}

// wallClock is what the clock shows here: in the machine's time zone.
func wallClock(t time.Time) policy.WallClock {
	t = t.Local()
	return policy.WallClock{Day: int(t.Weekday()), Hour: t.Hour(), Minute: t.Minute()}
}

// reject records the refusal, then sends it. It says why to those who read the
// log and the ledger; the modality learns r alone.
func (s *session) reject(ctx context.Context, r ul.Rejection, why string) error {
	why = cmp.Or(why, "application context name not supported")
	s.g.counts.rejected.Add(1)
	s.g.parts.Metrics.Count(metric.Rejections, 1, why)
	s.log.Warn("association rejected", "called", s.rq.Called, "answer", r.Error(), "reason", why)
	err := s.g.recordRefusal(ctx, s.peer, "association.rejected", s.who(map[string]any{
		"result": r.Result, "source": r.Source, "reason": r.Reason, "refusal": why,
	}))
	if err != nil {
		s.log.Error("rejection not recorded", "error", err)
	}
	return s.in.Reject(r)
}
