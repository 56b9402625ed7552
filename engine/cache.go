package engine

import (
	"container/list"
	"crypto/sha256"
	"sync"
	"time"

	"cordon/finding"
)

// Cache remembers what engines answered about pieces, so that identical pieces are asked about once. It holds clean and
// malicious answers of known signatures only: what was not scanned is always asked again. It is safe for concurrent use.
type Cache struct {
	entries int
	age     time.Duration

	mu     sync.Mutex
	byKey  map[cacheKey]*list.Element
	recent list.List // of cached; the front was used last
}

type cacheKey struct {
	digest     [sha256.Size]byte
	engine     string
	signatures string
}

type cached struct {
	key    cacheKey
	answer finding.EngineResult
	until  time.Time
}

// NewCache returns a cache of at most that many answers, each at most that old. The age matters where the version of an
// engine's signatures does not change with all of them: clamd's says nothing of signatures that ClamAV did not make.
func NewCache(entries int, age time.Duration) *Cache {
	return &Cache{entries: entries, age: age, byKey: map[cacheKey]*list.Element{}}
}

// Get returns the answer of the engine of that name and those signatures about the piece with that SHA-256.
func (c *Cache) Get(digest [sha256.Size]byte, engine, signatures string) (finding.EngineResult, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byKey[cacheKey{digest, engine, signatures}]
	if !ok {
		return finding.EngineResult{}, false
	}
	entry := e.Value.(cached)
	if time.Now().After(entry.until) {
		c.drop(e)
		return finding.EngineResult{}, false
	}
	c.recent.MoveToFront(e)
	return entry.answer, true
}

// Put remembers an answer, unless nothing was scanned or the signatures are not known. The answer that was used least
// recently makes place.
func (c *Cache) Put(digest [sha256.Size]byte, answer finding.EngineResult) {
	if answer.Result != finding.Clean && answer.Result != finding.ResultMalicious || answer.Signatures == "" || c.entries <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	key := cacheKey{digest, answer.Name, answer.Signatures}
	if e, ok := c.byKey[key]; ok {
		c.drop(e)
	}
	for len(c.byKey) >= c.entries {
		c.drop(c.recent.Back())
	}
	c.byKey[key] = c.recent.PushFront(cached{key, answer, time.Now().Add(c.age)})
}

// drop forgets an answer. The caller holds the lock.
func (c *Cache) drop(e *list.Element) {
	delete(c.byKey, e.Value.(cached).key)
	c.recent.Remove(e)
}
