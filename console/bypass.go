package console

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"cordon/bypass"
	"cordon/console/answer"
	"cordon/console/route"
	"cordon/people"
)

// BypassRequest asks for a bypass, or for its end.
type BypassRequest struct {
	Device string `json:"device,omitempty"` // name or AE title; "" means every device
	For    string `json:"for,omitempty"`    // such as 30m; to start one
	By     string `json:"by"`               // as asserted
	Reason string `json:"reason,omitempty"` // to start one
}

// Asserted is the name that it is made under.
func (r *BypassRequest) Asserted() *string { return &r.By }

// bypassRoutes are those of the emergency override.
func (c *Console) bypassRoutes() []route.Route {
	if c.parts.Bypass == nil {
		return nil
	}
	return []route.Route{
		{Method: "GET", Pattern: "/api/v1/bypass", May: people.FlowRead, Handler: c.bypassList, Doc: route.Doc{
			Summary: "What is delivered whatever is found in it, and until when", Response: bypass.Bypass{}, Lines: true}},
		{Method: "POST", Pattern: "/api/v1/bypass", May: people.BypassChange, Fresh: true, Asserted: true, Handler: c.bypassStart, Doc: route.Doc{
			Summary: "Deliver whatever is found, of one device or of all, for a while", Request: BypassRequest{}, Response: bypass.Bypass{}, Example: BypassRequest{For: "30m", By: "A. Able", Reason: "the emergency department waits"}}},
		{Method: "POST", Pattern: "/api/v1/bypass/off", May: people.BypassChange, Asserted: true, Handler: c.bypassStop, Doc: route.Doc{
			Summary: "End the override", Request: BypassRequest{}, Response: []bypass.Bypass{}, Example: BypassRequest{By: "A. Able"}}},
	}
}

// bypassList writes what is on.
func (c *Console) bypassList(w http.ResponseWriter, r *http.Request) {
	out := answer.NewLines(w)
	for _, one := range c.bypasses() {
		if err := out.Write(one); err != nil {
			return // the reader has gone
		}
	}
}

func (c *Console) bypasses() []bypass.Bypass {
	if c.parts.Bypass == nil {
		return nil
	}
	return c.parts.Bypass.On()
}

func (c *Console) bypassStart(w http.ResponseWriter, r *http.Request) {
	var rq BypassRequest
	if err := answer.Read(w, r, &rq); err != nil {
		answer.Refuse(w, err)
		return
	}
	d, err := time.ParseDuration(rq.For)
	if err != nil {
		answer.Refuse(w, fmt.Errorf("%w: %q is not a time such as 30m or 2h", answer.ErrRequest, rq.For))
		return
	}
	if err := c.knows(r, rq.Device); err != nil {
		answer.Refuse(w, err)
		return
	}
	one, err := c.parts.Bypass.Start(r.Context(), bypass.Request{Device: rq.Device, For: d, By: rq.By, Reason: rq.Reason})
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, one)
}

// knows is an error if no device has that name or AE title: a bypass that covers
// nothing helps nobody. Without a flow nobody can tell.
func (c *Console) knows(r *http.Request, device string) error {
	if device == "" || c.config.Flow == nil {
		return nil
	}
	flow, err := c.config.Flow(r.Context())
	if err != nil {
		return err
	}
	for _, d := range flow.Devices {
		if d.Name != "" && strings.EqualFold(d.Name, device) || d.AETitle == device {
			return nil
		}
	}
	return fmt.Errorf("%w: no device has the name or AE title %.64q; cordon status lists them", answer.ErrRequest, device)
}

func (c *Console) bypassStop(w http.ResponseWriter, r *http.Request) {
	var rq BypassRequest
	if err := answer.Read(w, r, &rq); err != nil {
		answer.Refuse(w, err)
		return
	}
	ended, err := c.parts.Bypass.Stop(r.Context(), rq.Device, rq.By)
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, ended)
}
