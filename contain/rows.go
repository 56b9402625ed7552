package contain

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"cordon/firewall"
	"cordon/store"
)

const columns = `id, device, level, state, rule, by, reason, since, until, applied, over, enforced, enforcer, why, addresses, asked_by, proof, counts`

// rows reads containments.
func (c *Containments) rows(ctx context.Context, where string, args ...any) (all []entry, err error) {
	err = c.parts.DB.View(ctx, func(tx *store.Tx) error {
		found, err := tx.Query(`SELECT `+columns+` FROM contain `+where, args...)
		if err != nil {
			return err
		}
		defer found.Close()
		for found.Next() {
			e, err := scan(found.Scan)
			if err != nil {
				return err
			}
			all = append(all, e)
		}
		return found.Err()
	})
	return all, err
}

func scan(row func(...any) error) (e entry, err error) {
	var by, addresses, proof, counts string
	var since, until, applied, over int64
	err = row(&e.ID, &e.Device, &e.Level, &e.State, &e.Rule, &by, &e.Reason, &since, &until, &applied, &over,
		&e.Enforced, &e.Enforcer, &e.Why, &addresses, &e.Asked, &proof, &counts)
	if err != nil {
		return e, err
	}
	e.Since, e.Until, e.Applied, e.Over = at(since), at(until), at(applied), at(over)
	for _, f := range []struct {
		text string
		into any
	}{{by, &e.By}, {addresses, &e.addresses}, {proof, &e.Proof}, {counts, &e.Counts}} {
		if f.text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(f.text), f.into); err != nil {
			return e, fmt.Errorf("containment %d: %w", e.ID, err)
		}
	}
	return e, nil
}

// at and micros convert times; 0 is the zero time.
func at(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// insert writes a new order.
func (e *entry) insert(tx *store.Tx) error {
	by, err := json.Marshal(e.By)
	if err != nil {
		return err
	}
	addresses, err := json.Marshal(e.addresses)
	if err != nil {
		return err
	}
	r, err := tx.Exec(`INSERT INTO contain (device, level, state, rule, by, reason, since, until, addresses) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		e.Device, string(e.Level), string(e.State), e.Rule, string(by), e.Reason, micros(e.Since), micros(e.Until), string(addresses))
	if err != nil {
		return err
	}
	e.ID, err = r.LastInsertId()
	return err
}

// update writes what may change of one in force.
func (e *entry) update(tx *store.Tx) error {
	text := [4]string{}
	for i, v := range []any{e.By, e.addresses, e.Proof, e.Counts} {
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		text[i] = string(b)
	}
	if e.Proof == nil {
		text[2] = ""
	}
	_, err := tx.Exec(`UPDATE contain SET level = ?, state = ?, rule = ?, by = ?, reason = ?, until = ?, applied = ?, over = ?, enforced = ?, enforcer = ?, why = ?, addresses = ?, proof = ?, counts = ? WHERE id = ?`,
		string(e.Level), string(e.State), e.Rule, text[0], e.Reason, micros(e.Until), micros(e.Applied), micros(e.Over), e.Enforced, e.Enforcer, e.Why, text[1], text[2], text[3], e.ID)
	return err
}

// body is what the ledger says of one.
func (e *entry) body() map[string]any {
	b := map[string]any{"containment": e.ID, "device": e.Device, "level": e.Level, "by": e.By, "reason": e.Reason}
	if e.Rule != "" {
		b["rule"] = e.Rule
	}
	if !e.Until.IsZero() {
		b["until"] = e.Until
	}
	return b
}

// journal writes a row and its record in one transaction.
func (c *Containments) journal(ctx context.Context, kind string, body map[string]any, write func(*store.Tx) error) error {
	return c.parts.DB.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		if err := write(tx); err != nil {
			return err
		}
		return c.parts.Journal.Append(tx, kind, body)
	})
}

// levels as people write them.
var levels = []firewall.Level{firewall.Observe, firewall.ImageOnly, firewall.Cut}
