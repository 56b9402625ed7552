package mpps

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/metric"
	"cordon/store"
)

// row is a message with what has been tried of it.
type row struct {
	Message
	id       int64
	sealed   []byte
	attempts int
}

// Run delivers until ctx ends; then it returns nil.
func (s *Spool) Run(ctx context.Context, n Network) error {
	var running sync.WaitGroup // one goroutine for each upstream under way; they end with ctx
	defer running.Wait()
	poll := time.NewTicker(s.config.Poll)
	defer poll.Stop()
	for {
		for _, upstream := range s.begin() {
			running.Go(func() {
				defer s.end(upstream)
				if err := s.deliver(ctx, n, upstream); err != nil && ctx.Err() == nil {
					s.parts.Log.Warn("messages about procedure steps wait", "upstream", upstream, "error", err)
				}
			})
		}
		select {
		case <-ctx.Done():
			return nil
		case <-poll.C:
		case <-s.wake:
		}
	}
}

// begin takes the turn of each upstream for which something waits, that does not
// rest, and that nobody delivers to.
func (s *Spool) begin() (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.waiting {
		o := s.away[l.upstream]
		if !s.busy[l.upstream] && (o == nil || time.Now().After(o.until)) {
			s.busy[l.upstream] = true
			all = append(all, l.upstream)
		}
	}
	return all
}

func (s *Spool) end(upstream string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.busy, upstream)
}

// maxDue bounds what is read at a time: each may be a megabyte.
const maxDue = 8

// deliver sends what is due until nothing is, or the upstream fails.
func (s *Spool) deliver(ctx context.Context, n Network, upstream string) error {
	for ctx.Err() == nil {
		due, err := s.due(ctx, upstream)
		if err != nil || len(due) == 0 {
			return err
		}
		for _, r := range due {
			if err := s.deliverOne(ctx, n, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// due reads the messages that may be sent now: the first of each step.
func (s *Spool) due(ctx context.Context, upstream string) (all []row, err error) {
	err = s.parts.DB.View(ctx, func(tx *store.Tx) error {
		all, err = query(tx, `upstream = ?1 AND stuck = 0 AND next_attempt <= ?2 AND NOT EXISTS (
			SELECT 1 FROM mpps_messages AS p WHERE p.upstream = m.upstream AND p.sop_instance_uid = m.sop_instance_uid AND p.id < m.id)
			ORDER BY id LIMIT ?3`, upstream, time.Now().UnixMicro(), maxDue)
		return err
	})
	return all, err
}

// query reads messages; where goes on to the end of the statement.
func query(tx *store.Tx, where string, args ...any) ([]row, error) {
	rows, err := tx.Query(`SELECT id, upstream, device, calling_ae, called_ae, address, association, operation = 'N-CREATE',
		sop_instance_uid, transfer_syntax_uid, sealed, attempts, uncertain FROM mpps_messages AS m WHERE `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []row
	for rows.Next() {
		var r row
		var calling, called, address, instance, syntax string
		if err := rows.Scan(&r.id, &r.Upstream, &r.Device, &calling, &called, &address, &r.Association, &r.Create, &instance, &syntax, &r.sealed, &r.attempts, &r.Uncertain); err != nil {
			return nil, err
		}
		r.Calling, r.Called = dicom.AETitle(calling), dicom.AETitle(called)
		r.SOPInstanceUID, r.TransferSyntaxUID = dicom.UID(instance), dicom.UID(syntax)
		r.Address, _ = netip.ParseAddr(address) // as it was written
		all = append(all, r)
	}
	return all, rows.Err()
}

// maxBroken is how many attempts a message may break before a person has to look.
const maxBroken = 8

// deliverOne makes one attempt and records how it ended. An error means that the
// upstream, or the database, cannot be used now.
func (s *Spool) deliverOne(ctx context.Context, n Network, r row) error {
	var err error
	if r.Data, err = s.parts.Custody.Unseal(r.sealed); err != nil {
		return s.stick(ctx, r, 0, err)
	}
	if err := s.update(ctx, r, `sending = 1, attempts = attempts + 1`); err != nil {
		return err
	}
	status, err := n.Send(ctx, r.Message)
	after := context.WithoutCancel(ctx) // recorded even when we stop
	switch {
	case errors.Is(err, ErrAway):
		s.rest(r.Upstream, err)
		return errors.Join(err, s.update(after, r, `sending = 0, attempts = attempts - 1, last_error = ?`, clip(err)))
	case err != nil && ctx.Err() != nil:
		return s.update(after, r, `sending = 0, uncertain = 1`)
	case err != nil && r.attempts+1 >= maxBroken:
		return s.stick(after, r, 0, err)
	case err != nil:
		return s.later(after, r, 0, err, `uncertain = 1`)
	}
	s.back(r.Upstream)
	switch duplicate := r.Create && r.Uncertain && status == dimse.DuplicateSOPInstance; {
	case status.Class() == dimse.ClassSuccess, status.Class() == dimse.ClassWarning, duplicate:
		return s.remove(after, r, "step.delivered", map[string]any{"status": uint16(status), "duplicate": duplicate})
	case status == dimse.ResourceLimitation, status&0xFF00 == 0xA700:
		return s.later(after, r, status, errors.New("upstream is out of resources"), `uncertain = uncertain`)
	}
	return s.stick(after, r, status, fmt.Errorf("upstream refuses it with status %04XH", uint16(status)))
}

// update changes a message's row.
func (s *Spool) update(ctx context.Context, r row, set string, args ...any) error {
	return s.parts.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE mpps_messages SET `+set+` WHERE id = ?`, append(args, r.id)...)
		return err
	})
}

// later makes a message due again after a pause; the other steps go on.
func (s *Spool) later(ctx context.Context, r row, status dimse.Status, err error, more string) error {
	at := time.Now().Add(s.config.backOff(r.attempts))
	return s.update(ctx, r, `sending = 0, `+more+`, status = ?, last_error = ?, next_attempt = ?`, uint16(status), clip(err), at.UnixMicro())
}

// stick makes a message that will not be taken visible as work for a person.
func (s *Spool) stick(ctx context.Context, r row, status dimse.Status, why error) error {
	s.parts.Log.Error("a message about a procedure step needs a person", "message", r.id, "operation", r.operation(), "upstream", r.Upstream, "status", uint16(status), "error", why)
	s.parts.Metrics.Count(metric.Steps, 1, "refused")
	return s.parts.DB.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(`UPDATE mpps_messages SET sending = 0, stuck = 1, status = ?, last_error = ? WHERE id = ?`, uint16(status), clip(why), r.id); err != nil {
			return err
		}
		return s.parts.Journal.Append(tx, "step.refused", r.body(r.id, map[string]any{"status": uint16(status), "error": clip(why), "attempts": r.attempts + 1}))
	})
}

// remove ends a message's life, with its record.
func (s *Spool) remove(ctx context.Context, r row, kind string, more map[string]any) error {
	removed := false
	err := s.parts.DB.Update(ctx, func(tx *store.Tx) error {
		result, err := tx.Exec(`DELETE FROM mpps_messages WHERE id = ?`, r.id)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if err != nil || n == 0 {
			return err // a person dropped it meanwhile
		}
		removed = true
		return s.parts.Journal.Append(tx, kind, r.body(r.id, more))
	})
	if err == nil && removed {
		s.leave(r.Message)
		s.parts.Metrics.Count(metric.Steps, 1, strings.TrimPrefix(kind, "step."))
	}
	return err
}

// rest lets an upstream be, for longer with each failure in a row.
func (s *Spool) rest(upstream string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.away[upstream]
	if o == nil {
		o = &outage{}
		s.away[upstream] = o
	}
	o.until = time.Now().Add(s.config.backOff(o.failures))
	o.failures++
	o.says = clip(err)
}

func (s *Spool) back(upstream string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.away, upstream)
}

// backOff doubles with each failure.
func (c Config) backOff(failures int) time.Duration {
	if failures > 16 {
		return c.RetryMax
	}
	return min(c.RetryMax, c.RetryMin<<failures)
}

// clip bounds an error that is kept.
func clip(err error) string {
	const most = 300
	text := err.Error()
	return text[:min(len(text), most)]
}
