package held

import (
	"errors"
	"fmt"
	"net/http"

	"cordon/console/answer"
	"cordon/custody"
	"cordon/people"
)

// maxForm bounds the body of a form in bytes: a reason.
const maxForm = 16 << 10

// typed reads the form, and under whose name it is.
func typed(w http.ResponseWriter, r *http.Request, action string) (form, custody.Request, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return form{Action: action}, custody.Request{}, fmt.Errorf("%w: %w", answer.ErrRequest, err)
	}
	f := form{Action: action, Reason: r.PostFormValue("reason"), Except: r.PostFormValue("except") != "", Emergency: r.PostFormValue("emergency") != ""}
	by, err := people.From(r.Context()).By(r.PostFormValue("by"))
	return f, custody.Request{By: by, Reason: f.Reason, Emergency: f.Emergency}, err
}

// decide performs a decision, and shows the object as it is then. If it cannot be,
// what was typed stays, with why, and with what others did meanwhile.
func (p *pages) decide(action string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		f, rq, err := typed(w, r, action)
		var d custody.Decision
		if err == nil {
			d, err = p.act(r.Context(), action, id, rq, f.Except)
		}
		if err != nil {
			p.again(w, r, f, err)
			return
		}
		if d.Done && p.Wake != nil {
			p.Wake()
		}
		p.View.Back(w, r, "/held/"+id, said(action, d))
	}
}

// said is the key of what was just done.
func said(action string, d custody.Decision) string {
	if !d.Done {
		return "held.said.by.asked"
	}
	return "held.said.by." + action
}

// again shows the object with the form as it was typed.
func (p *pages) again(w http.ResponseWriter, r *http.Request, f form, because error) {
	o, err := p.Custody.Get(r.Context(), r.PathValue("id"))
	if err == nil {
		err = p.seen(r, o, "page")
	}
	var i item
	if err == nil {
		i, err = p.describe(r, o)
	}
	if err != nil {
		p.refused(w, r, err)
		return
	}
	f.Error = because.Error()
	f.Meanwhile = errors.Is(because, custody.ErrState)
	i.Form = f
	p.item.Again(w, r, because, i)
}

// export gives the object out as a file to be saved, never to be shown.
func (p *pages) export(w http.ResponseWriter, r *http.Request) {
	f, rq, err := typed(w, r, "export")
	if err == nil {
		rq, err = rq.Check()
	}
	var o custody.Object
	if err == nil {
		o, err = p.Custody.Get(r.Context(), r.PathValue("id"))
	}
	if err != nil {
		p.again(w, r, f, err)
		return
	}
	head := w.Header()
	head.Set("Content-Type", "application/octet-stream")
	head.Set("Content-Disposition", `attachment; filename="`+o.ID+`.dcm"`)
	head.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	out := answer.NewStream(w)
	out.End(Export(r.Context(), p.Custody, o, rq, out))
}
