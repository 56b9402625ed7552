package engine

import (
	"fmt"
	"net/textproto"
	"strings"

	"cordon/finding"
)

// verdict is what became of one piece.
type verdict struct {
	result   finding.Result
	detail   string
	tag      string // the server's ISTag
	reusable bool   // the connection may carry another piece
}

// judge turns the final answer into a verdict. RFC 3507 has no word for "infected": servers name it in header fields of
// their own, or hand back something else than they got. So
//
//   - a hit that is named is malicious, unless its name says that the server met a limit;
//   - 204 is clean if the server had the whole piece, and not scanned if it made up its mind at the preview or earlier;
//   - 200 with the piece as it was sent is clean;
//   - 200 with anything else is malicious, but for an HTTP response of 500 or more, which says that the server could
//     not;
//   - any other answer, and one that breaks off, is not scanned.
func (x *exchange) judge(a answer) verdict {
	v := verdict{tag: tag(a.header), reusable: a.reusable() && x.whole}
	v.result, v.detail = x.result(a)
	return v
}

func (x *exchange) result(a answer) (finding.Result, string) {
	if result, detail, ok := hit(a.header); ok {
		return result, detail
	}
	switch {
	case a.err != nil:
		return finding.Unscanned, a.err.Error()
	case a.status == 204 && x.whole:
		return finding.Clean, ""
	case a.status == 204:
		return finding.Unscanned, "the ICAP server answered before it had the whole piece"
	case a.status == 100:
		return finding.Unscanned, "the ICAP server asked for more where its answer was due"
	case a.status != 200:
		return finding.Unscanned, fmt.Sprintf("the ICAP server answered %d", a.status)
	case x.unchanged(a):
		return finding.Clean, ""
	case a.httpStatus >= 500:
		return finding.Unscanned, fmt.Sprintf("the ICAP server answered with an HTTP response of status %d", a.httpStatus)
	case a.header.Get("Encapsulated") == "":
		return finding.Unscanned, "the ICAP server answered 200 without content"
	}
	return finding.ResultMalicious, "the ICAP server replaced the piece and named no reason"
}

// unchanged reports whether the server handed back what it got.
func (x *exchange) unchanged(a answer) bool {
	same := a.bytes == x.bytes && (a.hasBody || x.bytes == 0)
	if a.hasBody {
		same = same && a.digest == [len(a.digest)]byte(x.digest.Sum(nil))
	}
	wanted := 200
	if x.options.method == "REQMOD" {
		wanted = 0 // a request, not a response
	}
	return same && x.whole && a.httpStatus == wanted
}

// hit reports whether the answer names one, in whatever state it is.
func (a answer) hit() bool {
	_, _, ok := hit(a.header)
	return ok
}

// hit reads the header fields in which servers name what they found:
//
//	X-Infection-Found: Type=0; Resolution=2; Threat=Eicar-Test-Signature;
//	X-Virus-ID: Eicar-Test-Signature
//	X-Violations-Found: 1 …   (a count, then lines that may quote file names: only the count is read)
//
// Type 2 of the first is a container that the server could not look into. A field without a value says nothing.
func hit(h textproto.MIMEHeader) (finding.Result, string, bool) {
	if value := h.Get("X-Infection-Found"); value != "" {
		result, detail := infection(value)
		return result, detail, true
	}
	if value := h.Get("X-Virus-Id"); value != "" {
		result, detail := named(value)
		return result, detail, true
	}
	if count, _, _ := strings.Cut(h.Get("X-Violations-Found"), " "); count != "" && count != "0" {
		return finding.ResultMalicious, noName, true
	}
	return finding.Unscanned, "", false
}

// infection reads the value of X-Infection-Found.
func infection(value string) (finding.Result, string) {
	fields := map[string]string{}
	for _, field := range strings.Split(value, ";") {
		key, v, _ := strings.Cut(field, "=")
		fields[strings.ToLower(strings.TrimSpace(key))] = strings.TrimSpace(v)
	}
	if fields["type"] == "2" {
		return finding.Unscanned, "the ICAP server could not look into a container"
	}
	return named(fields["threat"])
}
