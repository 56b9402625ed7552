package custody

import (
	"context"
	"encoding/json"
	"fmt"

	"cordon/finding"
	"cordon/store"
)

// Stop holds an object that waits for its archive, since a later judgement has
// found it harmful. It is ErrState if the object is on its way just now or has
// been delivered or destroyed, ErrNotFound if it never waited. One that is held
// already stays so.
func (c *Custody) Stop(ctx context.Context, id string, fs []finding.Finding, es []finding.EngineResult) error {
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
		switch {
		case err != nil:
			return err
		case o.State == Held:
			return nil
		case o.InFlight:
			return fmt.Errorf("%w: object %s is being delivered", ErrState, id)
		}
		if _, err := c.move(tx, id, Held, rescanner, map[string]any{"findings": findingIDs(fs)}); err != nil {
			return err
		}
		_, err = tx.Exec(`UPDATE custody_objects SET held_at = ?, findings = ?, engines = ?, needs_attention = 0 WHERE id = ?`,
			toMicros(now()), string(findings), string(engines), id)
		return err
	})
}
