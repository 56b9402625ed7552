package mpps

import (
	"context"
	"fmt"
	"time"

	"cordon/custody"
	"cordon/store"
)

// Item is one message as people see it; its data set is not shown.
type Item struct {
	ID             int64     `json:"id"`
	Operation      string    `json:"operation"` // N-CREATE or N-SET
	Upstream       string    `json:"upstream"`
	Device         string    `json:"device,omitempty"`
	CallingAE      string    `json:"calling_ae"`
	SOPInstanceUID string    `json:"sop_instance_uid"`
	Bytes          int       `json:"bytes"`
	KeptAt         time.Time `json:"kept_at"`
	Attempts       int       `json:"attempts"`
	Status         uint16    `json:"status,omitempty"` // of the upstream's last response
	Error          string    `json:"error,omitempty"`
	Stuck          bool      `json:"stuck,omitempty"` // until a person decides
}

// maxListed bounds a list.
const maxListed = 1000

// List returns what waits, what is stuck first, the oldest first.
func (s *Spool) List(ctx context.Context) (all []Item, err error) {
	err = s.parts.DB.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT id, operation, upstream, device, calling_ae, sop_instance_uid, bytes, kept_at, attempts, status, last_error, stuck
			FROM mpps_messages ORDER BY stuck DESC, id LIMIT ?`, maxListed)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var i Item
			var kept int64
			if err := rows.Scan(&i.ID, &i.Operation, &i.Upstream, &i.Device, &i.CallingAE, &i.SOPInstanceUID, &i.Bytes, &kept, &i.Attempts, &i.Status, &i.Error, &i.Stuck); err != nil {
				return err
			}
			i.KeptAt = time.UnixMicro(kept).UTC()
			all = append(all, i)
		}
		return rows.Err()
	})
	return all, err
}

// Retry makes a message due now. Who and why are on the ledger before it is.
func (s *Spool) Retry(ctx context.Context, id int64, q custody.Request) error {
	q, r, err := s.chosen(ctx, id, q)
	if err != nil {
		return err
	}
	err = s.parts.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE mpps_messages SET stuck = 0, attempts = 0, next_attempt = ? WHERE id = ?`, time.Now().UnixMicro(), id)
		if err != nil {
			return err
		}
		return s.parts.Journal.Append(tx, "step.retried", r.body(id, map[string]any{"by": q.By, "reason": q.Reason}))
	})
	if err == nil {
		s.back(r.Upstream)
		s.Wake()
	}
	return err
}

// Drop deletes a message that will never be taken; what waits behind it goes on.
func (s *Spool) Drop(ctx context.Context, id int64, q custody.Request) error {
	q, r, err := s.chosen(ctx, id, q)
	if err != nil {
		return err
	}
	if err := s.remove(ctx, r, "step.dropped", map[string]any{"by": q.By, "reason": q.Reason}); err != nil {
		return err
	}
	s.Wake()
	return nil
}

// chosen is the message that a person decides on.
func (s *Spool) chosen(ctx context.Context, id int64, q custody.Request) (custody.Request, row, error) {
	q, err := q.Check()
	if err != nil {
		return q, row{}, err
	}
	var found []row
	err = s.parts.DB.View(ctx, func(tx *store.Tx) error {
		found, err = query(tx, `id = ?`, id)
		return err
	})
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("%w: %d (cordon step list shows what waits)", ErrNotFound, id)
	}
	if err != nil {
		return q, row{}, err
	}
	return q, found[0], nil
}

// Status counts messages.
type Status struct {
	Waiting int               `json:"waiting"` // all, the stuck ones among them
	Stuck   int               `json:"stuck"`   // need a person
	Oldest  time.Time         `json:"oldest,omitzero"`
	Away    map[string]string `json:"away,omitempty"` // by upstream, why
}

// Status says how many messages wait.
func (s *Spool) Status(ctx context.Context) (st Status, err error) {
	var oldest int64
	err = s.parts.DB.View(ctx, func(tx *store.Tx) error {
		if err := tx.QueryRow(`SELECT COALESCE((SELECT kept_at FROM mpps_messages ORDER BY id LIMIT 1), 0)`).Scan(&oldest); err != nil {
			return err
		}
		return tx.QueryRow(`SELECT COUNT(*) FROM mpps_messages WHERE stuck = 1`).Scan(&st.Stuck)
	})
	if oldest > 0 {
		st.Oldest = time.UnixMicro(oldest).UTC()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Waiting = s.total
	for upstream, o := range s.away {
		if st.Away == nil {
			st.Away = map[string]string{}
		}
		st.Away[upstream] = o.says
	}
	return st, err
}
