package webgate

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"cordon/dicom/web"
	"cordon/metric"
	"cordon/policy"
)

// request is one request under way.
type request struct {
	s         *Server
	w         http.ResponseWriter
	r         *http.Request
	log       *slog.Logger
	address   netip.Addr
	route     route
	resource  web.Resource
	peer      policy.WebPeer
	admission policy.WebAdmission
	accept    web.Accept
	up        *upstream
	visit     *visit
	base      string    // path below which the archive's resources are
	bypassed  bool      // verdicts are set aside for this device now
	paranoid  bool      // it stores objects, and is of a contained device
	began     bool      // the response has begun
	unread    io.Reader // the body, without the watch over it
	uses      []*shelved
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rq := &request{s: s, w: w, r: r, address: addressOf(r), log: s.parts.Log}
	defer rq.survive()
	if err := rq.serve(r.Context()); err != nil {
		rq.fail(err)
	}
}

// serve takes the request from its path to its answer. An error is answered by
// fail, if nothing has been yet.
func (rq *request) serve(ctx context.Context) error {
	release, err := rq.s.seat(rq.address)
	if err != nil {
		return err
	}
	defer release()
	if err := rq.parse(); err != nil {
		return err
	}
	if err := rq.admit(); err != nil {
		return err
	}
	if rq.visit, err = rq.s.visits.enter(ctx, rq.caller()); err != nil {
		if errors.Is(err, errBusy) || ctx.Err() != nil {
			return err
		}
		rq.log.Error("the ledger cannot be written: requests are turned away", "error", err)
		return refused(http.StatusServiceUnavailable, "the record of requests cannot be written now: try again later")
	}
	defer rq.s.visits.leave(rq.visit)
	rq.observeVisit()
	if len(rq.admission.WouldRefuse) > 0 {
		rq.wouldRefuse(rq.admission.WouldRefuse...)
	}
	rq.log = rq.s.parts.Log.With("visit", rq.visit.id, "peer", rq.address, "operation", rq.route.operation)
	rq.bypassed = rq.s.parts.Bypassed != nil && rq.s.parts.Bypassed(rq.admission.Device, string(rq.admission.Calling))
	if rq.paranoid = rq.route.service == policy.ServiceStore && rq.s.parts.Paranoid != nil && rq.s.parts.Paranoid(rq.admission.Device, rq.address); rq.paranoid {
		rq.bypassed = false
	}
	defer rq.guardBody()()
	defer rq.release()
	if rq.route.service == policy.ServiceStore {
		leave, err := rq.s.storeSeat()
		if err != nil {
			return err
		}
		defer leave()
	}
	return rq.route.serve(rq, ctx)
}

// release gives back what the request has used of the shelf.
func (rq *request) release() {
	for _, it := range rq.uses {
		rq.s.shelf.release(it)
	}
}

// parse reads path, method and the headers that every request may have.
func (rq *request) parse() (err error) {
	if err = checkForm(rq.r); err != nil {
		return err
	}
	var archive string
	if rq.route, rq.resource, archive, err = rq.s.find(rq.r); err != nil {
		return err
	}
	if rq.base = rq.s.config.Base; archive != "" {
		rq.base += "/archives/" + archive
	}
	if rq.accept, err = acceptOf(rq.r); err != nil {
		return err
	}
	rq.admission.Archive = archive // as asked for; admit answers it
	return rq.checkBody()
}

// checkForm refuses what no request of PS3.18 has.
func checkForm(r *http.Request) error {
	switch {
	case r.URL.Scheme != "" || r.URL.Host != "" || r.URL.Opaque != "":
		return refused(http.StatusBadRequest, "the request names an absolute URI: this is no proxy")
	case len(r.RequestURI) > maxURI:
		return refused(http.StatusRequestURITooLong, "the URI is longer than is taken")
	case r.Header.Get("Upgrade") != "":
		return refused(http.StatusNotImplemented, "connections are not upgraded here")
	}
	n := 0
	for _, values := range r.Header {
		n += len(values)
	}
	if n > maxHeaders {
		return refused(http.StatusRequestHeaderFieldsTooLarge, "more header lines than are taken")
	}
	return nil
}

const (
	maxURI     = 8 << 10 // bytes: lists of UIDs are long
	maxHeaders = 64      // lines of a request
)

// acceptOf is what the client takes, by its header or the query parameter
// (PS3.18 §8.3.3.1).
func acceptOf(r *http.Request) (web.Accept, error) {
	parameter := ""
	for _, pair := range strings.Split(r.URL.RawQuery, "&") {
		if value, ok := strings.CutPrefix(pair, "accept="); ok {
			var err error
			if parameter, err = unescape(value); err != nil {
				return nil, refused(http.StatusBadRequest, "the accept parameter is not escaped as a query is")
			}
		}
	}
	return web.ParseAccept(r.Header.Values("Accept"), parameter)
}

// checkBody refuses a body where none is expected, and one that is encoded: what
// is judged has to be what was sent.
func (rq *request) checkBody() error {
	encoding := strings.ToLower(strings.Join(rq.r.Header.Values("Content-Encoding"), ","))
	switch {
	case encoding != "" && encoding != "identity":
		return refused(http.StatusUnsupportedMediaType, "the body is compressed: send it as it is, without a Content-Encoding")
	case rq.r.ContentLength > rq.s.config.MaxBody:
		return refused(http.StatusRequestEntityTooLarge, "the body is longer than is taken: send several requests")
	case rq.route.body == nil && rq.r.ContentLength != 0:
		return refused(http.StatusBadRequest, "a body where none is expected")
	case rq.route.body != nil && rq.r.ContentLength == 0:
		return refused(http.StatusBadRequest, "no body")
	case rq.route.body != nil:
		return rq.route.body(rq.r.Header.Get("Content-Type"))
	}
	return nil
}

// admit asks who sends the request, and what policy says of that.
func (rq *request) admit() (err error) {
	if rq.peer, err = rq.s.parts.Who(rq.r); err != nil {
		return err
	}
	if rq.peer.Address.IsValid() {
		rq.address = rq.peer.Address
	}
	asked := policy.WebRequest{Service: rq.route.service, Archive: rq.admission.Archive, At: wallClock(time.Now())}
	rq.admission = rq.s.config.Site().AdmitWeb(rq.peer, asked)
	rq.observe()
	if !rq.admission.Granted() {
		return notGranted(rq.admission)
	}
	if rq.up = rq.s.upstreams[rq.admission.Archive]; rq.up == nil {
		return refused(http.StatusNotFound, "no such archive here")
	}
	return nil
}

// notGranted is how a refusal of policy's is answered.
func notGranted(ad policy.WebAdmission) error {
	status := http.StatusForbidden
	switch {
	case ad.Refusal == policy.NeedsToken:
		status = http.StatusUnauthorized
	case ad.Refusal == policy.NoArchive:
		status = http.StatusServiceUnavailable
	case ad.Refusal == policy.UnknownArchive, ad.Refusal == policy.NotRefused && ad.Reason == policy.NotServed:
		status = http.StatusNotFound
	}
	return refused(status, cmp.Or(ad.Why(), "not permitted"))
}

// wallClock is what the clock shows here: in the machine's time zone.
func wallClock(t time.Time) policy.WallClock {
	t = t.Local()
	return policy.WallClock{Day: int(t.Weekday()), Hour: t.Hour(), Minute: t.Minute()}
}

func (rq *request) caller() caller {
	c := caller{
		address: rq.address, tls: rq.peer.TLS, issuer: rq.peer.Issuer, subject: rq.peer.Subject,
		device: rq.admission.Device, calling: rq.admission.Calling, archive: rq.admission.Archive,
	}
	if rq.peer.Certificate != nil {
		c.certificate = rq.peer.Certificate.Fingerprint
	}
	return c
}

// addressOf is the address of the other end of the connection.
func addressOf(r *http.Request) netip.Addr { return addressIn(r.RemoteAddr) }

// addressIn is the address of ADDRESS:PORT, of which nothing else is known.
func addressIn(text string) netip.Addr {
	ap, err := netip.ParseAddrPort(text)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// survive ends a request that a fault of ours broke off, and lets the others go
// on. A response that has begun is cut, so that nobody takes it for whole.
func (rq *request) survive() {
	fault := recover()
	if fault == nil {
		return
	}
	if fault == http.ErrAbortHandler {
		panic(fault)
	}
	rq.s.parts.Log.Error("fault of the gateway's own", "fault", fault, "stack", string(debug.Stack()))
	rq.s.parts.Metrics.Count(metric.WebRequests, 1, rq.operation(), "fault")
	if rq.began {
		panic(http.ErrAbortHandler)
	}
	rq.answerError(http.StatusInternalServerError, "a fault of the gateway's own")
}

// operation names the request for a count or a record.
func (rq *request) operation() string { return cmp.Or(rq.route.operation, "none") }
