package gateway

import (
	"time"

	"cordon/asset"
	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/metric"
	"cordon/policy"
)

// observe tells the register of devices what a device uses: a message that was
// let through. why is what shadow let pass about it.
func (s *session) observe(m *dimse.Message, destination dicom.AETitle, why ...policy.Objection) {
	grant, _ := s.grant(m.ContextID)
	s.tell(asset.Observation{
		Service:        grant.Service,
		SOPClass:       m.Context.AbstractSyntax,
		TransferSyntax: m.Context.TransferSyntax,
		Archive:        grant.Archive,
		Destination:    destination,
		WouldRefuse:    why,
	})
}

// observeAssociation tells it that a device associated, or was refused to, and
// what of that was refused or would have been.
func (s *session) observeAssociation() {
	o := asset.Observation{Refusal: s.admission.Refusal, Refused: s.refusedContexts(), WouldRefuse: s.admission.WouldRefuse}
	if o.Refusal != policy.NotRefused {
		for _, c := range s.asked.Contexts {
			o.Asked = append(o.Asked, c.AbstractSyntax)
		}
	}
	s.tell(o)
}

func (s *session) tell(o asset.Observation) {
	if s.g.parts.Observe == nil || s.admission.Direction == policy.FromArchive {
		return
	}
	o.At = time.Now()
	o.Peer = asset.Peer{
		Device:                s.admission.Device,
		Calling:               s.asked.Calling,
		Called:                s.asked.Called,
		Address:               s.asked.Address,
		TLS:                   s.asked.TLS,
		Certificate:           s.asked.Certificate,
		Implementation:        s.asked.Implementation,
		ImplementationVersion: s.rq.ImplementationVersionName,
	}
	s.g.parts.Observe(o)
}

// refusedContexts lists the contexts that the device may not use.
func (s *session) refusedContexts() []policy.Objection {
	var out []policy.Objection
	for i, g := range s.admission.Contexts {
		if g.Reason == policy.NotPermitted || g.Reason == policy.ClassNotPermitted {
			class := s.asked.Contexts[i].AbstractSyntax
			out = append(out, policy.Objection{Context: g.ID, Reason: g.Reason, Service: policy.ServiceOf(class), SOPClass: class})
		}
	}
	return out
}

// maxReasons bounds the objections in one record.
const maxReasons = 16

// reasons says what was refused, or would have been, for a record.
func reasons(os []policy.Objection) []string {
	out := []string{}
	for _, o := range os[:min(len(os), maxReasons)] {
		out = append(out, clip(o.String(), maxWhy))
	}
	return out
}

// wouldRefuse records what shadow let pass, at a bounded rate for each peer: the
// register of devices counts all of it.
func (s *session) wouldRefuse(os ...policy.Objection) {
	if len(os) == 0 {
		return
	}
	device := s.admission.Device
	if device == "" {
		device = "undeclared"
	}
	s.g.parts.Metrics.Count(metric.WouldRefuse, 1, device)
	omitted, ok := s.g.objections.Take(s.peer, time.Now())
	if !ok {
		return
	}
	body := s.who(map[string]any{"reasons": reasons(os)})
	if omitted > 0 {
		body["omitted"] = omitted
	}
	s.g.parts.Ledger.Note("admission.would_refuse", body)
}
