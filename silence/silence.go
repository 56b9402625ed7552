// Package silence notices when a source that always talks stops: a modality that
// has stored something every Monday morning and does not today is broken, moved,
// or cut off, and nobody else will say so.
//
// Ordinary use:
//
//	s, err := silence.Open(db, ledger, time.Local)
//	err = s.Run(ctx, log)                // until ctx ends
//	missed, err := s.Missed(ctx)         // who is silent now
//
// It follows the ledger, so it costs the gateway nothing, and learns from what
// is on the ledger already. A source is a declared device, or else a calling AE
// title. Which hours it is expected in is a table of rules over its own last
// weeks; nothing is configured.
//
// # Life of a silence
//
// Each hour in which a source opens an association or moves an object is kept for
// four weeks. When two whole hours are over in which it was expected and not
// heard, it is missed: source.silent on the ledger, and an alarm, until it is
// heard again (source.heard), or for four weeks (source.forgotten). Hours that
// Cordon was not there for to the full, or in which its clock was set, are not
// judged: only a house that listens can say that nobody talks.
//
// It will not say why a source is silent, nor act on it.
package silence

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"cordon/ledger"
	"cordon/store"
)

// Missed is a source that is silent.
type Missed struct {
	Name      string    `json:"name"`     // of the device, else its AE title
	Declared  bool      `json:"declared"` // it is a declared device
	CallingAE string    `json:"calling_ae"`
	Address   string    `json:"address"`
	LastHeard time.Time `json:"last_heard"`
	Since     time.Time `json:"since"` // when it was missed
	Rule      string    `json:"rule"`  // why, in words
}

// Sources listens to everybody.
type Sources struct {
	db     *store.DB
	ledger *ledger.Ledger
	zone   *time.Location

	begun  time.Time // since when we listen without a break, with its monotonic reading
	judged time.Time // the last hour that was judged

	mu    sync.Mutex           // guards what follows
	hours map[string]time.Time // the last hour that is on disk, by source
	open  map[string]string    // sources by association
}

const (
	maxSources = 4096 // that are listened to; further ones are not
	maxOpen    = 4096 // associations known by their id
	checkEvery = time.Minute
	clockSlack = time.Minute // by which the clock may move without being set
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations are the tables of this package.
func Migrations() store.Migrations { return store.Embedded("silence", migrations) }

// Open returns Sources whose hours are those of a time zone.
func Open(db *store.DB, l *ledger.Ledger, zone *time.Location) *Sources {
	return &Sources{db: db, ledger: l, zone: zone, begun: time.Now(), hours: map[string]time.Time{}, open: map[string]string{}}
}

// Run listens until ctx ends.
func (s *Sources) Run(ctx context.Context, log *slog.Logger) error {
	var following sync.WaitGroup
	defer following.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	following.Go(func() { s.follow(ctx, log) }) // ends with ctx
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			if err := s.Check(ctx, now); err != nil && ctx.Err() == nil {
				log.Error("silent sources not checked", "error", err)
			}
		}
	}
}

// follow learns until ctx ends. What cannot be written now is tried again.
func (s *Sources) follow(ctx context.Context, log *slog.Logger) {
	for {
		err := s.ledger.Follow(ctx, "silence", 0, s.learn)
		if ctx.Err() != nil {
			return
		}
		log.Error("sources not listened to", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(checkEvery):
		}
	}
}

// Check judges the hour that ended last before now, which has a monotonic
// reading. It may be called as often as one likes; an hour is judged once.
func (s *Sources) Check(ctx context.Context, now time.Time) error {
	if wasSet(now.Round(0).Sub(s.begun.Round(0)), now.Sub(s.begun)) {
		s.begun = now // the clock was set: nobody knows which hours these were
		return nil
	}
	hour := hourOf(now.In(s.zone)).Add(-time.Hour) // in wall time, without the monotonic reading
	first := hour.Add(-(missedHours - 1) * time.Hour)
	if s.begun.Round(0).After(first) || hour.Equal(s.judged) {
		return nil
	}
	sources, err := s.sources(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, src := range sources {
		errs = append(errs, s.judge(ctx, src, hour, now))
	}
	err = errors.Join(append(errs, s.prune(ctx, now))...)
	if err == nil {
		s.judged = hour
	}
	return err
}

// wasSet reports whether the clock on the wall was set, or the machine slept,
// while so much time passed by either clock.
func wasSet(wall, monotonic time.Duration) bool { return (wall - monotonic).Abs() > clockSlack }

// judge decides about one source at the end of an hour.
func (s *Sources) judge(ctx context.Context, src Missed, hour, now time.Time) error {
	if !src.Since.IsZero() {
		if now.Sub(src.Since) < forgetAfter {
			return nil
		}
		return s.set(ctx, src, time.Time{}, "", "source.forgotten")
	}
	heard, err := s.heardBy(ctx, src.Name)
	if err != nil {
		return err
	}
	says, is := missed(hour, func(t time.Time) bool { return heard[t.Unix()] })
	if !is || !src.LastHeard.Before(hour.Add(-(missedHours-1)*time.Hour)) {
		return nil
	}
	return s.set(ctx, src, now, says, "source.silent")
}

// set changes whether a source is missed, with its record.
func (s *Sources) set(ctx context.Context, src Missed, since time.Time, rule, kind string) error {
	err := s.db.Update(ctx, func(tx *store.Tx) error { return s.setIn(tx, src, since, rule, kind) })
	if err != nil {
		return fmt.Errorf("source %s: %w", src.Name, err)
	}
	return nil
}

func (s *Sources) setIn(tx *store.Tx, src Missed, since time.Time, rule, kind string) error {
	if _, err := tx.Exec(`UPDATE silence_source SET silent = ?, rule = ? WHERE name = ?`, micros(since), rule, src.Name); err != nil {
		return err
	}
	body := map[string]any{"calling_ae": src.CallingAE, "address": src.Address, "last_heard": src.LastHeard.UTC().Format(time.RFC3339)}
	if src.Declared {
		body["device"] = src.Name
	}
	if rule != "" {
		body["rule"] = rule
	}
	return s.ledger.Append(tx, kind, body)
}

// Missed lists who is silent now, the longest first.
func (s *Sources) Missed(ctx context.Context) ([]Missed, error) {
	return s.query(ctx, `WHERE silent > 0 ORDER BY silent, name`)
}

func (s *Sources) sources(ctx context.Context) ([]Missed, error) {
	return s.query(ctx, `ORDER BY name`)
}
