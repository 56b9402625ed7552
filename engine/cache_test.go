package engine

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cordon/finding"
)

func TestCacheHoldsVerdictsOnly(t *testing.T) {
	c := NewCache(10, time.Hour)
	clean := finding.EngineResult{Name: "clamd", Result: finding.Clean, Signatures: "1"}
	for _, a := range []finding.EngineResult{
		{Name: "clamd", Result: finding.Unscanned, Signatures: "1"},
		{Name: "clamd", Result: finding.Clean},
		{Name: "clamd", Result: 9, Signatures: "1"},
	} {
		c.Put([32]byte{1}, a)
		if got, ok := c.Get([32]byte{1}, "clamd", a.Signatures); ok {
			t.Errorf("holds %+v", got)
		}
	}
	c.Put([32]byte{1}, clean)
	if got, ok := c.Get([32]byte{1}, "clamd", "1"); !ok || got != clean {
		t.Errorf("got %+v, %v", got, ok)
	}
	for _, other := range []struct {
		digest             [32]byte
		engine, signatures string
	}{{[32]byte{2}, "clamd", "1"}, {[32]byte{1}, "icap", "1"}, {[32]byte{1}, "clamd", "2"}, {[32]byte{1}, "clamd", ""}} {
		if _, ok := c.Get(other.digest, other.engine, other.signatures); ok {
			t.Errorf("answers for %+v", other)
		}
	}
	hit := finding.EngineResult{Name: "clamd", Result: finding.ResultMalicious, Detail: "Eicar", Signatures: "1"}
	c.Put([32]byte{1}, hit)
	if got, _ := c.Get([32]byte{1}, "clamd", "1"); got != hit {
		t.Errorf("the later answer does not count: %+v", got)
	}
}

func TestCacheIsBoundedInSizeAndAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCache(3, time.Minute)
		for i := range 100 {
			c.Put([32]byte{byte(i)}, finding.EngineResult{Name: "clamd", Result: finding.Clean, Signatures: "1"})
			c.Get([32]byte{0}, "clamd", "1") // the first is used all the time
		}
		for digest, want := range map[byte]bool{0: true, 1: false, 97: false, 98: true, 99: true} {
			if _, ok := c.Get([32]byte{digest}, "clamd", "1"); ok != want {
				t.Errorf("%d: %v", digest, ok)
			}
		}
		if len(c.byKey) != 3 || c.recent.Len() != 3 {
			t.Errorf("holds %d", len(c.byKey))
		}
		time.Sleep(time.Minute + 1)
		if _, ok := c.Get([32]byte{0}, "clamd", "1"); ok || len(c.byKey) != 2 {
			t.Error("answers after its age")
		}
	})
	none := NewCache(0, time.Minute)
	none.Put([32]byte{}, finding.EngineResult{Name: "clamd", Result: finding.Clean, Signatures: "1"})
	if len(none.byKey) != 0 {
		t.Error("a cache of nothing holds something")
	}
}

func TestCacheConcurrently(t *testing.T) {
	c := NewCache(50, time.Hour)
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 1000 {
				c.Put([32]byte{byte(i), byte(g)}, finding.EngineResult{Name: "clamd", Result: finding.Clean, Signatures: "1"})
				c.Get([32]byte{byte(i), byte(g + 1)}, "clamd", "1")
			}
		})
	}
	all.Wait()
	if len(c.byKey) != 50 || c.recent.Len() != 50 {
		t.Errorf("holds %d and %d", len(c.byKey), c.recent.Len())
	}
}
