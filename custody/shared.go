package custody

import (
	"runtime"
	"sync"
	"syscall"
	"time"
)

// shared is memory that all Buffers have together, in segments: whoever comes
// while there is some takes it. It lies outside the garbage collector's heap,
// which would otherwise grow by as much again, and goes back to the system once
// nobody has used it for a while.
type shared struct {
	mu    sync.Mutex
	all   []byte
	free  [][]byte // the last given is the next taken
	total int
	rest  *time.Timer
}

const (
	segment    = 256 << 10
	sharedRest = 10 * time.Second
)

// newShared returns shared memory of so many bytes; if the system has none to
// give, there is none.
func newShared(bytes int) *shared {
	s := &shared{total: bytes / segment}
	if s.total == 0 {
		return s
	}
	all, err := syscall.Mmap(-1, 0, s.total*segment, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_NORESERVE)
	if err != nil {
		s.total = 0
		return s
	}
	s.all = all
	for at := 0; at < len(all); at += segment {
		s.free = append(s.free, all[at:at:at+segment])
	}
	s.rest = time.AfterFunc(sharedRest, s.giveBack)
	runtime.AddCleanup(s, func(all []byte) { _ = syscall.Munmap(all) }, all) // whoever reads it holds its Custody
	return s
}

// take returns an empty segment, or nil if all are taken.
func (s *shared) take() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.free)
	if n == 0 {
		return nil
	}
	p := s.free[n-1]
	s.free = s.free[:n-1]
	return p
}

// give takes segments back. Nobody reads them any more.
func (s *shared) give(segments [][]byte) {
	if len(segments) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range segments {
		s.free = append(s.free, p[:0])
	}
	if len(s.free) == s.total {
		s.rest.Reset(sharedRest)
	}
}

// giveBack lets the system have the pages, if all segments are free.
func (s *shared) giveBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.free) == s.total {
		_ = syscall.Madvise(s.all, syscall.MADV_DONTNEED) // if it will not, they stay ours
	}
}
