package web

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"cordon/dicom"
)

// Media types of the web services (PS3.18 §8.7).
const (
	TypeDICOM       = "application/dicom"
	TypeJSON        = "application/dicom+json"
	TypePlainJSON   = "application/json"
	TypeXML         = "application/dicom+xml"
	TypeOctetStream = "application/octet-stream"
	TypeRelated     = "multipart/related"
)

// Limits of one header that names media types.
const (
	maxMediaHeader = 4 << 10 // bytes
	maxRanges      = 64      // media ranges of an Accept header
	maxParams      = 16
)

// MediaType is a media type with its parameters (RFC 9110 §8.3.1), or, in an
// Accept header, a media range.
type MediaType struct {
	Type   string            // application/dicom, in lower case
	Params map[string]string // by name in lower case; without q
	Q      int               // in thousandths; 1000 if there is none
}

// ParseMediaType reads one media type. A parameter that comes twice is an error.
// Values that contain a slash need not be quoted, as many clients do not. The
// error is a *[Refusal] with status 400.
func ParseMediaType(s string) (MediaType, error) {
	m, rest, err := parseMediaType(s)
	if err == nil && rest != "" {
		err = bad("media type: more than one, where one is expected")
	}
	if err != nil {
		return MediaType{}, err
	}
	return m, nil
}

// parseMediaType reads a media type and returns what follows the comma after it.
func parseMediaType(s string) (MediaType, string, *Refusal) {
	if len(s) > maxMediaHeader {
		return MediaType{}, "", refuse(http.StatusRequestHeaderFieldsTooLarge, "media type: %d bytes, %d are allowed", len(s), maxMediaHeader)
	}
	end := strings.IndexAny(s, ";,")
	if end < 0 {
		end = len(s)
	}
	m := MediaType{Type: strings.ToLower(strings.Trim(s[:end], " \t")), Q: 1000}
	kind, sub, slash := strings.Cut(m.Type, "/")
	if !slash || !isToken(kind) || !isToken(sub) {
		return MediaType{}, "", bad("media type: not of the form type/subtype (RFC 9110 §8.3.1)")
	}
	s = s[end:]
	for strings.HasPrefix(s, ";") {
		var err *Refusal
		if s, err = m.parameter(strings.TrimLeft(s[1:], " \t")); err != nil {
			return MediaType{}, "", err
		}
	}
	if s != "" && s[0] != ',' {
		return MediaType{}, "", bad("media type: not readable after a parameter (RFC 9110 §5.6.6)")
	}
	return m, strings.TrimPrefix(s, ","), nil
}

// parameter reads one parameter and returns what follows it. An empty one is
// allowed (RFC 9110 §5.6.6).
func (m *MediaType) parameter(s string) (string, *Refusal) {
	if s == "" || s[0] == ';' || s[0] == ',' {
		return s, nil
	}
	name, rest, found := strings.Cut(s, "=")
	name = strings.ToLower(name)
	if !found || !isToken(name) {
		return "", bad("media type: a parameter that is not name=value (RFC 9110 §5.6.6)")
	}
	value, rest, ok := parameterValue(rest)
	if !ok {
		return "", bad("media type: a parameter whose value is neither a token nor a quoted string (RFC 9110 §5.6.6)")
	}
	rest = strings.TrimLeft(rest, " \t")
	if name == "q" {
		q, ok := quality(value)
		if !ok {
			return "", bad("media type: q is not a number from 0 to 1 (RFC 9110 §12.4.2)")
		}
		m.Q = q
		return rest, nil
	}
	if _, twice := m.Params[name]; twice || len(m.Params) == maxParams {
		return "", bad("media type: a parameter comes twice, or there are more than %d", maxParams)
	}
	if m.Params == nil {
		m.Params = make(map[string]string)
	}
	m.Params[name] = value
	return rest, nil
}

// parameterValue reads a token or a quoted string.
func parameterValue(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		n := 0
		for n < len(s) && (isTokenByte(s[n]) || strings.IndexByte("/:=?()", s[n]) >= 0) {
			n++
		}
		return s[:n], s[n:], n > 0
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:], true
		case c == '\\' && i+1 < len(s):
			i++
			c = s[i]
			fallthrough
		default:
			if c != '\t' && c < ' ' || c == 0x7F {
				return "", "", false
			}
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// quality reads a weight of at most three decimals, in thousandths.
func quality(s string) (int, bool) {
	if len(s) == 0 || len(s) > 5 || s[0] != '0' && s[0] != '1' || strings.Trim(s, "0123456789.") != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return int(f*1000 + 0.5), err == nil && f >= 0 && f <= 1
}

func isToken(s string) bool {
	for i := range len(s) {
		if !isTokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

// isTokenByte: RFC 9110 §5.6.2.
func isTokenByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// String is the media type as a header has it, parameters in the order of their
// names, all quoted.
func (m MediaType) String() string {
	names := make([]string, 0, len(m.Params))
	for name := range m.Params {
		names = append(names, name)
	}
	slices.Sort(names)
	s := m.Type
	for _, name := range names {
		s += "; " + name + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(m.Params[name]) + `"`
	}
	if m.Q < 1000 && m.Q > 0 {
		s += "; q=" + strconv.FormatFloat(float64(m.Q)/1000, 'f', -1, 64)
	}
	return s
}

// Related is multipart/related with parts of the type (RFC 2387). A transfer
// syntax may be empty: the default of the type.
func Related(part string, ts dicom.UID) MediaType {
	m := MediaType{Type: TypeRelated, Params: map[string]string{"type": part}, Q: 1000}
	if ts != "" {
		m.Params["transfer-syntax"] = string(ts)
	}
	return m
}

// Single is a media type that is not multipart.
func Single(kind string) MediaType { return MediaType{Type: kind, Q: 1000} }

// Part is the media type of the parts: that which multipart/related names, or of m itself.
func (m MediaType) Part() string {
	if m.Type == TypeRelated {
		return strings.ToLower(m.Params["type"])
	}
	return m.Type
}

// TransferSyntax is the transfer syntax that the media type names, empty if it
// names none, "*" for any (PS3.18 §8.7.3.5).
func (m MediaType) TransferSyntax() dicom.UID { return dicom.UID(m.Params["transfer-syntax"]) }

// IsJSON tells whether m is DICOM JSON, under either of its names.
func (m MediaType) IsJSON() bool { return m.Type == TypeJSON || m.Type == TypePlainJSON }

func (m MediaType) isXML() bool {
	return m.Type == TypeXML || m.Type == "application/xml" || m.Type == "text/xml"
}

// Accept is what a client takes, in the order in which it says so (PS3.18 §8.7.5).
type Accept []MediaType

// ParseAccept reads the Accept headers of a request, and the accept query
// parameter, which goes first, if it is not empty (PS3.18 §8.3.3.1). Without any, everything is
// taken. The error is a *[Refusal].
func ParseAccept(headers []string, parameter string) (Accept, error) {
	values := headers
	if parameter != "" {
		values = append([]string{parameter}, headers...)
	}
	var a Accept
	for _, s := range values {
		for s = strings.TrimLeft(s, " \t,"); s != ""; s = strings.TrimLeft(s, " \t,") {
			if len(a) == maxRanges {
				return nil, bad("Accept: more than %d media types", maxRanges)
			}
			m, rest, err := parseMediaType(s)
			if err != nil {
				return nil, err
			}
			a, s = append(a, m), rest
		}
	}
	if len(a) == 0 {
		a = Accept{{Type: "*/*", Q: 1000}}
	}
	return a, nil
}

// Best is which of the offers the client likes best, the first of those it likes
// alike; ok is false if it takes none of them: 406.
func (a Accept) Best(offers ...MediaType) (best MediaType, ok bool) {
	q := 0
	for _, offer := range offers {
		if n := a.quality(offer); n > q {
			best, q = offer, n
		}
	}
	return best, q > 0
}

// quality is that of the most specific range that takes the offer.
func (a Accept) quality(offer MediaType) int {
	q, specific := 0, -1
	for _, r := range a {
		if s := r.takes(offer); s > specific || s == specific && s >= 0 && r.Q > q {
			q, specific = r.Q, s
		}
	}
	return q
}

// takes is how specific the range is for the offer, negative if it does not take it.
// A range that names a transfer syntax takes only that, or any for "*"; one that names none
// takes all, since what is stored is what most clients want (PS3.18 §8.7.3.5.2).
func (r MediaType) takes(offer MediaType) int {
	kind, _, _ := strings.Cut(offer.Type, "/")
	specific := 0
	switch r.Type {
	case "*/*":
	case kind + "/*":
		specific = 100
	case offer.Type:
		specific = 200
	case TypePlainJSON:
		if offer.Type != TypeJSON {
			return -1
		}
		specific = 200
	default:
		return -1
	}
	for name, value := range r.Params {
		switch given := offer.Params[name]; {
		case name == "type" && !typeMatches(strings.ToLower(value), given):
			return -1
		case name == "transfer-syntax" && value != "*" && given != "" && given != value:
			return -1
		case name == "type" || name == "transfer-syntax":
			specific++
		}
	}
	return specific
}

func typeMatches(pattern, kind string) bool {
	if prefix, any := strings.CutSuffix(pattern, "/*"); any {
		return prefix == "*" || strings.HasPrefix(kind, prefix+"/")
	}
	return pattern == kind
}
