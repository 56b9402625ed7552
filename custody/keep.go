package custody

import (
	"context"
	"fmt"

	"cordon/finding"
	"cordon/store"
)

// Keep makes the buffer's object ours: when it returns nil, bytes, row and
// journal record survive a power failure, and success may be answered. o.State
// is Held or Spooled; a spooled one has a row for each of o.Also too, all or
// none of them; what is in the vault already, the same bytes under the same
// name from the same peer, is not kept twice: the object there is returned. The id, the size and the digest are the buffer's, and if o
// has a size or a digest, as judged, they must be the same. After an error
// nothing is kept, and the buffer can be tried again.
func (c *Custody) Keep(ctx context.Context, b *Buffer, o Object) (Object, error) {
	t, err := change(Receiving, o.State, gateway)
	if err != nil {
		return o, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.digest(); err != nil {
		return o, err
	}
	if b.phase == kept {
		return o, fmt.Errorf("%w: object %s is kept already", ErrState, b.id)
	}
	if o.SHA256 != (Digest{}) && o.SHA256 != b.sum || o.Bytes != 0 && o.Bytes != b.size {
		return o, fmt.Errorf("keeping object: %d bytes (SHA-256 %s) are here, %d bytes (%s) were judged", b.size, b.sum, o.Bytes, o.SHA256)
	}
	if o.State == Held {
		if again, err := c.heldAgain(ctx, b, o); err != nil || again.ID != "" {
			return again, err
		}
	}
	if err := c.roomFor(o.State, b.unfiled()); err != nil {
		return o, fmt.Errorf("keeping object: %w", err)
	}
	if err := b.sync(); err != nil {
		return o, fmt.Errorf("keeping object: %w", store.Explain(err))
	}
	o = o.asReceived(b)
	var copies []Object
	if o.State == Spooled {
		if copies, err = c.copies(o, o.Also); err != nil {
			return o, fmt.Errorf("keeping object: %w", err)
		}
		o.Also = nil
	}
	more := map[string]any{"reason": o.Reason}
	if len(o.Findings) > 0 {
		more["findings"] = findingIDs(o.Findings)
	}
	if excepted := finding.Exceptions(o.Findings); len(excepted) > 0 {
		more["exceptions"] = excepted
	}
	err = c.db.Update(ctx, func(tx *store.Tx) error {
		if err := insert(tx, o); err != nil {
			return err
		}
		if err := c.insertCopies(tx, copies, o.ID); err != nil {
			return err
		}
		return c.journal.Append(tx, t.kind, o.entry(t, more))
	})
	if err != nil {
		c.dropCopies(copies)
		return o, fmt.Errorf("keeping object: %w", err)
	}
	b.phase = kept
	_ = c.place(b.id) // it is found where it is; the next start moves it
	c.placeCopies(copies)
	return o, nil
}

// heldAgain finds the same object in the vault, counts that it came again, and
// returns it; or the zero Object. A device that sends its infected images over
// and over fills neither the disk nor the ledger: the first repetition is
// journalled, then the second, fourth, eighth and so on.
func (c *Custody) heldAgain(ctx context.Context, b *Buffer, o Object) (Object, error) {
	const same = ` FROM custody_objects WHERE state = 'held' AND sha256 = ? AND sop_instance_uid = ? AND calling_ae = ? AND archive = ?
		AND transfer_syntax_uid = ? AND alarm = '' ORDER BY seq LIMIT 1`
	args := []any{b.sum[:], o.SOPInstanceUID, o.CallingAE, o.Archive, o.TransferSyntaxUID}
	var there []Object
	find := func(tx *store.Tx) (err error) {
		there, err = query(tx, `SELECT `+columns+same, args...)
		return err
	}
	if err := c.db.View(ctx, find); err != nil || len(there) == 0 {
		return Object{}, err
	}
	err := c.db.Update(ctx, func(tx *store.Tx) error {
		if err := find(tx); err != nil || len(there) == 0 { // released or destroyed meanwhile
			return err
		}
		n := there[0].Repeats + 1
		there[0].Repeats = n
		if _, err := tx.Exec(`UPDATE custody_objects SET repeats = ? WHERE id = ?`, n, there[0].ID); err != nil {
			return err
		}
		if n&(n-1) != 0 {
			return nil
		}
		return c.journal.Append(tx, "object.held_again", map[string]any{"id": there[0].ID, "repeats": n, "device": o.Device})
	})
	if err != nil || len(there) == 0 {
		return Object{}, err
	}
	return there[0], nil
}

// asReceived fills in what is ours to say of a new object.
func (o Object) asReceived(b *Buffer) Object {
	o.ID, o.ReceivedAt, o.Bytes, o.SHA256 = b.id, b.began, b.size, b.sum
	if o.State == Held {
		o.HeldAt = now()
	}
	return o
}

// maxJournalled bounds the findings named in one record; the row has them all.
const maxJournalled = 100

func findingIDs(fs []finding.Finding) []string {
	ids := make([]string, 0, min(len(fs), maxJournalled))
	for _, f := range fs {
		if len(ids) == cap(ids) {
			break
		}
		ids = append(ids, f.ID)
	}
	return ids
}
