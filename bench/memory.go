package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	associations   = 32
	perAssociation = 20 // images that each of them sends
)

// memory measures the most that the gateway has resident: at rest, with many
// associations at a time, and with one object larger than any buffer.
func memory(ctx context.Context, b *bench) error {
	rows := [][]string{{"load", "took", "MB/s", "peak resident MiB"}}
	for _, load := range [...]struct {
		name string
		run  func(context.Context, *bench, *gateway, *sink) (int64, error)
	}{
		{"at rest", func(context.Context, *bench, *gateway, *sink) (int64, error) { return 0, nil }},
		{fmt.Sprintf("%d associations, %d CT images each", associations, perAssociation), many},
		{"one object of 2 GiB", huge},
	} {
		row, err := b.loaded(ctx, load.run)
		if err != nil {
			return fmt.Errorf("%s: %w", load.name, err)
		}
		rows = append(rows, append([]string{load.name}, row...))
	}
	b.table("memory of cordon up", rows)
	return nil
}

// loaded runs a load through a new gateway and returns the cells of its row.
// The load returns the bytes that it sent.
func (b *bench) loaded(ctx context.Context, load func(context.Context, *bench, *gateway, *sink) (int64, error)) ([]string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dir, err := os.MkdirTemp(b.dir, "memory-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	s, err := startSink(ctx)
	if err != nil {
		return nil, err
	}
	g, err := b.startCordon(ctx, dir, string(sinkTitle), s.port())
	if err != nil {
		return nil, err
	}
	defer g.peer.stop()
	begin := time.Now()
	sent, err := load(ctx, b, g, s)
	if err != nil {
		return nil, err
	}
	took := time.Since(begin)
	peak, err := g.peer.peak()
	if err != nil {
		return nil, err
	}
	cells := []string{"", "", fmt.Sprintf("%.0f", float64(peak)/(1<<20))}
	if sent > 0 {
		cells[0], cells[1] = fmt.Sprintf("%.1f s", took.Seconds()), megabytes(sent, took)
	}
	return cells, nil
}

// many sends the same images on all associations at a time.
func many(ctx context.Context, b *bench, g *gateway, s *sink) (int64, error) {
	files := filepath.Join(b.dir, "few")
	size, err := makeCTs(files, perAssociation)
	if err != nil {
		return 0, err
	}
	errs := make([]error, associations)
	var senders sync.WaitGroup
	for i := range associations {
		senders.Go(func() { errs[i] = storescu(ctx, tuned, g.port, string(sinkTitle), files) })
	}
	senders.Wait()
	if err := errors.Join(errs...); err != nil {
		return 0, err
	}
	return size * associations, s.await(ctx, associations*perAssociation)
}

// huge sends one object of 2 GiB and holds what arrived against what was sent.
func huge(ctx context.Context, b *bench, g *gateway, s *sink) (int64, error) {
	dir := filepath.Join(b.dir, "huge")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, err
	}
	digest, err := makeHuge(filepath.Join(dir, "huge.dcm"))
	if err != nil {
		return 0, err
	}
	if err := storescu(ctx, tuned, g.port, string(sinkTitle), dir); err != nil {
		return 0, err
	}
	if err := s.await(ctx, 1); err != nil {
		return 0, err
	}
	if s.digest() != digest {
		return 0, errors.New("the data set that arrived is not the one that was sent")
	}
	return hugeBytes, nil
}

// await waits until n objects have arrived.
func (s *sink) await(ctx context.Context, n int) error {
	deadline := time.Now().Add(arrivalTime)
	for s.objects.Load() < int64(n) {
		if time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("%d objects were sent, %d arrived", n, s.objects.Load())
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}
