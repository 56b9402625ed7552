package console

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"cordon/console/answer"
	"cordon/console/route"
	"cordon/custody"
	"cordon/dicom"
	"cordon/exception"
	"cordon/people"
	"cordon/policy"
)

// exceptionRoutes are those of the habits of devices.
func (c *Console) exceptionRoutes() []route.Route {
	return []route.Route{
		{Method: "GET", Pattern: "/api/v1/exceptions", May: people.DeviceRead, Handler: c.exceptions, Doc: route.Doc{
			Summary: "The exceptions and proposals, the oldest first", Response: exception.Exception{}, Lines: true}},
		{Method: "POST", Pattern: "/api/v1/exceptions", May: people.DeviceChange, Handler: c.exception(c.propose), Doc: route.Doc{
			Summary: "Propose an exception", Request: ExceptionRequest{}, Response: exception.Exception{},
			Example: ExceptionRequest{By: "A. Able", Reason: "the vendor confirms it in writing", Device: "CT1", Finding: "encrypted-document"}}},
		{Method: "POST", Pattern: "/api/v1/exceptions/{id}/approve", May: people.DeviceChange, Fresh: true, Handler: c.exception(c.approve), Doc: route.Doc{
			Summary: "Approve an exception that another person proposed", Request: ExceptionRequest{}, Response: exception.Exception{}, Example: ExceptionRequest{By: "B. Best", Reason: "agreed", Days: 90}}},
		{Method: "POST", Pattern: "/api/v1/exceptions/{id}/revoke", May: people.DeviceChange, Handler: c.exception(c.revoke), Doc: route.Doc{
			Summary: "End an exception", Request: ExceptionRequest{}, Response: exception.Exception{}, Example: ExceptionRequest{By: "B. Best", Reason: "the device is gone"}}},
	}
}

// ExceptionRequest is what a person asks about an exception. Device, CallingAE,
// Address, Finding and Place are for a proposal, Days is for an approval.
type ExceptionRequest struct {
	By     string `json:"by"` // of whoever signed in; at the control socket, as asserted
	Reason string `json:"reason"`

	Device    string `json:"device,omitempty"`     // a declared one, or
	CallingAE string `json:"calling_ae,omitempty"` // a learned one
	Address   string `json:"address,omitempty"`
	Finding   string `json:"finding,omitempty"`
	Place     string `json:"place,omitempty"` // a tag path; "" means anywhere

	Days int `json:"days,omitempty"` // that it lasts; a year if 0
}

// Asserted is the name that it is made under.
func (r *ExceptionRequest) Asserted() *string { return &r.By }

func (r ExceptionRequest) custody() custody.Request {
	return custody.Request{By: r.By, Reason: r.Reason}
}

// origin is the device that a proposal is about: declared or learned, not both.
func (r ExceptionRequest) origin() (policy.Origin, error) {
	if r.Device != "" && (r.CallingAE != "" || r.Address != "") {
		return policy.Origin{}, fmt.Errorf("%w: a declared device, or a learned one's AE title and address, not both", answer.ErrRequest)
	}
	o := policy.Origin{Device: r.Device}
	if r.Device != "" {
		return o, nil
	}
	var err error
	if o.CallingAE, err = dicom.ParseAETitle(r.CallingAE); err != nil {
		return o, fmt.Errorf("%w: a device's name, or a learned one's AE title and address: %w", answer.ErrRequest, err)
	}
	if o.Address, err = netip.ParseAddr(r.Address); err != nil {
		return o, fmt.Errorf("%w: %w", answer.ErrRequest, err)
	}
	return o, nil
}

// exceptions writes all exceptions and proposals, the oldest first; to a vendor
// those of its products alone.
func (c *Console) exceptions(w http.ResponseWriter, r *http.Request) {
	all, err := c.parts.Exceptions.List(r.Context())
	if id := people.From(r.Context()); err == nil && !id.Sees("", "") { // a vendor
		all, err = c.ofProducts(r.Context(), id, all)
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.List(w, all)
}

// ofProducts leaves the exceptions of devices that somebody sees.
func (c *Console) ofProducts(ctx context.Context, id people.Identity, all []exception.Exception) ([]exception.Exception, error) {
	what, err := c.parts.Devices.Inventories(ctx)
	return slices.DeleteFunc(all, func(e exception.Exception) bool {
		i, known := what[e.Device]
		return !known || !id.Sees(i.Vendor, i.Model)
	}), err
}

// exception answers a request about an exception with what act makes of it.
func (c *Console) exception(act func(ctx context.Context, id string, rq ExceptionRequest) (exception.Exception, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var rq ExceptionRequest
		err := answer.Read(w, r, &rq)
		var e exception.Exception
		if err == nil {
			e, err = act(r.Context(), r.PathValue("id"), rq)
		}
		if err != nil {
			answer.Refuse(w, err)
			return
		}
		answer.JSON(w, e)
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
		return exception.Exception{}, fmt.Errorf("%w: an exception lasts for 1 to %d days", answer.ErrRequest, exception.MaxTerm/day)
	}
	return c.parts.Exceptions.Approve(ctx, id, rq.custody(), time.Duration(rq.Days)*day)
}

func (c *Console) revoke(ctx context.Context, id string, rq ExceptionRequest) (exception.Exception, error) {
	return c.parts.Exceptions.Revoke(ctx, id, rq.custody())
}
