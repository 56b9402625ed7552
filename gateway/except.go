package gateway

import (
	"time"

	"cordon/judge"
	"cordon/policy"
)

// origin is who sends on this association.
func (s *session) origin() policy.Origin {
	return policy.Origin{Device: s.admission.Device, CallingAE: s.rq.Calling, Address: s.peer}
}

// excepting adds to a source what is approved for the device that sends it. An
// object under way keeps what was approved when it began.
func (s *session) excepting(from judge.Source) judge.Source {
	from.Origin = s.origin()
	from.Exceptions = s.g.parts.Exceptions.For(from.Origin, time.Now())
	return from
}

// notice proposes exceptions for what alone kept the object back, or would have
// but for monitor mode. held is its id in the vault, or "".
func (o *object) notice(held string) {
	s := o.session
	s.g.parts.Exceptions.Noticed(s.origin(), held, s.g.parts.Judge.Tolerable(o.report), func(err error) {
		s.log.Error("what may be excepted is not counted", "error", err)
	})
}
