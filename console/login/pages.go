package login

import (
	"embed"
	"html/template"
	"net/http"

	"cordon/console/view"
)

//go:embed *.html
var files embed.FS

// pages are the templates.
type pages struct{ login, again, goOn, setup, forbidden, own *view.Page }

func newPages(v *view.View) pages {
	p := func(name string) *view.Page { return v.Page(files, "kept.html", name) }
	return pages{p("login.html"), p("again.html"), p("goon.html"), p("setup.html"), p("forbidden.html"), p("own.html")}
}

// onward is a page that leads on by itself: what a browser asks for because a page of
// ours says so, it asks for with its cookies.
const onward = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={{.To}}"><title>{{.Text}}</title></head>
<body><p><a href="{{.To}}">{{.Text}}</a></p></body></html>
`

// leadOn answers with it. to is a path of ours.
func (l *Login) leadOn(w http.ResponseWriter, to string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	template.Must(template.New("onward").Parse(onward)).Execute(w, struct{ To, Text string }{to, l.View.Text("login.refresh")})
}
