package commitment

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"slices"

	"cordon/dicom"
	"cordon/dicom/commit"
	"cordon/dicom/dimse"
	"cordon/store"
)

// errNotAsked means that a report is for a transaction that is not ours, or was
// put to another archive.
var errNotAsked = errors.New("storage commitment result for a transaction that this archive was not asked in")

// Reported takes the Event Information of an N-EVENT-REPORT that an archive
// sends. On Success what it says is durable. It settles instances that were asked
// of that archive in that transaction; what it leaves out stays open, what it adds
// changes nothing. Any other status comes with an error that says why:
//
//   - 0113H: the event type is neither 1 nor 2
//   - 0115H: the information cannot be read, or is for a transaction that this
//     archive was not asked in
//   - 0213H: it is longer than any question
//   - 0110H: it cannot be made durable now
func (c *Commitment) Reported(ctx context.Context, archive string, event uint16, info io.Reader, ts dicom.UID) (dimse.Status, error) {
	if event != commit.Successful && event != commit.FailuresExist {
		return dimse.NoSuchEventType, fmt.Errorf("storage commitment result of event type %d", event)
	}
	data := c.intake(ctx, info)
	defer data.done()
	r, err := commit.ReadReport(data, ts)
	switch {
	case errors.Is(err, commit.ErrTooLong):
		return dimse.ResourceLimitation, err
	case err != nil:
		return dimse.InvalidArgumentValue, err
	}
	switch err := c.take(ctx, archive, r); {
	case errors.Is(err, errNotAsked):
		return dimse.InvalidArgumentValue, err
	case err != nil:
		return dimse.ProcessingFailure, err
	}
	return dimse.Success, nil
}

// take writes down what an archive answered, failures first: of what a report
// calls both, the failure counts.
func (c *Commitment) take(ctx context.Context, archive string, r commit.Report) error {
	id, request, err := c.questionOf(ctx, archive, r.TransactionUID)
	if err != nil {
		return err
	}
	t := tally{archive: archive, request: request}
	for part := range slices.Chunk(r.Failed, chunk) {
		err := t.apply(ctx, c.parts.DB, func(tx *store.Tx) error { return t.failed(tx, part) })
		if err != nil {
			return err
		}
	}
	for part := range slices.Chunk(r.Committed, chunk) {
		err := t.apply(ctx, c.parts.DB, func(tx *store.Tx) error { return t.committed(tx, part) })
		if err != nil {
			return err
		}
	}
	if extra := len(r.Failed) + len(r.Committed) - t.good - t.bad; extra > 0 {
		c.parts.Log.Warn("storage commitment: archive reports on instances that it was not asked for, or answered for before", "archive", archive, "instances", extra)
	}
	if err := c.answered(ctx, id, string(r.TransactionUID), t); err != nil {
		return err
	}
	return c.resolve(ctx, request)
}

// questionOf finds what a transaction UID of ours was about.
func (c *Commitment) questionOf(ctx context.Context, archive string, transaction dicom.UID) (id, request int64, err error) {
	err = c.parts.DB.View(ctx, func(tx *store.Tx) error {
		err := tx.QueryRow(`SELECT id, request FROM commitment_questions WHERE transaction_uid = ? AND archive = ?`, string(transaction), archive).Scan(&id, &request)
		if errors.Is(err, sql.ErrNoRows) {
			return errNotAsked
		}
		return err
	})
	return id, request, err
}

// tally counts the references that one report settled.
type tally struct {
	archive   string
	request   int64
	good, bad int
}

// apply counts what a change settles only once it is durable.
func (t *tally) apply(ctx context.Context, db *store.DB, change func(*store.Tx) error) error {
	before := *t
	err := db.Update(ctx, func(tx *store.Tx) error {
		*t = before
		return change(tx)
	})
	if err != nil {
		*t = before
	}
	return err
}

// asked limits a change to what the archive may still answer for.
const asked = ` WHERE request = ? AND sop_instance_uid = ? AND archive = ? AND state IN ('asked', 'unasked')`

func (t *tally) failed(tx *store.Tx, part []commit.Failure) error {
	for _, f := range part {
		n, err := affected(tx.Exec(`UPDATE commitment_references SET state = 'failed', reason = ?`+asked,
			f.Reason, t.request, string(f.SOPInstanceUID), t.archive))
		if err != nil {
			return err
		}
		t.bad += int(n)
	}
	return nil
}

// committed takes an instance of another SOP class than was asked for as a
// failure: it is not the same object.
func (t *tally) committed(tx *store.Tx, part []commit.Reference) error {
	const chosen = ` WHERE request = ?1 AND archive = ?2 AND state IN ('asked', 'unasked')`
	list := listOf(part)
	n, err := affected(tx.Exec(`UPDATE commitment_references SET state = 'committed'`+chosen+
		` AND (sop_instance_uid, sop_class_uid) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?3))`, t.request, t.archive, list))
	if err != nil {
		return err
	}
	t.good += int(n)
	n, err = affected(tx.Exec(`UPDATE commitment_references SET state = 'failed', reason = ?4`+chosen+
		` AND sop_instance_uid IN (SELECT value ->> 0 FROM json_each(?3))`, t.request, t.archive, list, commit.ClassInstanceConflict))
	t.bad += int(n)
	return err
}

// answered ends the question if nothing of it is open, and records the answer.
func (c *Commitment) answered(ctx context.Context, id int64, transaction string, t tally) error {
	return c.parts.DB.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(`UPDATE commitment_questions AS q SET state = 'answered' WHERE id = ? AND state <> 'answered' AND NOT EXISTS (
			SELECT 1 FROM commitment_references AS r WHERE r.request = q.request AND r.sop_instance_uid BETWEEN q.first_uid AND q.last_uid
				AND r.question = q.id AND r.state = 'asked')`, id); err != nil {
			return err
		}
		if t.good+t.bad == 0 {
			return nil // the same again, or nothing that was asked: no record of it
		}
		return c.parts.Journal.Append(tx, "commitment.answered", map[string]any{
			"request": t.request, "archive": t.archive, "transaction_uid": transaction,
			"committed": t.good, "failed": t.bad,
		})
	})
}
