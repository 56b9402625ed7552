package custody

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"cordon/finding"
	"cordon/store"
)

// Awaiting returns spooled objects that are not to be delivered before they were
// scanned and are to be scanned now, those first whose time came first.
func (c *Custody) Awaiting(ctx context.Context, at time.Time, limit int) (all []Object, err error) {
	err = c.db.View(ctx, func(tx *store.Tx) error {
		all, err = query(tx, `SELECT `+columns+` FROM custody_objects
			WHERE awaits_scan > 0 AND awaits_scan <= ? AND state = 'spooled' ORDER BY awaits_scan, seq LIMIT ?`, toMicros(at), limit)
		return err
	})
	return all, err
}

// AwaitingFrom returns spooled objects of a device that are not to be delivered before
// they were scanned, whenever that is to be, those first whose time comes first.
func (c *Custody) AwaitingFrom(ctx context.Context, device string, limit int) (all []Object, err error) {
	err = c.db.View(ctx, func(tx *store.Tx) error {
		all, err = query(tx, `SELECT `+columns+` FROM custody_objects
			WHERE awaits_scan > 0 AND state = 'spooled' AND device = ? ORDER BY awaits_scan, seq LIMIT ?`, device, limit)
		return err
	})
	return all, err
}

// AwaitingOf counts the objects of a device that wait to be scanned, and says since
// when the first does.
func (c *Custody) AwaitingOf(ctx context.Context, device string) (n int, since time.Time, err error) {
	err = c.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT COUNT(*), COALESCE(MIN(received_at), 0) FROM custody_objects WHERE awaits_scan > 0 AND state = 'spooled' AND device = ?`, device).
			Scan(&n, micros{&since})
	})
	return n, since, err
}

// Await has what waits for its archive and came from a device be scanned before it
// is delivered, and returns how many objects that are. What is on its way goes on.
func (c *Custody) Await(ctx context.Context, device string) (n int64, err error) {
	err = c.db.Update(ctx, func(tx *store.Tx) error {
		r, err := tx.Exec(`UPDATE custody_objects SET awaits_scan = 1 WHERE state = 'spooled' AND in_flight = 0 AND awaits_scan = 0 AND released_at = 0 AND device = ?`, device)
		if err == nil {
			n, err = r.RowsAffected()
		}
		return err
	})
	return n, err
}

// Scanned says that an object was found clean: it is due from now on.
func (c *Custody) Scanned(ctx context.Context, id string, fs []finding.Finding, es []finding.EngineResult) error {
	return c.awaited(ctx, id, "object.scanned", nil, fs, es)
}

// PassUnscanned has an object delivered that was not scanned, because a person says
// so.
func (c *Custody) PassUnscanned(ctx context.Context, id string, rq Request) error {
	rq, err := rq.Check()
	if err != nil {
		return err
	}
	o, err := c.Get(ctx, id)
	if err != nil {
		return err
	}
	return c.awaited(ctx, id, "object.passed_unscanned", map[string]any{"by": rq.By, "reason": rq.Reason}, o.Findings, o.Engines)
}

// awaited makes an object due that waited to be scanned.
func (c *Custody) awaited(ctx context.Context, id, kind string, more map[string]any, fs []finding.Finding, es []finding.EngineResult) error {
	findings, err := json.Marshal(fs)
	if err != nil {
		return err
	}
	engines, err := json.Marshal(es)
	if err != nil {
		return err
	}
	return c.db.Update(ctx, func(tx *store.Tx) error {
		o, err := get(tx, id)
		if err != nil {
			return err
		}
		r, err := tx.Exec(`UPDATE custody_objects SET awaits_scan = 0, findings = ?, engines = ? WHERE id = ? AND awaits_scan > 0 AND state = 'spooled'`,
			string(findings), string(engines), id)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return fmt.Errorf("%w: object %s does not wait to be scanned", ErrState, id)
		}
		return c.journal.Append(tx, kind, o.entry(transition{to: Spooled}, more))
	})
}

// ScanLater puts off the scan of an object that no engine, or not every one, could
// scan; what they said is kept.
func (c *Custody) ScanLater(ctx context.Context, id string, at time.Time, es []finding.EngineResult) error {
	engines, err := json.Marshal(es)
	if err != nil {
		return err
	}
	return c.db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE custody_objects SET awaits_scan = ?, engines = ? WHERE id = ? AND awaits_scan > 0`, toMicros(at), string(engines), id)
		return err
	})
}
