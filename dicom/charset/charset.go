// Package charset decodes text by the Specific Character Set (0008,0005) of its
// data set: the defined terms of PS3.3 §C.12.1.1.2, with and without code
// extensions (PS3.5 §6.1, ISO/IEC 2022).
//
// Ordinary use:
//
//	s := charset.Parse(`\ISO 2022 IR 87`) // the value of (0008,0005)
//	name := s.Decode(value)               // UTF-8, without padding
//
// It never fails: a term that is not known decodes as ASCII, what cannot be
// decoded becomes U+FFFD, and control characters are left out, so that the
// result is one line of valid UTF-8. It will not encode.
package charset

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// A term is a defined term and the encoding that it begins with. All of them
// have ASCII in their lower half, nearly: JIS X 0201 has ¥ for the backslash,
// which separates values before anything is decoded.
type term struct {
	single   string // without code extensions
	extended string // with
	encoding encoding.Encoding
}

// terms are those of PS3.3 tables C.12-2 to C.12-5, in their order. ISO 2022 IR
// 87, 159, 149 and 58 are reached by escape sequences alone, or by their upper
// half.
var terms = [...]term{
	{"ISO_IR 100", "ISO 2022 IR 100", charmap.ISO8859_1},
	{"ISO_IR 101", "ISO 2022 IR 101", charmap.ISO8859_2},
	{"ISO_IR 109", "ISO 2022 IR 109", charmap.ISO8859_3},
	{"ISO_IR 110", "ISO 2022 IR 110", charmap.ISO8859_4},
	{"ISO_IR 144", "ISO 2022 IR 144", charmap.ISO8859_5},
	{"ISO_IR 127", "ISO 2022 IR 127", charmap.ISO8859_6},
	{"ISO_IR 126", "ISO 2022 IR 126", charmap.ISO8859_7},
	{"ISO_IR 138", "ISO 2022 IR 138", charmap.ISO8859_8},
	{"ISO_IR 148", "ISO 2022 IR 148", charmap.ISO8859_9},
	{"ISO_IR 203", "ISO 2022 IR 203", charmap.ISO8859_15},
	{"ISO_IR 13", "ISO 2022 IR 13", japanese.ShiftJIS},
	{"ISO_IR 166", "ISO 2022 IR 166", charmap.Windows874},
	{"ISO_IR 149", "ISO 2022 IR 149", korean.EUCKR},
	{"ISO_IR 58", "ISO 2022 IR 58", simplifiedchinese.GBK},
	{"GB18030", "", simplifiedchinese.GB18030},
	{"GBK", "", simplifiedchinese.GBK},
}

// utf8Term is ISO 10646 in UTF-8, which has no code extensions.
const utf8Term = "ISO_IR 192"

// An escape is a sequence that designates another set of characters, after ESC.
type escape struct {
	sequence string
	upper    encoding.Encoding // G1: bytes from 80H on, of an encoding with ASCII below
	lower    string            // G0: the sequence that japanese.ISO2022JP knows it by; "" for ASCII
}

// escapes are those of PS3.3 tables C.12-3 and C.12-4.
var escapes = [...]escape{
	{"(B", nil, ""},
	{"(J", nil, ""}, // JIS X 0201 romaji: ASCII but for two
	{"-A", charmap.ISO8859_1, ""},
	{"-B", charmap.ISO8859_2, ""},
	{"-C", charmap.ISO8859_3, ""},
	{"-D", charmap.ISO8859_4, ""},
	{"-L", charmap.ISO8859_5, ""},
	{"-G", charmap.ISO8859_6, ""},
	{"-F", charmap.ISO8859_7, ""},
	{"-H", charmap.ISO8859_8, ""},
	{"-M", charmap.ISO8859_9, ""},
	{"-b", charmap.ISO8859_15, ""},
	{"-T", charmap.Windows874, ""},
	{")I", japanese.ShiftJIS, ""}, // JIS X 0201 katakana
	{"$B", nil, "$B"},             // JIS X 0208
	{"$(D", nil, "$(D"},           // JIS X 0212
	{"$)C", korean.EUCKR, ""},     // KS X 1001
	{"$)A", simplifiedchinese.GBK, ""},
}

// Set is a Specific Character Set. The zero Set is the default repertoire,
// ASCII.
type Set struct {
	encoding encoding.Encoding // nil: ASCII
	utf8     bool
	extended bool // escape sequences count
}

// maxTerms is how many values of (0008,0005) are looked at.
const maxTerms = 16

// Parse reads the value of (0008,0005), values separated by backslashes.
func Parse(value string) Set {
	values := strings.SplitN(value, `\`, maxTerms+1)
	first := strings.ToUpper(strings.Trim(values[0], " \x00"))
	s := Set{utf8: first == utf8Term, extended: len(values) > 1 || strings.HasPrefix(first, "ISO 2022")}
	for _, t := range terms {
		if first == t.single || first == t.extended && first != "" {
			s.encoding = t.encoding
		}
	}
	return s
}

const esc = 0x1B

// Decode returns the text of one value, without padding and control characters.
func (s Set) Decode(value []byte) string {
	var out strings.Builder
	switch {
	case s.utf8:
		out.WriteString(strings.ToValidUTF8(string(value), "\uFFFD"))
	case s.extended:
		s.extensions(&out, value)
	default:
		out.WriteString(decode(s.encoding, value))
	}
	return strings.TrimSpace(strings.Map(printable, out.String()))
}

func printable(r rune) rune {
	if unicode.IsControl(r) {
		return -1
	}
	return r
}

// extensions follows escape sequences. The delimiters of a person name end
// whatever was designated (PS3.5 §6.1.2.5.3).
func (s Set) extensions(out *strings.Builder, value []byte) {
	upper, lower := s.encoding, ""
	for len(value) > 0 {
		if value[0] == esc {
			e, known := designation(value[1:])
			value = value[1+len(e.sequence):]
			switch {
			case !known:
			case e.upper != nil:
				upper = e.upper
			default:
				lower = e.lower
			}
			continue
		}
		n := bytes.IndexByte(value, esc)
		if n < 0 {
			n = len(value)
		}
		if i := bytes.IndexAny(value[:n], "^=\r\n\t\f"); i >= 0 && lower == "" {
			n = i + 1
		}
		out.WriteString(run(upper, lower, value[:n]))
		if lower == "" && bytes.IndexByte([]byte("^=\r\n\t\f"), value[n-1]) >= 0 {
			upper = s.encoding
		}
		value = value[n:]
	}
}

// designation is the escape that p begins with, after ESC.
func designation(p []byte) (escape, bool) {
	for _, e := range escapes {
		if bytes.HasPrefix(p, []byte(e.sequence)) {
			return e, true
		}
	}
	return escape{}, false
}

// run decodes bytes without escape sequences in them.
func run(upper encoding.Encoding, lower string, p []byte) string {
	if lower == "" {
		return decode(upper, p)
	}
	return decode(japanese.ISO2022JP, append([]byte{esc}, append([]byte(lower), p...)...))
}

// decode decodes by an encoding; without one, ASCII.
func decode(e encoding.Encoding, p []byte) string {
	if e != nil {
		if text, err := e.NewDecoder().Bytes(p); err == nil {
			return string(text)
		}
	}
	var out strings.Builder
	for _, b := range p {
		if b < utf8.RuneSelf {
			out.WriteByte(b)
		} else {
			out.WriteRune(utf8.RuneError)
		}
	}
	return out.String()
}
