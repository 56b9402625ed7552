package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"cordon/dicom"
)

// ClientConfig says how to reach an archive.
type ClientConfig struct {
	Base   string             // https://archive.example/dicom-web
	TLS    func() *tls.Config // asked for each connection; nil: the system's roots, no certificate of our own
	Limits ClientLimits
	// Authorize adds to each request who asks, if it is not nil.
	Authorize func(*http.Request) error
	// Transport is for whoever reaches the archive in another way; nil: TCP.
	Transport http.RoundTripper
}

// ClientLimits bound what an archive can do to us. A zero field means its default.
type ClientLimits struct {
	Connect     time.Duration // to be connected, TLS included; 10 s
	Answer      time.Duration // from the end of a request to the header of its answer; 120 s
	Stall       time.Duration // without a byte, in either direction; 60 s
	HeaderBytes int64         // of an answer; 64 KiB
	Connections int           // that are kept open unused; 16
	DataSets    Limits        // of an answer in JSON or XML
	Multipart   MultipartLimits
}

func (l ClientLimits) withDefaults() ClientLimits {
	set := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	set(&l.Connect, 10*time.Second)
	set(&l.Answer, 120*time.Second)
	set(&l.Stall, 60*time.Second)
	if l.HeaderBytes == 0 {
		l.HeaderBytes = 64 << 10
	}
	if l.Connections == 0 {
		l.Connections = 16
	}
	return l
}

// Client asks a DICOMweb archive. It is safe for concurrent use.
//
// The archive is not trusted: answers are bounded, redirects are answers that
// were not asked for, and what it says is never repeated in an error.
type Client struct {
	base      string
	http      *http.Client
	limits    ClientLimits
	authorize func(*http.Request) error
	dialect   dialect
}

// ErrAway means that the archive could not be reached, fell silent, or says that it
// cannot answer now: the same may be asked again later.
var ErrAway = errors.New("the archive is away")

// AnswerError is an answer that is not the one asked for.
type AnswerError struct {
	Status int    // of HTTP
	Why    string // in our own words
}

func (e *AnswerError) Error() string {
	return fmt.Sprintf("the archive answered %d: %s", e.Status, e.Why)
}

// Is tells that an archive which is overloaded, or a proxy without it, is [ErrAway].
func (e *AnswerError) Is(target error) bool {
	switch e.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
		http.StatusRequestTimeout, http.StatusInsufficientStorage:
		return target == ErrAway
	}
	return false
}

// awayError is a cause of ErrAway.
type awayError struct{ err error }

func (e *awayError) Error() string        { return ErrAway.Error() + ": " + e.err.Error() }
func (e *awayError) Unwrap() error        { return e.err }
func (e *awayError) Is(target error) bool { return target == ErrAway }

// NewClient returns a client. It connects when it is asked something.
func NewClient(c ClientConfig) (*Client, error) {
	x := &Client{base: strings.TrimRight(c.Base, "/"), limits: c.Limits.withDefaults(), authorize: c.Authorize}
	if err := checkBase(x.base); err != nil {
		return nil, err
	}
	transport := c.Transport
	if transport == nil {
		transport = newTransport(c.TLS, x.limits)
	}
	x.http = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return x, nil
}

// checkBase: an address and a path, and nothing that hides in one.
func checkBase(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("the address of a DICOMweb service has the form https://HOST[:PORT]/PATH, without user, query or fragment")
	}
	return nil
}

// newTransport speaks HTTP/1.1 without a proxy, and decompresses nothing.
func newTransport(t func() *tls.Config, l ClientLimits) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext:            dialer(l),
		DialTLSContext:         dialerTLS(t, l),
		DisableCompression:     true,
		MaxIdleConnsPerHost:    l.Connections,
		MaxIdleConns:           l.Connections,
		IdleConnTimeout:        30 * time.Second,
		ResponseHeaderTimeout:  l.Answer,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: l.HeaderBytes,
		WriteBufferSize:        64 << 10,
		ReadBufferSize:         64 << 10,
		Protocols:              protocols,
	}
}

// Close closes connections that are not in use.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Request is what [Client.Do] asks.
type Request struct {
	Method      string // empty: GET
	Resource    Resource
	RawQuery    string
	Accept      Accept // empty: anything
	ContentType string
	Body        io.Reader // nil: none; streamed, and read before the answer's header comes
}

// Answer is an answer whose body has not been read. It must be closed.
type Answer struct {
	Status int
	Type   MediaType // zero if it names none
	Length int64     // as declared, -1 if it is not
	More   bool      // a Warning header says that there is more than the answer has (PS3.18 §8.3.4.4)
	Body   io.ReadCloser

	contentType string
	framed      bool // its end can be told from a connection that broke
}

// Do asks, and returns an answer of any status below 300. Others are an *[AnswerError]
// or, as when nobody answers, of [ErrAway]. ctx bounds the whole exchange, the body included.
func (c *Client) Do(ctx context.Context, rq Request) (*Answer, error) {
	a, err := c.exchange(ctx, rq)
	if err != nil {
		return nil, err
	}
	if a.Status < 200 || a.Status > 299 {
		a.Body.Close()
		return nil, &AnswerError{Status: a.Status, Why: statusText(a.Status)}
	}
	return a, nil
}

func statusText(status int) string {
	if status >= 300 && status < 400 {
		return "a redirect, which is not followed: give the address it leads to"
	}
	if s := http.StatusText(status); s != "" {
		return s
	}
	return "a status that HTTP does not know"
}

// exchange sends a request and returns whatever status comes.
func (c *Client) exchange(ctx context.Context, rq Request) (*Answer, error) {
	address := c.base + rq.Resource.Path()
	if rq.RawQuery != "" {
		address += "?" + rq.RawQuery
	}
	ctx, watch := watchStall(ctx, c.limits.Stall)
	method := rq.Method
	if method == "" {
		method = http.MethodGet
	}
	var body io.Reader
	if rq.Body != nil {
		body = watch.source(rq.Body)
	}
	h, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		watch.stop()
		return nil, errors.New("asking the archive: the request cannot be written as HTTP")
	}
	c.header(h, rq)
	if c.authorize != nil {
		if err := c.authorize(h); err != nil {
			watch.stop()
			return nil, fmt.Errorf("asking the archive: %w", err)
		}
	}
	response, err := c.http.Do(h)
	if err != nil {
		err = watch.why(ctx, err)
		watch.stop()
		return nil, err
	}
	return c.answer(ctx, watch, response)
}

func (c *Client) header(h *http.Request, rq Request) {
	h.Header.Set("User-Agent", dicom.ImplementationVersionName)
	if rq.ContentType != "" {
		h.Header.Set("Content-Type", rq.ContentType)
	}
	if len(rq.Accept) > 0 {
		h.Header.Set("Accept", rq.Accept.String())
	}
}

// String is the header Accept.
func (a Accept) String() string {
	s := make([]string, len(a))
	for i, m := range a {
		s[i] = m.String()
	}
	return strings.Join(s, ", ")
}

func (c *Client) answer(ctx context.Context, watch *watch, r *http.Response) (*Answer, error) {
	a := &Answer{
		Status: r.StatusCode, Length: r.ContentLength, contentType: r.Header.Get("Content-Type"),
		framed: r.ContentLength >= 0 || len(r.TransferEncoding) > 0,
		More:   saysMore(r.Header), Body: watch.body(ctx, r.Body),
	}
	if e := strings.ToLower(r.Header.Get("Content-Encoding")); e != "" && e != "identity" {
		a.Body.Close()
		return nil, &AnswerError{Status: r.StatusCode, Why: "a compressed body, which was not asked for"}
	}
	if a.contentType == "" {
		return a, nil
	}
	m, err := ParseMediaType(a.contentType)
	if err != nil || len(r.Header.Values("Content-Type")) > 1 {
		a.Body.Close()
		return nil, &AnswerError{Status: r.StatusCode, Why: "a Content-Type that cannot be read"}
	}
	a.Type = m
	return a, nil
}

// saysMore finds the warning of PS3.18 §8.3.4.4 among others of the same code.
func saysMore(h http.Header) bool {
	return slices.ContainsFunc(h.Values("Warning"), func(s string) bool {
		return strings.Contains(s, "299") && strings.Contains(s, "additional results")
	})
}

// Multipart reads the body as multipart/related; an answer of a single part, which some
// archives give to whoever asks for one instance, is not one.
func (a *Answer) Multipart(l MultipartLimits) (*MultipartReader, error) {
	m, err := NewMultipartReader(a.Body, a.contentType, l)
	if err != nil {
		return nil, &AnswerError{Status: a.Status, Why: err.Error()}
	}
	return m, nil
}
