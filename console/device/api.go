package device

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"cordon/asset"
	"cordon/console/answer"
	"cordon/console/route"
	"cordon/custody"
	"cordon/people"
)

// Request is what a person decides about a device. All but By and Reason are for
// an approval.
type Request struct {
	By     string `json:"by"` // of whoever signed in; at the control socket, as asserted
	Reason string `json:"reason"`
	Name   string `json:"name,omitempty"` // what it is called from now on; "": as it is
	Port   uint16 `json:"port,omitempty"` // where it listens; 0: as it is

	PortTLS bool `json:"port_tls,omitempty"` // it listens there with TLS
	asset.Scope
}

// Asserted is the name that it is made under.
func (r *Request) Asserted() *string { return &r.By }

func (r Request) custody() custody.Request { return custody.Request{By: r.By, Reason: r.Reason} }

// Description is what a person says that a device is.
type Description struct {
	By     string `json:"by"`
	Reason string `json:"reason"`
	asset.Inventory
}

// Asserted is the name that it is made under.
func (r *Description) Asserted() *string { return &r.By }

// Flows is what a person says that a device talks to, in the place of what people
// said before.
type Flows struct {
	By     string       `json:"by"`
	Reason string       `json:"reason"`
	Flows  []asset.Flow `json:"flows"`
}

// Asserted is the name that it is made under.
func (r *Flows) Asserted() *string { return &r.By }

// API is what the interface has of the register of devices.
func API(p Parts) []route.Route {
	h := &handlers{p}
	return []route.Route{
		{Method: "GET", Pattern: "/api/v1/devices", May: people.DeviceRead, Handler: h.list, Doc: route.Doc{
			Summary: "The devices: declared, decided on, learned", Response: asset.Device{}, Lines: true}},
		{Method: "GET", Pattern: "/api/v1/devices/{name}", May: people.DeviceRead, Handler: h.show, Doc: route.Doc{
			Summary: "All about one device, and what it may be given", Response: asset.Detail{},
			Query: []route.Param{
				{Name: "hours", Summary: "true: the proposal holds its hours", Example: "true"},
				{Name: "implementation", Summary: "true: the proposal holds its implementation", Example: "true"},
				{Name: "refused", Summary: "true: the proposal holds what it was refused", Example: "true"},
			}}},
		{Method: "POST", Pattern: "/api/v1/devices/{name}/approve", May: people.DeviceChange, Fresh: true, Handler: decision(h.approve), Doc: route.Doc{
			Summary: "Approve a device: what it was seen to do is what it may do", Request: Request{}, Response: asset.Detail{}, Example: Request{By: "A. Able", Reason: "the new ultrasound", Name: "US3"}}},
		{Method: "POST", Pattern: "/api/v1/devices/{name}/deny", May: people.DeviceChange, Fresh: true, Handler: decision(h.deny), Doc: route.Doc{
			Summary: "Turn a device away from now on", Request: Request{}, Response: asset.Detail{}, Example: Request{By: "A. Able", Reason: "nobody knows it"}}},
		{Method: "GET", Pattern: "/api/v1/devices/{name}/inventory", May: people.DeviceRead, Handler: h.inventory, Doc: route.Doc{
			Summary: "What people say that a device is", Response: asset.Inventory{}}},
		{Method: "POST", Pattern: "/api/v1/devices/{name}/inventory", May: people.DeviceChange, Handler: decision(h.describe), Doc: route.Doc{
			Summary: "Say what a device is, in the place of what was said before", Request: Description{}, Response: asset.Inventory{},
			Example: Description{By: "A. Able", Reason: "moved", Inventory: asset.Inventory{Vendor: "Acme", Model: "Echo 3", Location: "Room 3", Criticality: asset.High}}}},
		{Method: "GET", Pattern: "/api/v1/devices/{name}/flows", May: people.DeviceRead, Handler: h.flows, Doc: route.Doc{
			Summary: "What a device is declared to talk to, by whomever", Response: asset.Flow{}, Lines: true}},
		{Method: "POST", Pattern: "/api/v1/devices/{name}/flows", May: people.DeviceChange, Handler: decision(h.setFlows), Doc: route.Doc{
			Summary: "Say what a device talks to, in the place of what people said before", Request: Flows{}, Response: []asset.Flow{},
			Example: Flows{By: "A. Able", Reason: "the vendor's list", Flows: []asset.Flow{{Purpose: "dicom", Protocol: "tcp", Port: 11112, Needed: true}}}}},
		{Method: "GET", Pattern: "/api/v1/register", May: people.DeviceRead, Handler: h.export, Doc: route.Doc{
			Summary: "What people say that all devices are, as a table (docs/devices.md)", Media: "text/csv"}},
		{Method: "POST", Pattern: "/api/v1/register", May: people.DeviceChange, Handler: h.load, Doc: route.Doc{
			Summary: "What a table of devices changes, row by row; with apply, change it", Request: Table{}, Response: Import{},
			Example: Table{By: "A. Able", Reason: "the yearly inventory", CSV: "name,vendor,model\nus-1,Acme,Echo 3\n"}}},
	}
}

// Table is a table of devices that is brought in.
type Table struct {
	By     string `json:"by"`
	Reason string `json:"reason,omitempty"` // needed to apply it
	CSV    string `json:"csv"`              // in UTF-8; docs/devices.md has the columns
	Apply  bool   `json:"apply,omitempty"`  // else it is only said what would change
}

// Asserted is the name that it is made under.
func (t *Table) Asserted() *string { return &t.By }

// handlers are those of the interface.
type handlers struct{ Parts }

// sees reports whether whoever asks may see a device: a vendor its own products.
func sees(ctx context.Context, v asset.Inventory) bool {
	return people.From(ctx).Sees(v.Vendor, v.Model)
}

// seen is an error if whoever asks may not see the device: to them it is not there.
func (p Parts) seen(ctx context.Context, name string) error {
	v, err := p.Devices.Inventory(ctx, name)
	if err == nil && !sees(ctx, v) {
		err = fmt.Errorf("%w: %.80q", asset.ErrNotFound, name)
	}
	return err
}

// visible are the devices that whoever asks may see, and what they are.
func (p Parts) visible(ctx context.Context) ([]asset.Device, map[string]asset.Inventory, error) {
	all, err := p.Devices.List(ctx)
	if err != nil {
		return nil, nil, err
	}
	said, err := p.Devices.Inventories(ctx)
	return slices.DeleteFunc(all, func(d asset.Device) bool { return !sees(ctx, said[d.Name]) }), said, err
}

func (h *handlers) list(w http.ResponseWriter, r *http.Request) {
	all, _, err := h.visible(r.Context())
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.List(w, all)
}

// show writes everything about one device; ?hours, ?implementation and ?refused, if
// true, say what its proposal is to hold.
func (h *handlers) show(w http.ResponseWriter, r *http.Request) {
	asked := func(what string) bool { return r.URL.Query().Get(what) == "true" }
	h.reply(w, r, func(ctx context.Context, name string) (any, error) {
		return h.Devices.Show(ctx, name, asset.Scope{Hours: asked("hours"), Implementation: asked("implementation"), Refused: asked("refused")})
	})
}

func (h *handlers) inventory(w http.ResponseWriter, r *http.Request) {
	h.reply(w, r, func(ctx context.Context, name string) (any, error) { return h.Devices.Inventory(ctx, name) })
}

// reply answers with what is known of a device, to who may see it.
func (h *handlers) reply(w http.ResponseWriter, r *http.Request, what func(ctx context.Context, name string) (any, error)) {
	name := r.PathValue("name")
	err := h.seen(r.Context(), name)
	var v any
	if err == nil {
		v, err = what(r.Context(), name)
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, v)
}

func (h *handlers) flows(w http.ResponseWriter, r *http.Request) {
	err := h.seen(r.Context(), r.PathValue("name"))
	var all []asset.Flow
	if err == nil {
		all, err = h.Devices.Flows(r.Context(), r.PathValue("name"))
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.List(w, all)
}

// decision answers a request about a device with what it says afterwards.
func decision[Q, A any](decide func(ctx context.Context, name string, rq Q) (A, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var rq Q
		err := answer.Read(w, r, &rq)
		var a A
		if err == nil {
			a, err = decide(r.Context(), r.PathValue("name"), rq)
		}
		if err != nil {
			answer.Refuse(w, err)
			return
		}
		answer.JSON(w, a)
	}
}

func (h *handlers) approve(ctx context.Context, name string, rq Request) (asset.Detail, error) {
	return h.Devices.Approve(ctx, name, asset.Approval{Request: rq.custody(), Scope: rq.Scope, Name: rq.Name, Port: rq.Port, PortTLS: rq.PortTLS})
}

func (h *handlers) deny(ctx context.Context, name string, rq Request) (asset.Detail, error) {
	return h.Devices.Deny(ctx, name, rq.custody())
}

func (h *handlers) describe(ctx context.Context, name string, rq Description) (asset.Inventory, error) {
	err := h.Devices.SetInventory(ctx, name, rq.Inventory, custody.Request{By: rq.By, Reason: rq.Reason})
	if err != nil {
		return asset.Inventory{}, err
	}
	return h.Devices.Inventory(ctx, name)
}

func (h *handlers) setFlows(ctx context.Context, name string, rq Flows) ([]asset.Flow, error) {
	err := h.Devices.SetFlows(ctx, name, asset.FromPeople, rq.Flows, custody.Request{By: rq.By, Reason: rq.Reason})
	if err != nil {
		return nil, err
	}
	return h.Devices.Flows(ctx, name)
}

// described are the devices that whoever asks may see, as an export has them.
func (p Parts) described(ctx context.Context) (all []asset.Described, err error) {
	devices, said, err := p.visible(ctx)
	for _, d := range devices {
		all = append(all, asset.Described{Name: d.Name, Inventory: said[d.Name]})
	}
	return all, err
}

func (h *handlers) export(w http.ResponseWriter, r *http.Request) { h.writeTable(w, r) }

// writeTable gives the table of devices out as a file.
func (p Parts) writeTable(w http.ResponseWriter, r *http.Request) {
	all, err := p.described(r.Context())
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="devices.csv"`)
	_ = writeSheet(w, all) // the reader has gone
}

// load says what a table changes, or changes it. A table with faults is answered with
// them, and changes nothing.
func (h *handlers) load(w http.ResponseWriter, r *http.Request) {
	var t Table
	err := answer.ReadUpTo(w, r, &t, 2*maxCSV) // in JSON some characters are two
	var out Import
	if err == nil {
		out, err = h.imported(r.Context(), t)
	}
	if err != nil && !errors.Is(err, errFaults) {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, out)
}

// imported says what a table changes, and changes it if that is asked for and
// nothing is wrong with it.
func (p Parts) imported(ctx context.Context, t Table) (Import, error) {
	devices, said, err := p.visible(ctx)
	if err != nil {
		return Import{}, err
	}
	var known []string
	for _, d := range devices {
		known = append(known, d.Name)
	}
	out := compare(readSheet([]byte(t.CSV)), known, said)
	if !t.Apply {
		return out, nil
	}
	if len(out.Faults) > 0 {
		return out, errFaults
	}
	if len(out.described) > 0 {
		err = p.Devices.SetInventories(ctx, out.described, custody.Request{By: t.By, Reason: t.Reason})
	}
	out.Applied = err == nil
	return out, err
}
