package gateway

import (
	"context"
	"sync"
	"time"
)

// intend makes the association's intent durable. While the ledger cannot be
// written, a full disk say, nobody is let in; or, if the site would rather have
// images without a record than none, associations go on, loudly: each is counted,
// and what the ledger says later is how much of it is missing.
//
// Objects that have to be kept here, held or spooled, are turned away in either
// case (A700): there is no room for them.
func (s *session) intend(ctx context.Context) error {
	err := s.begin(ctx)
	switch {
	case err == nil:
		s.g.turned.over()
		return nil
	case ctx.Err() != nil: // we are stopping, and the ledger has done nothing
		return err
	case !s.g.config.Unrecorded:
		s.g.turned.away(time.Now())
		return err
	}
	s.g.parts.Ledger.Missed(err)
	s.log.Error("the ledger cannot be written: imaging goes on without a record (ledger.full: go_on)", "error", err)
	return nil
}

// turned is who was turned away because the ledger could not be written. It is over
// with the first record that can be: the next association's, or the one that tells
// of those turned away, which is tried by itself, since devices that are turned away
// may not call again for hours.
type turned struct {
	telling sync.Mutex // held by who writes the record; several listeners may be served

	mu     sync.Mutex // guards what follows
	now    bool       // the last record that was tried could not be written
	untold int        // associations that the ledger does not know of
	since  time.Time
}

func (t *turned) away(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.untold == 0 {
		t.since = now
	}
	t.now, t.untold = true, t.untold+1
}

func (t *turned) over() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now = false
}

func (t *turned) isAway() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.now
}

func (t *turned) left() (associations int, since time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.untold, t.since
}

func (t *turned) told(associations int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.untold -= associations
	t.now = t.now && t.untold > 0
}

// turnedInterval is how often it is tried to record who was turned away.
const turnedInterval = 5 * time.Second

// recordTurnedAway tells the ledger how many associations it has no record of, since
// it could not be written.
func (g *Gateway) recordTurnedAway(ctx context.Context) {
	g.turned.telling.Lock()
	defer g.turned.telling.Unlock()
	n, since := g.turned.left()
	if n == 0 {
		return
	}
	err := g.parts.Ledger.Record(ctx, "association.turned_away", map[string]any{
		"associations": n, "since": since.UTC().Format(time.RFC3339Nano),
	})
	if err != nil {
		return // each association has said so in the log
	}
	g.turned.told(n)
	g.parts.Log.Info("the ledger can be written again", "turned_away", n, "since", since)
}
