package asset

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"cordon/custody"
	"cordon/store"
)

// Described is a device, and what a person says it is.
type Described struct {
	Name string
	Inventory
}

// SetInventories writes down what a person says of many devices, all or none of
// it: see SetInventory. The error names the first that cannot be.
func (r *Register) SetInventories(ctx context.Context, all []Described, rq custody.Request) error {
	rq, err := rq.Check()
	if err != nil {
		return err
	}
	for _, d := range all {
		if err := d.Check(); err != nil {
			return fmt.Errorf("%.80s: %w", d.Name, err)
		}
	}
	ctx = context.WithoutCancel(ctx)
	if err := r.write(ctx); err != nil {
		return err
	}
	return r.db.Update(ctx, func(tx *store.Tx) error {
		known, err := r.subjects(tx)
		if err != nil {
			return err
		}
		for _, d := range all {
			if !slices.ContainsFunc(known, func(s subject) bool { return s.name == d.Name }) {
				return fmt.Errorf("%w: %.80q; cordon device list shows their names", ErrNotFound, d.Name)
			}
			if err := setInventory(tx, d, rq.By, time.Now()); err != nil {
				return err
			}
			if err := r.journal.Append(tx, "device.described", map[string]any{"device": d.Name, "by": []string{rq.By}, "reason": rq.Reason, "inventory": d.Inventory}); err != nil {
				return err
			}
		}
		return nil
	})
}

// setInventory writes the row of one.
func setInventory(tx *store.Tx, d Described, by string, now time.Time) error {
	text, err := json.Marshal(d.Inventory)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO asset_inventory (device, inventory, changed_by, changed_at) VALUES (?, ?, ?, ?)
		ON CONFLICT (device) DO UPDATE SET inventory = excluded.inventory, changed_by = excluded.changed_by, changed_at = excluded.changed_at`,
		d.Name, string(text), by, now.UnixMicro())
	return err
}
