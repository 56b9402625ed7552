package gateway

import (
	"encoding/binary"
	"slices"

	"cordon/dicom"
	"cordon/dicom/ul"
	"cordon/policy"
)

// proposedRoles are the roles that a request proposes for a SOP class; the
// zero Roles are none, which means the default (PS3.7 §D.3.3.4).
func proposedRoles(rq *ul.Request, class dicom.UID) policy.Roles {
	for _, r := range rq.Roles {
		if r.SOPClass == class {
			return policy.Roles{SCU: r.SCU, SCP: r.SCP}
		}
	}
	return policy.Roles{}
}

// passOn adds to rq what the session's own request says of a SOP class: roles,
// as far as they were granted, and extended negotiation.
func (s *session) passOn(rq *ul.Request, class dicom.UID, granted policy.Roles) {
	if proposedRoles(s.rq, class) != (policy.Roles{}) && proposedRoles(rq, class) == (policy.Roles{}) {
		rq.Roles = append(rq.Roles, ul.RoleSelection{SOPClass: class, SCU: granted.SCU, SCP: granted.SCP})
	}
	said := func(e ul.ExtendedNegotiation) bool { return e.SOPClass == class && extends(e) }
	if !slices.ContainsFunc(rq.Extended, said) {
		for _, e := range s.rq.Extended {
			if said(e) {
				rq.Extended = append(rq.Extended, e)
			}
		}
	}
	for _, item := range s.rq.Unknown {
		already := slices.ContainsFunc(rq.Unknown, func(u ul.SubItem) bool { return commonExtended(u) == class })
		if commonExtended(item) == class && !already && len(item.Data) <= maxCommonExtended {
			rq.Unknown = append(rq.Unknown, item)
		}
	}
}

// Negotiation is not judged, so that no more of it goes on than the standard has
// use for: a few bytes of application information (PS3.4 §B.3.1, §C.5), and the
// names of a service class and some related SOP classes.
const (
	maxExtended       = 64
	maxCommonExtended = 4 << 10
)

// extends reports whether an extended negotiation is passed on.
func extends(e ul.ExtendedNegotiation) bool { return len(e.Information) <= maxExtended }

// itemCommonExtended is a SOP class common extended negotiation sub-item
// (PS3.7 §D.3.3.6). Only requests have one.
const itemCommonExtended = 0x57

// commonExtended is the SOP class that a common extended negotiation is about,
// or "".
func commonExtended(item ul.SubItem) dicom.UID {
	if item.Type != itemCommonExtended || len(item.Data) < 2 {
		return ""
	}
	n := int(binary.BigEndian.Uint16(item.Data))
	if len(item.Data)-2 < n {
		return ""
	}
	return dicom.TrimUID(item.Data[2 : 2+n])
}

// answerRoles answers the proposed roles: with what the other side answered,
// or, for what the gateway answers for itself, with what was granted. No answer
// means the default roles, which is right for an archive that is away.
func (s *session) answerRoles(rs *ul.Response) {
	for _, r := range s.rq.Roles {
		i := slices.IndexFunc(s.rq.Contexts, func(c ul.ProposedContext) bool { return c.AbstractSyntax == r.SOPClass })
		if i < 0 || rs.Contexts[i].Result != ul.Acceptance {
			continue
		}
		grant := s.admission.Contexts[i]
		l := s.linkOf(grant.ID)
		switch {
		case s.local(grant.Service):
			inbound := s.admission.Direction == policy.Inbound
			rs.Roles = append(rs.Roles, ul.RoleSelection{SOPClass: r.SOPClass, SCU: r.SCU && inbound, SCP: r.SCP && !inbound})
		case l != nil && l.x != nil:
			rs.Roles = append(rs.Roles, answeredRoles(l.x.Conn().Association(), r.SOPClass)...)
		}
	}
}

// answeredRoles is the other side's answer about a SOP class, if it gave one.
func answeredRoles(as *ul.Association, class dicom.UID) []ul.RoleSelection {
	for _, r := range as.Response().Roles {
		if r.SOPClass == class {
			return []ul.RoleSelection{r}
		}
	}
	return nil
}

// proposes reports whether the other side was asked for a SOP class.
func (l *link) proposes(class dicom.UID) bool {
	return slices.ContainsFunc(l.rq.Contexts, func(c ul.ProposedContext) bool { return c.AbstractSyntax == class })
}

// proposedWindow is the asynchronous operations window that the other side is
// asked for when one was proposed to us (PS3.7 §D.3.3.3): no more than we use.
func proposedWindow(w *ul.AsyncWindow) *ul.AsyncWindow {
	if w == nil {
		return nil
	}
	return &ul.AsyncWindow{Invoked: uint16(window(w.Invoked)), Performed: uint16(window(w.Performed))}
}

// answeredWindow answers a proposed window. The operations of several are
// performed at a time whatever the archive takes at a time: they are received
// and judged meanwhile, and sent on as its own window has places.
func (s *session) answeredWindow() *ul.AsyncWindow { return proposedWindow(s.rq.Async) }
