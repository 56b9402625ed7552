package atna

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"cordon/ledger"
	"cordon/store"
)

// Config is where audit messages go, and who sends them.
type Config struct {
	Node    Node
	Host    string // HOSTNAME of the syslog header
	Targets []Target
	Timing  Timing
}

// Parts are what an Audit works with.
type Parts struct {
	DB     *store.DB
	Ledger *ledger.Ledger
	Log    *slog.Logger
}

// Audit sends the ledger to every target.
type Audit struct {
	config       Config
	timing       Timing
	parts        Parts
	start        int64 // where a target begins that is new
	studies      *studies
	repositories []*repository
}

// New returns an Audit that sends nothing yet. A target that was never sent
// anything begins with the record of this start.
func New(c Config, p Parts) *Audit {
	a := &Audit{config: c, timing: c.Timing.withDefaults(), parts: p, start: p.Ledger.Start().Records, studies: &studies{db: p.DB}}
	for _, t := range c.Targets {
		r := &repository{target: t, audit: a}
		r.state = RepositoryStatus{Name: t.Name(), Since: time.Now()}
		a.repositories = append(a.repositories, r)
	}
	return a
}

// Run sends until ctx ends, then hands over what is left within a few seconds.
// Each target has a goroutine of its own, and so has the index of studies; they
// end before Run returns. Without a target it does nothing.
func (a *Audit) Run(ctx context.Context) error {
	if len(a.repositories) == 0 {
		return nil
	}
	indexing, stop := context.WithCancel(context.WithoutCancel(ctx)) // as long as anybody sends
	defer stop()
	var sending, index sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	run := func(g *sync.WaitGroup, what string, fn func() error) {
		g.Go(func() {
			if err := fn(); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, fmt.Errorf("audit: %s: %w", what, err))
			}
		})
	}
	run(&index, "index of studies", func() error { return a.index(indexing) })
	for _, r := range a.repositories {
		run(&sending, r.target.Name(), func() error { return r.run(ctx) })
	}
	sending.Wait()
	stop()
	index.Wait()
	return errors.Join(errs...)
}

// index keeps the index of studies until ctx ends. What cannot be written now is
// tried again.
func (a *Audit) index(ctx context.Context) error {
	for {
		err := a.parts.Ledger.Follow(ctx, "audit studies", 0, a.studies.learn)
		if ctx.Err() != nil {
			return nil
		}
		a.parts.Log.Error("index of studies", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(a.timing.RetryMax):
		}
	}
}

// Status tells how it stands with each target, in their order.
func (a *Audit) Status(ctx context.Context) ([]RepositoryStatus, error) {
	if len(a.repositories) == 0 {
		return nil, nil
	}
	size, err := a.parts.Ledger.Size(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]RepositoryStatus, 0, len(a.repositories))
	for _, r := range a.repositories {
		out = append(out, r.status(size))
	}
	return out, nil
}

// messages renders a record for a target.
func (a *Audit) messages(ctx context.Context, t Target, rec ledger.Record) ([][]byte, error) {
	if t.Format == ECS {
		text, ok := a.config.Node.ecs(rec)
		if !ok {
			return nil, nil
		}
		return [][]byte{text}, nil
	}
	rendered, err := Renderer{a.config.Node, secrets{a.parts.Ledger, a.studies}}.Render(ctx, rec)
	if err != nil {
		return nil, err
	}
	h := header{host: a.config.Host, process: a.config.Node.Process, bom: t.BOM}
	var out [][]byte
	for _, m := range rendered {
		out = append(out, h.message(rec.Time, m.XML()))
	}
	return out, nil
}

// secrets opens sealed strings, and finds those of studies.
type secrets struct {
	*ledger.Ledger
	*studies
}
