package engine

import (
	"context"
	"slices"
	"sync"
)

// seats bounds how many connections to one engine are open. Who waits is served in order.
type seats struct {
	mu      sync.Mutex
	limit   int
	taken   int
	waiting []chan struct{}
}

// seated does what needs a connection as soon as there is a seat for it.
func (s *seats) seated(ctx context.Context, do func() error) error {
	if err := s.take(ctx); err != nil {
		return reason(ctx, "waiting for a connection", err)
	}
	defer s.leave()
	return do()
}

// take returns once a seat is the caller's, who calls leave afterwards, or with the context's error.
func (s *seats) take(ctx context.Context) error {
	s.mu.Lock()
	if s.taken < s.limit && len(s.waiting) == 0 {
		s.taken++
		s.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	s.waiting = append(s.waiting, turn)
	s.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		s.abandon(turn)
		return ctx.Err()
	}
}

// abandon gives up a turn, or the seat if the turn has come meanwhile.
func (s *seats) abandon(turn chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.waiting, turn); i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
		return
	}
	s.taken--
	s.seat()
}

func (s *seats) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	s.seat()
}

// restrict sets how many seats there are from now on. Who sits stays.
func (s *seats) restrict(limit int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = limit
	s.seat()
}

// seat gives free seats to who waits. The caller holds the lock.
func (s *seats) seat() {
	for s.taken < s.limit && len(s.waiting) > 0 {
		close(s.waiting[0])
		s.waiting = s.waiting[1:]
		s.taken++
	}
}
