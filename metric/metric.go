// Package metric counts what Cordon does, for Prometheus (text format 0.0.4).
//
// Ordinary use:
//
//	m := metric.New()                                        // one for the process
//	m.Count(metric.Queries, 1, "pacs", "answered")           // label values in the order of the row
//	m.Observe(metric.VerdictDuration, took.Seconds(), "hold")
//	m.Collect(metric.CommitmentsPending, func(set metric.Sample) { set(float64(n)) }) // asked at each scrape
//	err := metric.Write(w, m)
//
// Every metric is a row of the catalogue (rows.go), from which docs/metrics.md is
// made; a new one is a constant and a row there. A nil *Metrics counts nothing,
// so that whoever counts need not ask whether somebody listens.
//
// Labels are bounded: a metric has at most its row's Limit of label sets, and
// what is beyond is counted together under the value "other". Give names from the
// configuration, never what a peer said: no label holds patient data.
package metric

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Metrics are the values of one process. The methods may be called from any
// goroutine.
type Metrics struct {
	families [len(catalogue)]family
}

// New returns metrics that are all without a value.
func New() *Metrics { return &Metrics{} }

// Sample takes one value of a metric, with label values in the order of its row.
type Sample func(v float64, labels ...string)

// family is one metric with its label sets.
type family struct {
	mu      sync.RWMutex
	series  map[string]*series
	collect []func(Sample)
}

// series is one set of label values.
type series struct {
	labels  []string
	value   atomic.Uint64   // of a gauge or counter, or a histogram's sum: bits of a float64
	buckets []atomic.Uint64 // of a histogram: observations per bucket, the last beyond all bounds
}

// Count adds to a counter. A negative n is a fault of the caller and counts
// nothing.
func (m *Metrics) Count(id ID, n float64, labels ...string) {
	if m == nil || n < 0 {
		return
	}
	m.at(id, Counter, labels).add(n)
}

// Set sets a gauge.
func (m *Metrics) Set(id ID, v float64, labels ...string) {
	if m == nil {
		return
	}
	m.at(id, Gauge, labels).value.Store(math.Float64bits(v))
}

// Observe adds one observation to a histogram.
func (m *Metrics) Observe(id ID, v float64, labels ...string) {
	if m == nil {
		return
	}
	s := m.at(id, Histogram, labels)
	i, _ := slices.BinarySearch(id.Row().Buckets, v) // the first bound that is not less
	s.buckets[i].Add(1)
	s.add(v)
}

// Collect has fn asked for a metric's values at each scrape. It must be quick,
// and it lasts as long as m does.
func (m *Metrics) Collect(id ID, fn func(Sample)) {
	if m == nil {
		return
	}
	f := &m.families[id]
	f.mu.Lock()
	defer f.mu.Unlock()
	f.collect = append(f.collect, fn)
}

func (s *series) add(v float64) {
	for {
		old := s.value.Load()
		if s.value.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+v)) {
			return
		}
	}
}

// at finds or makes the series of these label values.
func (m *Metrics) at(id ID, kind Kind, labels []string) *series {
	row := id.Row()
	row.check(kind, labels)
	key := strings.Join(labels, "\xff")
	f := &m.families[id]
	f.mu.RLock()
	s := f.series[key]
	f.mu.RUnlock()
	if s != nil {
		return s
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if s = f.series[key]; s != nil {
		return s
	}
	if len(f.series) >= row.limit() {
		labels = slices.Repeat([]string{Other}, len(labels))
		key = strings.Join(labels, "\xff")
		if s = f.series[key]; s != nil {
			return s
		}
	}
	s = &series{labels: slices.Clone(labels)}
	if kind == Histogram {
		s.buckets = make([]atomic.Uint64, len(row.Buckets)+1)
	}
	if f.series == nil {
		f.series = map[string]*series{}
	}
	f.series[key] = s
	return s
}

// Other is the label value of what is beyond a metric's limit.
const Other = "other"

// check panics where the caller and the catalogue disagree: a fault that the
// first test to come by finds.
func (r Row) check(kind Kind, labels []string) {
	if r.Kind != kind || len(r.Labels) != len(labels) {
		panic(fmt.Sprintf("metric %s is a %s with labels %q, used as a %s with %q", r.Name, r.Kind, r.Labels, kind, labels))
	}
}

// Observed are the observations of a histogram since the start, over all its label
// sets: how many were at most each of its bounds, in order; the last is all of them.
func (m *Metrics) Observed(id ID) (bounds []float64, atMost []uint64) {
	bounds = id.Row().Buckets
	atMost = make([]uint64, len(bounds)+1)
	if m == nil {
		return bounds, atMost
	}
	f := &m.families[id]
	f.mu.RLock()
	defer f.mu.RUnlock()
	for _, s := range f.series {
		for i := range s.buckets {
			atMost[i] += s.buckets[i].Load()
		}
	}
	for i := 1; i < len(atMost); i++ {
		atMost[i] += atMost[i-1]
	}
	return bounds, atMost
}

// Total is a counter's sum over the label sets that are kept, or those of them whose
// values begin with the given ones.
func (m *Metrics) Total(id ID, labels ...string) (sum float64) {
	if m == nil {
		return 0
	}
	f := &m.families[id]
	f.mu.RLock()
	defer f.mu.RUnlock()
	for key, s := range f.series {
		values := strings.Split(key, "\xff")
		if len(labels) <= len(values) && slices.Equal(values[:len(labels)], labels) {
			sum += math.Float64frombits(s.value.Load())
		}
	}
	return sum
}
