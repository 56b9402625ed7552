package gateway

import (
	"context"
	"net/netip"

	"cordon/custody"
	"cordon/dicom/dimse"
	"cordon/judge"
	"cordon/transfer"
)

// newTransfers gathers what an association moves; its id is "" for a delivery
// from the spool.
func newTransfers(g *Gateway, association string) *transfer.Transfers {
	return transfer.New(transfer.Parts{DB: g.parts.DB, Ledger: g.parts.Ledger, Log: g.parts.Log}, map[string]string{"association": association})
}

// The ways that objects take.

// host is the address of the other end of a socket, without the port.
func host(c *dimse.Conn) string {
	at := c.Association().RemoteAddr().String()
	if ap, err := netip.ParseAddrPort(at); err == nil {
		return ap.Addr().Unmap().WithZone("").String()
	}
	return at
}

// wayIn is how the object came here.
func (o *object) wayIn() transfer.Way {
	s := o.session
	w := transfer.Way{Study: clip(o.report.Identity.StudyInstanceUID, maxUID), Direction: transfer.Received}
	switch {
	case o.from != s.down: // of a C-GET
		w.Peer, w.Title = o.link.to.upstream.Name, string(o.link.to.upstream.AETitle)
		w.Address, w.Own = host(o.from.Conn()), string(s.rq.Calling)
		return w
	case o.out != nil:
		w.Peer = o.out.archive
	default:
		w.Peer = s.admission.Device
	}
	w.Title, w.Address, w.Own = string(s.rq.Calling), s.peer.String(), string(s.rq.Called)
	return w
}

// wayOut is how it goes on, on an association.
func (o *object) wayOut(x *dimse.Exchange) transfer.Way {
	s := o.session
	w := transfer.Way{Study: clip(o.report.Identity.StudyInstanceUID, maxUID), Direction: transfer.Sent, Address: host(x.Conn())}
	if x == s.down {
		w.Peer, w.Title, w.Own = o.out.device, string(s.rq.Calling), string(s.rq.Called)
		return w
	}
	w.Peer, w.Title, w.Own = o.link.to.upstream.Name, string(o.link.to.upstream.AETitle), string(s.rq.Calling)
	if device, ok := isOutlet(w.Peer); ok {
		w.Peer = device
	}
	return w
}

// wayOf is how an object of the spool goes to its archive.
func wayOf(o custody.Object, a *archive, up *dimse.Conn) transfer.Way {
	name := a.upstream.Name
	if device, ok := isOutlet(name); ok {
		name = device
	}
	return transfer.Way{
		Study: clip(o.StudyInstanceUID, maxUID), Direction: transfer.Sent,
		Peer: name, Title: string(a.upstream.AETitle), Address: host(up), Own: o.CallingAE,
	}
}

// count counts the object as it is answered to whoever sent it.
func (o *object) count(status dimse.Status, why string) {
	o.session.moved.Add(o.wayIn(), o.patient, o.message.Command.AffectedSOPClassUID, status, why)
}

// countUnread counts an object that was refused before it was read: nobody knows
// of which study it was.
func (s *session) countUnread(from *dimse.Exchange, m *dimse.Message, status dimse.Status, why string) {
	w := transfer.Way{Direction: transfer.Received, Peer: s.admission.Device, Title: string(s.rq.Calling), Address: host(from.Conn()), Own: string(s.rq.Called)}
	s.moved.Add(w, judge.Patient{}, m.Command.AffectedSOPClassUID, status, why)
}

// refuse refuses an object that was read.
func (o *object) refuse(ctx context.Context, status dimse.Status, comment string) error {
	o.count(status, comment)
	return o.session.refuse(ctx, o.from, o.message, status, comment)
}
