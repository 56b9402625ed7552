package held

import (
	"slices"
	"sync"
	"time"

	"cordon/preview"
)

const (
	onShelf = 8           // frames
	stays   = time.Minute // one
)

// shelf keeps the last frames for the moment between a page and the pictures on it.
// The zero shelf is empty. Its methods may be called from any goroutine.
type shelf struct {
	mu   sync.Mutex
	last []shelved // the latest last
}

type shelved struct {
	id    string
	frame preview.Frame
	until time.Time
}

func (s *shelf) get(id string, n int) (preview.Frame, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tidy()
	for _, f := range s.last {
		if f.id == id && f.frame.Number == n {
			return f.frame, true
		}
	}
	return preview.Frame{}, false
}

func (s *shelf) put(id string, f preview.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tidy()
	s.last = append(s.last, shelved{id, f, time.Now().Add(stays)})
	s.last = slices.Delete(s.last, 0, max(0, len(s.last)-onShelf))
}

// tidy takes out what is old. It needs mu.
func (s *shelf) tidy() {
	s.last = slices.DeleteFunc(s.last, func(f shelved) bool { return time.Now().After(f.until) })
}
