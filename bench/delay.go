package main

import (
	"context"
	"os"
	"path/filepath"
	"time"
)

// delayed is how long images of 525 kB took at a rate that is half of what the
// gateway can do, in milliseconds.
type delayed struct {
	associations    int
	rate            float64 // images a second
	direct, through [2]float64
}

// added is what the gateway adds at the median and at the 99th percentile.
func (d delayed) added(i int) float64 { return d.through[i] - d.direct[i] }

// delays measures them for one association and for four, to the null sink.
func (b *bench) delays(ctx context.Context) ([]delayed, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dir, err := os.MkdirTemp(b.dir, "delay-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	t, err := b.startTarget(ctx, "null", dir, nil)
	if err != nil {
		return nil, err
	}
	g, err := b.startCordon(ctx, filepath.Join(dir, "cordon"), t.title, t.port)
	if err != nil {
		return nil, err
	}
	defer g.peer.stop()
	ct, err := ctSample(ctSide)
	if err != nil {
		return nil, err
	}
	rounds, each := 4, 2*time.Second
	if b.full {
		rounds, each = 8, 5*time.Second
	}
	var all []delayed
	for _, n := range []int{1, 4} {
		most, err := b.calibrate(ctx, course{own: true, associations: n, sample: ct}, t, g.port, time.Second)
		if err != nil {
			return nil, err
		}
		d := delayed{associations: n, rate: float64(most*n) / 2}
		gen := generator{called: t.title, sample: ct, associations: n, pause: time.Duration(float64(n) / d.rate * float64(time.Second))}
		var seen [2][]float64
		for round := range rounds {
			for turn := range 2 {
				way := (round + turn) % 2
				gen.port = []string{t.port, g.port}[way]
				_, took, err := gen.send(ctx, int(d.rate*each.Seconds())/n)
				if err != nil {
					return nil, err
				}
				seen[way] = append(seen[way], took...)
			}
		}
		for i, p := range []float64{0.5, 0.99} {
			d.direct[i], d.through[i] = 1000*quantile(seen[0], p), 1000*quantile(seen[1], p)
		}
		all = append(all, d)
	}
	return all, nil
}
