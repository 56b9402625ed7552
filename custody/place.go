package custody

import (
	"context"
	"encoding/json"

	"cordon/store"
)

// Place is where one object that we have or had is, as far as somebody needs
// to know who answers for an instance.
type Place struct {
	SOPInstanceUID string
	SOPClassUID    string
	Device         string
	CallingAE      string
	Archive        string
	State          State
	NeedsAttention bool   // spooled, and refused by the archive until a person decides
	Status         uint16 // of the archive's last C-STORE response
}

// Places returns every object of the instances given, some 1,000 at a time,
// whoever sent it, in the order in which they were accepted. What was delivered
// at once has none.
func (c *Custody) Places(ctx context.Context, instances []string) (all []Place, err error) {
	list, err := json.Marshal(instances)
	if err != nil {
		return nil, err
	}
	err = c.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT sop_instance_uid, sop_class_uid, device, calling_ae, archive, state, needs_attention, status
			FROM custody_objects WHERE sop_instance_uid IN (SELECT value FROM json_each(?)) ORDER BY seq`, string(list))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var p Place
			if err := rows.Scan(&p.SOPInstanceUID, &p.SOPClassUID, &p.Device, &p.CallingAE, &p.Archive, &p.State, &p.NeedsAttention, &p.Status); err != nil {
				return err
			}
			all = append(all, p)
		}
		return rows.Err()
	})
	return all, err
}

// WasReleased reports whether people have released an object of these very
// bytes under this name, at some time.
func (c *Custody) WasReleased(ctx context.Context, instance string, sum Digest) (released bool, err error) {
	err = c.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM custody_objects WHERE sop_instance_uid = ? AND sha256 = ? AND released_at > 0)`,
			instance, sum[:]).Scan(&released)
	})
	return released, err
}
