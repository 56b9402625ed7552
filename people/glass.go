package people

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"cordon/custody"
	"cordon/store"
)

// In an emergency somebody who is signed in takes one more role for an hour at the
// most: nobody is asked, everybody hears of it, and another person looks at it
// within a day.

// LongestGlass is how long a role that was taken lasts at the most, and reviewWithin
// when somebody else must have looked at it.
const (
	LongestGlass = time.Hour
	reviewWithin = 24 * time.Hour
)

// Glass is a role that somebody took in an emergency.
type Glass struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Role      Role      `json:"role"`
	Reason    string    `json:"reason"`
	Since     time.Time `json:"since"`
	Until     time.Time `json:"until"`
	ReviewDue time.Time `json:"review_due,omitzero"` // zero: reviewed
	Reviewed  string    `json:"reviewed_by,omitempty"`
}

// Break gives whoever is signed in one more role until then.
func (a *Accounts) Break(ctx context.Context, id Identity, role Role, term time.Duration, reason string) (g Glass, err error) {
	r, err := custody.Request{By: id.Name, Reason: reason}.Check()
	switch {
	case err != nil:
		return g, err
	case id.Session == "":
		return g, fmt.Errorf("%w: a role is taken by who is signed in, not by a token", ErrRequest)
	case term <= 0 || term > LongestGlass:
		return g, fmt.Errorf("%w: for how long? up to 60 minutes", ErrRequest)
	}
	now := a.now()
	g = Glass{ID: newID(), Role: role, Reason: r.Reason, Since: now.UTC(), Until: now.Add(term).UTC(), ReviewDue: now.Add(reviewWithin).UTC()}
	err = a.db.Update(ctx, func(tx *store.Tx) error {
		v, err := byID(tx, id.Account)
		if err != nil {
			return err
		}
		if !CanTake(v.Roles, role) {
			return fmt.Errorf("%w: with your roles %.40q cannot be taken: see docs/people.md, Emergencies", ErrState, role)
		}
		if taken, err := a.glassOf(tx, v.ID, now); err != nil {
			return err
		} else if len(taken) > 0 {
			return fmt.Errorf("%w: you have taken the role %s already: give it back first", ErrState, taken[0])
		}
		g.Name = v.Name
		_, err = tx.Exec(`INSERT INTO people_glass (id, account, name, role, reason, since, until, review_due) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			g.ID, v.ID, v.Name, string(role), g.Reason, g.Since.UnixMicro(), g.Until.UnixMicro(), g.ReviewDue.UnixMicro())
		if err != nil {
			return err
		}
		tx.OnCommit(func() {
			a.notice(Notice{"people.break_glass", v.Name, fmt.Sprintf("%s took the role %s in an emergency; another person reviews it within 24 h", v.Name, role)})
		})
		return a.journal.Append(tx, "person.glass", g.record())
	})
	return g, err
}

func (g Glass) record() map[string]any {
	return map[string]any{"by": g.Name, "reason": g.Reason, "id": g.ID, "role": g.Role, "since": g.Since.Format(time.RFC3339), "until": g.Until.Format(time.RFC3339)}
}

// glassOf are the roles that somebody has taken and still has: by the clock, whether
// or not anybody has recorded their end.
func (a *Accounts) glassOf(tx *store.Tx, account string, now time.Time) (out []Role, err error) {
	rows, err := tx.Query(`SELECT role FROM people_glass WHERE account = ? AND ended = 0 AND since <= ? AND until > ?`, account, now.UnixMicro(), now.UnixMicro())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r Role
		if err := rows.Scan(&r); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

const glassColumns = `id, name, role, reason, since, until, review_due, reviewed_by`

func scanGlass(row interface{ Scan(...any) error }) (g Glass, err error) {
	var since, until, due int64
	err = row.Scan(&g.ID, &g.Name, &g.Role, &g.Reason, &since, &until, &due, &g.Reviewed)
	g.Since, g.Until, g.ReviewDue = fromMicros(since), fromMicros(until), fromMicros(due)
	return g, err
}

// maxGlass is how many are listed, the last first.
const maxGlass = 200

// Glasses are the roles that people took, what awaits review first.
func (a *Accounts) Glasses(ctx context.Context) (all []Glass, err error) {
	err = a.db.View(ctx, func(tx *store.Tx) error {
		all, err = glasses(tx, `ORDER BY review_due = 0, since DESC LIMIT ?`, maxGlass)
		return err
	})
	return all, err
}

func glasses(tx *store.Tx, where string, args ...any) (all []Glass, err error) {
	rows, err := tx.Query(`SELECT `+glassColumns+` FROM people_glass `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		g, err := scanGlass(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, g)
	}
	return all, rows.Err()
}

// GiveBack ends the role that whoever is signed in has taken.
func (a *Accounts) GiveBack(ctx context.Context, id Identity) error {
	return a.endGlass(ctx, id.Name, `WHERE ended = 0 AND account = ?`, id.Account)
}

// endGlass records the end of those that are chosen; by is "" if it was the clock.
func (a *Accounts) endGlass(ctx context.Context, by, where string, args ...any) error {
	return a.db.Update(ctx, func(tx *store.Tx) error {
		all, err := glasses(tx, where, args...)
		if err != nil {
			return err
		}
		for _, g := range all {
			if _, err := tx.Exec(`UPDATE people_glass SET ended = 1, until = min(until, ?) WHERE id = ?`, a.now().UnixMicro(), g.ID); err != nil {
				return err
			}
			body := g.record()
			body["ended_by"] = by
			if err := a.journal.Append(tx, "person.glass_ended", body); err != nil {
				return err
			}
		}
		return nil
	})
}

// Review says that somebody else has looked at what was done with a role that was
// taken.
func (a *Accounts) Review(ctx context.Context, id string, r custody.Request) (g Glass, err error) {
	if r, err = r.Check(); err != nil {
		return g, err
	}
	err = a.db.Update(ctx, func(tx *store.Tx) error {
		g, err = scanGlass(tx.QueryRow(`SELECT `+glassColumns+` FROM people_glass WHERE id = ?`, id))
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return fmt.Errorf("%w: nobody took a role under the number %.40q", ErrNotFound, id)
		case err != nil:
			return err
		case g.ReviewDue.IsZero():
			return fmt.Errorf("%w: %s has reviewed it", ErrState, g.Reviewed)
		case same(g.Name, r.By):
			return custody.ErrSamePerson
		}
		late := a.now().After(g.ReviewDue)
		if _, err := tx.Exec(`UPDATE people_glass SET review_due = 0, reviewed_by = ? WHERE id = ?`, r.By, id); err != nil {
			return err
		}
		g.ReviewDue, g.Reviewed = time.Time{}, r.By
		return a.journal.Append(tx, "person.glass_reviewed", map[string]any{"by": r.By, "reason": r.Reason, "id": id, "person": g.Name, "role": g.Role, "late": late})
	})
	return g, err
}

// Overdue are the roles that were taken and that nobody has looked at in time.
func (a *Accounts) Overdue(ctx context.Context) (all []Glass, err error) {
	err = a.db.View(ctx, func(tx *store.Tx) error {
		all, err = glasses(tx, `WHERE review_due > 0 AND review_due < ? ORDER BY review_due`, a.now().UnixMicro())
		return err
	})
	return all, err
}
