// Package containment is the console's view of containment: the red button with its
// preview, what is contained, restoring with proof, and rules for switches that
// Cordon does not reach.
//
//	all = append(all, containment.Routes(containment.Parts{Contained: c, View: v, …})...)
//
// It decides nothing: contain does.
package containment

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"cordon/console/answer"
	"cordon/console/route"
	"cordon/console/view"
	"cordon/contain"
	"cordon/custody"
	"cordon/firewall"
	"cordon/people"
)

// Parts are what the routes work on.
type Parts struct {
	Contained *contain.Containments
	View      *view.View
	Gateways  func() []netip.AddrPort // this machine's addresses and image ports, for exports
	Pass      func(ctx context.Context, device string, rq custody.Request) (int, error)
	Waiting   func(ctx context.Context, device string) (n int, since time.Time, err error) // objects to be scanned
	Firewall  func(context.Context) (firewall.State, error)
	Reapply   func(context.Context) error
}

// Request is what a person asks for about a device.
type Request struct {
	By     string `json:"by,omitempty"`
	Reason string `json:"reason"`
	Level  string `json:"level,omitempty"` // observe, image_only, cut
	For    string `json:"for,omitempty"`   // "4h"; "": until it is restored
}

// Asserted is the name at the control socket.
func (r *Request) Asserted() *string { return &r.By }

func (r Request) custody() custody.Request { return custody.Request{By: r.By, Reason: r.Reason} }

// lasts reads a time such as 4h or 7d.
func (r Request) lasts() (time.Duration, error) {
	if r.For == "" {
		return 0, nil
	}
	if n := len(r.For); n > 1 && r.For[n-1] == 'd' {
		if days, err := strconv.Atoi(r.For[:n-1]); err == nil && days > 0 && days <= 90 {
			return time.Duration(days) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(r.For)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%w: for %.20q: expected a time such as 4h or 7d, or nothing for until it is restored", answer.ErrRequest, r.For)
	}
	return d, nil
}

// Restoring is what a person says about a device that is clean.
type Restoring struct {
	Request
	contain.Proof
}

// Passed says how many objects were let pass unscanned.
type Passed struct {
	Objects int `json:"objects"`
}

// Exported is a text for an enforcement point that a person looks after.
type Exported struct {
	Format contain.Format `json:"format"`
	Text   string         `json:"text"`
}

// Done is the answer to what has no other.
type Done struct {
	Done bool `json:"done"`
}

// example is a request as the description of the interface shows it.
var example = Request{By: "Ada Ashe", Reason: "scans the network on port 445", Level: "image_only", For: "4h"}

// Routes are the routes of containment.
func Routes(p Parts) []route.Route {
	const one = "/api/v1/devices/{name}"
	levelParam := route.Param{Name: "level", Summary: "observe, image_only (if left out) or cut", Example: "image_only"}
	return append(p.pages(), []route.Route{
		{Method: "GET", Pattern: "/api/v1/containments", May: people.NetworkRead, Handler: p.list, Doc: route.Doc{
			Summary: "List containments, the latest first", Response: contain.Containment{}, Lines: true,
			Query: []route.Param{{Name: "now", Summary: "only those in force", Example: "true"}},
		}},
		{Method: "GET", Pattern: "/api/v1/containments/proposals", May: people.NetworkRead, Handler: p.proposals, Doc: route.Doc{
			Summary: "List containments that are proposed and wait for a person", Response: contain.Proposal{}, Lines: true,
			Query: []route.Param{{Name: "all", Summary: "also what people answered", Example: "true"}},
		}},
		{Method: "GET", Pattern: "/api/v1/containments/{id}/evidence/{sha256}", May: people.NetworkRead, Handler: p.evidence, Doc: route.Doc{
			Summary: "A file of the proof that a device was clean", Media: "application/octet-stream",
		}},
		{Method: "GET", Pattern: one + "/containment/preview", May: people.NetworkRead, Handler: p.preview, Doc: route.Doc{
			Summary: "What a containment would stop, and what would go on", Response: contain.Preview{}, Query: []route.Param{levelParam},
		}},
		{Method: "GET", Pattern: one + "/containment/export", May: people.NetworkRead, Handler: p.export, Doc: route.Doc{
			Summary: "What a containment means, for a switch that a person looks after", Response: Exported{},
			Query: []route.Param{levelParam, {Name: "format", Summary: "acl, table or mud", Example: "acl"}},
		}},
		p.said(one+"/contain", "Contain a device, or change the level and end of its containment", contain.Containment{}, example, func(r *http.Request, rq Request) (any, error) { return p.contain(r, rq) }),
		p.said(one+"/containment/extend", "Give a containment another end", contain.Containment{}, Request{By: "Ada Ashe", Reason: "vendor comes tomorrow", For: "24h"}, p.extend),
		p.said(one+"/containment/confirm", "Say yes to a containment that is proposed", contain.Containment{}, Request{By: "Ada Ashe", Reason: "looked at the evidence"}, p.confirm),
		p.said(one+"/containment/dismiss", "Say no to a containment that is proposed", Done{}, Request{By: "Ada Ashe", Reason: "a planned backup"}, p.dismiss),
		p.said(one+"/containment/pass", "Deliver what waits to be scanned of a contained device, unscanned", Passed{}, Request{By: "Ada Ashe", Reason: "engine is down, the surgeon waits"}, p.pass),
		{Method: "POST", Pattern: one + "/restore", May: people.Contain, Fresh: true, Asserted: true, Handler: p.restore, Doc: route.Doc{
			Summary: "Say how a contained device was found to be clean; with the second person it is restored", Request: Restoring{}, Response: custody.Decision{},
			Example: Restoring{Request: Request{By: "Ada Ashe", Reason: "cleaned by the vendor"}, Proof: contain.Proof{Checked: "system disk scanned offline, nothing found", Tool: "ClamAV 1.4.3", Signatures: "27800"}},
		}},
		{Method: "GET", Pattern: "/api/v1/firewall", May: people.NetworkRead, Handler: p.firewall, Doc: route.Doc{
			Summary: "The packet rules as the kernel has them", Response: firewall.State{},
		}},
		{Method: "POST", Pattern: "/api/v1/firewall/apply", May: people.Contain, Asserted: true, Handler: p.apply, Doc: route.Doc{
			Summary: "Write the packet rules again, after somebody else changed them", Request: Request{}, Response: firewall.State{}, Example: Request{By: "Ada Ashe", Reason: "the other program is removed"},
		}},
	}...)
}

// said is a route of a decision about a device.
func (p Parts) said(pattern, summary string, response any, example Request, do func(r *http.Request, rq Request) (any, error)) route.Route {
	return route.Route{
		Method: "POST", Pattern: pattern, May: people.Contain, Fresh: true, Asserted: true,
		Doc: route.Doc{Summary: summary, Request: Request{}, Response: response, Example: example},
		Handler: func(w http.ResponseWriter, r *http.Request) {
			var rq Request
			err := answer.Read(w, r, &rq)
			var out any
			if err == nil {
				out, err = do(r, rq)
			}
			if err != nil {
				answer.Refuse(w, err)
				return
			}
			answer.JSON(w, out)
		},
	}
}

func (p Parts) contain(r *http.Request, rq Request) (contain.Containment, error) {
	lasts, err := rq.lasts()
	if err != nil {
		return contain.Containment{}, err
	}
	return p.Contained.Contain(r.Context(), contain.Order{Device: r.PathValue("name"), Level: level(rq.Level), For: lasts, Request: rq.custody()})
}

// level is what a request says, or what is usual.
func level(text string) firewall.Level {
	if text == "" {
		return firewall.ImageOnly
	}
	return firewall.Level(text)
}

func (p Parts) extend(r *http.Request, rq Request) (any, error) {
	lasts, err := rq.lasts()
	if err != nil {
		return nil, err
	}
	return p.Contained.Extend(r.Context(), r.PathValue("name"), lasts, rq.custody())
}

func (p Parts) confirm(r *http.Request, rq Request) (any, error) {
	return p.Contained.Confirm(r.Context(), r.PathValue("name"), rq.custody())
}

func (p Parts) dismiss(r *http.Request, rq Request) (any, error) {
	return Done{true}, p.Contained.Dismiss(r.Context(), r.PathValue("name"), rq.custody())
}

func (p Parts) pass(r *http.Request, rq Request) (any, error) {
	asked, err := rq.custody().Check()
	if err != nil {
		return nil, err
	}
	n, err := p.Pass(r.Context(), r.PathValue("name"), asked)
	return Passed{n}, err
}

func (p Parts) restore(w http.ResponseWriter, r *http.Request) {
	var rq Restoring
	err := answer.ReadUpTo(w, r, &rq, contain.MaxProof*3/2) // files are in base64
	var d custody.Decision
	if err == nil {
		d, err = p.Contained.Restore(r.Context(), r.PathValue("name"), rq.Proof, rq.custody())
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, d)
}

func (p Parts) list(w http.ResponseWriter, r *http.Request) {
	all, err := p.Contained.List(r.Context())
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	if r.URL.Query().Get("now") == "true" {
		all = slices.DeleteFunc(all, func(c contain.Containment) bool { return !c.Over.IsZero() })
	}
	answer.List(w, all)
}

func (p Parts) proposals(w http.ResponseWriter, r *http.Request) {
	all, err := p.Contained.Proposals(r.Context(), r.URL.Query().Get("all") == "true")
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.List(w, all)
}

func (p Parts) preview(w http.ResponseWriter, r *http.Request) {
	out, err := p.Contained.Preview(r.Context(), r.PathValue("name"), level(r.URL.Query().Get("level")))
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, out)
}

func (p Parts) export(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	f := contain.Format(q.Get("format"))
	if f == "" {
		f = contain.ACL
	}
	text, err := p.Contained.Export(r.Context(), r.PathValue("name"), level(q.Get("level")), f, p.Gateways())
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, Exported{f, text})
}

func (p Parts) evidence(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		answer.Refuse(w, fmt.Errorf("%w: %.20q is no number of a containment", answer.ErrRequest, r.PathValue("id")))
		return
	}
	f, err := p.Contained.Attached(r.Context(), id, r.PathValue("sha256"))
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", "attachment")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Write(f.Data)
}

func (p Parts) firewall(w http.ResponseWriter, r *http.Request) {
	s, err := p.Firewall(r.Context())
	if err != nil && s.Why == "" {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, s)
}

func (p Parts) apply(w http.ResponseWriter, r *http.Request) {
	var rq Request
	err := answer.Read(w, r, &rq)
	if err == nil {
		_, err = rq.custody().Check()
	}
	if err == nil {
		err = p.Reapply(r.Context())
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	p.firewall(w, r)
}

// attached reads the files of a form.
func attached(r *http.Request) (out []contain.Evidence, err error) {
	if r.MultipartForm == nil {
		return nil, nil
	}
	for _, h := range r.MultipartForm.File["files"] {
		f, err := h.Open()
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(io.LimitReader(f, contain.MaxProof))
		f.Close()
		if err != nil {
			return nil, err
		}
		if len(data) > 0 {
			out = append(out, contain.Evidence{Name: h.Filename, Data: data})
		}
	}
	return out, nil
}
