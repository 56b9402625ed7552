package rescan

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"cordon/custody"
	"cordon/finding"
	"cordon/store"
)

// Hit is an object that was delivered and then found harmful.
type Hit struct {
	ID                string                 `json:"id"`
	FoundAt           time.Time              `json:"found_at"`
	ReceivedAt        time.Time              `json:"received_at"`
	Device            string                 `json:"device"`
	CallingAE         string                 `json:"calling_ae"`
	Archive           string                 `json:"archive"`
	StudyInstanceUID  string                 `json:"study_instance_uid"`
	SeriesInstanceUID string                 `json:"series_instance_uid"`
	SOPClassUID       string                 `json:"sop_class_uid"`
	SOPInstanceUID    string                 `json:"sop_instance_uid"`
	Bytes             int64                  `json:"bytes"`
	SHA256            custody.Digest         `json:"sha256"`
	Reason            string                 `json:"reason"`
	Findings          []finding.Finding      `json:"findings"`
	Engines           []finding.EngineResult `json:"engines,omitempty"`
	VaultID           string                 `json:"vault_id,omitempty"` // of the evidence
	DoneAt            time.Time              `json:"done_at,omitzero"`
	DoneBy            string                 `json:"done_by,omitempty"`
	DoneReason        string                 `json:"done_reason,omitempty"`
}

// hit stops what still waits for its archive. Everything else is a late hit.
func (r *Rescan) hit(ctx context.Context, o custody.Object, reason string) error {
	switch err := r.parts.Custody.Stop(ctx, o.ID, o.Findings, o.Engines); {
	case errors.Is(err, custody.ErrNotFound), errors.Is(err, custody.ErrState):
		return r.lateHit(ctx, o, reason)
	case err != nil:
		return err
	}
	r.parts.Log.Warn("an object that waited for its archive was found harmful and is held", "id", o.ID, "archive", o.Archive, "reason", reason)
	err := r.forget(ctx, o.ID)
	if err == nil {
		r.drop(o)
	}
	return err
}

// lateHit puts the alarm on the ledger, with the row that stays until somebody
// acknowledges it.
func (r *Rescan) lateHit(ctx context.Context, o custody.Object, reason string) error {
	vault, err := r.evidence(ctx, o)
	if err != nil {
		r.parts.Log.Error("evidence of a late hit could not be kept", "id", o.ID, "error", err)
	}
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	err = r.parts.DB.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(`DELETE FROM rescan_copies WHERE id = ?`, o.ID); err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO rescan_hits (id, found_at, object, reason, vault_id) VALUES (?, ?, ?, ?, ?)`,
			o.ID, time.Now().UnixMicro(), string(text), reason, vault); err != nil {
			return err
		}
		body := record(o)
		body["reason"], body["findings"], body["vault_id"] = reason, finding.IDs(o.Findings), vault
		return r.parts.Ledger.Append(tx, "object.late_hit", body)
	})
	if err != nil {
		return err
	}
	r.drop(o)
	r.parts.Log.Error("late hit: an object was delivered before it was found harmful", "id", o.ID, "archive", o.Archive, "device", o.Device,
		"study", o.StudyInstanceUID, "reason", reason)
	return nil
}

// evidence puts a copy into the vault and returns its id there. The same object
// is not kept twice, so this can be repeated after a crash.
func (r *Rescan) evidence(ctx context.Context, o custody.Object) (string, error) {
	data, err := r.parts.Custody.OpenSealed(r.path(o.ID), o.Bytes, o.SHA256)
	if err != nil {
		return "", err
	}
	defer data.Close()
	b := r.parts.Custody.NewBuffer()
	defer b.Discard()
	if _, err := io.Copy(b, data); err != nil {
		return "", err
	}
	o.State = custody.Held
	kept, err := r.parts.Custody.Keep(ctx, b, o)
	return kept.ID, err
}

// Hits lists late hits, the oldest first: those to be recalled, or all.
func (r *Rescan) Hits(ctx context.Context, all bool) (hits []Hit, err error) {
	err = r.parts.DB.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT found_at, object, reason, vault_id, done_at, done_by, done_reason
			FROM rescan_hits WHERE done_at = 0 OR ? ORDER BY found_at, id`, all)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var h Hit
			var text string
			var found, done int64
			if err := rows.Scan(&found, &text, &h.Reason, &h.VaultID, &done, &h.DoneBy, &h.DoneReason); err != nil {
				return err
			}
			var o custody.Object
			if err := json.Unmarshal([]byte(text), &o); err != nil {
				return err
			}
			h.of(o)
			h.FoundAt = time.UnixMicro(found).UTC()
			if done != 0 {
				h.DoneAt = time.UnixMicro(done).UTC()
			}
			hits = append(hits, h)
		}
		return rows.Err()
	})
	return hits, err
}

// of fills in what is known of the object.
func (h *Hit) of(o custody.Object) {
	h.ID, h.ReceivedAt, h.Bytes, h.SHA256 = o.ID, o.ReceivedAt, o.Bytes, o.SHA256
	h.Device, h.CallingAE, h.Archive = o.Device, o.CallingAE, o.Archive
	h.StudyInstanceUID, h.SeriesInstanceUID = o.StudyInstanceUID, o.SeriesInstanceUID
	h.SOPClassUID, h.SOPInstanceUID = o.SOPClassUID, o.SOPInstanceUID
	h.Findings, h.Engines = o.Findings, o.Engines
}

// NotRescannable is what Done takes, in an id's place, to acknowledge the objects
// that will not be rescanned.
const NotRescannable = "not-rescannable"

// Done records that a person has dealt with a late hit, or with the objects that
// are not rescannable. The ledger has it in the same commit.
func (r *Rescan) Done(ctx context.Context, id, by, reason string) error {
	by, reason = strings.Join(strings.Fields(by), " "), strings.TrimSpace(reason)
	switch {
	case by == "" || len(by) > 200 || strings.ContainsFunc(by, unicode.IsControl):
		return fmt.Errorf("%w: who asks? a name of at most 200 bytes is needed (--as NAME)", custody.ErrRequest)
	case reason == "" || len(reason) > 2000:
		return fmt.Errorf("%w: what was done? at most 2000 bytes are needed (--reason TEXT)", custody.ErrRequest)
	}
	if err := r.flush(ctx); err != nil {
		return err
	}
	return r.parts.DB.Update(ctx, func(tx *store.Tx) error {
		if id == NotRescannable {
			return r.acknowledgeLost(tx, by, reason)
		}
		return r.acknowledge(tx, id, by, reason)
	})
}

func (r *Rescan) acknowledge(tx *store.Tx, id, by, reason string) error {
	result, err := tx.Exec(`UPDATE rescan_hits SET done_at = ?, done_by = ?, done_reason = ? WHERE id = ? AND done_at = 0`,
		time.Now().UnixMicro(), by, reason, id)
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err == nil && n == 0 {
		err = fmt.Errorf("%w to be recalled: %.40q", custody.ErrNotFound, id)
	}
	if err != nil {
		return err
	}
	return r.parts.Ledger.Append(tx, "recall.done", map[string]any{"id": id, "by": by, "reason": reason})
}

func (r *Rescan) acknowledgeLost(tx *store.Tx, by, reason string) error {
	var n int
	if err := tx.QueryRow(`SELECT objects FROM rescan_lost`).Scan(&n); err != nil {
		return err
	}
	if n == 0 {
		return errors.New("every object that was delivered unscanned was rescanned, or will be")
	}
	if _, err := tx.Exec(`UPDATE rescan_lost SET objects = 0`); err != nil {
		return err
	}
	return r.parts.Ledger.Append(tx, "recall.done", map[string]any{"id": NotRescannable, "objects": n, "by": by, "reason": reason})
}

// Status counts.
type Status struct {
	Waiting        int   `json:"waiting"` // copies, until their rescan
	WaitingBytes   int64 `json:"waiting_bytes"`
	Recalls        int   `json:"recalls"`         // late hits that nobody has acknowledged
	NotRescannable int   `json:"not_rescannable"` // delivered unscanned, and will stay so
}

// Status costs the same however many there have been.
func (r *Rescan) Status(ctx context.Context) (s Status, err error) {
	r.mu.Lock()
	s.Waiting, s.WaitingBytes, s.NotRescannable = r.objects, r.bytes, len(r.lost)+r.more
	r.mu.Unlock()
	err = r.parts.DB.View(ctx, func(tx *store.Tx) error {
		var lost int
		if err := tx.QueryRow(`SELECT objects FROM rescan_lost`).Scan(&lost); err != nil {
			return err
		}
		s.NotRescannable += lost
		return tx.QueryRow(`SELECT COUNT(*) FROM rescan_hits WHERE done_at = 0`).Scan(&s.Recalls)
	})
	return s, err
}
