package custody

import (
	"encoding/json"
	"fmt"
	"time"

	"cordon/store"
)

// columns are what scan reads, in this order.
const columns = `id, state, received_at, bytes, sha256, device, calling_ae, called_ae, archive,
	sop_class_uid, sop_instance_uid, study_instance_uid, series_instance_uid, transfer_syntax_uid, findings, engines,
	priority, move_originator_ae, move_originator_id, held_at, released_at, decided_by, review_due, delivered_at, status,
	attempts, in_flight, next_attempt, last_error, needs_attention, alarm, repeats, also, awaits_scan`

// micros is a time as rows keep it: microseconds since 1970, 0 for never.
type micros struct{ t *time.Time }

func (m micros) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("%T: expected microseconds", v)
	}
	*m.t = time.Time{}
	if n != 0 {
		*m.t = time.UnixMicro(n).UTC()
	}
	return nil
}

func toMicros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

type scanner interface{ Scan(dest ...any) error }

func scan(row scanner) (o Object, err error) {
	var digest []byte
	var findings, engines, decided, also string
	var awaits int64
	err = row.Scan(&o.ID, &o.State, micros{&o.ReceivedAt}, &o.Bytes, &digest, &o.Device, &o.CallingAE, &o.CalledAE, &o.Archive,
		&o.SOPClassUID, &o.SOPInstanceUID, &o.StudyInstanceUID, &o.SeriesInstanceUID, &o.TransferSyntaxUID, &findings, &engines,
		&o.Priority, &o.MoveOriginatorAE, &o.MoveOriginatorID, micros{&o.HeldAt}, micros{&o.ReleasedAt}, &decided,
		micros{&o.ReviewDue}, micros{&o.DeliveredAt}, &o.Status,
		&o.Attempts, &o.InFlight, micros{&o.NextAttempt}, &o.LastError, &o.NeedsAttention, &o.Alarm, &o.Repeats, &also, &awaits)
	if err != nil {
		return o, err
	}
	copy(o.SHA256[:], digest)
	o.AwaitsScan = awaits > 0
	for _, f := range []struct {
		text string
		into any
	}{{findings, &o.Findings}, {engines, &o.Engines}, {decided, &o.DecidedBy}, {also, &o.Also}} {
		if f.text == "[]" || f.text == "null" {
			continue
		}
		if err := json.Unmarshal([]byte(f.text), f.into); err != nil {
			return o, fmt.Errorf("object %s: %w", o.ID, err)
		}
	}
	return o, nil
}

func query(tx *store.Tx, sql string, args ...any) ([]Object, error) {
	return queryWhile(tx, func(Object) bool { return true }, sql, args...)
}

// queryWhile reads no further than to the first object that is not wanted.
func queryWhile(tx *store.Tx, wanted func(Object) bool, sql string, args ...any) ([]Object, error) {
	rows, err := tx.Query(sql, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Object
	for rows.Next() {
		o, err := scan(rows)
		if err != nil {
			return nil, err
		}
		if !wanted(o) {
			break
		}
		all = append(all, o)
	}
	return all, rows.Err()
}

// insert writes the row of an object that has just been received.
func insert(tx *store.Tx, o Object) error {
	findings, err := json.Marshal(o.Findings)
	if err != nil {
		return err
	}
	engines, err := json.Marshal(o.Engines)
	if err != nil {
		return err
	}
	also := []byte("[]")
	if len(o.Also) > 0 {
		if also, err = json.Marshal(o.Also); err != nil {
			return err
		}
	}
	lane := o.SeriesInstanceUID
	if lane == "" {
		lane = o.ID
	}
	_, err = tx.Exec(`INSERT INTO custody_objects (id, state, received_at, bytes, sha256, device, calling_ae, called_ae, archive, lane,
		sop_class_uid, sop_instance_uid, study_instance_uid, series_instance_uid, transfer_syntax_uid, findings, engines,
		priority, move_originator_ae, move_originator_id, held_at, also, urgency, awaits_scan, turn)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24,
			?2 = 'spooled' AND NOT EXISTS (SELECT 1 FROM custody_objects WHERE archive = ?9 AND lane = ?10 AND state = 'spooled' AND needs_attention = 0))`,
		o.ID, string(o.State), toMicros(o.ReceivedAt), o.Bytes, o.SHA256[:], o.Device, o.CallingAE, o.CalledAE, o.Archive, lane,
		o.SOPClassUID, o.SOPInstanceUID, o.StudyInstanceUID, o.SeriesInstanceUID, o.TransferSyntaxUID, string(findings), string(engines),
		o.Priority, o.MoveOriginatorAE, o.MoveOriginatorID, toMicros(o.HeldAt), string(also), o.urgency(), o.AwaitsScan)
	return err
}

// urgency orders what is due: by the priority that the C-STORE request had
// (PS3.7 §E.1: 0000H medium, 0001H high, 0002H low).
func (o Object) urgency() int {
	switch o.Priority {
	case 1:
		return 0
	case 2:
		return 2
	}
	return 1
}

// urgencies is how many there are.
const urgencies = 3

// Urgent reports whether an object was sent with high priority.
func (o Object) Urgent() bool { return o.urgency() == 0 }
