package device

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"cordon/asset"
	"cordon/console/answer"
	"cordon/custody"
	"cordon/dicom"
	"cordon/exception"
	"cordon/people"
)

// Bounds of one page.
const (
	maxUses  = 200
	maxPaths = 100
)

// detail is what the page of one device shows.
type detail struct {
	asset.Detail
	Said    asset.Inventory
	Flows   []asset.Flow
	Own     string // the flows that people declared, as they are typed
	Habits  []habit
	Paths   []Path
	Watched bool // somebody watches the network
	Level   string
	Has     []fact // what it may do
	Least   []fact // what it would get
	Did     []use
	More    int  // uses that are not listed
	Decides bool // the configuration has not decided already
	Scope   asset.Scope
	Form    form
}

// Origin is what its objects are recorded as from (custody.Object.Origin).
func (d detail) Origin() string {
	if d.Permissions == nil {
		return string(d.AETitle)
	}
	return d.Name
}

// fact is a line of what is permitted.
type fact struct {
	Key    string // of a text
	Values []string
}

// use is one thing that a device was seen to do, in words.
type use struct {
	asset.Use
	Word string
}

// form is what somebody typed, and what is wrong with it.
type form struct {
	Action string
	Values url.Values
	Error  string
}

// Is reports whether a form is the one that was typed.
func (f form) Is(action string) bool { return f.Action == action && f.Error != "" }

// Was is what was typed into a field of a form, or else what is known.
func (f form) Was(action, field, known string) string {
	if f.Is(action) {
		return f.Values.Get(field)
	}
	return known
}

func (s *pages) showOne(w http.ResponseWriter, r *http.Request) {
	d, err := s.gather(r.Context(), r.PathValue("name"), scopeOf(r.URL.Query()))
	if err != nil {
		s.View.Refuse(w, r, err)
		return
	}
	s.one.Show(w, r, d)
}

func scopeOf(v url.Values) asset.Scope {
	return asset.Scope{Hours: v.Get("hours") != "", Implementation: v.Get("implementation") != "", Refused: v.Get("refused") != ""}
}

// gather is all that there is to say about a device, to who may see it.
func (s *pages) gather(ctx context.Context, name string, scope asset.Scope) (d detail, err error) {
	if err := s.seen(ctx, name); err != nil {
		return d, err
	}
	if d.Detail, err = s.Devices.Show(ctx, name, scope); err != nil {
		return d, err
	}
	name = d.Name
	d.Scope = scope
	if d.Said, err = s.Devices.Inventory(ctx, name); err != nil {
		return d, err
	}
	if d.Flows, err = s.Devices.Flows(ctx, name); err != nil {
		return d, err
	}
	d.Own = typedFlows(d.Flows)
	if d.Habits, err = s.habitsOf(ctx, d.Detail); err != nil {
		return d, err
	}
	if s.Paths != nil {
		d.Watched = true
		if d.Paths, err = s.Paths(ctx, name); err != nil {
			return d, err
		}
		d.Paths = d.Paths[:min(len(d.Paths), maxPaths)]
	}
	if s.Level != nil {
		d.Level = s.Level(name)
	}
	d.describe()
	return d, nil
}

// describe puts permissions and uses into words.
func (d *detail) describe() {
	if d.Permissions != nil {
		d.Has = facts(*d.Permissions)
	}
	d.Least = facts(d.Proposal)
	d.Decides = d.State != asset.Declared && d.State != asset.Superseded
	for _, u := range d.Uses {
		switch u.Kind {
		case asset.Hour, asset.Asked, asset.AskedDestination: // told in other words
			continue
		}
		if len(d.Did) == maxUses {
			d.More++
			continue
		}
		d.Did = append(d.Did, use{u, named(u)})
	}
}

// named is a use's value, a UID by its name.
func named(u asset.Use) string {
	switch u.Kind {
	case asset.SOPClass, asset.TransferSyntax:
		return uidName(dicom.UID(u.Value))
	}
	return u.Value
}

func uidName(u dicom.UID) string {
	if known, ok := dicom.LookupUID(u); ok && known.Name != "" {
		return known.Name
	}
	return string(u)
}

// facts are permissions in the order in which people ask for them.
func facts(p asset.Permissions) []fact {
	var classes []string
	for _, c := range p.SOPClasses {
		classes = append(classes, uidName(c))
	}
	tls := ""
	if p.TLSRequired {
		tls = "required"
	}
	port := ""
	if p.Port > 0 {
		port = strconv.Itoa(int(p.Port))
		if p.PortTLS {
			port += " (TLS)"
		}
	}
	monitor := ""
	if p.Monitor {
		monitor = "monitor"
	}
	all := []fact{
		{"ae", some(string(p.AETitle))}, {"addresses", texts(p.Addresses)}, {"certificates", p.Certificates}, {"tls", some(tls)},
		{"implementation", some(string(p.Implementation))}, {"may", texts(p.May)}, {"classes", classes}, {"archives", p.Archives},
		{"move_to", texts(p.MoveTo)}, {"hours", p.Hours}, {"archive", some(p.Archive)}, {"also", p.Also}, {"port", some(port)}, {"mode", some(monitor)},
	}
	return slices.DeleteFunc(all, func(f fact) bool { return len(f.Values) == 0 })
}

func some(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

func texts[T any](all []T) (out []string) {
	for _, v := range all {
		out = append(out, fmt.Sprint(v))
	}
	return out
}

// The decisions about a device, as their addresses have them.
const (
	approve  = "approve"
	deny     = "deny"
	describe = "inventory"
	declare  = "flows"
)

// maxForm bounds the body of a form, in bytes.
const maxForm = 128 << 10

// form performs a decision. If it cannot be, what was typed stays, with why.
func (s *pages) form(action string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		err := r.ParseForm()
		if err != nil {
			err = fmt.Errorf("%w: %w", answer.ErrRequest, err)
		}
		if err == nil {
			err = s.seen(r.Context(), name)
		}
		var by string
		if err == nil {
			by, err = people.From(r.Context()).By(r.PostFormValue("by"))
		}
		if err == nil {
			name, err = s.perform(r.Context(), action, name, r.PostForm, custody.Request{By: by, Reason: r.PostFormValue("reason")})
		}
		if err == nil {
			s.View.Back(w, r, "/devices/"+url.PathEscape(name), "device.said.by."+action)
			return
		}
		d, gathering := s.gather(r.Context(), r.PathValue("name"), scopeOf(r.PostForm))
		if gathering != nil {
			s.View.Refuse(w, r, gathering)
			return
		}
		d.Form = form{action, r.PostForm, err.Error()}
		s.one.Again(w, r, err, d)
	}
}

// perform does what a form asks for, and returns what the device is called then.
func (s *pages) perform(ctx context.Context, action, name string, v url.Values, rq custody.Request) (string, error) {
	switch action {
	case approve:
		a := asset.Approval{Request: rq, Scope: scopeOf(v), Name: strings.TrimSpace(v.Get("name")), PortTLS: v.Get("port_tls") != ""}
		if text := strings.TrimSpace(v.Get("port")); text != "" {
			port, err := strconv.ParseUint(text, 10, 16)
			if err != nil {
				return name, fmt.Errorf("%w: port %.20q: expected a number up to 65535", answer.ErrRequest, text)
			}
			a.Port = uint16(port)
		}
		d, err := s.Devices.Approve(ctx, name, a)
		return cmp.Or(d.Name, name), err
	case deny:
		_, err := s.Devices.Deny(ctx, name, rq)
		return name, err
	case describe:
		return name, s.Devices.SetInventory(ctx, name, inventoryIn(v), rq)
	}
	flows, err := ReadFlows(v.Get("flows"))
	if err != nil {
		return name, err
	}
	return name, s.Devices.SetFlows(ctx, name, asset.FromPeople, flows, rq)
}

// inventoryIn reads the fields of a form, which are named as the columns of a table.
func inventoryIn(form url.Values) (v asset.Inventory) {
	for i := range columns {
		columns[i].set(&v, strings.TrimSpace(strings.ReplaceAll(form.Get(columns[i].name), "\r\n", "\n")))
	}
	return v
}

// Fields are the inventory as a form shows it.
func (d detail) Fields() (all []field) {
	for i := range columns {
		c := &columns[i]
		all = append(all, field{c.name, d.Form.Was(describe, c.name, c.get(d.Said))})
	}
	return all
}

type field struct{ Name, Value string }

// Told reports whether anybody has said what the device is.
func (d detail) Told() bool { return !reflect.DeepEqual(d.Said, asset.Inventory{}) }

// habit is an exception of a device, or a proposal.
type habit struct {
	exception.Exception
	Title string
}

// habitsOf are the exceptions of one device: by its name, or while it is learned by
// title and address.
func (s *pages) habitsOf(ctx context.Context, d asset.Detail) (out []habit, err error) {
	if s.Exceptions == nil {
		return nil, nil
	}
	all, err := s.Exceptions.List(ctx)
	for _, e := range all {
		own := e.Device == d.Name || e.Device == "" && e.CallingAE == string(d.AETitle) && slices.Contains(d.Addresses, e.Address)
		if own {
			out = append(out, habitIn(e))
		}
	}
	return out, err
}
