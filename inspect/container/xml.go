package container

import (
	"bytes"
	"encoding/base64"
	"io"
)

// markup judges an XML or HTML document: lower is data in lower case.
func (l *level) markup(data, lower []byte) {
	l.declarations(lower)
	if bytes.HasSuffix([]byte(l.name), []byte(".rels")) {
		l.relationships(lower)
	}
	if i := bytes.Index(lower, []byte("<hta:application")); i >= 0 {
		l.found("script", i, "HTML application")
	}
	if !l.file && displayed(lower) {
		if i := active(data, true); i >= 0 {
			l.found("active-markup", i, "")
		}
	}
	l.attachments(data, lower)
}

// displayed reports whether a document is of those that browsers or viewers
// display: pages, drawings, clinical documents. Elsewhere <script> is a name as any
// other. Plain pages on media are no pieces of an object: their scripts are their own.
func displayed(lower []byte) bool {
	for _, mark := range [...]string{"<html", "<svg", "<body", "http://www.w3.org/1999/xhtml", "http://www.w3.org/2000/svg", "urn:hl7-org:v3", "<!doctype html", "http://www.w3.org/1999/xsl/transform"} {
		if bytes.Contains(lower, []byte(mark)) {
			return true
		}
	}
	return false
}

// longestDeclaration bounds how far a declaration is read.
const longestDeclaration = 4096

// declarations looks for what makes a reader of XML fetch a file or an address, or
// unfold one text without end (XML 1.0 §4.2).
func (l *level) declarations(lower []byte) {
	for at, bombs := 0, 0; ; {
		i := bytes.Index(lower[at:], []byte("<!entity"))
		if i < 0 {
			break
		}
		at += i
		one := declaration(lower[at:])
		quoted := bytes.IndexAny(one, `"'`)
		words := bytes.Fields(one[:max(quoted, 0)]) // up to SYSTEM or PUBLIC, if it is external
		switch last := len(words) - 1; {
		case last >= 2 && (string(words[last]) == "system" || string(words[last]) == "public"):
			l.found("external-entity", at, "an entity")
		case quoted >= 0 && bytes.Count(one[quoted:], []byte("&")) >= 5:
			if bombs++; bombs == 3 {
				l.found("entity-expansion", at, "")
			}
		}
		at += len("<!entity")
	}
	if i := bytes.Index(lower, []byte("<!doctype")); i >= 0 {
		if one := declaration(lower[i:]); bytes.Contains(one, []byte(" system ")) {
			l.found("external-dtd", i, "")
		}
	}
	if i := bytes.Index(lower, []byte("http://www.w3.org/2001/xinclude")); i >= 0 && bytes.Contains(lower, []byte("include ")) {
		l.found("external-entity", i, "XInclude")
	}
}

// declaration returns the declaration that begins p, as far as it holds no other
// markup, so that a document is read once.
func declaration(p []byte) []byte {
	p = p[:min(len(p), longestDeclaration)]
	if end := bytes.IndexAny(p[1:], "<>["); end >= 0 {
		p = p[:1+end]
	}
	return p
}

// attachments opens what a clinical document carries as base 64 (HL7 CDA R2,
// data type ED: representation="B64").
func (l *level) attachments(data, lower []byte) {
	const mark = `representation=`
	for at, index := 0, 0; !l.spent && l.members < l.limits.Members; index++ {
		i := bytes.Index(lower[at:], []byte(mark))
		if i < 0 {
			return
		}
		if at += i + len(mark); at+5 > len(lower) || string(lower[at+1:at+4]) != "b64" {
			continue
		}
		begin := bytes.IndexByte(data[at:], '>')
		if begin < 0 {
			return
		}
		at += begin + 1
		content := data[at:]
		if end := bytes.IndexByte(content, '<'); end >= 0 {
			content = content[:end]
		}
		l.member(item{index: index, offset: at}, base64.NewDecoder(base64.StdEncoding, &base64Text{content}))
		at += len(content)
	}
}

// base64Text reads the characters of base 64 alone.
type base64Text struct{ p []byte }

func (b *base64Text) Read(p []byte) (n int, err error) {
	for len(b.p) > 0 && n < len(p) {
		c := b.p[0]
		b.p = b.p[1:]
		if isLetter(c) || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '=' {
			p[n] = c
			n++
		}
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}
