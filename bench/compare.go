package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A comparison is all that `bench compare` found.
type comparison struct {
	outcomes []outcome
	router   []routed
	latency  []delayed
	spooled  spoolFirst
	resident []residence
	growth   grown
	reuse    reused
	took     time.Duration
	full     bool
}

// compare measures speed in full or in short, prints it, and writes it into
// docs/performance.md and docs/performance.svg if asked to.
func compare(ctx context.Context, b *bench) error {
	begin := time.Now()
	r := &comparison{full: b.full}
	for _, part := range []struct {
		name string
		run  func(context.Context, *bench) error
	}{
		{"growth", func(ctx context.Context, b *bench) (err error) { r.growth, err = b.grow(ctx); return err }},
		{"rates", r.rates},
		{"router", func(ctx context.Context, b *bench) (err error) { r.router, err = b.routes(ctx); return err }},
		{"latency", func(ctx context.Context, b *bench) (err error) { r.latency, err = b.delays(ctx); return err }},
		{"spool", func(ctx context.Context, b *bench) (err error) { r.spooled, err = b.spoolFirst(ctx); return err }},
		{"reuse", func(ctx context.Context, b *bench) (err error) { r.reuse, err = b.reuse(ctx); return err }},
		{"memory", func(ctx context.Context, b *bench) (err error) { r.resident, err = b.residence(ctx); return err }},
	} {
		if b.only != "" && !slices.Contains(strings.Split(b.only, ","), part.name) {
			continue
		}
		start := time.Now()
		if err := part.run(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		fmt.Fprintf(os.Stderr, "%s: %.0f s\n", part.name, time.Since(start).Seconds())
	}
	r.took = time.Since(begin)
	text := r.markdown()
	fmt.Println(text)
	if !b.write {
		return nil
	}
	if b.only != "" || b.rows != "" {
		return errors.New("the page has all of it: -write goes without -only and -rows")
	}
	return r.publish(text)
}

// rates runs every course.
func (r *comparison) rates(ctx context.Context, b *bench) error {
	small, err := ctSample(smallSide)
	if err != nil {
		return err
	}
	ct, err := ctSample(ctSide)
	if err != nil {
		return err
	}
	big, err := framesSample(24)
	if err != nil {
		return err
	}
	huge, err := framesSample(hugeFrames)
	if err != nil {
		return err
	}
	for _, c := range courses(b.full, small, ct, big, huge) {
		if !strings.Contains(c.String(), b.rows) {
			continue
		}
		e := effort{3, time.Second}
		if b.full {
			e = effort{7, 3 * time.Second}
		}
		if c.sample.size > 1e9 {
			e.rounds = 1
		}
		o, err := b.measure(ctx, c, e)
		if err != nil {
			return fmt.Errorf("%s: %w", c, err)
		}
		fmt.Fprintf(os.Stderr, "%s\n", strings.Join(o.cells(), "  "))
		r.outcomes = append(r.outcomes, o)
	}
	return nil
}

// smallSide makes CT images of 50 kB.
const smallSide = 156

// courses lists the rows: those that have a target first.
func courses(full bool, small, ct, big, huge *sample) []course {
	var all []course
	add := func(own bool, sink string, tuned bool, s *sample, associations ...int) {
		for _, n := range associations {
			all = append(all, course{own, sink, tuned, n, s})
		}
	}
	add(false, "Orthanc", false, ct, 1)
	add(false, "Orthanc", true, ct, 1, 4)
	add(false, "storescp", true, ct, 1, 4)
	add(true, "null", true, ct, 1, 4, 16, 64)
	add(true, "null", true, small, 1, 16, 64)
	add(true, "null", true, big, 1, 4)
	add(true, "null", true, huge, 1)
	add(true, "storescp", true, ct, 4)
	add(true, "Orthanc", true, ct, 4)
	if full {
		add(false, "Orthanc", false, ct, 4, 16)
		add(false, "Orthanc", true, ct, 16, 64)
		add(false, "storescp", false, ct, 1, 4, 16)
		add(false, "storescp", true, ct, 16, 64)
		add(true, "null", true, small, 4)
		add(true, "null", true, big, 16)
		add(true, "storescp", true, ct, 1, 16, 64)
		add(true, "storescp", true, small, 1, 16)
		add(true, "storescp", true, big, 1, 4)
		add(true, "storescp", true, huge, 1)
		add(true, "Orthanc", true, ct, 1, 16, 64)
		add(true, "Orthanc", true, small, 1, 16)
		add(true, "Orthanc", true, big, 1, 4)
	}
	return all
}

// machine says where it was measured.
func machine() string {
	return fmt.Sprintf("%s/%s, %d cores, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
}
