package console

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"cordon/bypass"
)

// BypassRequest asks for a bypass, or for its end.
type BypassRequest struct {
	Device string `json:"device,omitempty"` // name or AE title; "" means every device
	For    string `json:"for,omitempty"`    // such as 30m; to start one
	By     string `json:"by"`               // as asserted
	Reason string `json:"reason,omitempty"` // to start one
}

// bypassList writes what is on.
func (c *Console) bypassList(w http.ResponseWriter, r *http.Request) {
	out := newLines(w)
	for _, one := range c.bypasses() {
		if err := out.write(one); err != nil {
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
	if err := read(w, r, &rq); err != nil {
		refuse(w, err)
		return
	}
	d, err := time.ParseDuration(rq.For)
	if err != nil {
		refuse(w, fmt.Errorf("%w: %q is not a time such as 30m or 2h", errRequest, rq.For))
		return
	}
	if err := c.knows(r, rq.Device); err != nil {
		refuse(w, err)
		return
	}
	one, err := c.parts.Bypass.Start(r.Context(), bypass.Request{Device: rq.Device, For: d, By: rq.By, Reason: rq.Reason})
	if err != nil {
		refuse(w, err)
		return
	}
	reply(w, one)
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
	return fmt.Errorf("%w: no device has the name or AE title %.64q; cordon status lists them", errRequest, device)
}

func (c *Console) bypassStop(w http.ResponseWriter, r *http.Request) {
	var rq BypassRequest
	if err := read(w, r, &rq); err != nil {
		refuse(w, err)
		return
	}
	ended, err := c.parts.Bypass.Stop(r.Context(), rq.Device, rq.By)
	if err != nil {
		refuse(w, err)
		return
	}
	reply(w, ended)
}
