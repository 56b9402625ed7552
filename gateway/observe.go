package gateway

import (
	"net/netip"
	"time"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/policy"
)

// Observation is one use that a peer made of a service: an operation that it
// asked for and that was not refused at once.
type Observation struct {
	At             time.Time
	Device         string // the declared device's name, "" for a learned one
	Address        netip.Addr
	Calling        dicom.AETitle
	Called         dicom.AETitle
	Implementation dicom.UID
	Service        policy.Service
	Archive        string    // which serves it; "" for the gateway itself
	SOPClass       dicom.UID // of the presentation context
	Operation      dimse.CommandField
	Destination    dicom.AETitle // of a C-MOVE
}

// observe tells whoever learns what devices do.
func (s *session) observe(m *dimse.Message, destination dicom.AETitle) {
	if s.g.parts.Observe == nil || s.admission.Direction == policy.FromArchive {
		return
	}
	grant, _ := s.grant(m.ContextID)
	s.g.parts.Observe(Observation{
		At:             time.Now(),
		Device:         s.admission.Device,
		Address:        s.peer,
		Calling:        s.rq.Calling,
		Called:         s.rq.Called,
		Implementation: s.rq.ImplementationClassUID,
		Service:        grant.Service,
		Archive:        grant.Archive,
		SOPClass:       m.Context.AbstractSyntax,
		Operation:      m.Command.Field,
		Destination:    destination,
	})
}
