package container

import (
	"bytes"
)

// pdfScan looks through the tokens of a PDF (ISO 32000-1 §7.2), front to back.
// It follows no references: what is in the file counts, whether the cross-reference
// table leads there or not. Time is linear, however many objects there are.
type pdfScan struct {
	*level
	data   []byte
	offset int     // of data in the level; -1 inside an object stream
	inner  bool    // inside an object stream, where no streams are
	key    *pdfKey // nil: not encrypted, or not to be decrypted

	last      string // the name before, while nothing but '[' came after it
	rendition bool   // a rendition action was seen, whose script counts as one
	script    bool   // a /JS entry was seen

	numbers             [2]int // the last two integers
	object              pdfObject
	opaque              int    // no string begins before this byte
	comments            int    // the comment under way ends here
	rest                []byte // what follows the stream under way; nil where that is encrypted
	onward              int    // bytes that may be read of it yet
	beside              *pdfContext
	nextEnd, nextObject finder
}

// pdfContext is what a comment interrupts.
type pdfContext struct {
	last   string
	object pdfObject
}

// pdfObject is what the scan keeps of the object under way.
type pdfObject struct {
	number     int
	generation int
	filters    []string
	array      bool // the filters are an array
	embedded   bool // /Type /EmbeddedFile
	objects    bool // /Type /ObjStm, or /First, which no other stream has
	image      bool // /Subtype /Image
	length     int
	predictor  int
	columns    int
	early      int // /EarlyChange
}

func (l *level) pdf() {
	s := pdfScan{level: l, data: l.data, key: l.pdfKey()}
	s.run()
}

func (s *pdfScan) run() {
	p := s.data
	s.object.number = -1
	s.onward = len(p)
	s.nextEnd.find, s.nextObject.find = nextWord(endStream), objectHead
	for i := 0; i < len(p); {
		if s.beside != nil && i >= s.comments {
			s.afterComment()
		}
		switch c := p[i]; {
		case c == '/':
			i = s.name(i)
		case c == '(':
			i = s.str(i)
		case c == '%':
			i = s.comment(i)
		case c >= '0' && c <= '9':
			i = s.number(i)
		case c == '[':
			s.object.array = s.last == "Filter" && i >= s.comments
			i++
		case c == ']' || c == '<' || c == '>':
			s.last = ""
			i++
		case isLetter(c):
			i = s.keyword(i)
		default:
			i++
		}
	}
}

func (s *pdfScan) report(id string, at int, detail string) {
	if s.inner {
		at = s.offset
	}
	s.found(id, at, detail)
}

// longestName is more than any name that means something here.
const longestName = 64

// name reads the name that begins at byte i, "#xx" decoded (§7.3.5).
func (s *pdfScan) name(i int) int {
	var buf [longestName]byte
	n, start := 0, i
	for i++; i < len(s.data) && regular(s.data[i]); i++ {
		c := s.data[i]
		if c == '#' && i+2 < len(s.data) && hexDigit(s.data[i+1]) && hexDigit(s.data[i+2]) {
			c = unhex(s.data[i+1])<<4 | unhex(s.data[i+2])
			i += 2
		}
		if n < len(buf) {
			buf[n] = c
			n++
		}
	}
	s.named(string(buf[:n]), start, i)
	return i
}

// regular reports whether c can stand in a name (§7.2.2).
func regular(c byte) bool {
	return c > ' ' && bytes.IndexByte([]byte("()<>[]{}/%"), c) < 0
}

// named judges a name; what follows it begins at byte end.
func (s *pdfScan) named(name string, at, end int) {
	o := &s.object
	before := s.last
	s.last = name
	switch name {
	case "JavaScript", "JS", "Rendition":
		s.scripted(name, at)
	case "Launch":
		if before == "S" || before == objectBegins {
			s.report("pdf-launch", at, "")
		}
	case "OpenAction", "AA":
		if !s.destination(end) {
			s.report("pdf-open-action", at, "")
		}
	case "EmbeddedFile", "EmbeddedFiles":
		o.embedded = o.embedded || before == "Type"
		s.report("pdf-embedded-file", at, "")
	case "RichMedia", "XFA", "Movie", "Screen", "3D":
		if before == "Subtype" || name == "XFA" {
			s.report("pdf-rich-media", at, name)
		}
	case "Encrypt":
		if s.value(end) {
			s.protected(at)
		}
	case "ObjStm":
		o.objects = o.objects || before == "Type"
	case "First":
		o.objects = true
	case "Image":
		o.image = o.image || before == "Subtype"
	}
	if before == "Filter" && at >= s.comments && len(o.filters) < 8 {
		o.filters = append(o.filters, name)
		if s.last = ""; o.array {
			s.last = "Filter"
		}
	}
}

// protected tells encryption that every reader undoes from the kind that needs a password.
func (s *pdfScan) protected(at int) {
	if s.key != nil {
		s.report("encrypted-container", at, "PDF that opens without a password")
		return
	}
	s.encrypted(at, "PDF")
}

// scripted wants a script action, or a rendition action with a script: "JS" alone may
// be the name of a font.
func (s *pdfScan) scripted(name string, at int) {
	s.rendition = s.rendition || name == "Rendition"
	s.script = s.script || name == "JS"
	if name == "JavaScript" || s.rendition && s.script {
		s.report("pdf-javascript", at, "")
	}
}

// destination reports whether the action that begins at byte i only shows a
// page (§12.3.2, §12.6.4.2).
func (s *pdfScan) destination(i int) bool {
	rest := bytes.TrimLeft(s.data[i:min(len(s.data), i+200)], " \t\r\n\x00\f")
	if bytes.HasPrefix(rest, []byte("[")) || bytes.HasPrefix(rest, []byte("null")) {
		return true
	}
	action, _, _ := bytes.Cut(rest, []byte(">>"))
	return bytes.HasPrefix(rest, []byte("<<")) && bytes.Contains(action, []byte("/GoTo")) && !bytes.Contains(action, []byte("/GoToR")) && !bytes.Contains(action, []byte("/Next"))
}

// value reports whether a dictionary or a reference begins at byte i.
func (s *pdfScan) value(i int) bool {
	rest := bytes.TrimLeft(s.data[i:min(len(s.data), i+40)], " \t\r\n\x00\f")
	return len(rest) > 0 && (rest[0] == '<' || rest[0] >= '0' && rest[0] <= '9')
}

// longestString is how far the end of a string is looked for.
const longestString = 1 << 20

// str passes over the string that begins at byte i (§7.3.4.2). What holds the start
// of an object is none, and neither is what does not end: a reader that jumps by
// the cross-reference table would not see the string at all.
func (s *pdfScan) str(i int) int {
	s.last = ""
	if i < s.opaque {
		return i + 1
	}
	p := s.data[i:min(len(s.data), i+longestString)]
	depth := 0
	for n := 0; n < len(p); n++ {
		switch p[n] {
		case '\\':
			n++
		case '(':
			depth++
		case ')':
			if depth--; depth > 0 {
				continue
			}
			if objectHead(p[:n], 0) < n {
				s.opaque = i + n
				return i + 1
			}
			return i + n + 1
		}
	}
	s.opaque = i + len(p)
	return i + 1
}

// comment looks for names in a comment, too, but for no strings.
func (s *pdfScan) comment(i int) int {
	if i >= s.comments {
		s.comments = len(s.data)
		if end := bytes.IndexAny(s.data[i:], "\r\n"); end >= 0 {
			s.comments = i + end
		}
		s.opaque = max(s.opaque, s.comments)
		s.beside = &pdfContext{s.last, s.object}
	}
	return i + 1
}

// afterComment goes on where the comment began: for readers it is white space. What it
// said of an object counts as well, for those that are led into it.
func (s *pdfScan) afterComment() {
	before, o := s.beside, &s.object
	s.beside, s.last = nil, before.last
	o.embedded = o.embedded || before.object.embedded
	o.objects = o.objects || before.object.objects
	o.image = o.image && before.object.image
	if len(o.filters) == 0 {
		o.filters, o.predictor, o.columns, o.early = before.object.filters, before.object.predictor, before.object.columns, before.object.early
	}
}

// finder finds something again and again, each time further on, in linear time.
type finder struct {
	find func(p []byte, from int) int // len(p) if nowhere
	at   int
	done bool // at is known
}

const (
	endStream    = "endstream"
	objectBegins = "obj"
)

func nextWord(word string) func([]byte, int) int {
	return func(p []byte, from int) int {
		if n := bytes.Index(p[from:], []byte(word)); n >= 0 {
			return from + n
		}
		return len(p)
	}
}

// objectHead returns where at byte from or after an object begins: the keyword
// "obj" behind a number, whatever white space is between them.
func objectHead(p []byte, from int) int {
	for {
		at := nextWord(objectBegins)(p, from)
		if at == len(p) {
			return at
		}
		from = at + len(objectBegins)
		before := bytes.TrimRight(p[:at], " \t\r\n\f\x00")
		if n := len(before); n > 0 && before[n-1] >= '0' && before[n-1] <= '9' && (from == len(p) || !isLetter(p[from])) {
			return at
		}
	}
}

// next returns where it stands next at byte i or after; len(p) if nowhere.
func (f *finder) next(p []byte, i int) int {
	if f.done && f.at >= i {
		return f.at
	}
	f.at, f.done = f.find(p, i), true
	return f.at
}

func (s *pdfScan) number(i int) int {
	n := 0
	for ; i < len(s.data) && s.data[i] >= '0' && s.data[i] <= '9'; i++ {
		n = min(10*n+int(s.data[i]-'0'), 1<<31)
	}
	switch s.last {
	case "Length":
		s.object.length = n
	case "Predictor":
		s.object.predictor = n
	case "Columns":
		s.object.columns = n
	case "EarlyChange":
		s.object.early = n & 1
	}
	s.last = ""
	s.numbers = [2]int{s.numbers[1], n}
	return i
}

// keyword reads "obj" and "stream".
func (s *pdfScan) keyword(i int) int {
	end := i
	for end < len(s.data) && isLetter(s.data[end]) {
		end++
	}
	s.last = ""
	switch string(s.data[i:min(end, i+10)]) {
	case objectBegins:
		s.object = pdfObject{number: s.numbers[0], generation: s.numbers[1], early: 1}
		s.last = objectBegins
	case "stream":
		for end < len(s.data) && (s.data[end] == ' ' || s.data[end] == '\t') {
			end++
		}
		if !s.inner && end < len(s.data) && (s.data[end] == '\r' || s.data[end] == '\n') {
			return s.stream(end)
		}
	}
	return end
}
