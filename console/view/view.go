// Package view is what all pages of the console share: the layout, the style, the
// words, charts, and what a browser is sent beside a page.
//
// How a feature makes a page:
//
//	//go:embed held.html
//	var files embed.FS
//
//	type pages struct{ list *view.Page }
//
//	func Routes(p Parts) []route.Route {
//		s := pages{list: p.View.Page(files, "held.html")}
//		return []route.Route{{Method: "GET", Pattern: "/held", May: people.HeldRead, Handler: s.show}}
//	}
//
//	func (s pages) show(w http.ResponseWriter, r *http.Request) {
//		data, err := …
//		if err != nil { p.View.Refuse(w, r, err); return }
//		s.list.Show(w, r, data)      // the whole page; s.list.Part(w, r, "rows", data) a piece for htmx
//	}
//
// and held.html:
//
//	{{define "title"}}{{t "held.title"}}{{end}}
//	{{define "main"}}
//	<h1>{{t "held.title"}}</h1>
//	{{with .D}}…{{range .Objects}}{{ago .HeldAt}} {{bytes .Bytes}}{{end}}{{end}}
//	{{if .May "held:decide"}}<form method="post" action="/held/…/release">…</form>{{end}}
//	{{end}}
//
// In a page . is a Frame: .D is what Show was given, .Me who looks, .May what they
// may do, .Said what was just done (see Back). Functions: t (a text, with what is put
// into it), ago, clock, day, moment, bytes, thin, short, join, badge, chart, plural.
// The classes are listed at the top of static/style.css. Texts are in
// strings/<feature>.en.json, by keys that begin with the feature's name.
//
// Nothing is inline: no style, no script, no handler; the Content-Security-Policy
// allows none. Forms are plain and work without scripts. All that a page shows is
// escaped by html/template, whoever it came from.
package view

import (
	"bytes"
	"compress/gzip"
	"context"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"cordon/console/answer"
	"cordon/people"
)

// Config is what a View is told of the house.
type Config struct {
	Site    string
	Version string
	Counts  func(ctx context.Context) map[string]int // shown beside sections, by their path: "/alarms": 3; may be nil
}

// View makes pages.
type View struct {
	config Config
	words  words
	static static
	none   *Page // says what went wrong
}

//go:embed layout.html parts.html refuse.html
var templates embed.FS

// New makes a View.
func New(c Config) *View {
	v := &View{config: c, words: readWords(), static: readStatic()}
	v.none = v.Page(templates, "refuse.html")
	return v
}

// Page is one page, parsed.
type Page struct {
	view *View
	tmpl *template.Template
}

// Page parses a feature's template files together with the layout. It panics if they
// are wrong, which every test of the feature shows.
func (v *View) Page(files fs.FS, names ...string) *Page {
	t := template.Must(template.New("").Funcs(v.funcs()).ParseFS(templates, "layout.html", "parts.html"))
	return &Page{v, template.Must(t.ParseFS(files, names...))}
}

// Frame is what a template is executed with.
type Frame struct {
	D        any             // what Show was given
	Me       people.Identity // who looks
	Site     string
	Version  string
	Path     string
	Theme    string // "dark" or "light"
	Sections []Section
	Said     string // what was just done
	Now      time.Time
}

// May reports whether who looks may do something.
func (f Frame) May(p people.Permission) bool { return f.Me.May(p) }

// SignedIn reports whether somebody is.
func (f Frame) SignedIn() bool { return f.Me.Name != "" }

// With is the frame with other data, for a template that is called with a part.
func (f Frame) With(d any) Frame { f.D = d; return f }

func (v *View) frame(r *http.Request, d any) Frame {
	id := people.From(r.Context())
	f := Frame{D: d, Me: id, Site: v.config.Site, Version: v.config.Version, Path: r.URL.Path, Theme: theme(r), Said: v.said(r), Now: time.Now()}
	var counts map[string]int
	if v.config.Counts != nil && id.Name != "" {
		counts = v.config.Counts(r.Context())
	}
	f.Sections = v.sections(id, r.URL.Path, counts)
	return f
}

// Show answers with the whole page.
func (p *Page) Show(w http.ResponseWriter, r *http.Request, d any) {
	p.show(w, r, http.StatusOK, d)
}

// Again answers with the page after a form that was not right, with the status of
// the error; d holds what was typed, and the error for the person.
func (p *Page) Again(w http.ResponseWriter, r *http.Request, err error, d any) {
	p.show(w, r, answer.Status(err), d)
}

// Part answers with one block of the page, for htmx.
func (p *Page) Part(w http.ResponseWriter, r *http.Request, block string, d any) {
	p.write(w, r, http.StatusOK, block, d)
}

func (p *Page) show(w http.ResponseWriter, r *http.Request, status int, d any) {
	p.write(w, r, status, "layout", d)
}

// write answers when all of it is made: a page that cannot be made is an error, not
// half a page.
func (p *Page) write(w http.ResponseWriter, r *http.Request, status int, name string, d any) {
	var out bytes.Buffer
	if err := p.tmpl.ExecuteTemplate(&out, name, p.view.frame(r, d)); err != nil {
		http.Error(w, "the page cannot be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	send(w, r, status, out.Bytes())
}

// send packs what is worth it. What a page shows of patients cannot be guessed from
// its length by another site: cookies are SameSite=Strict, so that none can have a
// person's browser ask for a page of its making.
func send(w http.ResponseWriter, r *http.Request, status int, page []byte) {
	w.Header().Add("Vary", "Accept-Encoding")
	if len(page) < smallPage || !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.WriteHeader(status)
		w.Write(page)
		return
	}
	w.Header().Set("Content-Encoding", "gzip")
	w.WriteHeader(status)
	z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed) // a level that there is
	z.Write(page)
	z.Close()
}

const smallPage = 2000 // bytes that are not worth packing

// refusal is what the page of an error shows.
type refusal struct {
	Status int
	Why    string
}

// Refuse answers with a page that says what went wrong, with the status that fits.
func (v *View) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	status := answer.Status(err)
	why := err.Error()
	if status == http.StatusInternalServerError {
		why = v.words.text("view.fault", why)
	}
	v.Say(w, r, status, why)
}

// Say answers with a page that says one sentence.
func (v *View) Say(w http.ResponseWriter, r *http.Request, status int, sentence string) {
	v.none.show(w, r, status, refusal{status, sentence})
}

// saidKey is the parameter of an address by which a page says what was just done.
const saidKey = "done"

// Back sends the browser on after something was done: to a path of ours, which then
// says so in the words of a key: Back(w, r, "/held", "held.released").
func (v *View) Back(w http.ResponseWriter, r *http.Request, to, key string) {
	joint := "?"
	if strings.Contains(to, "?") {
		joint = "&"
	}
	if key != "" {
		to += joint + saidKey + "=" + key
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// said is what the address says was done; only texts that we have.
func (v *View) said(r *http.Request) string {
	key := r.URL.Query().Get(saidKey)
	if key == "" {
		return ""
	}
	if text, ok := v.words[key]; ok && !strings.Contains(text, "%") {
		return text
	}
	return ""
}

// Text is a text in the language of the console, for what is not a template.
func (v *View) Text(key string, args ...any) string { return v.words.text(key, args...) }

// text is a text with what is put into it; an unknown key is shown as it is, and a
// test finds it.
func (w words) text(key string, args ...any) string {
	s, ok := w[key]
	if !ok {
		return "[" + key + "]"
	}
	if len(args) == 0 {
		return s
	}
	return fmt.Sprintf(s, args...)
}
