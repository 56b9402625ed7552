package webgate

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"time"

	"cordon/quota"
)

// Serve answers requests that come over l until ctx ends; then those under way have
// Config.Grace to finish. h is what is served, the Server itself if it is nil: whoever
// wraps it (for CORS, say) passes the wrapper. TLS is Config.TLS, over l.
func (s *Server) Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	if h == nil {
		h = s
	}
	requests, cut := context.WithCancel(context.WithoutCancel(ctx)) // outlives ctx by the grace
	defer cut()
	requests = context.WithValue(requests, work{}, requests)
	server := &http.Server{
		Handler:           s.patiently(h),
		ReadHeaderTimeout: s.config.HeaderTimeout,
		IdleTimeout:       s.config.Quiet,
		MaxHeaderBytes:    s.config.MaxHeader,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ErrorLog:          slog.NewLogLogger(s.parts.Log.Handler(), slog.LevelDebug), // it quotes addresses, and every scanner makes some
		Protocols:         new(http.Protocols),
		ConnState:         s.watchHandshake,
	}
	server.Protocols.SetHTTP1(true)
	var background sync.WaitGroup
	background.Go(func() { s.recordOmissions(ctx) })
	background.Go(func() { // ends with ctx, and when requests have ended
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.Grace)
		defer cancel()
		if server.Shutdown(grace) != nil {
			cut()
			server.Close()
		}
	})
	l = &turnstile{Listener: l, crowd: quota.NewCrowd[netip.Addr](s.config.MaxPerAddress, s.config.MaxConnections)}
	if s.config.TLS != nil {
		l = tls.NewListener(l, s.config.TLS) // outermost, so that requests say which certificate was shown
	}
	err := server.Serve(l)
	if ctx.Err() == nil {
		return err
	}
	background.Wait()
	s.visits.close()
	s.shelf.clear()
	return nil
}

// patiently has h answer clients that are not waited for without end. The time that
// one request was given is none of the next on its connection.
func (s *Server) patiently(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := &patient{w, http.NewResponseController(w), s.config.Stall}
		p.wait()
		h.ServeHTTP(p, r)
	})
}

// patient is a response whose client has some time to take each block of it.
type patient struct {
	http.ResponseWriter
	control *http.ResponseController
	stall   time.Duration
}

func (p *patient) wait() {
	_ = p.control.SetWriteDeadline(time.Now().Add(p.stall)) // a server without deadlines has none to miss
}

func (p *patient) WriteHeader(status int) {
	p.wait()
	p.ResponseWriter.WriteHeader(status)
}

func (p *patient) Write(b []byte) (n int, err error) {
	for first := true; err == nil && (first || n < len(b)); first = false {
		var m int
		p.wait()
		m, err = p.ResponseWriter.Write(b[n:min(len(b), n+patience)])
		n += m
	}
	return n, err
}

// patience is how much is written in one time, in bytes.
const patience = 64 << 10

// Unwrap is for http.ResponseController.
func (p *patient) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// work is the key of the context that ends with the server's work, not with a request.
type work struct{}

// workOf is a context for what is seen to its end although its sender has gone.
func workOf(ctx context.Context) context.Context {
	if w, ok := ctx.Value(work{}).(context.Context); ok {
		return w
	}
	return context.WithoutCancel(ctx)
}

// turnstile lets connections in within the limits; others are closed at once, before
// a byte of theirs is read.
type turnstile struct {
	net.Listener
	crowd *quota.Crowd[netip.Addr]
}

func (t *turnstile) Accept() (net.Conn, error) {
	for {
		nc, err := t.Listener.Accept()
		if err != nil {
			return nil, err
		}
		holder := holderOf(nc)
		if t.crowd.Enter(holder) {
			return &visitor{Conn: nc, leave: sync.OnceFunc(func() { t.crowd.Leave(holder) })}, nil
		}
		nc.Close()
	}
}

func holderOf(nc net.Conn) netip.Addr { return quota.Holder(addressIn(nc.RemoteAddr().String())) }

// visitor is a connection that leaves the turnstile when it is closed.
type visitor struct {
	net.Conn
	leave func()
}

func (v *visitor) Close() error {
	v.leave()
	return v.Conn.Close()
}

// seat takes one of the places for requests; release gives it back.
func (s *Server) seat(peer netip.Addr) (release func(), err error) {
	holder := quota.Holder(peer)
	if !s.seats.Enter(holder) {
		return nil, errBusy
	}
	return func() { s.seats.Leave(holder) }, nil
}

// storeSeat takes one of the places for requests that store.
func (s *Server) storeSeat() (release func(), err error) {
	select {
	case s.storing <- struct{}{}:
		return func() { <-s.storing }, nil
	default:
		return nil, errBusy
	}
}

// guardBody bounds the request's body: in bytes, and in how long it may stand still.
// What is returned ends the watch.
func (rq *request) guardBody() (done func()) {
	if rq.route.body == nil {
		return func() {}
	}
	rq.unread = rq.r.Body
	b := &body{ReadCloser: rq.r.Body, control: http.NewResponseController(rq.w), stall: rq.s.config.Stall, left: rq.s.config.MaxBody}
	rq.r.Body = b
	return func() { _ = b.control.SetReadDeadline(time.Time{}) } // the next request has limits of its own
}

// minRate is how many bytes a second a body has to bring in the long run, so that
// one that drips does not last for ever.
const minRate = 1 << 10

// body is a request's body within its limits.
type body struct {
	io.ReadCloser
	control *http.ResponseController
	stall   time.Duration
	left    int64
	waited  time.Duration // for the body
	read    int64
}

func (b *body) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	now := time.Now()
	_ = b.control.SetReadDeadline(now.Add(b.stall)) // a server without deadlines has none to miss
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	b.read += int64(n)
	b.waited += time.Since(now)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, errStalled
	case err == nil && b.waited > b.stall && b.read < int64(b.waited/time.Second)*minRate:
		return n, errStalled
	}
	return n, err
}
