package webgate

import (
	"context"
	"errors"
	"sync"
	"time"

	"cordon/dicom"
)

// instanceKey names a judged instance. What was judged for going live, or under a
// bypass, is no judgement for others.
type instanceKey struct {
	archive                 string
	study, series, instance dicom.UID
	monitor, bypassed       bool
}

// shelf keeps instances that were just retrieved and judged, since a viewer asks for
// their frames one by one. It is bounded in number, in bytes and in age.
//
// Life of an instance on it: whoever wants it first fetches it, others wait for that;
// it is used until it is too old, or others have come after it, and freed when nobody
// works with it any more.
type shelf struct {
	mu     sync.Mutex
	items  map[instanceKey]*shelved
	order  []instanceKey // the oldest first
	bytes  int64
	memory int64       // of these, as far as they are kept there, and of what was read of them
	timer  *time.Timer // drops what is too old; nil: nothing is here
}

// shelved is one instance, or why there is none.
type shelved struct {
	ready  chan struct{} // closed once o and err are set
	object *object
	err    error
	at     time.Time

	users   int   // requests that work with it; guarded by the shelf's mu
	dropped bool  // its last user frees it; the same
	weight  int64 // of what was read of it, in bytes; the same
}

const (
	shelfAge    = time.Minute
	shelfItems  = 256
	shelfBytes  = 4 << 30
	shelfMemory = 64 << 20
	inMemory    = 1 << 20 // of one buffer, at the most
)

func newShelf() *shelf { return &shelf{items: map[instanceKey]*shelved{}} }

// get returns the instance, which fetch gets if it is not here. It stays the shelf's,
// and is to be released.
func (s *shelf) get(ctx context.Context, k instanceKey, fetch func() (*object, error)) (*shelved, error) {
	for {
		it, mine := s.claim(k)
		if mine {
			s.fill(k, it, fetch)
		}
		select {
		case <-it.ready:
			if it.err == nil {
				return it, nil
			}
		case <-ctx.Done():
			s.release(it)
			return nil, context.Cause(ctx)
		}
		s.release(it)
		if mine || !isGone(it.err) { // of another request, which took what it was fetching along
			return nil, it.err
		}
	}
}

// fill fetches an instance and tells those who wait, a fault of ours included.
func (s *shelf) fill(k instanceKey, it *shelved, fetch func() (*object, error)) {
	it.err = errFault
	defer s.settle(k, it)
	it.object, it.err = fetch()
}

// release ends what one user does with an instance.
func (s *shelf) release(it *shelved) {
	s.mu.Lock()
	defer s.mu.Unlock()
	it.users--
	it.free()
}

// free frees an instance that is not here any more, once nobody uses it. It needs mu.
func (it *shelved) free() {
	if it.dropped && it.users == 0 {
		it.object.buffer.Discard()
	}
}

// weigh counts what is kept of an instance beside its bytes.
func (s *shelf) weigh(it *shelved, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if it.dropped {
		return
	}
	it.weight += bytes
	s.memory += bytes
	s.makeRoom()
}

var errFault = errors.New("a fault of the gateway's own")

// isGone reports whether an error says no more than that a client has gone.
func isGone(err error) bool {
	return err != nil && (err == context.Canceled || err == context.DeadlineExceeded)
}

// claim finds the instance, or has the caller fetch it.
func (s *shelf) claim(k instanceKey) (it *shelved, mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if it = s.items[k]; it != nil {
		if it.at.IsZero() || time.Since(it.at) < shelfAge {
			it.users++
			return it, false
		}
		s.drop(k)
	}
	it = &shelved{ready: make(chan struct{}), users: 1}
	s.items[k] = it
	return it, true
}

// settle tells those who wait, and keeps what can be used again.
func (s *shelf) settle(k instanceKey, it *shelved) {
	s.mu.Lock()
	defer s.mu.Unlock()
	it.at = time.Now()
	close(it.ready)
	if it.object == nil {
		delete(s.items, k)
		return
	}
	s.order = append(s.order, k)
	s.bytes += it.object.report.Bytes
	s.memory += min(inMemory, it.object.report.Bytes)
	s.makeRoom()
	if s.timer == nil {
		s.timer = time.AfterFunc(shelfAge, s.sweep) // stopped by clear
	}
}

// makeRoom drops the oldest for the newest. It needs mu.
func (s *shelf) makeRoom() {
	for len(s.order) > 1 && (len(s.order) > shelfItems || s.bytes > shelfBytes || s.memory > shelfMemory) {
		s.drop(s.order[0])
	}
}

// sweep drops what is too old.
func (s *shelf) sweep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.order) > 0 && time.Since(s.items[s.order[0]].at) >= shelfAge {
		s.drop(s.order[0])
	}
	s.timer = nil
	if len(s.order) > 0 {
		s.timer = time.AfterFunc(shelfAge-time.Since(s.items[s.order[0]].at), s.sweep)
	}
}

// put adds an instance that came with others. It becomes the shelf's.
func (s *shelf) put(k instanceKey, o *object) {
	it, mine := s.claim(k)
	defer s.release(it)
	if !mine {
		o.buffer.Discard()
		return
	}
	it.object = o
	s.settle(k, it)
}

// drop takes an instance away. It needs mu.
func (s *shelf) drop(k instanceKey) {
	it := s.items[k]
	delete(s.items, k)
	for i, other := range s.order {
		if other == k {
			s.order = append(s.order[:i], s.order[i+1:]...)
			break
		}
	}
	s.bytes -= it.object.report.Bytes
	s.memory -= min(inMemory, it.object.report.Bytes) + it.weight
	it.dropped = true
	it.free()
}

// clear takes all of them away.
func (s *shelf) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.order) > 0 {
		s.drop(s.order[0])
	}
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}
