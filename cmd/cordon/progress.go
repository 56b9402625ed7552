package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// progress draws a bar on a terminal while files are worked through. A nil
// *progress draws nothing, so that callers need not ask.
type progress struct {
	out   io.Writer
	start time.Time

	mu                     sync.Mutex
	files, bytes           int64
	totalFiles, totalBytes int64 // zero until they are known
	drawn                  time.Time
}

// newProgress returns nil unless there is a terminal to draw on.
func newProgress(std stdio) *progress {
	if !std.terminal {
		return nil
	}
	return &progress{out: std.err, start: time.Now()}
}

// total says how much there is to do, once that is known.
func (p *progress) total(files, bytes int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.totalFiles, p.totalBytes = files, bytes
}

// add notes work done, and redraws ten times a second at most.
func (p *progress) add(files, bytes int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.files += files
	p.bytes += bytes
	if time.Since(p.drawn) > 100*time.Millisecond {
		p.drawn = time.Now()
		fmt.Fprint(p.out, "\r\x1b[K"+p.line())
	}
}

// meter reads a file, tells a bar, if there is one, how much, and stops when ctx ends.
type meter struct {
	ctx context.Context
	r   io.Reader
	bar *progress
}

func (m meter) Read(p []byte) (int, error) {
	if err := m.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := m.r.Read(p)
	m.bar.add(0, int64(n))
	return n, err
}

// meterAt is a meter for a file that is read in any order.
type meterAt struct {
	ctx context.Context
	r   io.ReaderAt
	bar *progress
}

func (m meterAt) ReadAt(p []byte, at int64) (int, error) {
	if err := m.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := m.r.ReadAt(p, at)
	m.bar.add(0, int64(n))
	return n, err
}

// clear takes the bar away, so that a line can be written in its place.
func (p *progress) clear() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprint(p.out, "\r\x1b[K")
	p.drawn = time.Time{}
}

const barWidth = 24

func (p *progress) line() string {
	rate := float64(p.bytes) / time.Since(p.start).Seconds()
	done := fmt.Sprintf("%d files  %s  %s/s", p.files, size(p.bytes), size(int64(rate)))
	if p.totalBytes == 0 || p.bytes > p.totalBytes {
		return done
	}
	full := int(barWidth * p.bytes / p.totalBytes)
	left := time.Duration(float64(p.totalBytes-p.bytes) / rate * float64(time.Second)).Round(time.Second)
	return fmt.Sprintf("%s%s %3d%%  %s  %s left", strings.Repeat("█", full), strings.Repeat("░", barWidth-full),
		100*p.bytes/p.totalBytes, done, left)
}

// size writes a number of bytes for people, in powers of 1000.
func size(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n), 0
	for f >= 1000 && unit < 5 {
		f /= 1000
		unit++
	}
	return fmt.Sprintf("%.1f %cB", f, " kMGTP"[unit])
}
