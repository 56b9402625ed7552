package commitment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cordon/dicom"
	"cordon/dicom/commit"
	"cordon/dicom/dimse"
	"cordon/store"
)

// trouble is what is wrong with an archive. It is in memory alone: a start tries
// again at once.
type trouble struct {
	failures int       // in a row, of any kind
	refusals int       // in a row: it was reached and does not do it
	until    time.Time // not asked before
	since    time.Time
	says     string
}

// maxRefusals is how often in a row an archive may say that it does not do
// storage commitment before instances fail for it: it may just be starting.
const maxRefusals = 3

// maxQuestions is how many N-ACTIONs go over one association.
const maxQuestions = 10

// ask starts asking each archive of which something is to be asked, unless that
// is under way or it rests.
func (w *work) ask(ctx context.Context) error {
	var archives []string
	err := w.parts.DB.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`WITH RECURSIVE named (archive) AS (
				SELECT MIN(archive) FROM commitment_references WHERE state = 'unasked'
				UNION ALL
				SELECT (SELECT MIN(archive) FROM commitment_references WHERE state = 'unasked' AND archive > named.archive) FROM named WHERE archive IS NOT NULL
			) SELECT archive FROM named WHERE archive IS NOT NULL`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var archive string
			if err := rows.Scan(&archive); err != nil {
				return err
			}
			archives = append(archives, archive)
		}
		return rows.Err()
	})
	if err != nil {
		return err
	}
	for _, archive := range archives {
		if w.resting(archive) || !w.begin(archive) {
			continue
		}
		w.running.Go(func() { // ends when nothing is to be asked, or with ctx
			defer w.end(archive)
			w.askAll(ctx, archive)
		})
	}
	return nil
}

// begin reports whether nobody asks the archive yet, and takes its turn.
func (w *work) begin(archive string) bool {
	w.busy.Lock()
	defer w.busy.Unlock()
	if w.asking[archive] {
		return false
	}
	w.asking[archive] = true
	return true
}

func (w *work) end(archive string) {
	w.busy.Lock()
	defer w.busy.Unlock()
	delete(w.asking, archive)
}

// question is one N-ACTION of ours.
type question struct {
	id      int64
	request int64
	action  commit.Action
	status  dimse.Status
	heard   bool // the archive answered with status
}

// askAll asks an archive until nothing is left or it fails.
func (w *work) askAll(ctx context.Context, archive string) {
	for ctx.Err() == nil {
		n, err := w.askSome(ctx, archive)
		if err != nil && ctx.Err() == nil {
			w.parts.Log.Warn("storage commitment: asking an archive", "archive", archive, "error", err)
		}
		if err != nil || n == 0 {
			return
		}
	}
}

// askSome asks as much as goes over one association, and returns how many
// questions that were. Whatever happens, each question ends as asked, or is void
// and its instances are to be asked again.
func (w *work) askSome(ctx context.Context, archive string) (int, error) {
	questions, err := w.prepare(ctx, archive)
	if err != nil || len(questions) == 0 {
		return 0, err
	}
	actions := make([]commit.Action, 0, len(questions))
	for _, q := range questions {
		actions = append(actions, q.action)
	}
	b := w.batches.begin(questions)
	defer w.batches.end(b)
	netErr := w.network.Ask(ctx, archive, actions, b.settled, func(i int, s dimse.Status) {
		questions[i].status, questions[i].heard = s, true
		if err := w.heard(context.WithoutCancel(ctx), archive, questions[i]); err != nil {
			w.parts.Log.Error("storage commitment: an archive's answer is not recorded", "archive", archive, "error", err)
		}
	})
	netErr = refusalOf(questions, netErr)
	w.note(archive, netErr)
	for _, q := range questions {
		if !q.heard {
			if err := w.void(context.WithoutCancel(ctx), q); err != nil {
				return len(questions), err
			}
		}
	}
	if w.hopeless(archive) {
		return len(questions), errors.Join(netErr, w.failAll(ctx, archive, questions))
	}
	return len(questions), netErr
}

// refusalOf is err, or what the archive said to the first question that it
// refused.
func refusalOf(questions []question, err error) error {
	for _, q := range questions {
		switch {
		case err != nil:
			return err
		case q.heard && q.status == dimse.ResourceLimitation, q.heard && q.status == dimse.ProcessingFailure:
			return fmt.Errorf("archive answered a request for storage commitment with status %04XH", uint16(q.status))
		case q.heard && q.status.Class() == dimse.ClassFailure:
			return fmt.Errorf("%w: it answers status %04XH", ErrUnsupported, uint16(q.status))
		}
	}
	return err
}

// prepare makes questions durable before they are sent, one alone while the
// archive is in trouble.
func (w *work) prepare(ctx context.Context, archive string) ([]question, error) {
	var all []question
	for range w.atATime(archive) {
		q, err := w.prepareOne(ctx, archive)
		if err != nil || q.id == 0 {
			return all, err
		}
		all = append(all, q)
	}
	return all, nil
}

func (w *work) prepareOne(ctx context.Context, archive string) (q question, err error) {
	err = w.parts.DB.Update(ctx, func(tx *store.Tx) error {
		q = question{action: commit.Action{TransactionUID: commit.NewTransactionUID()}}
		if err := q.choose(tx, archive, w.config.Batch); err != nil || len(q.action.References) == 0 {
			return err
		}
		refs := q.action.References
		r, err := tx.Exec(`INSERT INTO commitment_questions (transaction_uid, request, archive, state, first_uid, last_uid, made_at) VALUES (?, ?, ?, 'unsent', ?, ?, ?)`,
			string(q.action.TransactionUID), q.request, archive, string(refs[0].SOPInstanceUID), string(refs[len(refs)-1].SOPInstanceUID), micros(time.Now()))
		if err != nil {
			return err
		}
		if q.id, err = r.LastInsertId(); err != nil {
			return err
		}
		_, err = tx.Exec(`UPDATE commitment_references SET state = 'asked', question = ?
			WHERE request = ? AND archive = ? AND (sop_instance_uid, sop_class_uid) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?))`,
			q.id, q.request, archive, listOf(refs))
		return err
	})
	return q, err
}

// choose picks references of one request that are to be asked of the archive.
func (q *question) choose(tx *store.Tx, archive string, limit int) error {
	rows, err := tx.Query(`SELECT request, sop_instance_uid, sop_class_uid FROM commitment_references
		WHERE archive = ?1 AND state = 'unasked' AND request = (SELECT MIN(request) FROM commitment_references WHERE archive = ?1 AND state = 'unasked')
		ORDER BY sop_instance_uid, sop_class_uid LIMIT ?2`, archive, limit)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var instance, class string
		if err := rows.Scan(&q.request, &instance, &class); err != nil {
			return err
		}
		q.action.References = append(q.action.References, commit.Reference{SOPClassUID: dicom.UID(class), SOPInstanceUID: dicom.UID(instance)})
	}
	return rows.Err()
}

// heard records the status of an N-ACTION. Its report may have come before.
func (w *work) heard(ctx context.Context, archive string, q question) error {
	if q.status.Class() == dimse.ClassFailure {
		w.parts.Log.Warn("storage commitment: archive refuses a request", "archive", archive, "status", uint16(q.status))
		w.batches.settle(q.action.TransactionUID)
		return w.void(ctx, q)
	}
	return w.parts.DB.Update(ctx, func(tx *store.Tx) error {
		var asked int64
		if err := tx.QueryRow(`SELECT asked_at FROM commitment_requests WHERE id = ?`, q.request).Scan(&asked); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE commitment_questions SET state = 'asked', deadline = ? WHERE id = ? AND state = 'unsent'`,
			micros(w.config.deadline(time.UnixMicro(asked))), q.id)
		if err != nil {
			return err
		}
		return w.parts.Journal.Append(tx, "commitment.forwarded", map[string]any{
			"request": q.request, "archive": archive, "transaction_uid": string(q.action.TransactionUID), "instances": len(q.action.References),
		})
	})
}

// deadline is until when an archive may report on what was requested at that time.
func (c Config) deadline(asked time.Time) time.Time {
	now := time.Now()
	return now.Add(min(c.Answer, max(c.Again, now.Sub(asked))))
}

// void takes a question back: what nobody answered is to be asked again. If the
// archive answers it after all, that is heard.
func (c *Commitment) void(ctx context.Context, q question) error {
	refs := q.action.References
	return c.voidRange(ctx, q.id, q.request, string(refs[0].SOPInstanceUID), string(refs[len(refs)-1].SOPInstanceUID))
}

func (c *Commitment) voidRange(ctx context.Context, id, request int64, first, last string) error {
	return c.parts.DB.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(`UPDATE commitment_references SET state = 'unasked'
			WHERE request = ? AND sop_instance_uid BETWEEN ? AND ? AND question = ? AND state = 'asked'`, request, first, last, id); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE commitment_questions SET state = 'void' WHERE id = ?`, id)
		return err
	})
}

// voidUnsent takes back, at a start, the questions whose fate is not known.
func (c *Commitment) voidUnsent(ctx context.Context) error {
	return c.voidWhere(ctx, `state = 'unsent'`)
}

// expire takes back the questions that were not answered, or not in full, in
// time.
func (w *work) expire(ctx context.Context) error {
	return w.voidWhere(ctx, `state = 'asked' AND deadline <= ?`, micros(time.Now()))
}

func (c *Commitment) voidWhere(ctx context.Context, where string, args ...any) error {
	type row struct {
		id, request int64
		first, last string
	}
	var all []row
	err := c.parts.DB.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT id, request, first_uid, last_uid FROM commitment_questions WHERE `+where, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var r row
			if err := rows.Scan(&r.id, &r.request, &r.first, &r.last); err != nil {
				return err
			}
			all = append(all, r)
		}
		return rows.Err()
	})
	if err != nil {
		return err
	}
	for _, r := range all {
		if err := c.voidRange(ctx, r.id, r.request, r.first, r.last); err != nil {
			return err
		}
	}
	return nil
}

// failAll fails what was asked of an archive that does not do it.
func (w *work) failAll(ctx context.Context, archive string, questions []question) error {
	for _, q := range questions {
		var n int64
		err := w.inChunks(ctx, func(tx *store.Tx) (some int64, err error) {
			some, err = affected(tx.Exec(`UPDATE commitment_references SET state = 'failed', reason = ?
				WHERE (request, sop_instance_uid, sop_class_uid, archive) IN (SELECT request, sop_instance_uid, sop_class_uid, archive
					FROM commitment_references WHERE request = ? AND archive = ? AND state = 'unasked' LIMIT ?)`,
				commit.ProcessingFailure, q.request, archive, chunk))
			n += some
			return some, err
		})
		if err != nil {
			return err
		}
		if n == 0 {
			continue // of a request just done
		}
		w.parts.Log.Error("storage commitment: archive does not do it, what it should commit to is reported as failed", "archive", archive, "instances", n)
		if err := w.resolve(ctx, q.request); err != nil {
			return err
		}
	}
	return nil
}

// note keeps how the last attempt with an archive ended.
func (c *Commitment) note(archive string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.troubles[archive]
	switch {
	case err == nil:
		delete(c.troubles, archive)
		return
	case t == nil:
		t = &trouble{since: time.Now()}
		c.troubles[archive] = t
	}
	t.until = time.Now().Add(c.config.backOff(t.failures))
	t.says = clip(err)
	t.failures++
	if errors.Is(err, ErrUnsupported) {
		t.refusals++
	} else {
		t.refusals = 0
	}
}

func (c *Commitment) resting(archive string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.troubles[archive]
	return t != nil && time.Now().Before(t.until)
}

// atATime is how many questions go over the next association.
func (c *Commitment) atATime(archive string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.troubles[archive] != nil {
		return 1
	}
	return maxQuestions
}

// hopeless reports that an archive said again and again that it does not do it.
func (c *Commitment) hopeless(archive string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.troubles[archive]
	return t != nil && t.refusals >= maxRefusals
}
