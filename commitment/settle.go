package commitment

import (
	"context"
	"encoding/json"
	"time"

	"cordon/custody"
	"cordon/dicom/commit"
	"cordon/store"
)

// A fate is what becomes of a reference.
type fate struct {
	state  string
	reason uint16 // of "failed"
}

// request is one row, as far as the work needs it.
type request struct {
	id          int64
	who         Requestor
	transaction string
	until       time.Time
	attempts    int
}

// maxDue bounds how many requests one round takes up.
const maxDue = 64

// settle looks up the instances of open requests that are due, and closes those
// whose term is over.
func (w *work) settle(ctx context.Context) error {
	due, err := w.due(ctx, "open", maxDue)
	if err != nil {
		return err
	}
	for _, r := range due {
		if err := w.look(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// due returns requests in a state whose next attempt has come, the first due
// first.
func (c *Commitment) due(ctx context.Context, state string, limit int) (all []request, err error) {
	err = c.parts.DB.View(ctx, func(tx *store.Tx) error {
		all, err = queryRequests(tx, `state = ? AND next_attempt <= ? ORDER BY next_attempt LIMIT ?`, state, micros(time.Now()), limit)
		return err
	})
	return all, err
}

// look settles what can be settled of one request.
func (w *work) look(ctx context.Context, r request) error {
	if time.Now().After(r.until) {
		if err := w.overdue(ctx, r); err != nil {
			return err
		}
		return w.resolve(ctx, r.id)
	}
	spooled, err := w.lookUp(ctx, r)
	if err != nil {
		return err
	}
	next := r.until // nothing is to be looked up any more
	if spooled {
		next = earlier(r.until, time.Now().Add(min(w.config.backOff(r.attempts), maxLook)))
	}
	err = w.parts.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE commitment_requests SET attempts = attempts + 1, next_attempt = ? WHERE id = ? AND state = 'open'`, micros(next), r.id)
		return err
	})
	if err != nil {
		return err
	}
	return w.resolve(ctx, r.id)
}

// maxLook is the longest pause between two looks at what is in the spool.
const maxLook = 10 * time.Second

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// lookUp settles the references of a request that custody knows something of,
// and makes the rest ready to be asked. It reports whether some are in the spool.
func (w *work) lookUp(ctx context.Context, r request) (spooled bool, err error) {
	for after := ""; ; {
		instances, err := w.unsettled(ctx, r.id, after)
		if err != nil || len(instances) == 0 {
			return spooled, err
		}
		after = instances[len(instances)-1]
		fates, err := w.fates(ctx, r.who, instances)
		if err != nil {
			return spooled, err
		}
		for _, f := range fates {
			spooled = spooled || f.state == "spooled"
		}
		if err := w.apply(ctx, r.id, fates); err != nil {
			return spooled, err
		}
	}
}

// unsettled lists instances whose whereabouts are to be looked up, in order.
func (c *Commitment) unsettled(ctx context.Context, id int64, after string) (all []string, err error) {
	err = c.parts.DB.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT DISTINCT sop_instance_uid FROM commitment_references
			WHERE request = ? AND sop_instance_uid > ? AND state IN ('new', 'spooled') ORDER BY sop_instance_uid LIMIT ?`, id, after, chunk)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var uid string
			if err := rows.Scan(&uid); err != nil {
				return err
			}
			all = append(all, uid)
		}
		return rows.Err()
	})
	return all, err
}

// fates decides on instances by what custody has of the same sender.
func (c *Commitment) fates(ctx context.Context, who Requestor, instances []string) (map[string]fate, error) {
	places, err := c.parts.Custody.Places(ctx, instances)
	if err != nil {
		return nil, err
	}
	own := map[string][]custody.Place{}
	for _, p := range places {
		if sentBy(p, who) {
			own[p.SOPInstanceUID] = append(own[p.SOPInstanceUID], p)
		}
	}
	fates := map[string]fate{}
	for _, uid := range instances {
		fates[uid] = decide(own[uid])
	}
	return fates, nil
}

// sentBy reports whether the device that asks is the one that sent the object.
// One that an archive sent to the device is under the archive's title.
func sentBy(p custody.Place, who Requestor) bool {
	return p.Device == who.Device && p.CallingAE == string(who.Calling)
}

// decide says what becomes of an instance of which there are these objects, in
// the order in which they came. It errs towards failure: the device keeps its
// copy then, and asks again.
func decide(objects []custody.Place) fate {
	last := map[string]custody.Place{} // by archive
	spooled := false
	for _, p := range objects {
		switch {
		case p.State == custody.Held:
			return fate{"failed", commit.ProcessingFailure}
		case p.State == custody.Spooled && p.NeedsAttention:
			return fate{"failed", reasonOf(p.Status)}
		case p.State == custody.Spooled:
			spooled = true
		}
		last[p.Archive] = p
	}
	for _, p := range last {
		if p.State == custody.Destroyed {
			return fate{"failed", commit.NoSuchObjectInstance}
		}
	}
	if spooled {
		return fate{state: "spooled"}
	}
	return fate{state: "unasked"}
}

// reasonOf is the Failure Reason for the status with which an archive refused to
// store an instance (PS3.4 §B.2.3, §J.3.3.1.1).
func reasonOf(status uint16) uint16 {
	switch {
	case status == commit.SOPClassNotSupported:
		return commit.SOPClassNotSupported
	case status == commit.ClassInstanceConflict:
		return commit.ClassInstanceConflict
	case status&0xFF00 == 0xA700:
		return commit.ResourceLimitation
	}
	return commit.ProcessingFailure
}

// apply writes down what was decided. A reference without an archive has nobody
// to commit it.
func (c *Commitment) apply(ctx context.Context, id int64, fates map[string]fate) error {
	same := map[fate][]string{}
	for uid, f := range fates {
		same[f] = append(same[f], uid)
	}
	return c.parts.DB.Update(ctx, func(tx *store.Tx) error {
		for f, instances := range same {
			list, err := json.Marshal(instances)
			if err != nil {
				return err
			}
			if _, err := tx.Exec(`UPDATE commitment_references SET
					state = CASE WHEN archive = '' AND ?1 = 'unasked' THEN 'failed' ELSE ?1 END,
					reason = CASE WHEN archive = '' AND ?1 = 'unasked' THEN ?2 ELSE ?3 END
				WHERE request = ?4 AND sop_instance_uid IN (SELECT value FROM json_each(?5)) AND state IN ('new', 'spooled') AND state <> ?1`,
				f.state, commit.ProcessingFailure, f.reason, id, string(list)); err != nil {
				return err
			}
		}
		return nil
	})
}

// overdue fails what is unresolved at the end of the term.
func (c *Commitment) overdue(ctx context.Context, r request) error {
	c.parts.Log.Warn("storage commitment: the term is over, what is unresolved is reported as failed", "request", r.id)
	return c.inChunks(ctx, func(tx *store.Tx) (int64, error) {
		return affected(tx.Exec(`UPDATE commitment_references SET state = 'failed', reason = ?
			WHERE (request, sop_instance_uid, sop_class_uid, archive) IN (SELECT request, sop_instance_uid, sop_class_uid, archive
				FROM commitment_references WHERE request = ? AND state IN ('new', 'spooled', 'unasked', 'asked') LIMIT ?)`,
			commit.ProcessingFailure, r.id, chunk))
	})
}

// resolve makes a request due to be reported once nothing of it is unresolved.
func (c *Commitment) resolve(ctx context.Context, id int64) error {
	now := time.Now()
	var n int64
	err := c.parts.DB.Update(ctx, func(tx *store.Tx) (err error) {
		n, err = affected(tx.Exec(`UPDATE commitment_requests SET state = 'reporting', attempts = 0, last_error = '', next_attempt = ?, until = ?
			WHERE id = ? AND state = 'open' AND NOT EXISTS (SELECT 1 FROM commitment_references
				WHERE request = ? AND state IN ('new', 'spooled', 'unasked', 'asked'))`,
			micros(now), micros(now.Add(c.config.Term)), id, id))
		return err
	})
	if n > 0 {
		c.Wake()
	}
	return err
}
