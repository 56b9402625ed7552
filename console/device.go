package console

import (
	"context"
	"net/http"

	"cordon/asset"
	"cordon/console/answer"
	"cordon/console/route"
	"cordon/custody"
	"cordon/people"
)

// deviceRoutes are those of the register of devices.
func (c *Console) deviceRoutes() []route.Route {
	return []route.Route{
		{Method: "GET", Pattern: "/api/v1/devices", May: people.DeviceRead, Handler: c.deviceList, Doc: route.Doc{
			Summary: "The devices: declared, decided on, learned", Response: asset.Device{}, Lines: true}},
		{Method: "GET", Pattern: "/api/v1/devices/{name}", May: people.DeviceRead, Handler: c.deviceShow, Doc: route.Doc{
			Summary: "All about one device, and what it may be given", Response: asset.Detail{},
			Query: []route.Param{
				{Name: "hours", Summary: "true: the proposal holds its hours", Example: "true"},
				{Name: "implementation", Summary: "true: the proposal holds its implementation", Example: "true"},
				{Name: "refused", Summary: "true: the proposal holds what it was refused", Example: "true"},
			}}},
		{Method: "POST", Pattern: "/api/v1/devices/{name}/approve", May: people.DeviceChange, Fresh: true, Handler: c.device(c.deviceApprove), Doc: route.Doc{
			Summary: "Approve a device: what it was seen to do is what it may do", Request: DeviceRequest{}, Response: asset.Detail{}, Example: DeviceRequest{By: "A. Able", Reason: "the new ultrasound", Name: "US3"}}},
		{Method: "POST", Pattern: "/api/v1/devices/{name}/deny", May: people.DeviceChange, Handler: c.device(c.deviceDeny), Doc: route.Doc{
			Summary: "Turn a device away from now on", Request: DeviceRequest{}, Response: asset.Detail{}, Example: DeviceRequest{By: "A. Able", Reason: "nobody knows it"}}},
	}
}

// DeviceRequest is what a person decides about a device. All but By and Reason
// are for an approval.
type DeviceRequest struct {
	By     string `json:"by"` // of whoever signed in; at the control socket, as asserted
	Reason string `json:"reason"`
	Name   string `json:"name,omitempty"` // what it is called from now on; "": as it is
	Port   uint16 `json:"port,omitempty"` // where it listens; 0: as it is

	PortTLS bool `json:"port_tls,omitempty"` // it listens there with TLS
	asset.Scope
}

// Asserted is the name that it is made under.
func (r *DeviceRequest) Asserted() *string { return &r.By }

func (r DeviceRequest) custody() custody.Request {
	return custody.Request{By: r.By, Reason: r.Reason}
}

// deviceList writes all devices: those of the configuration, those that people
// decided on, the learned ones.
func (c *Console) deviceList(w http.ResponseWriter, r *http.Request) {
	all, err := c.parts.Devices.List(r.Context())
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	out := answer.NewLines(w)
	for _, d := range all {
		if out.Write(d) != nil {
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
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, d)
}

// device answers a decision about a device with what the device is then.
func (c *Console) device(decide func(ctx context.Context, name string, rq DeviceRequest) (asset.Detail, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var rq DeviceRequest
		err := answer.Read(w, r, &rq)
		var d asset.Detail
		if err == nil {
			d, err = decide(r.Context(), r.PathValue("name"), rq)
		}
		if err != nil {
			answer.Refuse(w, err)
			return
		}
		answer.JSON(w, d)
	}
}

func (c *Console) deviceApprove(ctx context.Context, name string, rq DeviceRequest) (asset.Detail, error) {
	return c.parts.Devices.Approve(ctx, name, asset.Approval{Request: rq.custody(), Scope: rq.Scope, Name: rq.Name, Port: rq.Port, PortTLS: rq.PortTLS})
}

func (c *Console) deviceDeny(ctx context.Context, name string, rq DeviceRequest) (asset.Detail, error) {
	return c.parts.Devices.Deny(ctx, name, rq.custody())
}
