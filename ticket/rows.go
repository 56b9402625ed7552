package ticket

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"cordon/custody"
	"cordon/store"
)

// insert writes a new ticket down, with what came with it, and gives it its number.
func (d *Desk) insert(ctx context.Context, t *Ticket, kind string, rq Request) error {
	declaration, err := d.p.Seal.Seal(rq.Declaration.Text)
	if err != nil {
		return err
	}
	var report []byte
	if len(rq.Report.Text) > 0 {
		if report, err = d.p.Seal.Seal(rq.Report.Text); err != nil {
			return err
		}
	}
	return d.p.DB.Update(ctx, func(tx *store.Tx) error {
		result, err := tx.Exec(`INSERT INTO ticket_tickets (state, lasts, ticket) VALUES (?, ?, '')`, string(t.State), int64(t.For/time.Second))
		if err != nil {
			return err
		}
		number, err := result.LastInsertId()
		if err != nil {
			return err
		}
		t.ID = strconv.FormatInt(number, 10)
		for what, sealed := range map[string][]byte{"declaration": declaration, "report": report} {
			if sealed == nil {
				continue
			}
			if _, err := tx.Exec(`INSERT INTO ticket_documents (ticket, what, sealed) VALUES (?, ?, ?)`, number, what, sealed); err != nil {
				return err
			}
		}
		if err := write(tx, *t); err != nil {
			return err
		}
		return d.journal(tx, kind, *t, custody.Request{Reason: rq.Reason})
	})
}

// update writes down what became of a ticket.
func (d *Desk) update(ctx context.Context, t Ticket, kind string, rq custody.Request) error {
	return d.p.DB.Update(ctx, func(tx *store.Tx) error {
		if err := write(tx, t); err != nil {
			return err
		}
		return d.journal(tx, kind, t, rq)
	})
}

func write(tx *store.Tx, t Ticket) error {
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE ticket_tickets SET state = ?, ticket = ? WHERE id = ?`, string(t.State), string(text), t.ID)
	return err
}

// maxList bounds a list.
const maxList = 500

// load reads the tickets that a condition is true of, the latest first.
func (d *Desk) load(ctx context.Context, where string, before int64) (all []Ticket, err error) {
	err = d.p.DB.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT lasts, ticket FROM ticket_tickets WHERE `+where+` AND (? = 0 OR id < ?) ORDER BY id DESC LIMIT ?`, before, before, maxList)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var lasts int64
			var text string
			if err := rows.Scan(&lasts, &text); err != nil {
				return err
			}
			var t Ticket
			if err := json.Unmarshal([]byte(text), &t); err != nil {
				return fmt.Errorf("a ticket: %w", err)
			}
			t.For = time.Duration(lasts) * time.Second
			all = append(all, t)
		}
		return rows.Err()
	})
	return all, err
}

// Tickets are those that stand, or with all those that are closed too, the latest
// first, below a number where that is not 0; at most 500.
func (d *Desk) Tickets(ctx context.Context, all bool, before int64) ([]Ticket, error) {
	where := `state != 'closed'`
	if all {
		where = `TRUE`
	}
	list, err := d.load(ctx, where, before)
	if err != nil {
		return nil, err
	}
	d.count(ctx, list)
	return list, nil
}

// count adds what went through those that are open, as far as the kernel says.
func (d *Desk) count(ctx context.Context, list []Ticket) {
	s, err := d.p.Firewall.State(ctx)
	if err != nil {
		return
	}
	for i := range list {
		for n := range list[i].To {
			list[i].Packets += s.Counters["opening "+opening(list[i], n)].Packets
		}
	}
}

// Ticket is one, whether or not it stands.
func (d *Desk) Ticket(ctx context.Context, id string) (t Ticket, err error) {
	number, err := strconv.ParseInt(id, 10, 64)
	if err != nil || number <= 0 {
		return t, fmt.Errorf("%w: %.20q is not the number of one", ErrNotFound, id)
	}
	list, err := d.load(ctx, `id = `+strconv.FormatInt(number, 10), 0)
	switch {
	case err != nil:
		return t, err
	case len(list) == 0:
		return t, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	d.count(ctx, list)
	return list[0], nil
}

// Document returns what came with a ticket: "declaration" or "report".
func (d *Desk) Document(ctx context.Context, id, what string) (Document, []byte, error) {
	t, err := d.Ticket(ctx, id)
	if err != nil {
		return Document{}, nil, err
	}
	var sealed []byte
	err = d.p.DB.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT sealed FROM ticket_documents WHERE ticket = ? AND what = ?`, id, what).Scan(&sealed)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return Document{}, nil, fmt.Errorf("%w: ticket %s has no %.20s", ErrNotFound, id, what)
	}
	if err != nil {
		return Document{}, nil, err
	}
	text, err := d.p.Seal.Unseal(sealed)
	if what == "report" {
		return t.Inspection.Document, text, err
	}
	return t.Declaration, text, err
}

// Kept counts the documents that are sealed to custody's key: without it they are
// lost.
func Kept(ctx context.Context, db *store.DB) (n int, err error) {
	err = db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT count(*) FROM ticket_documents`).Scan(&n)
	})
	return n, err
}

// standing returns those that stand, oldest first.
func (d *Desk) standing() []Ticket {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := slices.Clone(d.all)
	slices.Reverse(out)
	return out
}
