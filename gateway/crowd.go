package gateway

import "sync"

// crowd counts who is somewhere at a time, within a limit for each and for all.
// The zero crowd lets nobody in.
type crowd[K comparable] struct {
	each, all int

	mu    sync.Mutex
	total int
	in    map[K]int
}

func newCrowd[K comparable](each, all int) *crowd[K] {
	return &crowd[K]{each: each, all: all, in: map[K]int{}}
}

// enter lets k in, unless there are too many. Whoever was let in leaves.
func (c *crowd[K]) enter(k K) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.total >= c.all || c.in[k] >= c.each {
		return false
	}
	c.total++
	c.in[k]++
	return true
}

func (c *crowd[K]) leave(k K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total--
	if c.in[k]--; c.in[k] == 0 {
		delete(c.in, k)
	}
}
