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
	if c.own.take(archive, r) {
		return nil
	}
	t, err := c.questionOf(ctx, archive, r.TransactionUID)
	if err != nil {
		return err
	}
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
	if err := c.answered(ctx, string(r.TransactionUID), t); err != nil {
		return err
	}
	c.batches.settle(r.TransactionUID)
	return c.resolve(ctx, t.request)
}

// questionOf finds what a transaction UID of ours was about.
func (c *Commitment) questionOf(ctx context.Context, archive string, transaction dicom.UID) (t tally, err error) {
	t.archive = archive
	err = c.parts.DB.View(ctx, func(tx *store.Tx) error {
		err := tx.QueryRow(`SELECT id, request, first_uid, last_uid FROM commitment_questions WHERE transaction_uid = ? AND archive = ?`,
			string(transaction), archive).Scan(&t.question, &t.request, &t.first, &t.last)
		if errors.Is(err, sql.ErrNoRows) {
			return errNotAsked
		}
		return err
	})
	return t, err
}

// tally is the question that a report answers, and counts the references that it
// settled.
type tally struct {
	question, request int64
	archive           string
	first, last       string // the instances asked for lie between these
	good, bad         int
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

// asked limits a change to what the archive was asked in the question, in this
// one or before it was put again, and has not answered yet.
const asked = ` WHERE request = ?1 AND archive = ?2 AND sop_instance_uid BETWEEN ?3 AND ?4 AND question > 0 AND state IN ('asked', 'unasked')`

func (t *tally) failed(tx *store.Tx, part []commit.Failure) error {
	for _, f := range part {
		n, err := affected(tx.Exec(`UPDATE commitment_references SET state = 'failed', reason = ?5`+asked+` AND sop_instance_uid = ?6`,
			t.request, t.archive, t.first, t.last, f.Reason, string(f.SOPInstanceUID)))
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
	list := listOf(part)
	n, err := affected(tx.Exec(`UPDATE commitment_references SET state = 'committed'`+asked+
		` AND (sop_instance_uid, sop_class_uid) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?5))`, t.request, t.archive, t.first, t.last, list))
	if err != nil {
		return err
	}
	t.good += int(n)
	n, err = affected(tx.Exec(`UPDATE commitment_references SET state = 'failed', reason = ?6`+asked+
		` AND sop_instance_uid IN (SELECT value ->> 0 FROM json_each(?5))`, t.request, t.archive, t.first, t.last, list, commit.ClassInstanceConflict))
	t.bad += int(n)
	return err
}

// answered ends the question if nothing of it is open, and records the answer.
func (c *Commitment) answered(ctx context.Context, transaction string, t tally) error {
	return c.parts.DB.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(`UPDATE commitment_questions AS q SET state = 'answered' WHERE id = ? AND state <> 'answered' AND NOT EXISTS (
			SELECT 1 FROM commitment_references AS r WHERE r.request = q.request AND r.sop_instance_uid BETWEEN q.first_uid AND q.last_uid
				AND r.question = q.id AND r.state = 'asked')`, t.question); err != nil {
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
