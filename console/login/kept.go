package login

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"cordon/console/answer"
	"cordon/console/guard"
	"cordon/console/view"
	"cordon/people"
)

// Kept is a form that came too late, to be sent once more.
type Kept struct {
	To     string // its path
	Fields []Field
}

// Field is one of its values.
type Field struct{ Name, Value string }

// The most that is kept of a form.
const (
	maxFields = 200
	maxForm   = answer.MaxRequest
)

// keep keeps the form of a request, but for what nobody should see.
func keep(r *http.Request, form url.Values) *Kept {
	k := &Kept{To: r.URL.Path}
	for _, name := range sorted(form) {
		if strings.Contains(name, "password") || strings.Contains(name, "secret") {
			continue
		}
		for _, value := range form[name] {
			if k.Fields = append(k.Fields, Field{name, value}); len(k.Fields) == maxFields {
				return k
			}
		}
	}
	return k
}

func sorted(form url.Values) (names []string) {
	for name := range form {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

const keptPrefix = "kept."

// keptIn finds what a page to sign in has kept, nil if there is nothing.
func keptIn(form url.Values) *Kept {
	to := form.Get("kept")
	if to == "" || local(to) != to {
		return nil
	}
	k := &Kept{To: to}
	for _, name := range sorted(form) {
		field, ok := strings.CutPrefix(name, keptPrefix)
		for _, value := range form[name] {
			if ok && len(k.Fields) < maxFields {
				k.Fields = append(k.Fields, Field{field, value})
			}
		}
	}
	return k
}

// local is where a browser may be sent: a path of this console's, else its first
// page. What browsers take for another host's address begins with two slashes, of
// either kind.
func local(then string) string {
	u, err := url.Parse(then)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(then, "/") ||
		strings.HasPrefix(then, "//") || strings.ContainsAny(then, "\\\t\r\n\x00") || strings.HasPrefix(u.Path, "//") || strings.HasPrefix(u.Path, `/\`) {
		return "/"
	}
	return then
}

// parse reads a form of a bounded size.
func parse(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm+maxForm/2)
	if err := r.ParseForm(); err != nil {
		answer.Say(w, http.StatusBadRequest, "the form cannot be read, or is too long")
		return false
	}
	return true
}

// Refuse answers a request for a page that the guard has turned away.
func (l *Login) Refuse(w http.ResponseWriter, r *http.Request, why guard.Refusal) {
	switch {
	case why.Status == http.StatusForbidden:
		l.forbid(w, r, why)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		l.send(w, r, why)
	default:
		l.hold(w, r, why)
	}
}

// forbid says who may what somebody may not. Whose roles do not show the first page
// of all, a vendor's, is sent to the first page of theirs.
func (l *Login) forbid(w http.ResponseWriter, r *http.Request, why guard.Refusal) {
	if home := view.Home(why.Who); r.URL.Path == "/" && home != "/" {
		http.Redirect(w, r, home, http.StatusSeeOther)
		return
	}
	l.pages.forbidden.Again(w, r, people.ErrRole, struct {
		Who    people.Identity
		Having []string
		Takes  []people.Role
	}{why.Who, people.Having(why.Needed), takes(why.Who, why.Needed)})
}

// takes are the roles with which somebody may, and that they could take.
func takes(id people.Identity, p people.Permission) (out []people.Role) {
	for _, role := range taking(id) {
		if role.May(p) {
			out = append(out, role)
		}
	}
	return out
}

// send sends a browser to the page to sign in, and back from there. A link on a page
// of another site, such as web mail, has the browser keep its cookie to itself for the
// first request; the same request from a page of ours is sent with it.
func (l *Login) send(w http.ResponseWriter, r *http.Request, why guard.Refusal) {
	to := "/login?then=" + url.QueryEscape(r.URL.RequestURI())
	if why.Again {
		to = "/again?then=" + url.QueryEscape(r.URL.RequestURI())
	}
	switch {
	case r.Header.Get("HX-Request") != "":
		w.Header().Set("HX-Redirect", to)
		w.WriteHeader(http.StatusUnauthorized)
	case r.Header.Get("Accept") == "text/event-stream" || r.Header.Get("Cordon-Quiet") != "":
		answer.Say(w, why.Status, why.Says)
	case r.Header.Get("Sec-Fetch-Site") == "cross-site" && r.Header.Get("Sec-Fetch-Mode") == "navigate":
		l.leadOn(w, local(r.URL.RequestURI()))
	default:
		http.Redirect(w, r, to, http.StatusSeeOther)
	}
}

// hold shows a page to sign in that has the form. One with files is not kept: the page
// says how to get back to it.
func (l *Login) hold(w http.ResponseWriter, r *http.Request, why guard.Refusal) {
	p := l.loginPage(r)
	switch kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); kind {
	case "multipart/form-data":
		p.Files = true
	case "application/x-www-form-urlencoded", "":
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			answer.Say(w, http.StatusRequestEntityTooLarge, why.Says+"; then send the form again")
			return
		}
		p.Kept = keep(r, r.PostForm)
	default:
		answer.Say(w, why.Status, why.Says+"; then send the form again")
		return
	}
	p.Then = local(r.Header.Get("HX-Current-URL"))
	err := people.ErrDenied
	if r.Header.Get("HX-Request") != "" { // htmx shows no page of an error, and would put this one in a part
		w.Header().Set("HX-Retarget", "body")
		w.Header().Set("HX-Reswap", "innerHTML")
		err = nil
	}
	if why.Again {
		l.showAgain(w, r, why.Who, p, err)
		return
	}
	show(l.pages.login, w, r, err, p)
}

// showAgain shows the page on which who is signed in says again who they are.
func (l *Login) showAgain(w http.ResponseWriter, r *http.Request, id people.Identity, p loginPage, why error) {
	v, err := l.Accounts.Get(r.Context(), id.Name)
	if err != nil {
		l.View.Refuse(w, r, err)
		return
	}
	p.Who, p.Password = id, v.Password
	p.Passkeys = p.Passkeys && v.Passkeys > 0
	if v.Issuer == "" || v.Issuer != p.Issuer {
		p.Issuer = ""
	}
	show(l.pages.again, w, r, why, p)
}

// show shows a page with the status of an error, if there is one.
func show(p *view.Page, w http.ResponseWriter, r *http.Request, err error, data any) {
	if err != nil {
		p.Again(w, r, err, data)
		return
	}
	p.Show(w, r, data)
}

func (l *Login) againPage(w http.ResponseWriter, r *http.Request) {
	p := l.loginPage(r)
	p.Then = local(r.URL.Query().Get("then"))
	l.showAgain(w, r, people.From(r.Context()), p, nil)
}

// again takes the password of who is signed in.
func (l *Login) again(w http.ResponseWriter, r *http.Request) {
	if !parse(w, r) {
		return
	}
	id := people.From(r.Context())
	p := l.loginPage(r)
	p.Then, p.Kept = local(r.PostForm.Get("then")), keptIn(r.PostForm)
	e, err := l.Accounts.Again(r.Context(), id, r.PostForm.Get("password"), origin(r))
	switch {
	case err == nil:
		guard.Keep(w, r, e.Secret, "", 0)
		l.goOn(w, r, p.Then, p.Kept)
	case answer.Status(err) == http.StatusInternalServerError:
		l.View.Refuse(w, r, err)
	default:
		p.Error = err.Error()
		l.showAgain(w, r, id, p, err)
	}
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d.Seconds()) + 1) }
