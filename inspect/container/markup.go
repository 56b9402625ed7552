package container

import "bytes"

// longestTag bounds how far a tag is read. Tags end where the next begins, so
// that a text is read once, whatever it holds.
const longestTag = 400

// ActiveMarkup returns where in a text the first tag stands that a browser would run if
// it came with a page, or -1. A bare '<' is normal in text, and so are tags without behaviour.
func ActiveMarkup(v []byte) int { return active(v, false) }

// active is ActiveMarkup for a text or, with page, for a whole document, where a
// drawing or a frame is nothing special.
func active(v []byte, page bool) int {
	for at := 0; ; {
		i := bytes.IndexByte(v[at:], '<')
		if i < 0 {
			return -1
		}
		at += i + 1
		tag := v[at:min(len(v), at+longestTag)]
		closed := false
		if end := bytes.IndexAny(tag, "<>"); end >= 0 {
			tag, closed = tag[:end], tag[end] == '>'
		}
		if runs(bytes.ToLower(tag), closed, page) {
			return at - 1
		}
	}
}

// runs judges what is between '<' and '>', in lower case.
func runs(tag []byte, closed, page bool) bool {
	tag = bytes.TrimLeft(tag, " \t\r\n/")
	name := tag[:letters(tag)]
	switch string(name) {
	case "":
		return false
	case "script":
		return closed
	case "iframe", "object", "embed", "svg":
		if !page {
			return closed
		}
	}
	for rest := tag[len(name):]; ; {
		i := bytes.IndexByte(rest, '=')
		if i < 0 {
			return false
		}
		if handler(rest[:i]) || scriptAddress(rest[i+1:]) {
			return true
		}
		rest = afterQuoted(rest[i+1:])
	}
}

// afterQuoted returns what follows the quoted value that p begins with, if it
// does begin with one, else p.
func afterQuoted(p []byte) []byte {
	value := bytes.TrimLeft(p, " \t\r\n")
	if len(value) == 0 || value[0] != '"' && value[0] != '\'' {
		return p
	}
	end := bytes.IndexByte(value[1:], value[0])
	if end < 0 {
		return nil
	}
	return value[end+2:]
}

// handler reports whether the attribute name at the end of p is an event handler.
func handler(p []byte) bool {
	p = bytes.TrimRight(p, " \t\r\n")
	start := len(p)
	for start > 0 && p[start-1] >= 'a' && p[start-1] <= 'z' {
		start--
	}
	event, ok := bytes.CutPrefix(p[start:], []byte("on"))
	if !ok || start > 0 && bytes.IndexByte([]byte(" \t\r\n/\"'"), p[start-1]) < 0 {
		return false
	}
	for _, known := range events {
		if bytes.HasPrefix(event, []byte(known)) {
			return true
		}
	}
	return false
}

// events are how the names of events begin that run without a person's doing, or
// with little of it. Words such as "onset" and "only" are none.
var events = []string{
	"load", "error", "click", "dblclick", "mouse", "key", "focus", "blur", "submit", "change", "input", "toggle", "pointer", "touch",
	"animation", "transition", "scroll", "wheel", "resize", "begin", "canplay", "play", "paste", "copy", "cut", "drag", "drop",
	"message", "pageshow", "hashchange", "popstate", "before", "unload", "start", "finish", "bounce", "end", "repeat",
	"progress", "suspend", "durationchange", "timeupdate", "seek", "contextmenu", "select", "auxclick", "fullscreen",
}

// scriptAddress reports whether the attribute value that begins p is a script.
func scriptAddress(p []byte) bool {
	p = bytes.TrimLeft(p, " \t\r\n\"'")
	return bytes.HasPrefix(p, []byte("javascript:")) || bytes.HasPrefix(p, []byte("vbscript:"))
}

func letters(p []byte) int {
	n := 0
	for n < len(p) && p[n] >= 'a' && p[n] <= 'z' {
		n++
	}
	return n
}
