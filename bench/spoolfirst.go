package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// spoolers is how many associations, or writers, there are.
const spoolers = 16

// spoolFirst is how many images of 525 kB a second were made durable before they
// were answered, and how many the disk takes from as many writers that sync each.
type spoolFirst struct{ answered, written, ratio float64 }

// spoolFirst sends to a gateway that keeps every object first, by turns with
// writing the same bytes to the same disk.
func (b *bench) spoolFirst(ctx context.Context) (spoolFirst, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dir, err := os.MkdirTemp(b.dir, "spool-")
	if err != nil {
		return spoolFirst{}, err
	}
	defer os.RemoveAll(dir)
	t, err := b.startTarget(ctx, "null", dir, nil)
	if err != nil {
		return spoolFirst{}, err
	}
	g, err := b.startCordonFor(ctx, filepath.Join(dir, "cordon"), []string{t.archive("upstream"), "    delivery: spool_first"})
	if err != nil {
		return spoolFirst{}, err
	}
	defer g.peer.stop()
	ct, err := ctSample(ctSide)
	if err != nil {
		return spoolFirst{}, err
	}
	rounds, each := 3, 20
	if b.full {
		rounds, each = 7, 60
	}
	gen := generator{port: g.port, called: t.title, sample: ct, associations: spoolers}
	var rates [2][]float64
	var ratios []float64
	for round := range rounds + 1 {
		took, _, err := gen.send(ctx, each)
		if err != nil {
			return spoolFirst{}, err
		}
		if err := t.await(ctx, (round+1)*each*spoolers); err != nil {
			return spoolFirst{}, err
		}
		wrote, err := writeSynced(filepath.Join(dir, fmt.Sprint("written", round)), ct, each)
		if err != nil {
			return spoolFirst{}, err
		}
		if round == 0 {
			continue // to warm
		}
		n := float64(each * spoolers)
		rates[0], rates[1] = append(rates[0], n/took.Seconds()), append(rates[1], n/wrote.Seconds())
		ratios = append(ratios, wrote.Seconds()/took.Seconds())
	}
	return spoolFirst{quantile(rates[0], 0.5), quantile(rates[1], 0.5), quantile(ratios, 0.5)}, nil
}

// writeSynced has each writer make files of the sample, one after the other, each
// durable with its name before the next.
func writeSynced(dir string, s *sample, each int) (time.Duration, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	errs := make([]error, spoolers)
	var writers sync.WaitGroup
	begin := time.Now()
	for w := range spoolers {
		writers.Go(func() {
			for i := range each {
				errs[w] = errors.Join(errs[w], writeOne(dir, fmt.Sprintf("%d-%d", w, i), s))
			}
		})
	}
	writers.Wait()
	return time.Since(begin), errors.Join(errs...)
}

func writeOne(dir, name string, s *sample) error {
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	defer f.Close()
	_, data := s.next()
	p, err := io.ReadAll(data)
	if err != nil {
		return err
	}
	if _, err := f.Write(p); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
