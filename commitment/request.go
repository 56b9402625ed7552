package commitment

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"cordon/dicom"
	"cordon/dicom/commit"
	"cordon/dicom/dimse"
	"cordon/metric"
	"cordon/store"
)

// errLive means that the device's transaction UID names a request that is not
// reported yet, for other instances.
var errLive = errors.New("the transaction UID names another request that is not answered yet")

// errTooMany means that a device has more requests open than it may, or all of
// them together.
var errTooMany = errors.New("too many requests for storage commitment wait for their answer")

// Action takes the Action Information of an N-ACTION request. On Success the
// request is durable, and will be reported. Any other status (PS3.7 §10.1.4.1.10)
// comes with an error that says why, and nothing is kept:
//
//   - 0115H: the information cannot be read, or its transaction UID names another
//     request that is open
//   - 0213H: more than 100,000 references or 16 MiB, or too many requests open
//   - 0110H: it cannot be made durable now
//
// The same request again, while it is open, is answered with Success and
// reported once; after its report it is a new one.
func (c *Commitment) Action(ctx context.Context, who Requestor, info io.Reader, ts dicom.UID) (dimse.Status, error) {
	data := c.intake(ctx, info)
	defer data.done()
	a, err := commit.ReadAction(data, ts)
	if err == nil {
		err = c.accept(ctx, who, a)
	} else if !errors.Is(err, commit.ErrTooLong) {
		return dimse.InvalidArgumentValue, err
	}
	switch {
	case err == nil:
		time.AfterFunc(c.config.Pause, c.Wake)
		return dimse.Success, nil
	case errors.Is(err, commit.ErrTooLong), errors.Is(err, errTooMany):
		return dimse.ResourceLimitation, err
	case errors.Is(err, errLive):
		return dimse.InvalidArgumentValue, err
	}
	return dimse.ProcessingFailure, err
}

// accept makes a request durable, unless it is there already.
func (c *Commitment) accept(ctx context.Context, who Requestor, a commit.Action) error {
	slices.SortFunc(a.References, compare)
	a.References = slices.Compact(a.References)
	digest := digestOf(a.References)
	if again, err := c.live(ctx, who, a.TransactionUID, digest); again || err != nil {
		return err
	}
	id, err := c.arrive(ctx, who, a, digest)
	if err != nil {
		return err
	}
	for part := range slices.Chunk(a.References, chunk) {
		if err := c.write(ctx, id, part, who.Archives); err != nil {
			return err
		}
	}
	return c.open(ctx, id, who, a)
}

// chunk is how many references one transaction changes: everybody who writes
// waits for it.
const chunk = 500

func compare(a, b commit.Reference) int {
	return cmp.Or(cmp.Compare(a.SOPInstanceUID, b.SOPInstanceUID), cmp.Compare(a.SOPClassUID, b.SOPClassUID))
}

// digestOf tells one list of references from another.
func digestOf(refs []commit.Reference) []byte {
	h := sha256.New()
	for _, r := range refs {
		fmt.Fprintf(h, "%s %s\n", r.SOPInstanceUID, r.SOPClassUID)
	}
	return h.Sum(nil)
}

// live reports whether the very same request is open. It is errLive if another
// one has its transaction UID.
func (c *Commitment) live(ctx context.Context, who Requestor, transaction dicom.UID, digest []byte) (again bool, err error) {
	err = c.parts.DB.View(ctx, func(tx *store.Tx) error {
		var same, others, open, all int
		err := tx.QueryRow(`SELECT COUNT(*) FILTER (WHERE transaction_uid = ?1 AND digest = ?2), COUNT(*) FILTER (WHERE transaction_uid = ?1 AND digest <> ?2), COUNT(*)
			FROM commitment_requests WHERE owner = ?3 AND state IN ('open', 'reporting')`, string(transaction), digest, who.owner()).Scan(&same, &others, &open)
		if err == nil {
			err = tx.QueryRow(`SELECT COALESCE(SUM(instances), 0) FROM commitment_requests WHERE state IN ('open', 'reporting')`).Scan(&all)
		}
		switch {
		case err != nil:
			return err
		case others > 0:
			return errLive
		case same == 0 && (open >= c.config.MaxOpen || all >= c.config.MaxAll):
			return errTooMany
		}
		again = same > 0
		return nil
	})
	return again, err
}

// arrive writes down a request that is not yet promised to anyone.
func (c *Commitment) arrive(ctx context.Context, who Requestor, a commit.Action, digest []byte) (id int64, err error) {
	now := time.Now()
	err = c.parts.DB.Update(ctx, func(tx *store.Tx) error {
		r, err := tx.Exec(`INSERT INTO commitment_requests
			(state, owner, device, calling_ae, called_ae, address, association, transaction_uid, digest, instances, asked_at, until, next_attempt)
			VALUES ('arriving', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			who.owner(), who.Device, string(who.Calling), string(who.Called), who.Address.String(), who.Association,
			string(a.TransactionUID), digest, len(a.References), micros(now), micros(now.Add(c.config.Term)), micros(now.Add(c.config.Pause)))
		if err == nil {
			id, err = r.LastInsertId()
		}
		return err
	})
	return id, err
}

// write writes down some references, for each archive that has to commit them.
// Without an archive there is nobody who could.
func (c *Commitment) write(ctx context.Context, id int64, refs []commit.Reference, archives []string) error {
	if len(archives) == 0 {
		archives = []string{""}
	}
	names, err := json.Marshal(archives)
	if err != nil {
		return err
	}
	return c.parts.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO commitment_references (request, sop_instance_uid, sop_class_uid, archive, state)
			SELECT ?, r.value ->> 0, r.value ->> 1, a.value, 'new' FROM json_each(?) AS r, json_each(?) AS a WHERE true
			ON CONFLICT DO NOTHING`, id, listOf(refs), string(names))
		return err
	})
}

// listOf is a list of references as statements take it: pairs of instance and
// class, in JSON.
func listOf(refs []commit.Reference) string {
	pairs := make([][2]string, 0, len(refs))
	for _, r := range refs {
		pairs = append(pairs, [2]string{string(r.SOPInstanceUID), string(r.SOPClassUID)})
	}
	text, err := json.Marshal(pairs)
	if err != nil {
		panic(err) // strings
	}
	return string(text)
}

// open makes a request ours to answer, with its record. If the same was opened
// meanwhile, this one is dropped.
func (c *Commitment) open(ctx context.Context, id int64, who Requestor, a commit.Action) error {
	var live int
	err := c.parts.DB.Update(ctx, func(tx *store.Tx) error {
		err := tx.QueryRow(`SELECT COUNT(*) FROM commitment_requests WHERE owner = ? AND transaction_uid = ? AND state IN ('open', 'reporting')`,
			who.owner(), string(a.TransactionUID)).Scan(&live)
		if err != nil {
			return err
		}
		if live > 0 {
			_, err := tx.Exec(`UPDATE commitment_requests SET state = 'dropped', ended_at = ? WHERE id = ?`, micros(time.Now()), id)
			return err
		}
		if _, err := tx.Exec(`UPDATE commitment_requests SET state = 'open' WHERE id = ?`, id); err != nil {
			return err
		}
		return c.parts.Journal.Append(tx, "commitment.asked", who.body(id, string(a.TransactionUID), map[string]any{
			"instances": len(a.References), "archives": who.Archives,
		}))
	})
	if err == nil && live == 0 {
		c.parts.Metrics.Count(metric.Commitments, 1, "asked")
	}
	if err == nil && live > 0 {
		_, err = c.live(ctx, who, a.TransactionUID, digestOf(a.References))
	}
	return err
}

// body is what every record of a request says.
func (r Requestor) body(id int64, transaction string, more map[string]any) map[string]any {
	body := map[string]any{
		"request": id, "transaction_uid": transaction,
		"calling_ae": string(r.Calling), "called_ae": string(r.Called), "address": r.Address.String(),
	}
	if r.Association != "" {
		body["association"] = r.Association
	}
	if r.Device != "" {
		body["device"] = r.Device
	}
	maps.Copy(body, more)
	return body
}
