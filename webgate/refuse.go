package webgate

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"cordon/dicom/dimse"
	"cordon/dicom/web"
	"cordon/metric"
	"cordon/policy"
	"cordon/store"
)

// refused is an answer that says why.
func refused(status int, why string) error { return &web.Refusal{Status: status, Why: why} }

var (
	errBusy     = refused(http.StatusServiceUnavailable, "too many requests are under way: try again")
	errTooLong  = refused(http.StatusRequestEntityTooLarge, "the body is longer than is taken")
	errStalled  = refused(http.StatusRequestTimeout, "the body does not come")
	errNotFound = refused(http.StatusNotFound, "the archive has no such thing")
)

// answerOf is the status and the words with which an error is answered. Of an
// archive's own words nothing is passed on.
func answerOf(err error) (status int, why string) {
	var refusal *web.Refusal
	var denied *Denied
	var method *notAllowed
	var part *web.MultipartError
	var format *web.FormatError
	var answer *web.AnswerError
	switch {
	case errors.Is(err, errStalled), errors.Is(err, errTooLong): // inside of what they broke off
		errors.As(err, &refusal)
		return refusal.Status, refusal.Why
	case errors.As(err, &answer):
		return answerOfArchive(answer)
	case errors.Is(err, web.ErrPartial):
		return http.StatusBadGateway, "the archive gave a part of what was asked for"
	case isAway(err):
		return http.StatusServiceUnavailable, "the archive is away: try again later"
	case errors.As(err, &refusal):
		return refusal.Status, refusal.Why
	case errors.As(err, &denied):
		return max(denied.Status, http.StatusUnauthorized), denied.Why
	case errors.As(err, &method):
		return http.StatusMethodNotAllowed, method.Error()
	case errors.As(err, &part):
		return part.Status, "multipart body, part " + strconv.Itoa(part.Part) + ": " + part.Why
	case errors.As(err, &format):
		return http.StatusBadRequest, format.Error()
	case errors.Is(err, dimse.ErrNotAccepted):
		return http.StatusNotImplemented, "the archive does not offer this"
	case errors.Is(err, store.ErrFull):
		return http.StatusServiceUnavailable, "out of room here: try again later"
	}
	return http.StatusInternalServerError, "the request could not be served: the log says why"
}

// answerOfArchive passes on what a status of the archive's means to the client; any
// other is a bad gateway.
func answerOfArchive(e *web.AnswerError) (int, string) {
	switch e.Status {
	case http.StatusNotFound, http.StatusGone, http.StatusNotAcceptable, http.StatusBadRequest, http.StatusConflict,
		http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		return e.Status, "the archive answered " + strconv.Itoa(e.Status)
	case http.StatusNotImplemented:
		return e.Status, "the archive does not offer this"
	}
	if errors.Is(e, web.ErrAway) {
		return http.StatusServiceUnavailable, "the archive is away: try again later"
	}
	return http.StatusBadGateway, "the archive gave an answer that is not passed on"
}

// fail answers a request that was not served and records it. Where the response has
// begun, the connection is broken, so that nobody takes it for whole; where the
// client is gone, nobody is answered.
func (rq *request) fail(err error) {
	if rq.r.Context().Err() != nil && !errors.Is(err, errStalled) {
		rq.count("gone")
		panic(http.ErrAbortHandler)
	}
	status, why := answerOf(err)
	rq.log.Warn("request not served", "operation", rq.operation(), "status", status, "reason", why, "error", loggable(err))
	rq.count(strconv.Itoa(status/100) + "xx")
	if err := rq.recordRefused(status, why); err != nil {
		rq.log.Error("refusal not recorded", "error", err)
		status, why = http.StatusServiceUnavailable, "the record of requests cannot be written now: try again later"
	}
	if rq.began {
		panic(http.ErrAbortHandler)
	}
	rq.challenge(err)
	rq.answerError(status, why)
}

// loggable is an error without what a peer wrote.
func loggable(err error) string { return clip(err.Error(), maxWhy) }

// challenge adds the headers that an answer of 401, 403, 405 or 503 has.
func (rq *request) challenge(err error) {
	h := rq.w.Header()
	var denied *Denied
	var method *notAllowed
	switch {
	case errors.As(err, &denied) && denied.WWWAuthenticate != "":
		h.Set("WWW-Authenticate", denied.WWWAuthenticate)
	case errors.As(err, &method):
		h.Set("Allow", strings.Join(method.methods, ", "))
	case rq.admission.Refusal == policy.NeedsToken:
		h.Set("WWW-Authenticate", `Bearer realm="dicomweb"`)
	case rq.admission.Reason == policy.ScopeNotPermitted:
		h.Set("WWW-Authenticate", `Bearer realm="dicomweb", error="insufficient_scope"`)
	}
	if status, _ := answerOf(err); status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "10")
	}
}

// answerError writes a body that says why (PS3.18 §8.6.2, and what web.Problem says of
// it). What is left of the request's body is not read.
func (rq *request) answerError(status int, why string) {
	h := rq.w.Header()
	h.Set("Warning", warning(why))
	h.Set("Cache-Control", "no-store")
	if rq.r.ContentLength != 0 {
		h.Set("Connection", "close")
	}
	rq.began = true
	if err := (web.Problem{Status: status, Why: why}).Write(rq.w, rq.accept); err != nil {
		rq.log.Debug("answer not written", "error", err)
	}
	if status != http.StatusRequestTimeout {
		rq.linger()
	}
}

// linger reads on for a while after a request was answered before its body had come:
// many clients listen only when they have sent it, and a connection that is closed on
// what was not read takes the answer along.
func (rq *request) linger() {
	if rq.route.body == nil || rq.r.ContentLength == 0 {
		return
	}
	rest := rq.unread
	if rest == nil { // nobody has begun to read it
		rest = rq.r.Body
	}
	control := http.NewResponseController(rq.w)
	_ = control.Flush()
	_ = control.SetReadDeadline(time.Now().Add(lingering))
	_, _ = io.CopyN(io.Discard, rest, maxLinger) // whatever comes of it, the connection ends
}

const (
	lingering = 5 * time.Second
	maxLinger = 64 << 20 // bytes
)

// warning is a Warning header's value (RFC 7234 §5.5.7, PS3.18 §8.3.4.4).
func warning(why string) string { return warningOf(why, 512) }

func warningOf(why string, most int) string {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, why)
	return `299 cordon "` + clip(clean, most) + `"`
}

// count counts a request by how it ended.
func (rq *request) count(outcome string) {
	rq.s.parts.Metrics.Count(metric.WebRequests, 1, rq.operation(), outcome)
	if rq.visit != nil && outcome != answered {
		rq.visit.tally.refusals.Add(1)
	}
}

const answered = "answered"

// recordRefused makes a refusal durable on the ledger, within the peer's quota.
func (rq *request) recordRefused(status int, why string) error {
	body := map[string]any{"operation": rq.operation(), "status": status, "reason": clip(why, maxWhy)}
	if rq.resource.Kind != 0 {
		body["resource"] = rq.resource.Kind.String()
	}
	return rq.record("web.refused", rq.who(body))
}

// who adds to a record's body who asks, as far as that is known.
func (rq *request) who(body map[string]any) map[string]any {
	switch {
	case rq.visit != nil:
		body["archive"] = rq.visit.archive
		return rq.visit.who(body)
	case rq.peer.Address.IsValid():
		maps.Copy(body, rq.caller().named())
	default:
		body["address"] = rq.address.String()
	}
	return body
}

// record makes a refusal durable, if the peer has not had too many recorded.
func (rq *request) record(kind string, body map[string]any) error {
	omitted, ok := rq.s.refusals.Take(rq.address, time.Now())
	if !ok {
		return nil
	}
	if omitted > 0 {
		body["omitted"] = omitted
	}
	ctx := context.WithoutCancel(rq.r.Context())
	return rq.s.parts.Ledger.Record(ctx, kind, body)
}

// maxRefusals is how many refusals of one peer are recorded one by one; then one
// each refusalInterval says how many there were in between.
const (
	maxRefusals     = 30
	refusalInterval = 10 * time.Second
	tellOmissions   = time.Minute
)

// recordOmissions puts the refusals without a record of their own on the ledger,
// until ctx ends.
func (s *Server) recordOmissions(ctx context.Context) {
	ticker := time.NewTicker(tellOmissions)
	defer ticker.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
		if o := s.refusals.Drain(); o.Total > 0 {
			s.parts.Ledger.Note("refusals.omitted", map[string]any{"omitted": o.Total, "peers": o.Peers, "addresses": o.Named})
		}
	}
}
