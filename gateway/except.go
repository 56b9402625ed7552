package gateway

import (
	"time"

	"cordon/judge"
	"cordon/policy"
)

// origin is who opened the association.
func (s *session) origin() policy.Origin {
	return policy.Origin{Device: s.admission.Device, CallingAE: s.rq.Calling, Address: s.peer}
}

// theirOrigin is an archive as the origin of what it answers and sends: what is
// excepted for it is excepted under its name.
func (s *session) theirOrigin(archive string) policy.Origin { return policy.Origin{Device: archive} }

// origin is who sent the object.
func (o *object) origin() policy.Origin {
	if o.out != nil {
		return o.session.theirOrigin(o.out.archive)
	}
	return o.session.origin()
}

// excepting adds to a source what is approved for its origin. An object under
// way keeps what was approved when it began.
func (s *session) excepting(origin policy.Origin, from judge.Source) judge.Source {
	from.Origin = origin
	from.Exceptions = s.g.parts.Exceptions.For(origin, time.Now())
	return from
}

// notice proposes exceptions for what alone kept the object back, or would have
// but for monitor mode. held is its id in the vault, or "".
func (o *object) notice(held string) {
	s := o.session
	s.g.parts.Exceptions.Noticed(o.origin(), held, s.g.parts.Judge.Tolerable(o.report), func(err error) {
		s.log.Error("what may be excepted is not counted", "error", err)
	})
}
