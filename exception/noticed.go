package exception

import (
	"time"

	"cordon/finding"
	"cordon/policy"
	"cordon/store"
)

// Bounds of what is proposed of itself and not decided on. What does not fit is
// not proposed; people can propose it.
const (
	maxOfDevice = 32   // for one device
	maxProposed = 1000 // for declared devices, and for learned ones
)

// Noticed counts an object that fs alone kept from delivery, and proposes an
// exception for what has none. held is the object's id in the vault, or "" if
// it was delivered all the same. Nobody waits for the disk: what a crash
// forgets is proposed again with the next object.
func (x *Exceptions) Noticed(o policy.Origin, held string, fs []finding.Finding, onErr func(error)) {
	subject := o.Subject()
	if subject == (policy.Origin{}) || len(fs) == 0 {
		return
	}
	seen := map[habit]bool{}
	for _, f := range fs {
		if h := (habit{subject, f.ID, policy.Place(f.Where)}); finding.Exceptable(f) && validPlace(h.place) {
			seen[h] = true
		}
	}
	x.db.Later(func(tx *store.Tx) error {
		for h := range seen {
			if err := x.notice(tx, h, held); err != nil {
				return err
			}
		}
		return nil
	}, onErr)
}

func (x *Exceptions) notice(tx *store.Tx, h habit, held string) error {
	e, known, err := find(tx, h)
	if err != nil {
		return err
	}
	if !known {
		if room, err := room(tx, h.subject); err != nil || !room {
			return err
		}
		if e, err = x.insert(tx, h, "", ""); err != nil {
			return err
		}
	}
	now := time.Now().UnixMicro()
	_, err = tx.Exec(`UPDATE exception SET seen = seen + 1, last_seen = ?,
		first_seen = CASE first_seen WHEN 0 THEN ? ELSE first_seen END, example = CASE ? WHEN '' THEN example ELSE ? END WHERE id = ?`,
		now, now, held, held, e.ID)
	return err
}

// room reports whether the gateway may propose one more for a device.
func room(tx *store.Tx, subject policy.Origin) (bool, error) {
	key := habit{subject: subject}.key()
	const undecided = `SELECT COUNT(*) FROM exception WHERE state = 'proposed' AND proposed_by = '' AND `
	n, err := scalar(tx, undecided+`device = ? AND calling_ae = ? AND address = ?`, key[:3]...)
	if err != nil || n >= maxOfDevice {
		return false, err
	}
	n, err = scalar(tx, undecided+`(device = '') = (? = '')`, subject.Device)
	return n < maxProposed, err
}
