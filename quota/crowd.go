package quota

import "sync"

// Crowd counts who is somewhere at a time, within a limit for each and for all.
// The zero Crowd lets nobody in.
type Crowd[K comparable] struct {
	each, all int

	mu    sync.Mutex
	total int
	in    map[K]int
}

// NewCrowd lets each in so often at a time, and so many in all.
func NewCrowd[K comparable](each, all int) *Crowd[K] {
	return &Crowd[K]{each: each, all: all, in: map[K]int{}}
}

// Enter lets k in, unless there are too many. Whoever was let in leaves.
func (c *Crowd[K]) Enter(k K) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.total >= c.all || c.in[k] >= c.each {
		return false
	}
	c.total++
	c.in[k]++
	return true
}

// Leave lets k out again.
func (c *Crowd[K]) Leave(k K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total--
	if c.in[k]--; c.in[k] == 0 {
		delete(c.in, k)
	}
}
