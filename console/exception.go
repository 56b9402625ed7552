package console

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"cordon/custody"
	"cordon/dicom"
	"cordon/exception"
	"cordon/policy"
)

// ExceptionRequest is what a person asks about an exception. Device, CallingAE,
// Address, Finding and Place are for a proposal, Days is for an approval.
type ExceptionRequest struct {
	By     string `json:"by"` // as asserted; nobody logs in yet
	Reason string `json:"reason"`

	Device    string `json:"device,omitempty"`     // a declared one, or
	CallingAE string `json:"calling_ae,omitempty"` // a learned one
	Address   string `json:"address,omitempty"`
	Finding   string `json:"finding,omitempty"`
	Place     string `json:"place,omitempty"` // a tag path; "" means anywhere

	Days int `json:"days,omitempty"` // that it lasts; a year if 0
}

func (r ExceptionRequest) custody() custody.Request {
	return custody.Request{By: r.By, Reason: r.Reason}
}

// origin is the device that a proposal is about: declared or learned, not both.
func (r ExceptionRequest) origin() (policy.Origin, error) {
	if r.Device != "" && (r.CallingAE != "" || r.Address != "") {
		return policy.Origin{}, fmt.Errorf("%w: a declared device, or a learned one's AE title and address, not both", errRequest)
	}
	o := policy.Origin{Device: r.Device}
	if r.Device != "" {
		return o, nil
	}
	var err error
	if o.CallingAE, err = dicom.ParseAETitle(r.CallingAE); err != nil {
		return o, fmt.Errorf("%w: a device's name, or a learned one's AE title and address: %w", errRequest, err)
	}
	if o.Address, err = netip.ParseAddr(r.Address); err != nil {
		return o, fmt.Errorf("%w: %w", errRequest, err)
	}
	return o, nil
}

// exceptions writes all exceptions and proposals, the oldest first.
func (c *Console) exceptions(w http.ResponseWriter, r *http.Request) {
	all, err := c.parts.Exceptions.List(r.Context())
	if err != nil {
		refuse(w, err)
		return
	}
	out := newLines(w)
	for _, e := range all {
		if out.write(e) != nil {
			return // the reader has gone
		}
	}
}

// exception answers a request about an exception with what act makes of it.
func (c *Console) exception(act func(ctx context.Context, id string, rq ExceptionRequest) (exception.Exception, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var rq ExceptionRequest
		err := read(w, r, &rq)
		var e exception.Exception
		if err == nil {
			e, err = act(r.Context(), r.PathValue("id"), rq)
		}
		if err != nil {
			refuse(w, err)
			return
		}
		reply(w, e)
	}
}

func (c *Console) propose(ctx context.Context, _ string, rq ExceptionRequest) (exception.Exception, error) {
	o, err := rq.origin()
	if err != nil {
		return exception.Exception{}, err
	}
	return c.parts.Exceptions.Propose(ctx, o, rq.Finding, rq.Place, rq.custody())
}

func (c *Console) approve(ctx context.Context, id string, rq ExceptionRequest) (exception.Exception, error) {
	const day = 24 * time.Hour
	if rq.Days < 0 || rq.Days > int(exception.MaxTerm/day) {
		return exception.Exception{}, fmt.Errorf("%w: an exception lasts for 1 to %d days", errRequest, exception.MaxTerm/day)
	}
	return c.parts.Exceptions.Approve(ctx, id, rq.custody(), time.Duration(rq.Days)*day)
}

func (c *Console) revoke(ctx context.Context, id string, rq ExceptionRequest) (exception.Exception, error) {
	return c.parts.Exceptions.Revoke(ctx, id, rq.custody())
}
