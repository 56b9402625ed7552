package guard

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// denials counts what people asked for and may not have, between two records.
type denials struct {
	mu  sync.Mutex
	all map[denial]int
}

type denial struct{ name, route string }

// maxDenials bounds how many are told apart in a minute; the rest is not recorded.
const maxDenials = 500

func newDenials() *denials { return &denials{all: map[denial]int{}} }

func (d *denials) add(name, route string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := denial{name, route}
	if _, ok := d.all[k]; ok || len(d.all) < maxDenials {
		d.all[k]++
	}
}

// back counts again what could not be recorded.
func (d *denials) back(all map[denial]int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for k, n := range all {
		d.all[k] += n
	}
}

// Journal records. A ledger is one.
type Journal interface {
	Record(ctx context.Context, kind string, body any) error
}

// Run records once a minute what people asked for and may not have, until ctx ends.
func (g *Guard) Run(ctx context.Context, j Journal, log *slog.Logger) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := g.tell(ctx, j); err != nil && ctx.Err() == nil {
			log.Error("requests that were turned away could not be recorded", "error", err)
		}
	}
}

func (g *Guard) tell(ctx context.Context, j Journal) error {
	g.denied.mu.Lock()
	all := g.denied.all
	g.denied.all = map[denial]int{}
	g.denied.mu.Unlock()
	defer g.denied.back(all)
	for k, n := range all {
		if err := j.Record(ctx, "person.denied", map[string]any{"by": k.name, "route": k.route, "failures": n}); err != nil {
			return err
		}
		delete(all, k)
	}
	return nil
}
