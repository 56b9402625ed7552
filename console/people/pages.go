package people

import (
	"embed"

	"cordon/console/view"
)

//go:embed *.html
var files embed.FS

// pages are the templates.
type pages struct{ list, show *view.Page }

func newPages(v *view.View) pages {
	return pages{v.Page(files, "state.html", "list.html"), v.Page(files, "state.html", "show.html")}
}
