package container

import "bytes"

// text judges markup and plain text.
func (l *level) text(f Format) {
	data := l.data
	if wide(data) {
		data = narrow(data)
	}
	if l.hidden { // no file, but a form's program may stand in it
		if i := bytes.Index(data, []byte("application/x-javascript")); i >= 0 {
			l.found("pdf-javascript", i, "in a form")
		}
		return
	}
	lower := bytes.ToLower(data)
	if len(lower) != len(data) { // letters whose lower case is longer
		lower = data
	}
	if f == Markup {
		l.markup(data, lower)
		return
	}
	if language, ok := l.script(lower[:min(len(lower), keepText)]); ok {
		l.found("script-text", 0, language)
	}
}
