package console

import (
	"context"
	"net/http"

	"cordon/asset"
	"cordon/custody"
)

// DeviceRequest is what a person decides about a device. All but By and Reason
// are for an approval.
type DeviceRequest struct {
	By     string `json:"by"` // as asserted; nobody logs in yet
	Reason string `json:"reason"`
	Name   string `json:"name,omitempty"` // what it is called from now on; "": as it is
	Port   uint16 `json:"port,omitempty"` // where it listens; 0: as it is

	PortTLS bool `json:"port_tls,omitempty"` // it listens there with TLS
	asset.Scope
}

func (r DeviceRequest) custody() custody.Request {
	return custody.Request{By: r.By, Reason: r.Reason}
}

// deviceList writes all devices: those of the configuration, those that people
// decided on, the learned ones.
func (c *Console) deviceList(w http.ResponseWriter, r *http.Request) {
	all, err := c.parts.Devices.List(r.Context())
	if err != nil {
		refuse(w, err)
		return
	}
	out := newLines(w)
	for _, d := range all {
		if out.write(d) != nil {
			return // the reader has gone
		}
	}
}

// deviceShow writes everything about one device; ?hours, ?implementation and
// ?refused, if true, say what its proposal is to hold.
func (c *Console) deviceShow(w http.ResponseWriter, r *http.Request) {
	asked := func(what string) bool { return r.URL.Query().Get(what) == "true" }
	d, err := c.parts.Devices.Show(r.Context(), r.PathValue("name"), asset.Scope{
		Hours: asked("hours"), Implementation: asked("implementation"), Refused: asked("refused"),
	})
	if err != nil {
		refuse(w, err)
		return
	}
	reply(w, d)
}

// device answers a decision about a device with what the device is then.
func (c *Console) device(decide func(ctx context.Context, name string, rq DeviceRequest) (asset.Detail, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var rq DeviceRequest
		err := read(w, r, &rq)
		var d asset.Detail
		if err == nil {
			d, err = decide(r.Context(), r.PathValue("name"), rq)
		}
		if err != nil {
			refuse(w, err)
			return
		}
		reply(w, d)
	}
}

func (c *Console) deviceApprove(ctx context.Context, name string, rq DeviceRequest) (asset.Detail, error) {
	return c.parts.Devices.Approve(ctx, name, asset.Approval{Request: rq.custody(), Scope: rq.Scope, Name: rq.Name, Port: rq.Port, PortTLS: rq.PortTLS})
}

func (c *Console) deviceDeny(ctx context.Context, name string, rq DeviceRequest) (asset.Detail, error) {
	return c.parts.Devices.Deny(ctx, name, rq.custody())
}
