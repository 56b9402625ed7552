package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"time"

	"cordon/finding"
)

const (
	headBytes = 64 << 10         // of a piece kept until the server has answered, to send again; also the longest preview
	idleLimit = 30 * time.Second // after which a kept connection is not used again
)

// ICAPConfig says where the ICAP service is and what may be asked of it. Zero fields mean the defaults.
type ICAPConfig struct {
	URL         string        // icap://host[:1344]/service
	Timeout     time.Duration // of one scan, waiting included; 10 s
	MaxBody     int64         // bytes of one piece, 25 MiB, at most 2000 MiB; not over the server's own limit
	Connections int           // at a time; 8. The server's Max-Connections may lower it
}

// Validate returns an error if the URL names no service.
func (c ICAPConfig) Validate() error {
	_, _, err := icapService(c.URL)
	return err
}

// ICAP asks an ICAP server (RFC 3507) by RESPMOD, or by REQMOD if the service offers nothing else. It is safe for
// concurrent use.
type ICAP struct {
	uri, address string
	invalid      error
	settings     settings
	seats        seats

	mu      sync.Mutex
	options options
	until   time.Time // until when options are believed
	idle    []*icapConn
}

// NewICAP returns an engine that talks to an ICAP service. It does not connect before it is asked something. A URL that
// Validate rejects makes an engine that scans nothing and says why.
func NewICAP(c ICAPConfig) *ICAP {
	uri, address, err := icapService(c.URL)
	s := newSettings(c.Timeout, c.MaxBody, c.Connections)
	return &ICAP{uri: uri, address: address, invalid: err, settings: s, seats: seats{limit: s.connections}}
}

// icapService splits a URL into the request URI and the address to dial. The port is 1344 unless given (RFC 3507 §4.2).
func icapService(s string) (uri, address string, err error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "icap" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return "", "", errors.New("ICAP service: expected icap://host[:port]/service")
	}
	port := u.Port()
	if port == "" {
		port = "1344"
	}
	return u.String(), net.JoinHostPort(u.Hostname(), port), nil
}

// Name returns "icap".
func (i *ICAP) Name() string { return "icap" }

// Scan sends one piece of size bytes (negative if unknown) and returns what the server says of it. It never fails: what
// could not be scanned is Unscanned, and Detail says why.
func (i *ICAP) Scan(ctx context.Context, r io.Reader, size int64) finding.EngineResult {
	answer := finding.EngineResult{Name: i.Name()}
	ctx, cancel := context.WithTimeout(ctx, i.settings.timeout)
	defer cancel()
	err := errTooLarge
	if size <= i.settings.limit {
		err = i.seated(ctx, func() (err error) {
			answer, err = i.scan(ctx, &piece{r: r, declared: size, limit: i.settings.limit})
			return err
		})
	}
	if err != nil {
		answer.Name, answer.Result, answer.Detail = i.Name(), finding.Unscanned, err.Error()
	}
	return answer
}

// Signatures returns the signatures that a scan begun now will name, for a Cache; "" if they are not known. It asks
// the server at most every ten seconds.
func (i *ICAP) Signatures(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, i.settings.timeout)
	defer cancel()
	var o options
	i.seated(ctx, func() (err error) {
		o, err = i.known(ctx)
		return err
	})
	return o.tag
}

// State asks the server for its options. The signatures are its ISTag, which says nothing of their age.
func (i *ICAP) State(ctx context.Context) State {
	ctx, cancel := context.WithTimeout(ctx, i.settings.timeout)
	defer cancel()
	s := State{Name: i.Name()}
	err := i.seated(ctx, func() error {
		o, err := i.askOptions(ctx)
		s.Signatures = o.tag
		return err
	})
	if err != nil {
		s.Error = err.Error()
	}
	s.Up = err == nil
	return s
}

// seated does what needs a connection once there is a seat for it.
func (i *ICAP) seated(ctx context.Context, do func() error) error {
	if i.invalid != nil {
		return i.invalid
	}
	return i.seats.seated(ctx, do)
}

// known returns the options, asked for if those at hand are too old.
func (i *ICAP) known(ctx context.Context) (options, error) {
	i.mu.Lock()
	o, until := i.options, i.until
	i.mu.Unlock()
	if time.Now().Before(until) {
		return o, nil
	}
	return i.askOptions(ctx)
}

// askOptions sends OPTIONS and remembers the answer.
func (i *ICAP) askOptions(ctx context.Context) (options, error) {
	o, err := i.readOptions(ctx)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.options, i.until = o, time.Now().Add(fresh)
	if err != nil {
		i.until = time.Time{}
		return o, err
	}
	i.seats.restrict(min(i.settings.connections, o.connections))
	return o, nil
}

func (i *ICAP) readOptions(ctx context.Context) (options, error) {
	c, err := i.dial(ctx)
	if err != nil {
		return options{}, err
	}
	fmt.Fprintf(c.out, "OPTIONS %s ICAP/1.0\r\nHost: %s\r\nUser-Agent: Cordon\r\nEncapsulated: null-body=0\r\n\r\n", i.uri, i.address)
	c.out.Flush() // if it fails, so does reading
	a := c.readAnswer(headBytes)
	i.done(c, a.reusable())
	if a.err != nil {
		return options{}, reason(ctx, "asking the ICAP server for its options", a.err)
	}
	return parseOptions(a)
}

// scan sends one piece. A kept connection may have been closed by the server meanwhile: then the piece is sent once more on
// a new one, which is possible as long as no more of it was read than its head.
func (i *ICAP) scan(ctx context.Context, p *piece) (finding.EngineResult, error) {
	o, err := i.known(ctx)
	if err != nil {
		return finding.EngineResult{}, err
	}
	answer := finding.EngineResult{Name: i.Name(), Signatures: o.tag}
	head := make([]byte, headBytes)
	n, err := p.fill(head)
	if err != nil {
		return answer, err
	}
	x := exchange{options: o, uri: i.uri, host: i.address, head: head[:n], rest: p, bodyLimit: i.settings.limit}
	v, err := i.exchange(ctx, &x)
	if err != nil {
		return answer, err
	}
	answer.Result, answer.Detail = v.result, v.detail
	if v.tag != "" && v.tag != o.tag {
		i.forgetOptions()
	}
	return answer, nil
}

// exchange runs an exchange on a kept connection if it can be repeated, and on a new one otherwise or if the kept one
// was closed.
func (i *ICAP) exchange(ctx context.Context, x *exchange) (verdict, error) {
	if x.repeatable() {
		if c := i.takeIdle(ctx); c != nil {
			v, err := i.exchangeOn(ctx, c, x)
			if !errors.Is(err, errClosed) || !x.repeatable() {
				return v, err
			}
		}
	}
	c, err := i.dial(ctx)
	if err != nil {
		return verdict{}, err
	}
	return i.exchangeOn(ctx, c, x)
}

func (i *ICAP) exchangeOn(ctx context.Context, c *icapConn, x *exchange) (verdict, error) {
	v, err := x.run(ctx, c)
	i.done(c, err == nil && v.reusable)
	return v, err
}

// forgetOptions makes the next scan ask for them: the server's ISTag has changed (RFC 3507 §4.7).
func (i *ICAP) forgetOptions() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.until = time.Time{}
}
