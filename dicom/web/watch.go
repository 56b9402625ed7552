package web

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// errStalled is why a request that stood still was given up.
var errStalled = errors.New("no byte went through for too long")

// watch gives up an exchange in which nothing moves. What is waited for is the
// archive; while our own source is read, the clock stands still.
type watch struct {
	cancel context.CancelCauseFunc
	limit  time.Duration

	mu     sync.Mutex
	timer  *time.Timer
	failed error // of our own source
}

// watchStall starts no clock: until the first byte the transport's own limits hold.
func watchStall(ctx context.Context, limit time.Duration) (context.Context, *watch) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watch{cancel: cancel, limit: limit}
	w.timer = time.AfterFunc(limit, func() { cancel(errStalled) })
	w.timer.Stop()
	return ctx, w
}

func (w *watch) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// why is the cause of an exchange that failed: our own source's error, the caller's
// context, or else the archive.
func (w *watch) why(ctx context.Context, err error) error {
	w.mu.Lock()
	failed := w.failed
	w.mu.Unlock()
	cause := context.Cause(ctx)
	switch {
	case failed != nil:
		return failed
	case errors.Is(cause, errStalled):
		return &awayError{errStalled}
	case cause != nil && !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded):
		return cause
	case errors.Is(cause, context.DeadlineExceeded):
		return &awayError{cause}
	}
	return &awayError{withoutAddress(err)}
}

// withoutAddress drops the address that net/http puts before an error: its query holds names.
func withoutAddress(err error) error {
	for {
		inner := errors.Unwrap(err)
		var op *net.OpError
		if errors.As(err, &op) {
			return op
		}
		if inner == nil {
			return err
		}
		err = inner
	}
}

// source reads a request's body for the transport. Between two reads it is the archive
// that takes its time.
func (w *watch) source(r io.Reader) io.Reader { return &source{w, r} }

type source struct {
	watch *watch
	r     io.Reader
}

func (s *source) Read(p []byte) (int, error) {
	s.watch.timer.Stop()
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.watch.mu.Lock()
		s.watch.failed = err
		s.watch.mu.Unlock()
	}
	if err == nil {
		s.watch.timer.Reset(s.watch.limit)
	}
	return n, err
}

// Close lets the transport close what it was given, and nothing else.
func (s *source) Close() error {
	s.watch.timer.Stop()
	return nil
}

// body reads an answer's body for the caller.
func (w *watch) body(ctx context.Context, r io.ReadCloser) io.ReadCloser {
	return &watchedBody{ctx: ctx, watch: w, r: r}
}

type watchedBody struct {
	ctx   context.Context
	watch *watch
	r     io.ReadCloser
}

// Read waits for the archive no longer than the limit. An error is of [ErrAway]: what was
// to come may come another time.
func (b *watchedBody) Read(p []byte) (int, error) {
	b.watch.timer.Reset(b.watch.limit)
	n, err := b.r.Read(p)
	b.watch.timer.Stop()
	if err != nil && err != io.EOF {
		err = b.watch.why(b.ctx, err)
	}
	return n, err
}

func (b *watchedBody) Close() error {
	b.watch.stop()
	return b.r.Close()
}
