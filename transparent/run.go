package transparent

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"cordon/custody"
	"cordon/firewall"
	"cordon/store"
)

// lookEvery is how often the routes and rules are looked at, and it is written down
// that Cordon runs.
const lookEvery = 5 * time.Second

// Restore puts the mode as it was switched before this run, and has the time
// since then noted as one in which nobody inspected. That it cannot be done is no
// reason not to start: devices that send to Cordon itself do not need it.
func (m *Mode) Restore(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.state.On {
		return nil
	}
	if len(m.c.Archives) == 0 {
		err := errors.Join(m.unset(ctx), m.write(ctx, false, time.Now(), custody.Request{By: "cordon", Reason: "the configuration has no transparent mode any more"}, "transparent.off", nil))
		return err
	}
	if err := m.past(ctx); err != nil {
		return err
	}
	err := m.set(ctx)
	m.works(err)
	if err != nil {
		m.p.Log.Error("transparent mode is switched on and does not work; it is tried again", "error", err)
	}
	return nil
}

// past notes, for each archive, the time in which nobody inspected, as far as is
// known. It needs mu.
func (m *Mode) past(ctx context.Context) error {
	since, until := m.state.alive, time.Now()
	if m.c.Stop || !since.Before(until) {
		return m.breathe(ctx)
	}
	for i, a := range m.c.Archives {
		began := since.Add(time.Duration(i) * time.Microsecond) // by which each is known
		if err := m.p.Past.Passed(a.Name, a.To, began, until); err != nil {
			return err
		}
	}
	return m.breathe(ctx)
}

// Run puts back what somebody took away, until ctx ends. The mode stays switched as
// it is: without Cordon, a redirect leads to nobody and has no effect, or, where the
// site has chosen so, stops everything.
func (m *Mode) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return m.leave(context.WithoutCancel(ctx))
		case <-tick.C:
			m.look(ctx)
		}
	}
}

// look sees to it that everything is in place, and writes down that Cordon runs.
func (m *Mode) look(ctx context.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.state.On || m.paused {
		return
	}
	why := m.missing(ctx)
	if why != nil && ctx.Err() == nil {
		if err := m.set(ctx); err != nil {
			why = err
		} else {
			why = m.mended(ctx, why)
		}
	}
	if ctx.Err() != nil {
		return
	}
	m.works(why)
	if why != nil {
		m.p.Log.Error("transparent mode is switched on and does not work; it is tried again", "error", why)
		return
	}
	if err := m.breathe(ctx); err != nil {
		m.p.Log.Error("transparent mode: it could not be written down that Cordon runs", "error", err)
	}
}

var errGone = errors.New("the routing rules or routes are gone")

// missing says what is not in place, or nil.
func (m *Mode) missing(ctx context.Context) error {
	there, err := m.routes().There()
	switch {
	case err != nil:
		return err
	case !there:
		return errGone
	}
	s, err := m.p.Firewall.State(ctx)
	if err == nil && !s.Applied {
		err = errors.New(s.Why)
	}
	return err
}

// mended puts on the ledger that something had to be put in place again.
func (m *Mode) mended(ctx context.Context, why error) error {
	m.p.Log.Warn("transparent mode did not work, and does again", "error", why)
	return m.p.DB.Update(ctx, func(tx *store.Tx) error {
		return m.p.Journal.Append(tx, "transparent.mended", map[string]any{"error": why.Error()})
	})
}

// leave is what a Cordon that stops in order does: from now on nobody inspects.
func (m *Mode) leave(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.state.On || !m.state.Works || m.paused {
		return nil
	}
	return m.breathe(ctx)
}

// early is by how much a pause is taken to be over before it is.
const early = time.Second

// Pause is for a Cordon that is asked to stop, before it stops to take connections:
// while the redirects last by themselves, what they lead to nobody is dropped, and
// comes again. Of a Cordon that takes connections again within that time, nothing went
// past. Where it cannot be done, images go past from now on.
func (m *Mode) Pause(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.state.On || !m.state.Works || m.c.Stop {
		return nil
	}
	m.paused = true
	all, until := m.redirects(), time.Now()
	for i := range all {
		all[i].Once = true
	}
	err := m.p.Firewall.Change(ctx, func(r *firewall.Ruleset) { r.Redirects = all })
	if err == nil {
		until = until.Add(max(0, m.lapses()-early))
	}
	return errors.Join(err, m.breatheUntil(ctx, until))
}

// breathe writes down that Cordon runs. It needs mu.
func (m *Mode) breathe(ctx context.Context) error { return m.breatheUntil(ctx, time.Now()) }

// breatheUntil writes down that until then nothing goes past. It needs mu.
func (m *Mode) breatheUntil(ctx context.Context, at time.Time) error {
	m.state.alive = at
	return m.p.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE transparent_mode SET alive = ?`, m.state.alive.UnixMicro())
		return err
	})
}

// read needs nobody else to have m.
func (m *Mode) read(ctx context.Context) error {
	return m.p.DB.View(ctx, func(tx *store.Tx) error {
		var since, alive int64
		err := tx.QueryRow(`SELECT is_on, since, name, reason, alive FROM transparent_mode`).Scan(&m.state.On, &since, &m.state.By, &m.state.Reason, &alive)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		m.state.Since, m.state.alive = time.UnixMicro(since).UTC(), time.UnixMicro(alive).UTC()
		return err
	})
}

// write makes a switch durable, with its record, and needs mu.
func (m *Mode) write(ctx context.Context, on bool, now time.Time, rq custody.Request, kind string, why error) error {
	body := map[string]any{"by": []string{rq.By}, "reason": rq.Reason, "archives": m.state.Archives, "from": m.state.From, "when_dead": m.state.WhenDead}
	if why != nil {
		body["error"] = why.Error()
	}
	err := m.p.DB.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO transparent_mode (id, is_on, since, name, reason, alive) VALUES (1, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET is_on = excluded.is_on, since = excluded.since, name = excluded.name, reason = excluded.reason, alive = excluded.alive`,
			on, now.UnixMicro(), rq.By, rq.Reason, now.UnixMicro())
		if err != nil {
			return err
		}
		return m.p.Journal.Append(tx, kind, body)
	})
	if err != nil {
		return fmt.Errorf("transparent mode is not switched, since that could not be recorded: %w", err)
	}
	m.state.On, m.state.Since, m.state.By, m.state.Reason, m.state.alive = on, now.UTC(), rq.By, rq.Reason, now
	return nil
}
