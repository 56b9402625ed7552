package gateway

import (
	"cordon/custody"
	"cordon/finding"
)

// bypassed reports whether inspection's verdict is set aside for this device now.
func (s *session) bypassed() bool {
	covers := s.g.parts.Bypassed
	return covers != nil && covers(s.admission.Device, string(s.rq.Calling))
}

// leaveCopy hands an object that passed without every engine's word, or under a
// bypass, to whoever judges it again later. It has been delivered, or is durable
// here and will be: whatever becomes of the copy changes nothing for the sender.
func (o *object) leaveCopy() {
	leave := o.session.g.parts.Passed
	if leave != nil && (o.bypassed || unscanned(o.report.Engines)) {
		leave(o.buffer, o.row(custody.Spooled), o.bypassed)
	}
}

// unscanned reports whether an engine has not scanned all of the object.
func unscanned(es []finding.EngineResult) bool {
	for _, e := range es {
		if e.Result == finding.Unscanned {
			return true
		}
	}
	return false
}
