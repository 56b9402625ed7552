package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// A course is one row of the comparison: a sender, its associations and objects,
// and the archive that they are for.
type course struct {
	own          bool   // our generator; else storescu
	sink         string // "null", "storescp" or "Orthanc"
	tuned        bool   // DCMTK's and Orthanc's sockets; our own always are
	associations int
	sample       *sample
}

func (c course) sender() string {
	if c.own {
		return "own"
	}
	return "storescu"
}

func (c course) sockets() string {
	if c.tuned {
		return "tuned"
	}
	return "default"
}

func (c course) env() []string {
	if c.tuned {
		return tuned
	}
	return nil
}

func (c course) String() string {
	return fmt.Sprintf("%s %s %s %d %s", c.sender(), c.sink, c.sockets(), c.associations, c.sample.name)
}

// An outcome is what a course measured: medians of its rounds.
type outcome struct {
	course
	Direct, Through float64 // objects a second
	Ratio           float64 // of through to direct, round by round
	Rounds          int
}

// effort is how much is measured.
type effort struct {
	rounds int
	each   time.Duration // about how long one way of one round takes
}

// measure runs a course: rounds that each go one way and then the other, the
// first of them by turns.
func (b *bench) measure(ctx context.Context, c course, e effort) (outcome, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dir, err := os.MkdirTemp(b.dir, "course-")
	if err != nil {
		return outcome{}, err
	}
	defer os.RemoveAll(dir)
	t, err := b.startTarget(ctx, c.sink, dir, c.env())
	if err != nil {
		return outcome{}, err
	}
	defer t.stop()
	g, err := b.startCordon(ctx, filepath.Join(dir, "cordon"), t.title, t.port)
	if err != nil {
		return outcome{}, err
	}
	defer g.peer.stop()
	direct, err := b.calibrate(ctx, c, t, t.port, e.each)
	if err != nil {
		return outcome{}, fmt.Errorf("direct: %w", err)
	}
	through, err := b.calibrate(ctx, c, t, g.port, e.each)
	if err != nil {
		return outcome{}, fmt.Errorf("through cordon: %w", err)
	}
	var rates [2][]float64
	var ratios []float64
	for round := range e.rounds {
		var now [2]float64
		for turn := range 2 {
			way := (round + turn) % 2
			port, each := t.port, direct
			if way == 1 {
				port, each = g.port, through
			}
			if now[way], err = b.once(ctx, c, t, port, each); err != nil {
				return outcome{}, err
			}
			rates[way] = append(rates[way], now[way])
		}
		ratios = append(ratios, now[1]/now[0])
	}
	return outcome{c, quantile(rates[0], 0.5), quantile(rates[1], 0.5), quantile(ratios, 0.5), e.rounds}, nil
}

// calibrate returns how many objects of each association take about d.
func (b *bench) calibrate(ctx context.Context, c course, t *target, port string, d time.Duration) (int, error) {
	few := 4
	if c.sample.size > 1e6 {
		few = 1
	}
	if c.sample.size > 1e9 {
		return 1, nil
	}
	rate, err := b.once(ctx, c, t, port, few)
	if err != nil {
		return 0, err
	}
	if rate*d.Seconds() > 4*float64(few*c.associations) && c.sample.size < 1e6 { // it was short: once more
		few = max(1, min(senderFiles, int(rate*d.Seconds()/4)/c.associations))
		if rate, err = b.once(ctx, c, t, port, few); err != nil {
			return 0, err
		}
	}
	each := max(1, int(rate*d.Seconds())/c.associations)
	if each > senderFiles && !c.own {
		each -= each % senderFiles
	}
	return each, nil
}

// once sends each objects on each association, waits until all have arrived, and
// returns how many a second the sender was rid of.
func (b *bench) once(ctx context.Context, c course, t *target, port string, each int) (float64, error) {
	if err := t.clean(); err != nil {
		return 0, err
	}
	before, err := t.count()
	if err != nil {
		return 0, err
	}
	var took time.Duration
	total := each * c.associations
	if c.own {
		took, _, err = generator{port: port, called: t.title, sample: c.sample, associations: c.associations}.send(ctx, each)
	} else {
		took, err = b.storescus(ctx, c, t, port, each)
	}
	if err != nil {
		return 0, err
	}
	return float64(total) / took.Seconds(), t.await(ctx, before+total)
}

// senderFiles is how many files storescu has at the most; it sends them again
// under other UIDs.
const senderFiles = 100

// storescus runs a storescu for each association.
func (b *bench) storescus(ctx context.Context, c course, t *target, port string, each int) (time.Duration, error) {
	files := filepath.Join(b.dir, "senders")
	if _, err := os.Stat(files); err != nil {
		if _, err := makeCTs(files, senderFiles); err != nil {
			return 0, err
		}
	}
	argv := []string{"-aec", t.title, "+II", "127.0.0.1", port}
	for i := range min(each, senderFiles) {
		argv = append(argv, filepath.Join(files, fmt.Sprintf("%05d.dcm", i)))
	}
	if each > senderFiles {
		argv = append([]string{"--repeat", fmt.Sprint(each / senderFiles)}, argv...)
	}
	errs := make([]error, c.associations)
	var running sync.WaitGroup
	begin := time.Now()
	for i := range errs {
		running.Go(func() {
			cmd := exec.CommandContext(ctx, "storescu", append([]string{"-aet", fmt.Sprintf("CT%d", i)}, argv...)...)
			cmd.Env = append(os.Environ(), c.env()...)
			out, err := cmd.CombinedOutput()
			if err != nil || strings.Contains(string(out), "Store Failed") {
				errs[i] = fmt.Errorf("storescu: %w: %s", err, out)
			}
		})
	}
	running.Wait()
	return time.Since(begin), errors.Join(errs...)
}

// A target is an archive that objects are sent to.
type target struct {
	title, port string
	count       func() (int, error)
	clean       func() error // makes room, between two measurements
	stop        func()
}

func (b *bench) startTarget(ctx context.Context, name, dir string, env []string) (*target, error) {
	nothing := func() error { return nil }
	var u *upstream
	var err error
	switch name {
	case "null":
		s, err := startSink(ctx)
		if err != nil {
			return nil, err
		}
		s.unread = true
		return &target{string(sinkTitle), s.port(), func() (int, error) { return int(s.objects.Load()), nil }, nothing, func() {}}, nil
	case "storescp":
		u, err = startStorescp(ctx, filepath.Join(dir, name), env, "--fork")
	default:
		u, err = startOrthanc(ctx, filepath.Join(dir, name), env)
	}
	if err != nil {
		return nil, err
	}
	t := &target{u.title, u.port, u.count, nothing, u.peer.stop}
	if name == "storescp" {
		t.clean = func() error { return empty(filepath.Join(dir, name, "files")) }
	}
	return t, nil
}

// empty removes what is in a directory.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
	}
	return err
}

// await waits until n objects have arrived.
func (t *target) await(ctx context.Context, n int) error {
	for deadline := time.Now().Add(arrivalTime); ; time.Sleep(10 * time.Millisecond) {
		have, err := t.count()
		switch {
		case err != nil:
			return err
		case have >= n:
			return nil
		case time.Now().After(deadline) || ctx.Err() != nil:
			return fmt.Errorf("%d objects were sent, %d arrived", n, have)
		}
	}
}
