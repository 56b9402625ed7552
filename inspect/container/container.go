// Package container opens what holds other content: ZIP (OOXML among them), gzip,
// bzip2, tar, PDF, OLE2 compound files, RTF, XML and HTML. It recognises them by
// content, never by label, says what is wrong with them, and passes what is inside on, each member
// from its own first byte, so that whoever judges plain bytes judges those too.
//
//	o := container.New(container.Limits{}, visitor)
//	if format := container.Recognise(head); format != container.None {
//		… // keep up to format.Keep() bytes
//		o.Open(container.Piece{Data: kept, Whole: true})
//	}
//
// # Limits
//
// Everything is read from one bounded buffer. Depth, members and the bytes that come out
// of them are limited for all containers of one Opener together; members are passed on in
// chunks, and only those that are containers themselves are kept, at most 16 MiB at a
// time. Formats are read iteratively; only the walk into a member's member recurses, as deep as Limits.Depth.
// What is left unread is a finding, never silence, but for texts, of which the first 64 KiB count.
//
// The package decrypts nothing, runs nothing, renders nothing, and names no member: names
// may hold patient data, so findings show a member's number and, of a known kind, its extension.
package container

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
)

// Limits bound the work of one Opener. Zero fields mean defaults.
type Limits struct {
	Depth   int   // containers inside containers, the outermost one counted. Default 4.
	Members int   // members of all containers. Default 10,000.
	Bytes   int64 // that come out of all containers. Default 128 MiB.
	Ratio   int64 // of bytes out to bytes in, above which Bytes is met by a bomb. Default 200.
}

func (l Limits) orDefault() Limits {
	if l.Depth <= 0 {
		l.Depth = 4
	}
	if l.Members <= 0 {
		l.Members = 10_000
	}
	if l.Bytes <= 0 {
		l.Bytes = 128 << 20
	}
	if l.Ratio <= 0 {
		l.Ratio = 200
	}
	return l
}

const (
	keepContainer = 8 << 20  // bytes of one container that are kept
	keepText      = 64 << 10 // bytes of one text that are kept
	keepMembers   = 16 << 20 // bytes of members kept at a time
	weighTexts    = 16 << 20 // bytes of text whose words are looked for
	chunk         = 32 << 10 // members are passed on in chunks of this size
)

// Found is one thing that was found.
type Found struct {
	ID     string // a row of the catalogue of package finding
	Path   string // below the piece: "" or "!member[3]!member[0]"
	Offset int64  // in the piece; for what lies inside a member, the member's
	Detail string // numbers and formats, never names
}

// Member is one thing inside a container.
type Member struct {
	Path   string
	Offset int64 // in the piece, of the outermost member around it
}

// Visitor is told what an Opener meets. Members do not overlap: Write and End
// belong to the last Begin. What is written is valid only during the call.
type Visitor interface {
	Found(f Found)
	Begin(m Member)
	Write(p []byte)
	End()
}

// Opener opens the containers of one object. It belongs to one goroutine.
type Opener struct {
	limits  Limits
	visitor Visitor

	in, out  int64 // bytes opened and bytes that came out of them, of all pieces
	members  int
	kept     int  // bytes of members kept now
	spent    bool // a limit on the whole is met: nothing more comes out
	weighed  int  // bytes of text whose words were looked for
	inflater inflater
	buffer   []byte
}

// New returns an Opener that tells v what it meets.
func New(l Limits, v Visitor) *Opener {
	return &Opener{limits: l.orDefault(), visitor: v}
}

// Piece is what may be a container, or a text.
type Piece struct {
	Data     []byte
	Format   Format // what it is, where that is known; None: by its content
	Whole    bool   // Data is all of it, not only its beginning
	Document bool   // a document for people, which has no reason to be encrypted
	File     bool   // a plain file, not a part of an object
}

// Open opens p, if its first bytes are a container's or a text's.
func (o *Opener) Open(p Piece) {
	o.in += int64(len(p.Data))
	l := level{Opener: o, data: p.Data, format: p.Format, whole: p.Whole, document: p.Document, file: p.File}
	l.open()
}

// level is a container under way.
type level struct {
	*Opener
	path     string
	name     string // of the member in its container, in lower case; never shown
	depth    int    // containers around it
	offset   int64  // of the outermost member, when depth > 0
	data     []byte
	format   Format // None: by its content
	whole    bool
	document bool
	file     bool
	hidden   bool // not meant to be read as text: a stream of a PDF or of a compound file
	complain map[string]bool
}

// open opens the level by its format.
func (l *level) open() {
	format := l.format
	if format == None {
		format = Recognise(l.data[:min(len(l.data), Window)])
	}
	if format.IsContainer() && l.depth >= l.limits.Depth {
		l.found("container-depth", 0, fmt.Sprintf("%v in %d containers", format, l.depth))
		return
	}
	if !l.whole && (format.IsContainer() || format == Markup) {
		l.limited(0, fmt.Sprintf("%v, first %d bytes read", format, len(l.data)))
	}
	switch format {
	case ZIP:
		l.zip()
	case Gzip:
		l.gzip()
	case Bzip2:
		l.bzip2()
	case Tar:
		l.tar()
	case Deflate:
		l.member(item{}, flate.NewReader(bytes.NewReader(l.data)))
	case PDF:
		l.pdf()
	case OLE2:
		l.ole2()
	case RTF:
		l.rtf()
	case Packed:
		l.unread(0, "a format that is not opened")
	case Markup, Text:
		l.text(format)
	}
	if format.IsContainer() && format != ZIP {
		l.appendedZIP()
	}
}

// at returns where byte i of the level lies in the piece.
func (l *level) at(i int) int64 {
	if l.depth > 0 {
		return l.offset
	}
	return int64(i)
}

// found tells the visitor, once for each id.
func (l *level) found(id string, at int, detail string) {
	if l.complain == nil {
		l.complain = map[string]bool{}
	}
	if !l.complain[id] {
		l.complain[id] = true
		l.visitor.Found(Found{ID: id, Path: l.path, Offset: l.at(at), Detail: detail})
	}
}

func (l *level) limited(at int, detail string) { l.found("container-limit", at, detail) }
func (l *level) unread(at int, detail string)  { l.found("container-unread", at, detail) }

// encrypted reports content that cannot be judged.
func (l *level) encrypted(at int, detail string) {
	if l.document {
		l.found("encrypted-document", at, detail)
		return
	}
	l.found("encrypted-container", at, detail)
}

// item is a member as its container describes it.
type item struct {
	index  int
	offset int    // in the container
	name   string // as stored
	hidden bool
}

// member passes what r reads to the visitor, and opens it when it is a container.
func (l *level) member(it item, r io.Reader) {
	if l.members >= l.limits.Members {
		l.limited(it.offset, fmt.Sprintf("more than %d members", l.limits.Members))
		return
	}
	l.members++
	inner := level{
		Opener: l.Opener, path: fmt.Sprintf("%s!member[%d]", l.path, it.index), name: lowerName(it.name),
		depth: l.depth + 1, offset: l.at(it.offset), document: l.document, hidden: it.hidden,
	}
	inner.pass(l, r)
	if inner.data == nil {
		return
	}
	kept := cap(inner.data)
	l.kept += kept
	inner.open()
	l.kept -= kept
}

// pass reads the member, once, from r to the visitor. It keeps its bytes when
// they are to be opened.
func (l *level) pass(outer *level, r io.Reader) {
	if l.buffer == nil {
		l.buffer = make([]byte, chunk)
	}
	l.visitor.Begin(Member{Path: l.path, Offset: l.offset})
	defer l.visitor.End()
	keep := -1 // not known yet
	l.whole = true
	for {
		n, err := io.ReadFull(r, l.buffer)
		p := l.buffer[:n]
		if !l.spend(outer, n) {
			l.whole = false
			return
		}
		l.visitor.Write(p)
		if keep < 0 {
			keep = min(l.keep(Recognise(p[:min(n, Window)])), max(0, keepMembers-l.kept))
		}
		if room := keep - len(l.data); n > room {
			l.whole = false
			p = p[:room]
		}
		l.data = append(l.data, p...)
		if err != nil {
			if err != io.EOF && err != io.ErrUnexpectedEOF && outer.whole && !l.hidden {
				outer.unread(int(l.offset), "a member's data is corrupt")
			}
			return
		}
	}
}

// keep returns how many bytes of the member are kept, when it is of the format.
func (l *level) keep(f Format) int {
	if f == Text && l.hidden {
		return 0
	}
	return f.Keep()
}

// spend counts n bytes that came out, and says so once when the limit is met.
func (o *Opener) spend(l *level, n int) bool {
	if o.spent {
		return false
	}
	o.out += int64(n)
	if o.out <= o.limits.Bytes {
		return true
	}
	o.spent = true
	if o.out/max(1, o.in) >= o.limits.Ratio {
		l.found("container-bomb", 0, fmt.Sprintf("%d bytes unfold to more than %d", o.in, o.limits.Bytes))
	} else {
		l.limited(0, fmt.Sprintf("more than %d bytes come out", o.limits.Bytes))
	}
	return false
}
