package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// A message that is relayed is held in memory. Most are short; so that many
// peers with a window each do not fill it, the long ones of the whole gateway
// have a fixed number of places.
const (
	maxMessage   = 4 << 20   // bytes of a data set. Objects and films have no such bound
	shortMessage = 256 << 10 // bytes that need no place
	maxLong      = 64        // long ones at a time
	maxLongEach  = 8         // of one sender: nobody takes them all
)

var (
	errMessageTooLong = fmt.Errorf("data set longer than %d bytes, or than an identifier may be", maxMessage)
	errNoPlace        = errors.New("too many long messages at a time")
)

// readData reads the request's data set into memory; nil if there is none. Of an
// identifier nothing is read beyond what may pass, unless whatever comes is
// passed on. For another long one it waits until there is a place.
func (r *relay) readData(ctx context.Context) ([]byte, error) {
	if r.m.Data == nil {
		return nil, nil
	}
	short, bounded := int64(shortMessage), false
	if isQuery(r.m.Command.Field) {
		short, bounded = int64(r.s.g.config.Query.Rules.MaxBytes()), true
	}
	data, err := io.ReadAll(io.LimitReader(r.m.Data, short+1))
	switch {
	case err != nil || int64(len(data)) <= short:
		return data, err
	case bounded && !r.deliversAll():
		return nil, errMessageTooLong
	}
	if r.place, err = r.awaitPlace(ctx); err != nil {
		return nil, err
	}
	long := bytes.NewBuffer(make([]byte, 0, maxMessage+1+bytes.MinRead))
	long.Write(data)
	if _, err := long.ReadFrom(io.LimitReader(r.m.Data, int64(maxMessage+1-len(data)))); err != nil {
		return nil, err
	}
	if long.Len() > maxMessage {
		return nil, errMessageTooLong
	}
	return long.Bytes(), nil
}

// awaitPlace takes a place for a long message, and returns what gives it back;
// errNoPlace if none comes free in the time that an operation has.
func (r *relay) awaitPlace(ctx context.Context) (giveBack func(), err error) {
	sender := r.archive
	if r.link != nil {
		sender = callerOf(r.s.g.site(), r.s.peer).holder.String()
	}
	patient, cancel := context.WithTimeoutCause(ctx, r.s.g.config.QueryTimeout, errNoPlace)
	defer cancel()
	return r.s.g.long.enter(patient, sender)
}

// longMessages are the places.
type longMessages struct {
	all  chan struct{} // one taken by each
	each int

	mu      sync.Mutex
	senders map[string]*sender // that have or await a place
}

// sender is one peer's share of the places.
type sender struct {
	places chan struct{}
	users  int // guarded by longMessages.mu
}

func newLongMessages(all, each int) *longMessages {
	return &longMessages{all: make(chan struct{}, all), each: each, senders: map[string]*sender{}}
}

// enter waits for a place of the sender's and takes it. The error is ctx's
// cause. giveBack may be called more than once.
func (l *longMessages) enter(ctx context.Context, name string) (giveBack func(), err error) {
	own := l.begin(name)
	if err := take(ctx, own.places); err != nil {
		l.end(name)
		return nil, err
	}
	if err := take(ctx, l.all); err != nil {
		<-own.places
		l.end(name)
		return nil, err
	}
	return sync.OnceFunc(func() {
		<-l.all
		<-own.places
		l.end(name)
	}), nil
}

func (l *longMessages) begin(name string) *sender {
	l.mu.Lock()
	defer l.mu.Unlock()
	own := l.senders[name]
	if own == nil {
		own = &sender{places: make(chan struct{}, l.each)}
		l.senders[name] = own
	}
	own.users++
	return own
}

func (l *longMessages) end(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	own := l.senders[name]
	if own.users--; own.users == 0 {
		delete(l.senders, name)
	}
}

// take takes one of the places, or returns why ctx is done.
func take(ctx context.Context, places chan struct{}) error {
	select {
	case places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
