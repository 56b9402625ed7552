package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"slices"
	"time"

	"cordon/ledger"
	"cordon/review"
)

// collector reads the records of a period, and some from before it, once.
type collector struct {
	from, to time.Time
	seed     string // of the choice of samples

	counts  []counted // of every selection
	samples []chosen  // of every control
	matches map[string]matching
	records int64

	facts facts
}

// counted is a selection with its count.
type counted struct {
	*Selection
	n      int64
	unread int64 // of those that it looks into, records whose bodies are gone
}

// matching is what a kind of record is looked at for, by index.
type matching struct {
	counts, samples []int
	bodies          bool // somebody looks into the body
}

// chosen are the samples of one control: those of the smallest keys.
type chosen struct {
	kinds []string
	kept  map[string][]candidate // by kind pattern
}

type candidate struct {
	key    [sha256.Size]byte
	record ledger.Record
}

const (
	// perKind is how many samples are taken of one kind, perControl of one control.
	perKind, perControl = 2, 6
)

// newCollector begins; now ends what has no end yet.
func newCollector(m Mapping, from, to, now time.Time, seed string) *collector {
	c := &collector{from: from, to: to, seed: seed, matches: map[string]matching{}, facts: newFacts(from, earlier(to, now))}
	for _, control := range m.Controls {
		for _, measure := range control.Measures {
			for _, s := range measure.selections() {
				c.counts = append(c.counts, counted{Selection: s})
			}
		}
		c.samples = append(c.samples, chosen{control.Samples, map[string][]candidate{}})
	}
	return c
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// add takes the next record.
func (c *collector) add(r ledger.Record) error {
	inside := !r.Time.Before(c.from) && r.Time.Before(c.to)
	if inside {
		c.records++
	}
	m := c.matching(r.Kind)
	var b body
	if m.bodies {
		b = readBody(r.Body)
	}
	c.facts.add(r, b, inside)
	if !inside {
		return nil
	}
	for _, i := range m.counts {
		switch {
		case r.Body == nil && len(c.counts[i].Where) > 0:
			c.counts[i].unread++
		case b.has(c.counts[i].Where):
			c.counts[i].n++
		}
	}
	for _, i := range m.samples {
		c.samples[i].consider(c.key(r.Seq), r)
	}
	return nil
}

func (c *collector) matching(kind string) matching {
	m, known := c.matches[kind]
	if known {
		return m
	}
	is := func(pattern string) bool { return review.Match(pattern, kind) }
	for i, s := range c.counts {
		if slices.ContainsFunc(s.Kinds, is) {
			m.counts = append(m.counts, i)
			m.bodies = m.bodies || len(s.Where) > 0
		}
	}
	for i, s := range c.samples {
		if slices.ContainsFunc(s.kinds, is) {
			m.samples = append(m.samples, i)
		}
	}
	m.bodies = m.bodies || c.facts.looksAt(kind)
	c.matches[kind] = m
	return m
}

// key decides which records become samples: nobody can know it before the tree
// that it comes from is signed.
func (c *collector) key(seq int64) [sha256.Size]byte {
	return sha256.Sum256(binary.BigEndian.AppendUint64([]byte(c.seed), uint64(seq)))
}

func (s *chosen) consider(key [sha256.Size]byte, r ledger.Record) {
	for _, pattern := range s.kinds {
		if !review.Match(pattern, r.Kind) {
			continue
		}
		kept := append(s.kept[pattern], candidate{key, r})
		slices.SortFunc(kept, byKey)
		s.kept[pattern] = kept[:min(len(kept), perKind)]
		return
	}
}

func byKey(a, b candidate) int { return bytes.Compare(a.key[:], b.key[:]) }

// take returns the control's samples, one of each kind first, in the order of
// their numbers.
func (s *chosen) take() []ledger.Record {
	var out []ledger.Record
	for round := range perKind {
		for _, pattern := range s.kinds {
			if kept := s.kept[pattern]; round < len(kept) && len(out) < perControl {
				out = append(out, kept[round].record)
			}
		}
	}
	slices.SortFunc(out, func(a, b ledger.Record) int { return int(a.Seq - b.Seq) })
	return out
}

// body is a record's body.
type body map[string]any

func readBody(text json.RawMessage) body {
	var b body
	if json.Unmarshal(text, &b) != nil {
		return nil // pruned: nothing is left to look at
	}
	return b
}

func (b body) text(key string) string {
	s, _ := b[key].(string)
	return s
}

// by are those who did it.
func (b body) by() []string {
	switch by := b["by"].(type) {
	case string:
		return []string{by}
	case []any:
		var all []string
		for _, one := range by {
			if name, ok := one.(string); ok {
				all = append(all, name)
			}
		}
		return all
	}
	return nil
}

func (b body) has(where map[string]any) bool {
	for key, want := range where {
		switch {
		case key == "people":
			if n, ok := number(want); !ok || len(b.by()) != n {
				return false
			}
		case want == "*":
			if v, ok := b[key]; !ok || v == nil || v == "" {
				return false
			}
		case !equal(b[key], want):
			return false
		}
	}
	return true
}

// equal compares a value of JSON with one of YAML.
func equal(got, want any) bool {
	if n, ok := number(want); ok {
		f, isNumber := got.(float64)
		return isNumber && f == float64(n)
	}
	return got == want
}

func number(v any) (int, bool) {
	switch v := v.(type) {
	case int:
		return v, true
	case int64:
		return int(v), true
	case uint64:
		return int(v), true
	case float64:
		return int(v), v == float64(int(v))
	}
	return 0, false
}
