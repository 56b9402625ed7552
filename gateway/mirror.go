package gateway

import (
	"context"
	"errors"
	"slices"
	"sync"

	"cordon/dicom"
	"cordon/dicom/ul"
	"cordon/policy"
)

// mirror proposes the granted contexts to those who serve them and returns the
// response for whoever opened the association. It returns a rejection if all of
// them rejected the association for good. While an archive is away, it answers
// from what the archive accepted before, unless nothing is to be kept for that
// archive; a device that is away is not represented: the archive keeps its
// objects.
func (s *session) mirror(ctx context.Context) (ul.Response, *ul.Rejection) {
	s.links = s.newLinks()
	s.dialLinks(ctx)
	rejected, away := 0, 0
	for _, l := range s.links {
		switch {
		case l.rejected != nil:
			rejected++
		case l.x == nil && s.admission.Direction == policy.FromArchive:
			return ul.Response{}, &rejectCongested
		case l.refusesNow():
			away++
		}
	}
	switch {
	case rejected > 0 && rejected == len(s.links):
		return ul.Response{}, s.links[0].rejected
	case away > 0 && rejected+away == len(s.links):
		return ul.Response{}, &rejectCongested
	}
	return s.response(), nil
}

// dialLinks opens all links at once.
func (s *session) dialLinks(ctx context.Context) {
	var dialling sync.WaitGroup
	for _, l := range s.links {
		dialling.Go(func() { // ends within the connect timeout
			defer s.g.survive("association with " + l.to.upstream.Name)
			_, _, err := l.exchange(ctx)
			if isPermanent(err) {
				errors.As(err, &l.rejected)
			}
			if err != nil {
				s.log.Warn("cannot be reached now", "archive", l.to.upstream.Name, "error", err)
			}
		})
	}
	dialling.Wait()
}

// newLinks makes a link to everybody who serves a granted context, in the order
// of the contexts.
func (s *session) newLinks() []*link {
	var links []*link
	for i, c := range s.rq.Contexts {
		grant := s.admission.Contexts[i]
		readable := readable(c.TransferSyntaxes)
		to := s.server(grant)
		if to == nil || len(readable) == 0 {
			continue
		}
		at := slices.IndexFunc(links, func(l *link) bool { return l.to == to })
		if at < 0 {
			at = len(links)
			links = append(links, s.newLink(to))
		}
		rq := &links[at].rq
		rq.Contexts = append(rq.Contexts, ul.ProposedContext{ID: c.ID, AbstractSyntax: c.AbstractSyntax, TransferSyntaxes: readable})
		s.passOn(rq, c.AbstractSyntax, grant.Roles)
	}
	return links
}

// newLink is a link without a context. Whoever is called sees the title of
// whoever calls.
func (s *session) newLink(to *archive) *link {
	l := &link{s: s, to: to, getting: make(chan struct{}, 1), places: make(chan struct{}, windowLimit)}
	l.rq = ul.Request{
		Calling: s.rq.Calling,
		Called:  to.upstream.AETitle,
		Async:   proposedWindow(s.rq.Async),
	}
	if s.detour.called() == to.upstream.Name {
		l.rq.Called = s.rq.Called // as it was before anything stood between them
	}
	if s.admission.UserIdentity != policy.IdentityStrip {
		l.rq.UserIdentity = s.rq.UserIdentity
	}
	return l
}

// server is who serves a context, or nil: the gateway itself, or nobody.
func (s *session) server(grant policy.Grant) *archive {
	switch {
	case grant.Reason != policy.Granted || s.local(grant.Service):
		return nil
	case s.admission.Direction == policy.FromArchive:
		to, _ := s.g.outlet(s.admission.Destination)
		return to
	}
	return s.g.archives[grant.Archive]
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

// agree narrows what the other sides are asked for from here on to what was
// answered.
func (s *session) agree() {
	for _, l := range s.links {
		l.agree(s.down.Conn().Association())
	}
}

// response answers the association's request with what the other sides
// answered.
func (s *session) response() ul.Response {
	var rs ul.Response
	for i, c := range s.rq.Contexts {
		rs.Contexts = append(rs.Contexts, s.answerContext(c, s.admission.Contexts[i]))
	}
	rs.Async = s.answeredWindow()
	s.answerRoles(&rs)
	for _, l := range s.links {
		if l.x == nil {
			continue
		}
		theirs := l.x.Conn().Association().Response()
		for _, e := range theirs.Extended {
			if l.proposes(e.SOPClass) && extends(e) {
				rs.Extended = append(rs.Extended, e)
			}
		}
		if rs.UserIdentity == nil && l.rq.UserIdentity != nil {
			rs.UserIdentity = theirs.UserIdentity
		}
	}
	return rs
}

// answerContext answers one proposed context (PS3.8 table 9-18).
func (s *session) answerContext(c ul.ProposedContext, grant policy.Grant) ul.AcceptedContext {
	answer := ul.AcceptedContext{ID: c.ID, Result: ul.TransferSyntaxesNotSupported}
	l := s.linkOf(c.ID)
	switch {
	case grant.Reason == policy.NotImplemented, grant.Reason == policy.NotServed,
		grant.Service == policy.ServiceCommit && (s.g.parts.Commitment == nil || c.AbstractSyntax != dicom.StorageCommitmentPushModel):
		answer.Result = ul.AbstractSyntaxNotSupported
	case grant.Reason != policy.Granted, l != nil && l.rejected != nil:
		answer.Result = ul.UserRejection
	case s.local(grant.Service):
		return s.answerLocal(c, answer)
	case s.returned(grant):
		if can := readable(c.TransferSyntaxes); len(can) > 0 {
			return ul.AcceptedContext{ID: c.ID, TransferSyntax: can[0]}
		}
	case l == nil: // nothing readable was proposed
	case l.x != nil:
		if a, ok := l.accepted(c.ID); ok {
			return a
		}
	case l.refusesNow():
		answer.Result = ul.NoReason
	default:
		if ts, ok := s.g.memory.choose(l.to.upstream.Name, s.rq.Calling, c.AbstractSyntax, readable(c.TransferSyntaxes)); ok {
			return ul.AcceptedContext{ID: c.ID, TransferSyntax: ts}
		}
	}
	return answer
}

// answerLocal accepts the first uncompressed transfer syntax.
func (s *session) answerLocal(c ul.ProposedContext, otherwise ul.AcceptedContext) ul.AcceptedContext {
	for _, ts := range c.TransferSyntaxes {
		if ts == dicom.ImplicitVRLittleEndian || ts == dicom.ExplicitVRLittleEndian {
			return ul.AcceptedContext{ID: c.ID, TransferSyntax: ts}
		}
	}
	return otherwise
}
