package commitment

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/commit"
	"cordon/dicom/dimse"
	"cordon/metric"
	"cordon/store"
)

// maxReporting is how many devices are told at a time: one that does not answer
// must not keep the others waiting. Each report may be 16 MiB in memory.
const maxReporting = 4

// report starts telling devices what is resolved.
func (w *work) report(ctx context.Context) error {
	due, err := w.due(ctx, "reporting", 2*maxReporting)
	if err != nil {
		return err
	}
	for _, r := range due {
		if !w.beginReport(r.id) {
			continue
		}
		w.running.Go(func() { // ends with the attempt, or with ctx
			defer w.endReport(r.id)
			if err := w.reportOne(ctx, r); err != nil && ctx.Err() == nil {
				w.parts.Log.Error("storage commitment: reporting", "request", r.id, "error", err)
			}
		})
	}
	return nil
}

func (w *work) beginReport(id int64) bool {
	w.busy.Lock()
	defer w.busy.Unlock()
	if w.reporting[id] || len(w.reporting) >= maxReporting {
		return false
	}
	w.reporting[id] = true
	return true
}

func (w *work) endReport(id int64) {
	w.busy.Lock()
	defer w.busy.Unlock()
	delete(w.reporting, id)
}

// reportOne makes one attempt, unless the attempt before it succeeded since r was
// read. The error is ours, not the device's.
func (w *work) reportOne(ctx context.Context, r request) error {
	since, err := w.stillDue(ctx, r.id)
	if err != nil || since == 0 {
		return err
	}
	report, err := w.compile(ctx, r)
	if err != nil {
		return err
	}
	status, err := w.network.Report(ctx, r.who, report)
	if err == nil && status.Class() != dimse.ClassSuccess && status.Class() != dimse.ClassWarning {
		err = fmt.Errorf("device answered the report with status %04XH", uint16(status))
	}
	switch {
	case err == nil:
		return w.reported(context.WithoutCancel(ctx), r, report)
	case ctx.Err() != nil:
		return nil
	case time.Now().After(r.until):
		return w.giveUp(ctx, r, err)
	}
	next := earlier(r.until, time.Now().Add(w.config.backOff(r.attempts)))
	return w.parts.DB.Update(ctx, func(tx *store.Tx) error { // of a device that came meanwhile (Present), it stays due
		_, err := tx.Exec(`UPDATE commitment_requests SET attempts = attempts + 1, next_attempt = CASE next_attempt WHEN ? THEN ? ELSE next_attempt END, last_error = ?
			WHERE id = ? AND state = 'reporting'`, since, micros(next), clip(err), r.id)
		return err
	})
}

// stillDue returns since when a request is to be reported, in microseconds, or 0 if
// it is not.
func (c *Commitment) stillDue(ctx context.Context, id int64) (since int64, err error) {
	err = c.parts.DB.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT COALESCE(MAX(next_attempt), 0) FROM commitment_requests WHERE id = ? AND state = 'reporting' AND next_attempt <= ?`, id, micros(time.Now())).Scan(&since)
	})
	return since, err
}

// compile merges what each archive said, an instance is committed if all of them
// committed to it. One that has been held meanwhile is not.
func (c *Commitment) compile(ctx context.Context, r request) (commit.Report, error) {
	report := commit.Report{TransactionUID: dicom.UID(r.transaction)}
	for after := ""; ; {
		merged, err := c.outcomes(ctx, r.id, after)
		if err != nil || len(merged) == 0 {
			return report, err
		}
		after = string(merged[len(merged)-1].SOPInstanceUID)
		held, err := c.held(ctx, r.who, merged)
		if err != nil {
			return report, err
		}
		for _, m := range merged {
			switch {
			case m.committed && !held[string(m.SOPInstanceUID)]:
				report.Committed = append(report.Committed, m.Reference)
			case m.committed:
				report.Failed = append(report.Failed, commit.Failure{Reference: m.Reference, Reason: commit.ProcessingFailure})
			default:
				report.Failed = append(report.Failed, commit.Failure{Reference: m.Reference, Reason: m.reason})
			}
		}
	}
}

// outcome is one reference, over all its archives.
type outcome struct {
	commit.Reference
	committed bool
	reason    uint16
}

// outcomes reads the next references of a request, all of an instance together.
func (c *Commitment) outcomes(ctx context.Context, id int64, after string) (all []outcome, err error) {
	err = c.parts.DB.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT sop_instance_uid, sop_class_uid, MIN(state = 'committed'), MAX(CASE state WHEN 'failed' THEN reason ELSE 0 END) FROM commitment_references
			WHERE request = ?1 AND sop_instance_uid IN (SELECT DISTINCT sop_instance_uid FROM commitment_references
				WHERE request = ?1 AND sop_instance_uid > ?2 ORDER BY sop_instance_uid LIMIT ?3)
			GROUP BY sop_instance_uid, sop_class_uid ORDER BY sop_instance_uid, sop_class_uid`, id, after, chunk)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var o outcome
			var instance, class string
			if err := rows.Scan(&instance, &class, &o.committed, &o.reason); err != nil {
				return err
			}
			o.SOPInstanceUID, o.SOPClassUID = dicom.UID(instance), dicom.UID(class)
			all = append(all, o)
		}
		return rows.Err()
	})
	return all, err
}

// held tells which of the instances custody holds of the same sender now.
func (c *Commitment) held(ctx context.Context, who Requestor, some []outcome) (map[string]bool, error) {
	instances := make([]string, 0, len(some))
	for _, o := range some {
		instances = append(instances, string(o.SOPInstanceUID))
	}
	places, err := c.parts.Custody.Places(ctx, instances)
	held := map[string]bool{}
	for _, p := range places {
		if p.State == custody.Held && sentBy(p, who) {
			held[p.SOPInstanceUID] = true
		}
	}
	return held, err
}

// reported ends a request that its device has been told of.
func (c *Commitment) reported(ctx context.Context, r request, report commit.Report) error {
	return c.end(ctx, r, "reported", "commitment.reported", sums(report))
}

// giveUp ends a request whose device could not be told. It is an alarm until a
// person decides.
func (c *Commitment) giveUp(ctx context.Context, r request, err error) error {
	c.parts.Log.Error("storage commitment: a report is given up, a person must see to it", "request", r.id, "calling", r.who.Calling, "error", err)
	return c.end(ctx, r, "given_up", "commitment.given_up", map[string]any{"error": clip(err), "attempts": r.attempts + 1})
}

func (c *Commitment) end(ctx context.Context, r request, state, kind string, more map[string]any) error {
	err := c.parts.DB.Update(ctx, func(tx *store.Tx) error {
		text, _ := more["error"].(string)
		n, err := affected(tx.Exec(`UPDATE commitment_requests SET state = ?, ended_at = ?, last_error = ?, attempts = attempts + 1 WHERE id = ? AND state = 'reporting'`,
			state, micros(time.Now()), text, r.id))
		if err != nil {
			return err
		}
		if n == 0 {
			return errors.New("the request was ended by somebody else meanwhile")
		}
		return c.parts.Journal.Append(tx, kind, r.who.body(r.id, r.transaction, more))
	})
	if err == nil {
		c.parts.Metrics.Count(metric.Commitments, 1, state)
	}
	return err
}

// sums is what the ledger keeps of a report.
func sums(r commit.Report) map[string]any {
	reasons := map[string]int{}
	for _, f := range r.Failed {
		reasons[fmt.Sprintf("%04X", f.Reason)]++
	}
	return map[string]any{"committed": len(r.Committed), "failed": len(r.Failed), "reasons": reasons, "event_type": strconv.Itoa(int(r.EventType()))}
}
