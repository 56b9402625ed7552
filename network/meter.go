package network

import (
	"math"
	"slices"
	"time"
)

// meter compares a minute with those before.
type meter struct {
	since time.Time
	n     int
	mean  float64 // of the minutes before, the latest weigh most
	known int     // minutes, at most those that count
	proof [3]int  // of n, by rank
}

const (
	span       = time.Minute
	meanOver   = 60 // minutes
	timesUsual = 8
)

// add counts one, and returns how many there were in this minute.
func (m *meter) add(now time.Time, p Proof) int {
	d := now.Sub(m.since)
	switch {
	case d < -span || m.since.IsZero(): // set back, or the first
		m.since, m.n, m.proof = now, 0, [3]int{}
	case d >= span:
		m.close(d)
		m.since, m.n, m.proof = now, 0, [3]int{}
	}
	m.n++
	m.proof[p.rank()]++
	return m.n
}

// close takes a minute into the mean, and the empty ones after it.
func (m *meter) close(d time.Duration) {
	m.known = min(m.known+1, meanOver)
	m.mean += (float64(m.n) - m.mean) / float64(m.known)
	if empty := int(d/span) - 1; empty > 0 {
		m.mean *= math.Pow(1-1.0/meanOver, float64(min(empty, 24*60)))
	}
}

// passed reports whether a minute is a step: more than a threshold, and several times
// the mean.
func (m *meter) passed(threshold int) (Proof, bool) {
	most := max(float64(threshold), timesUsual*m.mean)
	n := 0
	for _, p := range []Proof{ByTwoWay, ByMAC, NoProof} {
		if n += m.proof[p.rank()]; float64(n) >= most {
			return p, true
		}
	}
	return NoProof, false
}

// beats are the last times that somebody called a target.
type beats struct {
	last time.Time
	gaps []float64 // seconds
	sure []bool    // of the call that ends each gap: the device made it
	port uint16    // of the caller in the last one
}

const (
	shortestBeat = 4 * time.Second
	longestBeat  = 2 * time.Hour
	mostVaried   = 0.25 // standard deviation over mean: uniform jitter of two fifths either way
)

// beat takes a call. A second one within a few seconds is the same beat.
func (b *beats) beat(now time.Time, most int, proven bool) {
	d := now.Sub(b.last)
	switch {
	case b.last.IsZero() || d < 0 || d > longestBeat:
		b.last, b.gaps, b.sure = now, b.gaps[:0], b.sure[:0]
		return
	case d < shortestBeat:
		return
	}
	b.last = now
	if b.gaps, b.sure = append(b.gaps, d.Seconds()), append(b.sure, proven); len(b.gaps) > most {
		b.gaps, b.sure = append(b.gaps[:0], b.gaps[1:]...), append(b.sure[:0], b.sure[1:]...)
	}
}

// answered says that the last call was proven since.
func (b *beats) answered() {
	if n := len(b.sure); n > 0 {
		b.sure[n-1] = true
	}
}

// proof is that of all gaps: forged calls between true ones prove nothing.
func (b *beats) proof() Proof {
	if slices.Contains(b.sure, false) {
		return NoProof
	}
	return ByTwoWay
}

// regular reports whether so many gaps differ little, and what they are on average.
func (b *beats) regular(threshold int) (mean time.Duration, ok bool) {
	if len(b.gaps) < threshold {
		return 0, false
	}
	var sum, squares float64
	for _, g := range b.gaps {
		sum += g
	}
	m := sum / float64(len(b.gaps))
	for _, g := range b.gaps {
		squares += (g - m) * (g - m)
	}
	deviation := math.Sqrt(squares / float64(len(b.gaps)))
	return time.Duration(m * float64(time.Second)), deviation <= mostVaried*m
}
