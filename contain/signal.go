package contain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cordon/alarm"
	"cordon/custody"
	"cordon/firewall"
	"cordon/store"
)

// Proposal is a containment that waits for a person.
type Proposal struct {
	ID       int64          `json:"id"`
	Device   string         `json:"device"`
	Rule     string         `json:"rule"`
	Severity string         `json:"severity,omitempty"`
	Detail   string         `json:"detail,omitempty"`
	Level    firewall.Level `json:"level"`
	For      time.Duration  `json:"for,omitempty"`
	Why      string         `json:"why"` // a person is asked
	State    string         `json:"state"`
	At       time.Time      `json:"at"`
	Expires  time.Time      `json:"expires,omitzero"` // it lapses
	By       string         `json:"by,omitempty"`
}

// Signal takes what a sensor saw. It never waits: Run decides about it. One that
// finds no room is counted, and a later one of its cause decides the same.
func (c *Containments) Signal(s Signal) {
	select {
	case c.signals <- s:
	default:
		c.lost.Add(1)
	}
}

// machine is who an order is by that nobody gave.
const machine = "Cordon"

// decide does what the policy says to a signal.
func (c *Containments) decide(ctx context.Context, s Signal) error {
	devices, err := c.parts.Devices(ctx)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	w := World{Devices: devices}
	for _, e := range c.now {
		w.Contained = append(w.Contained, e.Containment)
	}
	d := c.parts.Policy.Decide(s, w)
	switch d.Do {
	case Nothing:
		return nil
	case AtOnce:
		i := slices.IndexFunc(devices, func(x Device) bool { return x.Name == s.Device })
		rq := custody.Request{By: machine, Reason: clip(fmt.Sprintf("rule %s: %s", s.Rule, s.Detail))}
		_, err := c.order(ctx, Order{Device: s.Device, Level: d.Level, For: d.For, Rule: s.Rule, Request: rq}, devices[i], devices)
		return err
	}
	return c.propose(ctx, s, d)
}

// propose writes a proposal down, unless one waits for the device already.
func (c *Containments) propose(ctx context.Context, s Signal, d Decision) error {
	now := time.Now()
	p := Proposal{Device: s.Device, Rule: s.Rule, Severity: s.Severity, Detail: clip(s.Detail), Level: d.Level, For: d.For, Why: clip(d.Why), At: now.UTC()}
	if d.Do == Confirm {
		p.Expires = now.Add(d.Within).UTC()
	}
	waits := false
	err := c.parts.DB.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		r, err := tx.Exec(`INSERT INTO contain_proposal (device, rule, severity, detail, level, lasts, why, state, at, expires)
			VALUES (?, ?, ?, ?, ?, ?, ?, 'waiting', ?, ?) ON CONFLICT DO NOTHING`,
			p.Device, p.Rule, p.Severity, p.Detail, string(p.Level), p.For.Microseconds(), p.Why, micros(p.At), micros(p.Expires))
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			waits = true
			return err
		}
		body := map[string]any{"device": p.Device, "rule": p.Rule, "detail": p.Detail, "level": p.Level, "why": p.Why}
		if !p.Expires.IsZero() {
			body["until"] = p.Expires
		}
		return c.parts.Journal.Append(tx, "containment.proposed", body)
	})
	if err != nil || waits {
		return err
	}
	c.count("containment.proposed")
	c.raise(ctx, alarm.Alarm{Kind: "device.propose", Subject: p.Device, Text: fmt.Sprintf("Contain %s? %s: %s", p.Device, p.Rule, p.Detail), Link: "/devices/" + p.Device + "/contain"})
	return nil
}

// Proposals returns those that wait, or all there were, the latest first.
func (c *Containments) Proposals(ctx context.Context, all bool) (out []Proposal, err error) {
	where := `WHERE state = 'waiting' ORDER BY id DESC`
	if all {
		where = `ORDER BY id DESC LIMIT 1000`
	}
	err = c.parts.DB.View(ctx, func(tx *store.Tx) error {
		out, err = proposals(tx, where)
		return err
	})
	return out, err
}

func proposals(tx *store.Tx, where string, args ...any) (out []Proposal, err error) {
	rows, err := tx.Query(`SELECT id, device, rule, severity, detail, level, lasts, why, state, at, expires, by FROM contain_proposal `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var p Proposal
		var lasts, made, expires int64
		if err := rows.Scan(&p.ID, &p.Device, &p.Rule, &p.Severity, &p.Detail, &p.Level, &lasts, &p.Why, &p.State, &made, &expires, &p.By); err != nil {
			return nil, err
		}
		p.For, p.At, p.Expires = time.Duration(lasts)*time.Microsecond, at(made), at(expires)
		out = append(out, p)
	}
	return out, rows.Err()
}

// Confirm says yes to the proposal that waits for a device, and contains it. The yes
// and the order are one transaction: where the device cannot be contained, the
// proposal goes on waiting.
func (c *Containments) Confirm(ctx context.Context, device string, rq custody.Request) (Containment, error) {
	var p Proposal
	err := c.parts.DB.View(ctx, func(tx *store.Tx) (err error) {
		p, err = waiting(tx, device)
		return err
	})
	if err != nil {
		return Containment{}, err
	}
	return c.Contain(ctx, Order{Device: device, Level: p.Level, For: p.For, Rule: p.Rule, Request: rq, confirms: &p})
}

// Dismiss says no to the proposal that waits for a device.
func (c *Containments) Dismiss(ctx context.Context, device string, rq custody.Request) error {
	rq, err := rq.Check()
	if err != nil {
		return err
	}
	err = c.parts.DB.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		p, err := waiting(tx, device)
		if err != nil {
			return err
		}
		return c.close(tx, p, "containment.dismissed", rq)
	})
	if err == nil {
		c.clear(ctx, "device.propose", device)
	}
	return err
}

// waiting is the proposal that waits for a device.
func waiting(tx *store.Tx, device string) (Proposal, error) {
	some, err := proposals(tx, `WHERE state = 'waiting' AND device = ?`, device)
	if err == nil && len(some) == 0 {
		err = fmt.Errorf("%w: no proposal waits for %.80s", ErrState, device)
	}
	if err != nil {
		return Proposal{}, err
	}
	return some[0], nil
}

// close ends a proposal that still waits.
func (c *Containments) close(tx *store.Tx, p Proposal, kind string, rq custody.Request) error {
	r, err := tx.Exec(`UPDATE contain_proposal SET state = ?, by = ? WHERE id = ? AND state = 'waiting'`, strings.TrimPrefix(kind, "containment."), rq.By, p.ID)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, fmt.Errorf("%w: the proposal for %.80s waits no more", ErrState, p.Device))
	}
	return c.parts.Journal.Append(tx, kind, map[string]any{"device": p.Device, "rule": p.Rule, "by": []string{rq.By}, "reason": rq.Reason})
}

// lapse ends the proposals to which nobody said yes in time.
func (c *Containments) lapse(ctx context.Context) error {
	var over []Proposal
	late := func(tx *store.Tx) (err error) {
		over, err = proposals(tx, `WHERE state = 'waiting' AND expires > 0 AND expires <= ?`, time.Now().UnixMicro())
		return err
	}
	if err := c.parts.DB.View(ctx, late); err != nil || len(over) == 0 {
		return err
	}
	err := c.parts.DB.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		if err := late(tx); err != nil {
			return err
		}
		for _, p := range over {
			if err := c.close(tx, p, "containment.lapsed", custody.Request{By: machine, Reason: "nobody said yes in time"}); err != nil {
				return err
			}
		}
		return nil
	})
	for _, p := range over {
		c.raise(ctx, alarm.Alarm{Kind: "containment.lapsed", Subject: p.Device, Text: fmt.Sprintf("Nobody answered whether to contain %s because of %s: it is not contained.", p.Device, p.Rule), Link: "/devices/" + p.Device})
	}
	return err
}
