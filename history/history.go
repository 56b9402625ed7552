// Package history keeps what was measured: by the minute for two days, by the hour
// for thirteen months. Plots, heat strips and reports are made of it.
//
// Ordinary use:
//
//	h := history.Open(db)
//	go h.Run(ctx, sample, log)                                       // asks every ten seconds, writes every minute
//	points, err := h.Points(ctx, "objects.received", from, to, history.Minute)
//	total, err := h.Sum(ctx, "objects.held", from, to)
//
// A series has a name; names are ours, or those of devices and archives in the
// configuration, and bounded in number. Totals are given as they grow, and kept as
// what they grew by; a total that has become less has begun anew. Levels are given as
// they are, and kept with their mean and their most.
//
// A crash loses the minute. Times are those of the machine's clock: a minute that
// comes twice because the clock was set is added up. It holds no patient data, and it
// will not say what is usual.
package history

import (
	"context"
	"embed"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"sync"
	"time"

	"cordon/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes this package's tables.
func Migrations() store.Migrations { return store.Embedded("history", migrations) }

// Step is the time that a point stands for.
type Step int64

const (
	Minute Step = 60
	Hour   Step = 3600
)

const (
	keepMinutes = 48 * time.Hour
	keepHours   = 400 * 24 * time.Hour
	sampleEvery = 10 * time.Second
	maxSeries   = 2000 // kept in all; further ones are not
)

// Sample is what is measured at one moment.
type Sample struct {
	Totals   map[string]float64 // since the start of the process
	Standing map[string]float64 // since longer ago: what they are at the first sample is no growth
	Levels   map[string]float64
}

// History keeps measurements. Its methods may be called from any goroutine.
type History struct {
	db *store.DB

	mu    sync.Mutex
	begun bool               // there was a sample
	last  map[string]float64 // totals
	known map[string]int64   // series by name
	now   map[string]*point  // of the minute that runs
	at    int64              // when it began
}

type point struct {
	sum, most float64
	n         int
}

func (p *point) add(v float64) {
	p.sum += v
	p.n++
	p.most = max(p.most, v)
}

// Open returns a History over a database.
func Open(db *store.DB) *History {
	return &History{db: db, last: map[string]float64{}, known: map[string]int64{}, now: map[string]*point{}}
}

// Run measures until ctx ends, and writes what it has then.
func (h *History) Run(ctx context.Context, sample func(context.Context) (Sample, error), log *slog.Logger) error {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		s, err := sample(ctx)
		if err == nil {
			err = h.Add(ctx, time.Now(), s)
		}
		if err != nil && ctx.Err() == nil {
			log.Warn("not measured", "error", err)
		}
		select {
		case <-ctx.Done():
			return h.flush(context.WithoutCancel(ctx))
		case <-tick.C:
		}
	}
}

// Add adds a sample, and writes the minute before if one has ended.
func (h *History) Add(ctx context.Context, at time.Time, s Sample) error {
	h.mu.Lock()
	began := at.Unix() - at.Unix()%int64(Minute)
	over := h.at != 0 && began != h.at
	h.mu.Unlock()
	if over {
		if err := h.flush(ctx); err != nil {
			return err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = began
	if !h.begun {
		maps.Copy(h.last, s.Standing)
		h.begun = true
	}
	for _, totals := range []map[string]float64{s.Totals, s.Standing} {
		for name, v := range totals {
			if grown := growth(h.last[name], v); grown > 0 {
				h.take(name, grown)
			}
			h.last[name] = v
		}
	}
	for name, v := range s.Levels {
		h.take(name, v)
	}
	return nil
}

// growth is what a total grew by. One that has become less began anew.
func growth(before, now float64) float64 {
	if now < before {
		return now
	}
	return now - before
}

// take needs mu.
func (h *History) take(name string, v float64) {
	p := h.now[name]
	if p == nil {
		if len(h.now) >= maxSeries {
			return
		}
		p = &point{most: math.Inf(-1)}
		h.now[name] = p
	}
	p.add(v)
}

// flush writes the minute that runs.
func (h *History) flush(ctx context.Context) error {
	h.mu.Lock()
	at, now := h.at, h.now
	h.now = map[string]*point{}
	h.mu.Unlock()
	if len(now) == 0 {
		return nil
	}
	var fresh map[string]int64
	err := h.db.Update(ctx, func(tx *store.Tx) error {
		fresh = map[string]int64{}
		for name, p := range now {
			id, err := h.series(tx, fresh, name)
			if err != nil {
				return err
			}
			if id == 0 {
				continue
			}
			for _, step := range []Step{Minute, Hour} {
				_, err := tx.Exec(`INSERT INTO history_point (series, step, at, sum, most, n) VALUES (?, ?, ?, ?, ?, ?)
					ON CONFLICT (series, step, at) DO UPDATE SET sum = sum + excluded.sum, most = max(most, excluded.most), n = n + excluded.n`,
					id, int64(step), at-at%int64(step), p.sum, p.most, p.n)
				if err != nil {
					return err
				}
			}
		}
		return prune(tx, at)
	})
	if err != nil {
		return fmt.Errorf("what was measured in the last minute: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, id := range fresh {
		h.known[name] = id
	}
	return nil
}

// series is the number of a series; 0: there is no room for another.
func (h *History) series(tx *store.Tx, fresh map[string]int64, name string) (id int64, err error) {
	h.mu.Lock()
	id = h.known[name]
	h.mu.Unlock()
	if id != 0 {
		return id, nil
	}
	_, err = tx.Exec(`INSERT INTO history_series (name) SELECT ?1 WHERE (SELECT count(*) FROM history_series) < ?2 ON CONFLICT (name) DO NOTHING`, name, maxSeries)
	if err == nil {
		err = tx.QueryRow(`SELECT coalesce(max(id), 0) FROM history_series WHERE name = ?`, name).Scan(&id)
	}
	if id != 0 {
		fresh[name] = id
	}
	return id, err
}

// prune forgets what is old, once an hour.
func prune(tx *store.Tx, at int64) error {
	if at%int64(Hour) != 0 {
		return nil
	}
	for step, keep := range map[Step]time.Duration{Minute: keepMinutes, Hour: keepHours} {
		if _, err := tx.Exec(`DELETE FROM history_point WHERE step = ? AND at < ?`, int64(step), at-int64(keep/time.Second)); err != nil {
			return err
		}
	}
	return nil
}
