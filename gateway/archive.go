package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"cordon/custody"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
)

// archive is one upstream and what is known of its health.
type archive struct {
	upstream Upstream
	wake     chan struct{} // holds at most one token
	hurry    atomic.Bool   // something urgent has come since the spool was last looked at
	served   atomic.Int64  // when an association that emptied the spool ended, Unix time in nanoseconds
	traffic  traffic
	moving   atomic.Int32 // objects on their way to it, whoever sends them

	mu            sync.Mutex
	asked         bool      // it has been called since the start
	failures      int       // in a row: it could not be reached, or took an object and did not answer
	silent        bool      // the last one was silence: an association alone does not make up for it
	downUntil     time.Time // not tried before; zero while it answers
	lastError     string    // why the last attempt failed; "" after a success
	tlsWhy        string    // why the last TLS handshake failed; "" after one that did not
	lastDelivered time.Time
	heard         time.Time // it answered, or was called in vain
	fullUntil     time.Time // it is not asked for further associations before
}

func newArchive(u Upstream) *archive {
	return &archive{upstream: u, wake: make(chan struct{}, 1), heard: time.Now()}
}

func (a *archive) wakeUp() {
	select {
	case a.wake <- struct{}{}:
	default: // a token is there already
	}
}

// resting reports whether the archive failed so lately that it is not to be
// tried yet.
func (a *archive) resting() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return time.Now().Before(a.downUntil)
}

// longestRest bounds how long an archive that is back goes unnoticed.
const longestRest = 30 * time.Second

// failed notes that the archive cannot be used, and lets it rest. The wait
// doubles with each failure in a row, from least to most.
func (a *archive) failed(err error, least, most time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked, a.heard = true, time.Now()
	a.downUntil = time.Now().Add(backOff(a.failures, least, min(most, longestRest)))
	a.failures++
	a.silent = errors.Is(err, errNoAnswer)
	a.lastError = err.Error()
}

// backOff doubles with each failure, from least to most, of which it takes half
// to all by chance: what failed together does not come back together.
func backOff(failures int, least, most time.Duration) time.Duration {
	pause := most
	if failures <= 16 {
		pause = min(most, least<<failures)
	}
	return pause/2 + rand.N(pause/2+1)
}

// sent notes how an attempt to send an object ended. An archive that stays
// silent rests, so that no modality waits for it again and again; one that
// breaks the association may just dislike this object.
func (a *archive) sent(err error, least, most time.Duration) {
	switch {
	case err == nil:
		a.mu.Lock()
		defer a.mu.Unlock()
		a.failures, a.silent, a.downUntil, a.lastError = 0, false, time.Time{}, ""
		a.heard = time.Now()
	case errors.Is(err, errNoAnswer) && !errors.Is(err, errOddLength):
		a.failed(err, least, most)
	default:
		a.mu.Lock()
		defer a.mu.Unlock()
		a.lastError = err.Error()
	}
}

// answered notes that the archive takes associations, and reports whether it
// had been out of reach.
func (a *archive) answered() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked, a.heard = true, time.Now()
	if a.failures == 0 || a.silent {
		return false
	}
	a.failures, a.downUntil, a.lastError = 0, time.Time{}, ""
	return true
}

func (a *archive) delivered() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lastDelivered = time.Now()
}

// associate opens an association with an archive, which rq names, under the
// calling AE title that it names. The error is a *ul.Rejection if the archive
// answered and said no; for good, which concerns this title alone and leaves the
// archive up.
func (g *Gateway) associate(ctx context.Context, a *archive, rq ul.Request) (*dimse.Conn, error) {
	return g.associateWith(ctx, a, a.upstream, rq)
}

// associateWith is associate by the archive's upstream, or as a session calls it.
func (g *Gateway) associateWith(ctx context.Context, a *archive, u Upstream, rq ul.Request) (*dimse.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, g.config.ConnectTimeout)
	defer cancel()
	as, err := g.pool.open(ctx, u, rq, g.config.Limits)
	g.tlsFailed(a, err)
	if err != nil {
		err = fmt.Errorf("archive %s: %w", a.upstream.Name, err)
		if isPermanent(err) {
			a.answered()
			a.sent(err, 0, 0) // shown until it takes an object: most often it does not know our address or a title
			return nil, err
		}
		a.failed(err, g.config.RetryMin, g.config.RetryMax)
		return nil, err
	}
	if a.answered() {
		g.parts.Log.Info("archive is back", "archive", a.upstream.Name)
		a.wakeUp()
	}
	return dimse.NewConn(as), nil
}

// tls is how the next connection is secured; nil is plain TCP.
func (u Upstream) tls() *tls.Config {
	if u.TLS == nil {
		return nil
	}
	return u.TLS()
}

// wakeFor makes the deliverers look at the spool for an object that was kept, at
// once if it is urgent.
func (g *Gateway) wakeFor(o custody.Object) {
	for _, name := range append([]string{o.Archive}, o.Also...) {
		if a := g.archives[name]; a != nil {
			if o.Urgent() {
				a.hurry.Store(true)
			}
			a.wakeUp()
		}
	}
}
