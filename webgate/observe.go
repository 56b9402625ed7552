package webgate

import (
	"time"

	"cordon/asset"
	"cordon/dicom"
	"cordon/policy"
)

// observeVisit tells the register of devices, once in a visit, that a peer came;
// a visit is to it what an association is.
func (rq *request) observeVisit() {
	rq.visit.told.Do(func() { rq.tell(asset.Observation{}) })
}

// observe tells it what a request was for, and what of that was refused or would
// have been.
func (rq *request) observe() {
	ad := rq.admission
	o := asset.Observation{Refusal: ad.Refusal, WouldRefuse: ad.WouldRefuse}
	if ad.Refusal == policy.NotRefused {
		o.Service, o.Archive = rq.route.service, ad.Archive
	}
	if ad.Reason != policy.Granted {
		o.Refused = []policy.Objection{{Reason: ad.Reason, Service: rq.route.service}}
	}
	rq.tell(o)
}

// tell says who did it: a device, or a peer that could become one. Somebody with a
// token is a person, and nobody approves persons; whoever else is turned away did
// not say who it is.
func (rq *request) tell(o asset.Observation) {
	ad := rq.admission
	could := ad.Learned || ad.Refusal == policy.UnknownDevice
	if rq.s.parts.Observe == nil || ad.Device == "" && (!could || rq.peer.Subject != "") {
		return
	}
	o.At = time.Now()
	o.Peer = asset.Peer{
		Device:      ad.Device,
		Calling:     rq.title(),
		Address:     rq.peer.Address,
		TLS:         rq.peer.TLS,
		Certificate: rq.peer.Certificate,
	}
	rq.s.parts.Observe(o)
}

// title is the peer's own AE title, or "".
func (rq *request) title() dicom.AETitle {
	site := rq.s.config.Site()
	device, _ := site.Device(rq.admission.Device)
	return device.AETitle
}
