package custody

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"cordon/finding"
	"cordon/store"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// reviewWithin is the time in which somebody else must look at an emergency
// release.
const reviewWithin = 24 * time.Hour

const (
	maxName   = 200  // bytes of a person's name
	maxReason = 2000 // bytes
)

// Request is what a person asks for. The name is what they say it is until
// people log in.
type Request struct {
	By        string
	Reason    string
	Emergency bool // Release only: without a second person, to be reviewed within 24 h

	// Then, if it is there, is run by Release in the transaction that releases
	// the object, with the names of those who did; its error undoes all of it.
	Then func(tx *store.Tx, o Object, by []string) error
}

// Check cleans a request up, or says what is missing. Every method that takes a
// Request does so itself.
func (r Request) Check() (Request, error) {
	r.By, r.Reason = strings.Join(strings.Fields(r.By), " "), strings.TrimSpace(r.Reason)
	switch {
	case samePerson(r.By, ""):
		return r, fmt.Errorf("%w: who asks? a name is needed (--as NAME)", ErrRequest)
	case r.Reason == "":
		return r, fmt.Errorf("%w: why? a reason is needed (--reason TEXT)", ErrRequest)
	case len(r.By) > maxName || len(r.Reason) > maxReason:
		return r, fmt.Errorf("%w: a name has at most %d bytes, a reason %d", ErrRequest, maxName, maxReason)
	case strings.ContainsFunc(r.By, unicode.IsControl):
		return r, fmt.Errorf("%w: the name has control characters in it", ErrRequest)
	}
	return r, nil
}

// samePerson compares names by their letters and digits alone: without regard to
// case, accents, spaces, punctuation, and what cannot be seen. It may take two
// people for one, never one for two because of how the name was typed.
func samePerson(a, b string) bool { return FoldName(a) == FoldName(b) }

// FoldName is what two names of one person have in common: see samePerson.
func FoldName(name string) string {
	letters := strings.Map(func(r rune) rune {
		blank := unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) // letters that show nothing
		if blank || !unicode.IsLetter(r) && !unicode.IsNumber(r) {
			return -1
		}
		return r
	}, norm.NFKD.String(name))
	return cases.Fold().String(letters)
}

// Decision is what became of a Request.
type Decision struct {
	Done      bool      `json:"done"`
	Waiting   string    `json:"waiting,omitempty"` // what for, if it is not done
	By        []string  `json:"by"`                // who has asked for it
	ReviewDue time.Time `json:"review_due,omitzero"`
}

// action is what two people decide.
type action string

const (
	release action = "release"
	destroy action = "destroy"
)

// Asked is the first of two people, while the second is awaited.
type Asked struct {
	Action string    `json:"action"` // "release" or "destroy"
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// Asked returns what one person has asked for about an object.
func (c *Custody) Asked(ctx context.Context, id string) (all []Asked, err error) {
	err = c.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT action, name, reason, asked_at FROM custody_requests WHERE object_id = ? ORDER BY asked_at`, id)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var a Asked
			if err := rows.Scan(&a.Action, &a.By, &a.Reason, micros{&a.At}); err != nil {
				return err
			}
			all = append(all, a)
		}
		return rows.Err()
	})
	return all, err
}

// malicious errs towards yes: any one opinion is enough.
func malicious(o Object) bool {
	for _, e := range o.Engines {
		if e.Result == finding.ResultMalicious {
			return true
		}
	}
	return finding.Worst(o.Findings) >= finding.Malicious
}

// Destroy deletes an object for ever, once two different people have asked for
// it; there is no emergency in which one is enough. Its row stays.
func (c *Custody) Destroy(ctx context.Context, id string, r Request) (d Decision, err error) {
	if r.Emergency {
		return d, fmt.Errorf("%w: destroying always takes two people", ErrRequest)
	}
	if r, err = r.Check(); err != nil {
		return d, err
	}
	err = c.db.Update(ctx, func(tx *store.Tx) error {
		d, err = c.destroy(tx, id, r)
		return err
	})
	if err == nil && d.Done {
		c.remove(id)
	}
	return d, err
}

func (c *Custody) destroy(tx *store.Tx, id string, r Request) (Decision, error) {
	o, err := get(tx, id)
	if err != nil {
		return Decision{}, err
	}
	if _, err := change(o.State, Destroyed, people); err != nil {
		return Decision{}, err
	}
	if o.InFlight {
		return Decision{}, fmt.Errorf("%w: object %s is being delivered", ErrState, id)
	}
	d, err := c.second(tx, o, destroy, r)
	if err != nil || !d.Done {
		return d, err
	}
	if err := c.decide(tx, id, Destroyed, d, map[string]any{"by": d.By, "reason": r.Reason}); err != nil {
		return Decision{}, err
	}
	_, err = tx.Exec(`UPDATE custody_objects SET needs_attention = 0, alarm = '' WHERE id = ?`, id)
	return d, err
}

// second records the first person's request and waits, or finds that r comes
// from the second and that it is done.
func (c *Custody) second(tx *store.Tx, o Object, a action, r Request) (Decision, error) {
	var first string
	err := tx.QueryRow(`SELECT name FROM custody_requests WHERE object_id = ? AND action = ?`, o.ID, string(a)).Scan(&first)
	switch {
	case err == nil && samePerson(first, r.By) && !r.Emergency:
		return Decision{}, ErrSamePerson
	case err == nil && samePerson(first, r.By):
		return Decision{By: []string{r.By}}, nil
	case err == nil:
		return Decision{Done: true, By: []string{first, r.By}}, nil
	case !errors.Is(err, sql.ErrNoRows):
		return Decision{}, err
	}
	d := Decision{Waiting: "waiting for a second person", By: []string{r.By}}
	if r.Emergency {
		return d, nil // nobody is waited for
	}
	_, err = tx.Exec(`INSERT INTO custody_requests (object_id, action, name, reason, asked_at) VALUES (?, ?, ?, ?, ?)`,
		o.ID, string(a), r.By, r.Reason, toMicros(now()))
	if err != nil {
		return Decision{}, err
	}
	return d, c.journal.Append(tx, "object.asked", map[string]any{
		"id": o.ID, "action": a, "by": r.By, "reason": r.Reason, "sop_instance_uid": o.SOPInstanceUID,
	})
}

// decide changes the state as people want it, and ends what waited.
func (c *Custody) decide(tx *store.Tx, id string, to State, d Decision, more map[string]any) error {
	if _, err := c.move(tx, id, to, people, more); err != nil {
		return err
	}
	by, err := json.Marshal(d.By)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`UPDATE custody_objects SET decided_by = ? WHERE id = ?`, string(by), id); err != nil {
		return err
	}
	_, err = tx.Exec(`DELETE FROM custody_requests WHERE object_id = ?`, id)
	return err
}

// Review says that somebody other than who released it has looked at an
// emergency release.
func (c *Custody) Review(ctx context.Context, id string, r Request) error {
	r, err := r.Check()
	if err != nil {
		return err
	}
	return c.db.Update(ctx, func(tx *store.Tx) error {
		o, err := get(tx, id)
		if err != nil {
			return err
		}
		if o.ReviewDue.IsZero() {
			return fmt.Errorf("%w: object %s awaits no review", ErrState, id)
		}
		for _, name := range o.DecidedBy {
			if samePerson(name, r.By) {
				return ErrSamePerson
			}
		}
		if _, err := tx.Exec(`UPDATE custody_objects SET review_due = 0 WHERE id = ?`, id); err != nil {
			return err
		}
		return c.journal.Append(tx, "object.reviewed", map[string]any{
			"id": id, "by": r.By, "reason": r.Reason, "late": now().After(o.ReviewDue),
			"sop_instance_uid": o.SOPInstanceUID, "study_instance_uid": o.StudyInstanceUID,
		})
	})
}

// Retry makes an object that was refused for good due again.
func (c *Custody) Retry(ctx context.Context, id string, r Request) error {
	r, err := r.Check()
	if err != nil {
		return err
	}
	return c.db.Update(ctx, func(tx *store.Tx) error {
		o, err := get(tx, id)
		if err != nil {
			return err
		}
		if o.State != Spooled || !o.NeedsAttention {
			return fmt.Errorf("%w: object %s does not wait for a person to retry it", ErrState, id)
		}
		if _, err := tx.Exec(`UPDATE custody_objects SET needs_attention = 0, next_attempt = 0 WHERE id = ?`, id); err != nil {
			return err
		}
		return c.journal.Append(tx, "object.retried", map[string]any{"id": id, "by": r.By, "reason": r.Reason})
	})
}

// Export writes an object's bytes, as they were received and perhaps harmful, to
// w. Who does it and why is journalled before the first byte.
func (c *Custody) Export(ctx context.Context, id string, r Request, w io.Writer) error {
	r, err := r.Check()
	if err != nil {
		return err
	}
	blob, err := c.OpenBlob(ctx, id)
	if err != nil {
		return err
	}
	defer blob.Close()
	err = c.db.Update(ctx, func(tx *store.Tx) error {
		o, err := get(tx, id)
		if err != nil {
			return err
		}
		return c.journal.Append(tx, "object.exported", map[string]any{
			"id": id, "by": r.By, "reason": r.Reason, "sha256": o.SHA256, "sop_instance_uid": o.SOPInstanceUID,
			"study_instance_uid": o.StudyInstanceUID,
		})
	})
	if err != nil {
		return fmt.Errorf("exporting object %s: %w", id, err)
	}
	if _, err := io.Copy(w, blob); err != nil {
		return fmt.Errorf("exporting object %s: %w", id, err)
	}
	return nil
}
