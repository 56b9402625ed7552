package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A costing is a course whose cost to Cordon is measured.
type costing struct {
	course
	spool bool // delivery: spool_first
	apart bool // each association sends a series of its own; else all send parts of one
	each  int  // objects of each association
}

func (c costing) name() string {
	how := ""
	if c.spool {
		how = ", spool first, parts of one series"
	}
	if c.apart {
		how = ", spool first, a series each"
	}
	return fmt.Sprintf("%s, %s, %d associations → %s%s", c.sender(), c.sockets(), c.associations, c.sink, how)
}

// costs measures how much processor time Cordon itself takes for an image, whoever
// else is at work on the machine: rates tell nothing there.
func costs(ctx context.Context, b *bench) error {
	ct, err := ctSample(ctSide)
	if err != nil {
		return err
	}
	rows := [][]string{{"sender → archive", "user ms", "system ms", "together"}}
	for _, c := range []costing{
		{course: course{false, "Orthanc", true, 1, ct}, each: 100},
		{course: course{false, "storescp", true, 4, ct}, each: 100},
		{course: course{false, "null", true, 1, ct}, each: 100},
		{course: course{true, "null", true, spoolers, ct}, spool: true, each: 20},
		{course: course{true, "null", true, spoolers, ct}, spool: true, apart: true, each: 20},
	} {
		row, err := b.cost(ctx, c)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name(), err)
		}
		rows = append(rows, row)
	}
	b.table("processor time of cordon up for an image of 525 kB, until the archive has it: medians", rows)
	return nil
}

// cost runs a course in rounds, the first of them to warm.
func (b *bench) cost(ctx context.Context, c costing) ([]string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dir, err := os.MkdirTemp(b.dir, "cost-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	t, err := b.startTarget(ctx, c.sink, dir, c.env())
	if err != nil {
		return nil, err
	}
	defer t.stop()
	archive := []string{t.archive("upstream")}
	if c.spool {
		archive = append(archive, "    delivery: spool_first")
	}
	g, err := b.startCordonFor(ctx, filepath.Join(dir, "cordon"), archive)
	if err != nil {
		return nil, err
	}
	defer g.peer.stop()
	send := func() error { _, err := b.once(ctx, c.course, t, g.port, c.each); return err }
	if c.apart {
		gen := generator{port: g.port, called: t.title, associations: c.associations}
		for range c.associations {
			s, err := ctSample(ctSide)
			if err != nil {
				return nil, err
			}
			gen.apart = append(gen.apart, s)
		}
		gen.sample = gen.apart[0]
		send = func() error {
			before, err := t.count()
			if err == nil {
				_, _, err = gen.send(ctx, c.each)
			}
			return errors.Join(err, t.await(ctx, before+c.each*c.associations))
		}
	}
	var took [3][]float64
	for round := range 4 {
		before, err := g.peer.processorTime()
		if err != nil {
			return nil, err
		}
		if err := send(); err != nil {
			return nil, err
		}
		after, err := g.peer.processorTime()
		if err != nil {
			return nil, err
		}
		for i := range after {
			if spent := (after[i] - before[i]).Seconds(); round > 0 {
				took[i] = append(took[i], 1000*spent/float64(c.each*c.associations))
			}
		}
	}
	row := []string{c.name()}
	for _, spent := range took {
		row = append(row, fmt.Sprintf("%.2f", quantile(spent, 0.5)))
	}
	return row, nil
}

// userTicks is how many fields of /proc/PID/stat are between the program's name and
// the time that it spent itself; that of the kernel for it follows (proc(5)).
const userTicks = 11

// tick is the unit of both.
const tick = 10 * time.Millisecond

// processorTime is what the program has taken: itself, the kernel for it, and both.
func (p *peer) processorTime() (spent [3]time.Duration, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return spent, err
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	for i := range 2 {
		n, err := strconv.Atoi(fields[userTicks+i])
		if err != nil {
			return spent, fmt.Errorf("reading the processor time: %w", err)
		}
		spent[i] = time.Duration(n) * tick
		spent[2] += spent[i]
	}
	return spent, nil
}
