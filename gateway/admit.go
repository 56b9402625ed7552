package gateway

import (
	"context"
	"errors"
	"time"

	"cordon/dicom"
	"cordon/dicom/ul"
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
		return &rejectApplication
	}
	contexts := make([]policy.Context, 0, len(s.rq.Contexts))
	for _, c := range s.rq.Contexts {
		contexts = append(contexts, policy.Context{ID: c.ID, AbstractSyntax: c.AbstractSyntax})
	}
	s.admission = s.g.config.Site.Admit(policy.Association{
		Address:        s.peer,
		Calling:        s.rq.Calling,
		Called:         s.rq.Called,
		Implementation: s.rq.ImplementationClassUID,
		At:             time.Now(),
		Contexts:       contexts,
	})
	switch s.admission.Refusal {
	case policy.NotRefused:
		s.archive = s.g.archives[s.admission.Archive]
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

// reject records the refusal, then sends it. It says why to those who read the
// log and the ledger; the modality learns r alone.
func (s *session) reject(ctx context.Context, r ul.Rejection, why string) error {
	s.g.counts.rejected.Add(1)
	s.log.Warn("association rejected", "called", s.rq.Called, "answer", r.Error(), "reason", why)
	err := s.g.recordRefusal(ctx, s.peer, "association.rejected", s.who(map[string]any{
		"result": r.Result, "source": r.Source, "reason": r.Reason, "refusal": why,
	}))
	if err != nil {
		s.log.Error("rejection not recorded", "error", err)
	}
	return s.in.Reject(r)
}

// mirror proposes the granted storage contexts to the archive and returns the
// response for the modality. It returns a rejection if the archive rejected
// the modality for good. While the archive is away, it answers from what the
// archive accepted before.
func (s *session) mirror(ctx context.Context) (ul.Response, *ul.Rejection) {
	s.proposed = s.storageContexts()
	err := s.dialUpstream(ctx)
	var rejection *ul.Rejection
	if isPermanent(err) && errors.As(err, &rejection) {
		return ul.Response{}, rejection
	}
	if err != nil {
		s.log.Warn("archive is away: objects will be kept here and delivered later", "error", err)
	}
	var response ul.Response
	for i, c := range s.rq.Contexts {
		response.Contexts = append(response.Contexts, s.answerContext(c, s.admission.Contexts[i]))
	}
	return response, nil
}

// storageContexts lists the contexts that the archive is asked for: those that
// are granted, with the transfer syntaxes that can be read here. An object in
// any other could not be judged.
func (s *session) storageContexts() []ul.ProposedContext {
	var out []ul.ProposedContext
	for i, c := range s.rq.Contexts {
		if s.admission.Contexts[i].Service != policy.ServiceStore {
			continue
		}
		if readable := readable(c.TransferSyntaxes); len(readable) > 0 {
			out = append(out, ul.ProposedContext{ID: c.ID, AbstractSyntax: c.AbstractSyntax, TransferSyntaxes: readable})
		}
	}
	return out
}

func readable(syntaxes []dicom.UID) []dicom.UID {
	var out []dicom.UID
	for _, ts := range syntaxes {
		if _, ok := dicom.LookupTransferSyntax(ts); ok {
			out = append(out, ts)
		}
	}
	return out
}

// dialUpstream associates with the archive, if there is anything to send to it
// and it is not resting after a failure.
func (s *session) dialUpstream(ctx context.Context) error {
	if len(s.proposed) == 0 {
		return nil
	}
	if s.archive.resting() {
		return errResting
	}
	up, err := s.g.associate(ctx, s.archive, s.rq.Calling, s.proposed)
	if err != nil {
		return err
	}
	s.dropUpstream()
	s.up = up
	s.remember()
	return nil
}

// agree narrows what the archive is asked for from here on to what the
// modality was answered: a replaced association must accept the same.
func (s *session) agree() {
	var agreed []ul.ProposedContext
	for _, c := range s.proposed {
		if pc, ok := s.down.Association().Context(c.ID); ok {
			c.TransferSyntaxes = []dicom.UID{pc.TransferSyntax}
			agreed = append(agreed, c)
		}
	}
	s.proposed = agreed
}

var errResting = errors.New("it failed a moment ago and is tried again later")

// remember keeps what the archive accepted.
func (s *session) remember() {
	var as []accepted
	for _, c := range s.up.Association().Contexts() {
		as = append(as, accepted{s.archive.upstream.Name, s.rq.Calling, c.AbstractSyntax, c.TransferSyntax})
	}
	s.g.memory.remember(as, func(err error) { s.log.Error("accepted contexts not remembered", "error", err) })
}

// answerContext answers one proposed context (PS3.8 table 9-18).
func (s *session) answerContext(c ul.ProposedContext, grant policy.Grant) ul.AcceptedContext {
	answer := ul.AcceptedContext{ID: c.ID, Result: ul.TransferSyntaxesNotSupported}
	switch {
	case grant.Reason == policy.NotPermitted, grant.Reason == policy.ClassNotPermitted:
		answer.Result = ul.UserRejection
	case grant.Service != policy.ServiceStore && grant.Service != policy.ServiceEcho:
		answer.Result = ul.AbstractSyntaxNotSupported
	case grant.Service == policy.ServiceEcho:
		for _, ts := range c.TransferSyntaxes {
			if ts == dicom.ImplicitVRLittleEndian || ts == dicom.ExplicitVRLittleEndian {
				return ul.AcceptedContext{ID: c.ID, TransferSyntax: ts}
			}
		}
	case s.up != nil:
		for _, a := range s.up.Association().Response().Contexts {
			if a.ID == c.ID {
				return a
			}
		}
	default:
		if ts, ok := s.g.memory.choose(s.archive.upstream.Name, s.rq.Calling, c.AbstractSyntax, readable(c.TransferSyntaxes)); ok {
			return ul.AcceptedContext{ID: c.ID, TransferSyntax: ts}
		}
	}
	return answer
}
