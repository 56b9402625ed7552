package web

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// errStalled is why an exchange that stood still was given up.
var errStalled = errors.New("no byte went through for too long")

// watch gives up an exchange in which nothing moves. What is waited for is the
// archive; while our own source is read, no clock runs. Each direction has its own.
type watch struct {
	cancel context.CancelCauseFunc
	limit  time.Duration
	sent   *source // nil: no body is sent

	mu     sync.Mutex
	failed error // of our own source
}

func watchStall(ctx context.Context, limit time.Duration) (context.Context, *watch) {
	ctx, cancel := context.WithCancelCause(ctx)
	return ctx, &watch{cancel: cancel, limit: limit}
}

// clock ends the exchange when it has run for the limit. It does not run yet.
func (w *watch) clock() *time.Timer {
	t := time.AfterFunc(w.limit, func() { w.cancel(errStalled) })
	t.Stop()
	return t
}

// stop ends the exchange. When it returns, nobody reads our source.
func (w *watch) stop() {
	w.cancel(nil)
	if w.sent != nil {
		w.sent.finish()
	}
}

// fail notes an error of our own source.
func (w *watch) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed = err
}

// why is the cause of an exchange that failed: our own source's error, the caller's
// context, or else the archive.
func (w *watch) why(ctx context.Context, err error) error {
	w.mu.Lock()
	failed := w.failed
	w.mu.Unlock()
	ended := context.Cause(ctx)
	switch {
	case failed != nil:
		return failed
	case errors.Is(ended, errStalled):
		return &awayError{errStalled}
	case errors.Is(ended, context.DeadlineExceeded):
		return &awayError{ended}
	case ended != nil:
		return ended
	}
	return &awayError{cause(err)}
}

// cause is why an exchange failed, as far as it can be said without repeating what the archive sent, or
// the address, whose query holds names.
func cause(err error) error {
	var op *net.OpError
	var certificate *tls.CertificateVerificationError
	var slow interface{ Timeout() bool }
	switch {
	case errors.As(err, &certificate):
		return certificate
	case errors.As(err, &op):
		return op
	case errors.As(err, &slow) && slow.Timeout():
		return errors.New("no answer in time")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return errors.New("it hung up")
	}
	return errors.New("its answer is not HTTP, or longer than it may be")
}

// source reads a request's body for the transport. Between two reads it is the archive
// that takes its time.
func (w *watch) source(r io.Reader) io.Reader {
	w.sent = &source{watch: w, clock: w.clock(), r: r}
	return w.sent
}

// source is read by the transport's own goroutine, which may go on after an exchange
// has failed or been answered early: what it reads is not ours any more then.
type source struct {
	watch *watch
	clock *time.Timer

	mu   sync.Mutex // held while r is read
	r    io.Reader
	done bool
}

func (s *source) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		return 0, errDone
	}
	s.clock.Stop()
	n, err := s.r.Read(p)
	switch {
	case err == nil:
		s.clock.Reset(s.watch.limit)
	case err != io.EOF: // after the end the transport's own limit holds
		s.watch.fail(err)
	}
	return n, err
}

var errDone = errors.New("the exchange is over")

// Close is the transport's.
func (s *source) Close() error {
	s.clock.Stop()
	return nil
}

// finish waits for a read that is under way, and lets no other begin.
func (s *source) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = true
	s.clock.Stop()
}

// body reads an answer's body for the caller.
func (w *watch) body(ctx context.Context, r io.ReadCloser) io.ReadCloser {
	return &watchedBody{ctx: ctx, watch: w, clock: w.clock(), r: r}
}

type watchedBody struct {
	ctx   context.Context
	watch *watch
	clock *time.Timer
	r     io.ReadCloser
}

// Read waits for the archive no longer than the limit. An error is of [ErrAway]: what was
// to come may come another time.
func (b *watchedBody) Read(p []byte) (int, error) {
	b.clock.Reset(b.watch.limit)
	n, err := b.r.Read(p)
	b.clock.Stop()
	if err != nil && err != io.EOF {
		err = b.watch.why(b.ctx, err)
	}
	return n, err
}

func (b *watchedBody) Close() error {
	b.clock.Stop()
	b.watch.stop()
	return b.r.Close()
}
