package asset

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode"

	"cordon/custody"
	"cordon/store"
)

// Criticality says what it costs when a device stands still.
type Criticality string

const (
	Low    Criticality = "low"
	Normal Criticality = "normal" // also ""
	High   Criticality = "high"   // an examination has to go elsewhere
	Life   Criticality = "life"   // a patient in danger has to wait
)

// Inventory is what people say a device is. What nobody said is empty.
type Inventory struct {
	Owner        string      `json:"owner,omitempty"` // the department, or who answers for it
	Vendor       string      `json:"vendor,omitempty"`
	Model        string      `json:"model,omitempty"`
	Modality     string      `json:"modality,omitempty"` // CT, MR, US, …: PS3.3 §C.7.3.1.1.1
	Serial       string      `json:"serial,omitempty"`
	Location     string      `json:"location,omitempty"`
	Criticality  Criticality `json:"criticality,omitempty"`
	OS           string      `json:"os,omitempty"`
	Software     []string    `json:"software,omitempty"`      // with versions
	Zone         string      `json:"zone,omitempty"`          // of the network: modalities, archive, workstations, general, vendor, visitors
	VendorAccess string      `json:"vendor_access,omitempty"` // how its vendor reaches it, as the hospital calls it
	Antivirus    string      `json:"antivirus,omitempty"`     // the engine on it
	Note         string      `json:"note,omitempty"`
}

const (
	maxField    = 200 // bytes of one field of an inventory
	maxSoftware = 100
	maxNote     = 4000
)

// Check says what is wrong with an inventory, or nil.
func (v Inventory) Check() error {
	if len(v.Software) > maxSoftware {
		return fmt.Errorf("%w: software has %d entries; at most %d", custody.ErrRequest, len(v.Software), maxSoftware)
	}
	if len(v.Note) > maxNote {
		return fmt.Errorf("%w: the note has %d bytes; at most %d", custody.ErrRequest, len(v.Note), maxNote)
	}
	if !slices.Contains([]Criticality{"", Low, Normal, High, Life}, v.Criticality) {
		return fmt.Errorf("%w: criticality %.40q: expected low, normal, high or life", custody.ErrRequest, v.Criticality)
	}
	for _, f := range append([]string{v.Owner, v.Vendor, v.Model, v.Modality, v.Serial, v.Location, v.OS, v.Zone, v.VendorAccess, v.Antivirus}, v.Software...) {
		if len(f) > maxField || slices.ContainsFunc([]rune(f), unicode.IsControl) {
			return fmt.Errorf("%w: %.40q: expected at most %d bytes without control characters", custody.ErrRequest, f, maxField)
		}
	}
	return nil
}

// Inventory is what people said of a device; the zero Inventory if nobody did.
func (r *Register) Inventory(ctx context.Context, name string) (v Inventory, err error) {
	err = r.db.View(ctx, func(tx *store.Tx) error {
		var text string
		err := tx.QueryRow(`SELECT inventory FROM asset_inventory WHERE device = ?`, name).Scan(&text)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err == nil {
			err = json.Unmarshal([]byte(text), &v)
		}
		return err
	})
	return v, err
}

// Inventories are what people said of all devices, by name.
func (r *Register) Inventories(ctx context.Context) (map[string]Inventory, error) {
	out := map[string]Inventory{}
	err := r.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT device, inventory FROM asset_inventory`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name, text string
			if err := rows.Scan(&name, &text); err != nil {
				return err
			}
			var v Inventory
			if err := json.Unmarshal([]byte(text), &v); err != nil {
				return fmt.Errorf("inventory of %s: %w", name, err)
			}
			out[name] = v
		}
		return rows.Err()
	})
	return out, err
}

// SetInventory writes down what a person says a device is, in the place of what
// was said before. The device has to be in the register; one of the configuration
// may be described as well.
func (r *Register) SetInventory(ctx context.Context, name string, v Inventory, rq custody.Request) error {
	if err := v.Check(); err != nil {
		return err
	}
	return r.describe(ctx, name, rq, func(tx *store.Tx, name, by string, now time.Time) error {
		return setInventory(tx, Described{name, v}, by, now)
	}, "device.described", "inventory", v)
}

// describe writes something that a person says about a device, and journals it, in
// one transaction.
func (r *Register) describe(ctx context.Context, name string, rq custody.Request, write func(tx *store.Tx, name, by string, now time.Time) error, kind, key string, said any) error {
	rq, err := rq.Check()
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	if err := r.write(ctx); err != nil {
		return err
	}
	return r.db.Update(ctx, func(tx *store.Tx) error {
		s, err := r.find(tx, name)
		if err != nil {
			return err
		}
		if err := write(tx, s.name, rq.By, time.Now()); err != nil {
			return err
		}
		return r.journal.Append(tx, kind, map[string]any{"device": s.name, "by": []string{rq.By}, "reason": rq.Reason, key: said})
	})
}
