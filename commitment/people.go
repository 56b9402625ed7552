package commitment

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cordon/custody"
	"cordon/store"
)

// ErrNotFound means that nothing that waits or was given up has that number.
var ErrNotFound = errors.New("no such request for storage commitment")

// Item is one request as people see it.
type Item struct {
	ID          int64     `json:"id"`
	State       string    `json:"state"` // open, reporting or given_up
	Device      string    `json:"device,omitempty"`
	CallingAE   string    `json:"calling_ae"`
	CalledAE    string    `json:"called_ae"`
	Address     string    `json:"address"`
	Transaction string    `json:"transaction_uid"`
	Instances   int       `json:"instances"`
	AskedAt     time.Time `json:"asked_at"`
	Until       time.Time `json:"until"` // then it fails, or is given up
	Attempts    int       `json:"attempts"`
	Error       string    `json:"error,omitempty"`
}

// maxListed bounds a list.
const maxListed = 1000

// List returns what waits and what was given up, the oldest first.
func (c *Commitment) List(ctx context.Context) (all []Item, err error) {
	err = c.parts.DB.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT id, state, device, calling_ae, called_ae, address, transaction_uid, instances, asked_at, until, attempts, last_error
			FROM commitment_requests WHERE state IN ('open', 'reporting') OR state = 'given_up' ORDER BY id LIMIT ?`, maxListed)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var i Item
			var asked, until int64
			if err := rows.Scan(&i.ID, &i.State, &i.Device, &i.CallingAE, &i.CalledAE, &i.Address, &i.Transaction, &i.Instances, &asked, &until, &i.Attempts, &i.Error); err != nil {
				return err
			}
			i.AskedAt, i.Until = time.UnixMicro(asked).UTC(), time.UnixMicro(until).UTC()
			all = append(all, i)
		}
		return rows.Err()
	})
	return all, err
}

// Retry makes a request due now. One that was given up gets another term.
func (c *Commitment) Retry(ctx context.Context, id int64, d custody.Request) error {
	now := time.Now()
	err := c.decide(ctx, id, d, "commitment.retried", func(tx *store.Tx) (int64, error) {
		return affected(tx.Exec(`UPDATE commitment_requests SET next_attempt = ?1, attempts = 0,
				until = CASE state WHEN 'given_up' THEN ?2 ELSE until END, ended_at = 0,
				state = CASE state WHEN 'given_up' THEN 'reporting' ELSE state END
			WHERE id = ?3 AND state IN ('open', 'reporting', 'given_up')
				AND NOT EXISTS (SELECT 1 FROM commitment_requests AS live WHERE live.id <> ?3 AND live.state IN ('open', 'reporting')
					AND live.owner = commitment_requests.owner AND live.transaction_uid = commitment_requests.transaction_uid)`,
			micros(now), micros(now.Add(c.config.Term)), id))
	})
	if err == nil {
		c.Wake()
	}
	return err
}

// Drop ends a request without a report: the device is never told, and keeps its
// copies.
func (c *Commitment) Drop(ctx context.Context, id int64, d custody.Request) error {
	return c.decide(ctx, id, d, "commitment.dropped", func(tx *store.Tx) (int64, error) {
		return affected(tx.Exec(`UPDATE commitment_requests SET state = 'dropped', ended_at = ? WHERE id = ? AND state IN ('open', 'reporting', 'given_up')`, micros(time.Now()), id))
	})
}

// decide makes a person's change together with its record.
func (c *Commitment) decide(ctx context.Context, id int64, d custody.Request, kind string, change func(*store.Tx) (int64, error)) error {
	d, err := d.Check()
	if err != nil {
		return err
	}
	return c.parts.DB.Update(ctx, func(tx *store.Tx) error {
		found, err := queryRequests(tx, `id = ?`, id)
		if err != nil {
			return err
		}
		n, err := change(tx)
		switch {
		case err != nil:
			return err
		case n == 0 || len(found) == 0:
			return fmt.Errorf("%w: %d (cordon commitment list shows what waits)", ErrNotFound, id)
		}
		return c.parts.Journal.Append(tx, kind, found[0].who.body(id, found[0].transaction, map[string]any{"by": d.By, "reason": d.Reason}))
	})
}

// Status counts requests.
type Status struct {
	Open      int       `json:"open"`      // wait for the spool or for an archive
	Reporting int       `json:"reporting"` // wait for their device
	GivenUp   int       `json:"given_up"`  // need a person
	Oldest    time.Time `json:"oldest,omitzero"`
	Troubles  []Trouble `json:"troubles,omitempty"`
}

// Trouble is an archive that could not be asked.
type Trouble struct {
	Archive string    `json:"archive"`
	Since   time.Time `json:"since"`
	Says    string    `json:"says"`
	Refuses bool      `json:"refuses"` // it was reached, and does not do storage commitment
}

// Status costs the same however many requests there have been.
func (c *Commitment) Status(ctx context.Context) (s Status, err error) {
	var oldest int64
	err = c.parts.DB.View(ctx, func(tx *store.Tx) error {
		err := tx.QueryRow(`SELECT COUNT(*) FILTER (WHERE state = 'open'), COUNT(*) FILTER (WHERE state = 'reporting'), COALESCE(MIN(asked_at), 0)
			FROM commitment_requests WHERE state IN ('open', 'reporting')`).Scan(&s.Open, &s.Reporting, &oldest)
		if err != nil {
			return err
		}
		return tx.QueryRow(`SELECT COUNT(*) FROM commitment_requests WHERE state = 'given_up'`).Scan(&s.GivenUp)
	})
	if oldest > 0 {
		s.Oldest = time.UnixMicro(oldest).UTC()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for archive, t := range c.troubles {
		s.Troubles = append(s.Troubles, Trouble{Archive: archive, Since: t.since, Says: t.says, Refuses: t.refusals > 0})
	}
	slices.SortFunc(s.Troubles, func(a, b Trouble) int { return strings.Compare(a.Archive, b.Archive) })
	return s, err
}

// Present says that a device can be reached just now, on an association that it
// has opened: what waits to be reported to it is due.
func (c *Commitment) Present(ctx context.Context, who Requestor) error {
	waiting, err := c.ids(ctx, `owner = ? AND state = 'reporting' LIMIT 1`, who.owner())
	if err != nil || len(waiting) == 0 {
		return err
	}
	err = c.parts.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE commitment_requests SET next_attempt = ? WHERE owner = ? AND state = 'reporting'`, micros(time.Now()), who.owner())
		return err
	})
	c.Wake()
	return err
}
