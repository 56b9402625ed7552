package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// residence is the most memory that a gateway had above what it had idle, in
// bytes.
type residence struct {
	load        string
	idle, above int64
}

// residence measures it for many associations, and for one object of 4 GiB, each
// with a new gateway.
func (b *bench) residence(ctx context.Context) ([]residence, error) {
	ct, err := ctSample(ctSide)
	if err != nil {
		return nil, err
	}
	huge, err := framesSample(largeFrames)
	if err != nil {
		return nil, err
	}
	var all []residence
	for _, load := range []struct {
		associations, each int
		sample             *sample
	}{{64, 30, ct}, {1, 1, huge}} {
		r, err := b.reside(ctx, generator{associations: load.associations, sample: load.sample}, load.each)
		if err != nil {
			return nil, err
		}
		r.load = fmt.Sprintf("%d associations of %s", load.associations, load.sample.name)
		if load.associations == 1 {
			r.load = "one object of " + load.sample.name
		}
		all = append(all, r)
	}
	return all, nil
}

func (b *bench) reside(ctx context.Context, gen generator, each int) (residence, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dir, err := os.MkdirTemp(b.dir, "residence-")
	if err != nil {
		return residence{}, err
	}
	defer os.RemoveAll(dir)
	t, err := b.startTarget(ctx, "null", dir, nil)
	if err != nil {
		return residence{}, err
	}
	g, err := b.startCordon(ctx, filepath.Join(dir, "cordon"), t.title, t.port)
	if err != nil {
		return residence{}, err
	}
	defer g.peer.stop()
	idle, err := g.peer.resident()
	if err != nil {
		return residence{}, err
	}
	gen.port, gen.called = g.port, t.title
	if _, _, err := gen.send(ctx, each); err != nil {
		return residence{}, err
	}
	most, err := g.peer.peak()
	return residence{idle: idle, above: most - idle}, err
}

// resident is the memory that a program has resident now, in bytes.
func (p *peer) resident() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	var kib int64
	if _, err := fmt.Sscanf(strings.TrimSpace(after(string(status), "VmRSS:")), "%d kB", &kib); err != nil {
		return 0, fmt.Errorf("reading VmRSS: %w", err)
	}
	return kib << 10, nil
}
