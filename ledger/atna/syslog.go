package atna

import (
	"strconv"
	"strings"
	"time"
)

// syslogTime is the TIMESTAMP of RFC 5424 §6.2.3, as the standard's examples
// have it.
const syslogTime = "2006-01-02T15:04:05.000Z"

// priority is the PRI of every audit message: facility 10, security, severity
// 5, notice (PS3.15 §A.6).
const priority = "<85>"

// header is the part of a syslog message before MSG (RFC 5424 §6.2).
type header struct {
	host, process string
	bom           bool // MSG begins with the byte order mark of UTF-8, as RFC 5424 §6.4 has it; some receivers do not take it
}

// message puts the header before an audit message.
func (h header) message(at time.Time, xml []byte) []byte {
	out := make([]byte, 0, len(xml)+200)
	out = append(out, priority+"1 "...)
	out = at.UTC().AppendFormat(out, syslogTime)
	out = append(out, " "+token(h.host, 255)+" cordon "+token(h.process, 128)+" DICOM+RFC3881 - "...)
	if h.bom {
		out = append(out, "\xEF\xBB\xBF"...)
	}
	return append(out, xml...)
}

// token makes a header field of a text: printable ASCII without spaces, "-" for
// nothing.
func token(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	if s == "" {
		return "-"
	}
	return s[:min(len(s), most)]
}

// octetCounted frames a message for a stream (RFC 5425 §4.3): LEN SP MSG.
func octetCounted(message []byte) []byte {
	return append(append(strconv.AppendInt(make([]byte, 0, len(message)+8), int64(len(message)), 10), ' '), message...)
}

// line frames a JSON text for a stream of lines.
func line(text []byte) []byte { return append(text, '\n') }

// bare frames a message for a datagram.
func bare(message []byte) []byte { return message }
