package charset

import (
	"bytes"
	"strings"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// DecodeValues returns the texts of a value of several, which backslashes
// separate, each as [Set.Decode] does. A backslash that is half of a character
// separates nothing (PS3.5 §6.1.2.3).
func (s Set) DecodeValues(value []byte) []string {
	var out []string
	for {
		i := s.separator(value)
		if i < 0 {
			return append(out, s.Decode(value))
		}
		out = append(out, s.Decode(value[:i]))
		value = value[i+1:]
	}
}

// DecodeText returns a text of several lines (LT, ST, UT), with its line breaks
// and tabs. Trailing spaces are padding.
func (s Set) DecodeText(value []byte) string {
	var out strings.Builder
	for {
		i := bytes.IndexAny(value, "\r\n\f\t")
		if i < 0 {
			break
		}
		out.WriteString(s.line(value[:i]))
		out.WriteByte(value[i])
		value = value[i+1:]
	}
	out.WriteString(s.line(value))
	return strings.TrimRight(out.String(), " ")
}

// line is Decode with the spaces around.
func (s Set) line(value []byte) string {
	trimmed := bytes.Trim(value, " \x00")
	if len(trimmed) == 0 {
		return strings.Repeat(" ", bytes.Count(value, []byte{' '}))
	}
	before := bytes.Index(value, trimmed)
	after := bytes.Count(value[before+len(trimmed):], []byte{' '})
	return strings.Repeat(" ", before) + s.Decode(trimmed) + strings.Repeat(" ", after)
}

// separator is where the first backslash is that separates values, or negative.
// In sets of two bytes to a character the second byte may look like one.
func (s Set) separator(value []byte) int {
	double := false // between escape sequences that designate a set of two bytes
	wide := !s.utf8 && (s.encoding == simplifiedchinese.GBK || s.encoding == simplifiedchinese.GB18030)
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case s.extended && c == esc:
			e, known := designation(value[i+1:])
			double = known && e.upper == nil && e.lower != "" || double && !known
			if known && e.upper != nil {
				double = false
			}
			i += len(e.sequence)
		case double, wide && c >= 0x81:
			i++
		case c == '\\':
			return i
		}
	}
	return -1
}
