package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

const (
	speedImages = 200 // CT images in each tree
	speedRounds = 7
)

// inspection measures what inspecting costs: time on one core beside a plain
// digest, memory on the largest objects, and clamd in the gateway.
func inspection(ctx context.Context, b *bench) error {
	for _, measure := range []func(context.Context, *bench) error{speed, large, engineInGateway} {
		if err := measure(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// speed runs `cordon inspect` and `openssl dgst -sha256` in turn over the same
// files on the same core.
func speed(ctx context.Context, b *bench) error {
	native, packed := filepath.Join(b.dir, "native"), filepath.Join(b.dir, "packed")
	if _, err := makeCTs(native, speedImages); err != nil {
		return err
	}
	if err := pack(ctx, native, packed); err != nil {
		return err
	}
	rows := [][]string{{"files", "MB", "openssl MB/s", "cordon MB/s", "cordon : openssl", "openssl CPU s", "cordon CPU s", "by CPU time"}}
	for _, tree := range []struct{ name, root string }{{"native CT", native}, {"JPEG, JPEG-LS, RLE", packed}} {
		files, size, err := walk(tree.root)
		if err != nil {
			return err
		}
		var digest, own []cost
		for range speedRounds {
			for _, run := range []struct {
				costs *[]cost
				argv  []string
			}{
				{&digest, append([]string{"openssl", "dgst", "-sha256"}, files...)},
				{&own, []string{b.cordon, "inspect", "--json", tree.root}},
			} {
				c, err := onOneCore(ctx, run.argv)
				if err != nil {
					return err
				}
				*run.costs = append(*run.costs, c)
			}
		}
		d, o := median(digest), median(own)
		rows = append(rows, []string{tree.name, fmt.Sprintf("%.1f", float64(size)/1e6), megabytes(size, d.wall), megabytes(size, o.wall),
			ratio(d.wall, o.wall), seconds(d.cpu), seconds(o.cpu), ratio(d.cpu, o.cpu)})
	}
	b.table(fmt.Sprintf("one core, medians of %d runs in turn", speedRounds), rows)
	return nil
}

// A cost is what one run took.
type cost struct{ wall, cpu time.Duration }

// median takes each by itself.
func median(costs []cost) cost {
	middle := func(of func(cost) time.Duration) time.Duration {
		var all []time.Duration
		for _, c := range costs {
			all = append(all, of(c))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return cost{middle(func(c cost) time.Duration { return c.wall }), middle(func(c cost) time.Duration { return c.cpu })}
}

func ratio(a, b time.Duration) string { return fmt.Sprintf("%.3f", a.Seconds()/b.Seconds()) }

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

func onOneCore(ctx context.Context, argv []string) (cost, error) {
	cmd := exec.CommandContext(ctx, "taskset", append([]string{"-c", "0"}, argv...)...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	begin := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		return cost{}, fmt.Errorf("%s: %w: %.500s", argv[0], err, out)
	}
	return cost{time.Since(begin), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}, nil
}

// pack writes the files of a folder compressed, by turns in three ways.
func pack(ctx context.Context, from, to string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	errs := make([]error, len(entries))
	ways := []conversion{{"dcmcjpeg", "+e1"}, {"dcmcjpls", "+el"}, {"dcmcrle"}}
	concurrently(len(entries), func(i int) {
		way, name := ways[i%len(ways)], entries[i].Name()
		argv := append(slices.Clone(way[1:]), filepath.Join(from, name), filepath.Join(to, name))
		if out, err := exec.CommandContext(ctx, way[0], argv...).CombinedOutput(); err != nil {
			errs[i] = fmt.Errorf("%s: %w: %s", way[0], err, out)
		}
	})
	return errors.Join(errs...)
}
