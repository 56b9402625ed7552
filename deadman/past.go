package deadman

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"time"
	"unicode"

	"cordon/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes this package's table.
func Migrations() store.Migrations { return store.Embedded("deadman", migrations) }

// Journal is told of every event, in the transaction that notes it. A ledger is
// one.
type Journal interface {
	Append(tx *store.Tx, kind string, body any) error
}

var (
	// ErrRequest means that a person's request lacks a name or a reason.
	ErrRequest = errors.New("request is not complete")
	// ErrState means that there is nothing to review.
	ErrState = errors.New("there is nothing to review")
)

// Past is what Cordon knows of the bypass: within Cordon, where the watcher is
// another process. Its methods may be called from any goroutine.
type Past struct {
	db      *store.DB
	journal Journal
	dir     string
}

// Open returns the Past of the watcher whose folder is dir.
func Open(db *store.DB, j Journal, dir string) *Past { return &Past{db: db, journal: j, dir: dir} }

// Run records what the watcher has written down, at once and then every two
// seconds, until ctx ends.
func (p *Past) Run(ctx context.Context, log *slog.Logger) error {
	tick := time.NewTicker(2 * every)
	defer tick.Stop()
	for {
		if err := p.Collect(ctx); err != nil && ctx.Err() == nil {
			log.Error("what the dead-man's bypass did could not be recorded; it is tried again", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Collect records what the watcher has written down, each beginning and each end
// once. A file whose end is recorded is deleted.
func (p *Past) Collect(ctx context.Context) error {
	events, err := read(p.dir)
	if err != nil {
		return err
	}
	for _, e := range events {
		if err := p.db.Update(ctx, func(tx *store.Tx) error { return p.note(tx, e) }); err != nil {
			return err
		}
		if e.Until.IsZero() {
			continue
		}
		if err := os.Remove(e.path(p.dir)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Passed records a time in which images went to an archive and past a Cordon that led
// their connections to itself on their way, and did not run. It is an event like the
// watcher's, to be reviewed.
func (p *Past) Passed(archive string, to netip.AddrPort, since, until time.Time) error {
	e := Event{
		Since: since.UTC().Truncate(time.Microsecond), Until: until.UTC().Truncate(time.Microsecond),
		Archive: archive, Listen: "transparent mode", To: to.String(),
	}
	return p.db.Update(context.Background(), func(tx *store.Tx) error { return p.note(tx, e) })
}

func (p *Past) note(tx *store.Tx, e Event) error {
	r, err := tx.Exec(`INSERT INTO deadman_events (since, archive, listen, leads_to) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		e.Since.UnixMicro(), e.Archive, e.Listen, e.To)
	if err != nil {
		return err
	}
	body := map[string]any{"since": e.Since.Format(time.RFC3339), "archive": e.Archive, "listen": e.Listen, "to": e.To}
	if n, err := r.RowsAffected(); err != nil {
		return err
	} else if n > 0 {
		if err := p.journal.Append(tx, "deadman.opened", body); err != nil {
			return err
		}
	}
	if e.Until.IsZero() {
		return nil
	}
	if r, err = tx.Exec(`UPDATE deadman_events SET until = ? WHERE since = ? AND until = 0`, e.Until.UnixMicro(), e.Since.UnixMicro()); err != nil {
		return err
	}
	if n, err := r.RowsAffected(); n == 0 || err != nil {
		return err
	}
	body["until"] = e.Until.Format(time.RFC3339)
	return p.journal.Append(tx, "deadman.closed", body)
}

// maxList bounds what List returns: the latest.
const maxList = 1000

// List returns the events, the oldest first: those that nobody has reviewed, or
// all.
func (p *Past) List(ctx context.Context, all bool) (events []Event, err error) {
	err = p.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT since, until, archive, listen, leads_to, reviewed_at, reviewed_by, review_reason FROM
			(SELECT * FROM deadman_events WHERE reviewed_at = 0 OR ? ORDER BY since DESC LIMIT ?) ORDER BY since`, all, maxList)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var e Event
			var since, until, reviewed int64
			if err := rows.Scan(&since, &until, &e.Archive, &e.Listen, &e.To, &reviewed, &e.By, &e.Reason); err != nil {
				return err
			}
			e.Since, e.Until, e.Reviewed = moment(since), moment(until), moment(reviewed)
			events = append(events, e)
		}
		return rows.Err()
	})
	return events, err
}

// moment is a time as rows keep it; 0 is none.
func moment(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// Review records that a person has seen to what came in during every event that
// has ended. The alarm ends with it.
func (p *Past) Review(ctx context.Context, by, reason string) ([]Event, error) {
	by, reason = strings.Join(strings.Fields(by), " "), strings.TrimSpace(reason)
	switch {
	case by == "" || len(by) > 200 || strings.ContainsFunc(by, unicode.IsControl):
		return nil, fmt.Errorf("%w: who asks? a name of at most 200 bytes is needed (--as NAME)", ErrRequest)
	case reason == "" || len(reason) > 2000:
		return nil, fmt.Errorf("%w: what was done? at most 2000 bytes are needed (--reason TEXT)", ErrRequest)
	}
	due, err := p.List(ctx, false)
	if err != nil {
		return nil, err
	}
	var done []Event
	for _, e := range due {
		if e.Until.IsZero() {
			continue
		}
		e.Reviewed, e.By, e.Reason = time.Now().UTC().Truncate(time.Microsecond), by, reason
		if err := p.db.Update(ctx, func(tx *store.Tx) error { return p.reviewed(tx, e) }); err != nil {
			return done, err
		}
		done = append(done, e)
	}
	if len(done) == 0 {
		return nil, fmt.Errorf("%w: every time that the dead-man's bypass was open is reviewed", ErrState)
	}
	return done, nil
}

func (p *Past) reviewed(tx *store.Tx, e Event) error {
	_, err := tx.Exec(`UPDATE deadman_events SET reviewed_at = ?, reviewed_by = ?, review_reason = ? WHERE since = ? AND reviewed_at = 0`,
		e.Reviewed.UnixMicro(), e.By, e.Reason, e.Since.UnixMicro())
	if err != nil {
		return err
	}
	return p.journal.Append(tx, "deadman.reviewed", map[string]any{
		"by": e.By, "reason": e.Reason, "since": e.Since.Format(time.RFC3339), "until": e.Until.Format(time.RFC3339),
	})
}
