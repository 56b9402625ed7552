package container

import "bytes"

// Format is what a piece is, by its content.
type Format uint8

const (
	None Format = iota
	ZIP
	Gzip
	Bzip2
	Tar
	Deflate // a bare deflate stream; it has no mark, so it must be said: see Piece
	PDF
	OLE2
	RTF
	Packed // an archive of a format that is not opened
	Markup // XML or HTML
	Text
)

var formatNames = [...]string{
	None: "none", ZIP: "ZIP", Gzip: "gzip", Bzip2: "bzip2", Tar: "tar", Deflate: "deflate", PDF: "PDF", OLE2: "OLE2", RTF: "RTF", Packed: "archive",
	Markup: "markup", Text: "text",
}

func (f Format) String() string { return formatNames[f] }

// Keep returns how many bytes of a piece of the format are worth keeping.
func (f Format) Keep() int {
	switch f {
	case None:
		return 0
	case Packed:
		return Window
	case Text:
		return keepText
	}
	return keepContainer
}

// IsContainer reports whether f is a format that is opened for its members.
func (f Format) IsContainer() bool { return f != None && f < Packed }

// Window is how many bytes of a piece Recognise wants to see, if there are as many.
const Window = 1024

// magics begin a format. Those within the window count wherever in it they are: a vendor's
// header may stand before them, and readers look for them.
var magics = []struct {
	magic  string
	within bool
	format Format
}{
	{"PK\x03\x04", true, ZIP},
	{"PK\x05\x06", false, ZIP},
	{"PK\x07\x08PK\x03\x04", false, ZIP},
	{"%PDF-", true, PDF},
	{"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", true, OLE2},
	{"\x1F\x8B\x08", false, Gzip},
	{"BZh", false, Bzip2},
	{"Rar!\x1A\x07", false, Packed},
	{"7z\xBC\xAF\x27\x1C", false, Packed},
	{"MSCF\x00\x00\x00\x00", false, Packed},
	{"\xFD7zXZ\x00", false, Packed},
	{"\x28\xB5\x2F\xFD", false, Packed},
	{"ITSF\x03\x00\x00\x00", false, Packed},
}

// Recognise tells what begins with head, the first Window bytes of a piece or all of it.
func Recognise(head []byte) Format {
	f, _ := recognise(head)
	return f
}

// recognise returns where in head the format begins, too.
func recognise(head []byte) (Format, int) {
	for _, m := range magics {
		if bytes.HasPrefix(head, []byte(m.magic)) && plausible(m.format, head) {
			return m.format, 0
		}
	}
	if len(head) >= 512 && string(head[257:262]) == "ustar" {
		return Tar, 0
	}
	for _, m := range magics {
		if !m.within {
			continue
		}
		if i := bytes.Index(head, []byte(m.magic)); i > 0 && plausible(m.format, head[i:]) {
			return m.format, i
		}
	}
	return recogniseText(head), 0
}

// plausible looks at what follows a short magic number.
func plausible(f Format, p []byte) bool {
	switch {
	case f == ZIP && p[2] == 3: // version needed to extract, and its host; method
		return len(p) >= 30 && p[4] <= 100 && p[5] <= 20 && p[8] < 100 && p[9] == 0
	case f == Gzip: // RFC 1952 §2.3.1: reserved flags
		return len(p) >= 18 && p[3]&0xE0 == 0
	case f == Bzip2:
		return len(p) >= 14 && p[3] >= '1' && p[3] <= '9' && (string(p[4:10]) == "1AY&SY" || string(p[4:10]) == "\x17rE8P\x90")
	}
	return true
}

// recogniseText tells texts by their first bytes, which must all be characters
// but for the starts that readers accept whatever follows.
func recogniseText(head []byte) Format {
	text := head
	if wide(head) {
		text = narrow(head)
	}
	text = bytes.TrimRight(text, "\x00")
	first := bytes.TrimLeft(bytes.TrimPrefix(text, []byte("\xEF\xBB\xBF")), " \t\r\n\f\x00")
	if bytes.HasPrefix(first, []byte(`{\rt`)) {
		return RTF
	}
	if len(first) < 2 || len(text) < shortestText {
		return None
	}
	if first[0] == '<' {
		for _, start := range markupStarts {
			if len(first) > len(start) && bytes.EqualFold(first[:len(start)], []byte(start)) {
				return Markup
			}
		}
	}
	switch {
	case !characters(text):
		return None
	case first[0] == '<' && (first[1] == '?' || first[1] == '!' || isLetter(first[1])):
		return Markup
	}
	return Text
}

// markupStarts are recognised whatever follows them.
var markupStarts = []string{"<?xml", "<!doctype", "<html", "<svg", "<hta:", "<script", "<body", "<head"}

// shortestText is less than the shortest text that is judged.
const shortestText = 32

// characters reports whether p holds no other control characters than those of texts.
func characters(p []byte) bool {
	for _, c := range p {
		if c < ' ' && (c < '\t' || c > '\r') && c != 0x1B {
			return false
		}
	}
	return true
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// wide reports whether p is UTF-16, by its byte order mark or its first letters.
func wide(p []byte) bool {
	if len(p) < 8 {
		return false
	}
	if p[0] == 0xFF && p[1] == 0xFE || p[0] == 0xFE && p[1] == 0xFF {
		return true
	}
	high, low := 0, 0 // zeros in either half of the first words
	for i := 0; i < 8; i += 2 {
		if p[i] == 0 && p[i+1] >= '\t' {
			high++
		}
		if p[i+1] == 0 && p[i] >= '\t' {
			low++
		}
	}
	return high == 4 || low == 4
}

// narrow returns the ASCII characters of UTF-16 text; others become '?'. That is
// enough to judge what a text does.
func narrow(p []byte) []byte {
	big := p[0] == 0xFE || p[0] == 0
	if p[0]^p[1] == 1 { // a byte order mark
		p = p[2:]
	}
	out := make([]byte, 0, len(p)/2)
	for i := 0; i+1 < len(p); i += 2 {
		c, high := p[i], p[i+1]
		if big {
			c, high = high, c
		}
		if high != 0 || c >= 0x80 {
			c = '?'
		}
		out = append(out, c)
	}
	return out
}
