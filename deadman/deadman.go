// Package deadman leads the network path of Cordon's listener straight to an
// archive while Cordon is down, where a site has chosen so, and sees to it that
// this is neither silent nor forgotten.
//
// It has two halves, in two processes. The watcher, which needs nothing of Cordon
// but its socket to ask whether it lives:
//
//	path := deadman.NewTable(listen, archive)               // a table of nftables of our own
//	err := deadman.Watch{Config: c, Path: path, Alive: alive, Log: log}.Run(ctx)
//
// and within Cordon, once it is back:
//
//	past, err := deadman.Open(db, ledger, dir)
//	go past.Run(ctx, log)                                    // puts on the ledger what the watcher wrote down
//	events, err := past.List(ctx)
//	err = past.Review(ctx, by, reason)                       // a person has seen to it
//
// The life of a bypass: Cordon has not answered for Config.After. The event is
// durable in a file; then the rules are made, all of them at once. They lapse by
// themselves within half a minute unless the watcher, which looks every second,
// makes them last. Cordon answers again: the rules are removed, the end is
// written. New connections reach Cordon from then on; one that was led to the
// archive ends there. Cordon puts beginning and end on the ledger, and it is an
// alarm until a person has reviewed what came in.
//
// What passes meanwhile is inspected by nobody. It touches no rule, table or
// setting of the machine that is not its own, and never opens because Cordon
// turns somebody away: only because it does not answer at all.
package deadman

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cordon/store"
)

// Folder is the watcher's, in the data directory.
const Folder = "deadman"

// Config is what a watcher needs to know.
type Config struct {
	Dir     string         // of its events: Folder of the data directory
	Archive string         // the archive's name
	Listen  netip.AddrPort // Cordon's; an address that is not specified means every one of the machine
	To      netip.AddrPort // the archive's
	After   time.Duration  // without an answer
}

// Path is what leads connections past Cordon.
type Path interface {
	// Open leads new connections past Cordon for the time given, from now. It is
	// called again and again to make it last.
	Open(lasts time.Duration) error
	// Close undoes it. It does nothing where nothing is to be undone.
	Close() error
}

// Event is one time that the bypass was open.
type Event struct {
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until,omitzero"` // zero: it is open
	Archive  string    `json:"archive"`
	Listen   string    `json:"listen"`
	To       string    `json:"to"`
	Reviewed time.Time `json:"reviewed,omitzero"`
	By       string    `json:"by,omitempty"`
	Reason   string    `json:"reason,omitempty"`
}

const (
	// every is how often Cordon is asked.
	every = time.Second
	// lasts is how long the rules stand without the watcher.
	lasts = 30 * time.Second
	// remind is how often an open bypass is said in the log.
	remind = time.Minute
)

// ErrChanged means that the site has chosen otherwise since the watcher began.
var ErrChanged = errors.New("the configuration of the dead-man's bypass has changed")

// Watch is the watcher. All fields are required.
type Watch struct {
	Config
	Path    Path
	Alive   func(context.Context) error // an error: Cordon does not answer
	Changed func() bool                 // whether Config is no longer what the site has chosen
	Log     *slog.Logger
}

// Run watches until ctx ends, and then undoes what it did. An error means that
// it cannot do its work: ErrChanged, that another Watch should, if any.
func (w Watch) Run(ctx context.Context) error {
	if err := store.MakeDir(w.Dir); err != nil {
		return fmt.Errorf("dead-man's bypass: %w", err)
	}
	s := &state{Watch: w, lastAlive: time.Now(), ruled: true}
	if err := s.adopt(); err != nil {
		return fmt.Errorf("dead-man's bypass: %w", err)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if s.Changed() {
			return errors.Join(ErrChanged, s.shut(time.Now(), "the configuration has changed"))
		}
		s.look(ctx, time.Now())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return s.shut(time.Now(), "the watcher stops")
		}
	}
}

// state is that of a running watcher.
type state struct {
	Watch
	lastAlive time.Time
	looked    time.Time // when Cordon was asked last
	ruled     bool      // there may be rules
	open      *Event    // nil: closed
	said      time.Time
}

// asleep is a pause between two looks that says more of this machine than of
// Cordon: it was halted, or so busy that Cordon's turn did not come either.
const asleep = 5 * every

// adopt takes over the event that a watcher which was killed has left.
func (s *state) adopt() error {
	events, err := read(s.Dir)
	if err != nil {
		return err
	}
	for _, e := range events {
		if e.Until.IsZero() {
			s.open = &e
		}
	}
	return nil
}

// look asks Cordon once, and does what follows. Time in which nobody asked is not
// time without an answer.
func (s *state) look(ctx context.Context, now time.Time) {
	if pause := now.Sub(s.looked); pause > asleep && !s.looked.IsZero() {
		s.lastAlive = s.lastAlive.Add(pause)
	}
	s.looked = now
	asked, cancel := context.WithTimeout(ctx, 2*every)
	err := s.Alive(asked)
	cancel()
	switch {
	case ctx.Err() != nil:
	case err == nil:
		s.lastAlive = now
		if err := s.shut(time.Now(), "Cordon answers again"); err != nil {
			s.Log.Error("the dead-man's bypass could not be undone; it lapses by itself", "error", err)
		}
	case now.Sub(s.lastAlive) >= s.After || s.open != nil:
		if err := s.lead(now, err); err != nil {
			s.Log.Error("Cordon does not answer, and the dead-man's bypass cannot be opened", "error", err)
		}
	}
}

// lead opens the bypass, or makes it last. The event is on the disk first.
func (s *state) lead(now time.Time, why error) error {
	if s.open == nil {
		e := &Event{Since: now.UTC().Truncate(time.Microsecond), Archive: s.Archive, Listen: s.Listen.String(), To: s.To.String()}
		if err := e.write(s.Dir); err != nil {
			return err
		}
		s.open = e
	}
	s.ruled = true
	if err := s.Path.Open(lasts); err != nil {
		return err
	}
	if now.Sub(s.said) >= remind {
		s.said = now
		s.Log.Error("Cordon does not answer: images go straight to the archive, uninspected", "why", why, "since", s.open.Since, "listen", s.open.Listen, "to", s.open.To)
	}
	return nil
}

// shut undoes the bypass, if it is open.
func (s *state) shut(now time.Time, why string) error {
	if s.ruled {
		if err := s.Path.Close(); err != nil {
			return err
		}
		s.ruled = false
	}
	if s.open == nil {
		return nil
	}
	e := *s.open
	e.Until = now.UTC().Truncate(time.Microsecond)
	if err := e.write(s.Dir); err != nil {
		return err
	}
	s.open, s.said = nil, time.Time{}
	s.Log.Warn("the dead-man's bypass is closed: images go through Cordon", "why", why, "since", e.Since, "until", e.Until)
	return nil
}

// suffix of the events' files; the rest is the microsecond of the beginning.
const suffix = ".event"

func (e *Event) path(dir string) string {
	return filepath.Join(dir, fmt.Sprintf("%019d%s", e.Since.UnixMicro(), suffix))
}

func (e *Event) write(dir string) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return store.WriteFile(e.path(dir), append(text, '\n'), 0o600)
}

// maxEvent bounds an event's file, in bytes.
const maxEvent = 4 << 10

// read returns the events of a folder, the oldest first. One that cannot be read
// is an error: it must not be forgotten.
func read(dir string) ([]Event, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var events []Event
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), suffix) {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		text, err := store.ReadPrivate(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var e Event
		if err := json.Unmarshal(text, &e); err != nil || len(text) > maxEvent || e.path(dir) != path {
			return nil, fmt.Errorf("%s is damaged: read it, write down what it says, and delete it", path)
		}
		events = append(events, e)
	}
	return events, nil
}
