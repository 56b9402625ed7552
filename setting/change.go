package setting

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"cordon/custody"
	"cordon/store"
)

// Change is one key and what it becomes.
type Change struct {
	Key string `json:"key"`
	Was string `json:"was,omitempty"` // filled in by Preview
	Now string `json:"now"`
}

// State says how far an Act has come.
type State string

const (
	Waiting   State = "waiting" // for a second person
	Applied   State = "applied"
	Withdrawn State = "withdrawn" // by a person, or after a day
)

// waitingFor is how long a change waits for a second person.
const waitingFor = 24 * time.Hour

// Act is a change of some settings, by whom and why.
type Act struct {
	ID        int64     `json:"id"`
	State     State     `json:"state"`
	Changes   []Change  `json:"changes"`
	Preview   Summary   `json:"preview"`
	Reverts   int64     `json:"reverts,omitempty"`   // the act that it undoes
	UndoneBy  int64     `json:"undone_by,omitempty"` // the last act that undid it
	By        string    `json:"by"`
	Reason    string    `json:"reason"`
	At        time.Time `json:"at"`
	Second    string    `json:"second,omitempty"` // the second person, where one was needed
	SecondWhy string    `json:"second_why,omitempty"`
	AppliedAt time.Time `json:"applied_at,omitzero"`
	More      int64     `json:"more,omitempty"` // objects that came after the preview and are of the kinds that it spoke of; in Apply's answer
}

// Expired reports whether a change has waited too long for a second person.
func (a Act) Expired(now time.Time) bool {
	return a.State == Waiting && now.After(a.At.Add(waitingFor))
}

// check fills in what the changes change, and says what is wrong with them.
func (s *Settings) check(tx *store.Tx, changes []Change) ([]Change, error) {
	now, err := s.texts(tx)
	if err != nil {
		return nil, err
	}
	var out []Change
	for _, c := range changes {
		k, ok := find(c.Key)
		if !ok {
			return nil, fmt.Errorf("%w: %.80q; cordon setting list shows them", ErrNotFound, c.Key)
		}
		if _, ok := s.config.Declared[c.Key]; ok {
			return nil, fmt.Errorf("%s is %w", c.Key, ErrDeclared)
		}
		value, err := k.parse(c.Now)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(out, func(o Change) bool { return o.Key == c.Key }) {
			return nil, fmt.Errorf("%w: %s is named twice", custody.ErrRequest, c.Key)
		}
		if value != now[c.Key] {
			out = append(out, Change{c.Key, now[c.Key], value})
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: nothing would be different from what is set now", custody.ErrRequest)
	}
	return out, nil
}

// weakens reports whether the changes need two people.
func weakens(changes []Change) bool {
	return slices.ContainsFunc(changes, func(c Change) bool {
		k, _ := find(c.Key)
		return k.weakens(c.Was, c.Now)
	})
}

// put writes an act and what follows from it, and journals it.
func (s *Settings) put(tx *store.Tx, a Act) (Act, error) {
	changes, err := json.Marshal(a.Changes)
	if err != nil {
		return a, err
	}
	preview, err := json.Marshal(a.Preview)
	if err != nil {
		return a, err
	}
	if a.ID == 0 {
		err = tx.QueryRow(`INSERT INTO setting_change (state, changes, preview, reverts, asked_by, reason, asked_at) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id`,
			string(a.State), string(changes), string(preview), a.Reverts, a.By, a.Reason, a.At.UnixMicro()).Scan(&a.ID)
		if err != nil {
			return a, err
		}
	}
	body := map[string]any{"id": a.ID, "by": []string{a.By}, "reason": a.Reason, "changes": a.Changes, "preview": a.Preview}
	if a.Reverts != 0 {
		body["reverts"] = a.Reverts
	}
	if a.State == Waiting {
		return a, s.parts.Journal.Append(tx, "setting.asked", body)
	}
	if a.Second != "" {
		body["by"], body["second_reason"] = []string{a.By, a.Second}, a.SecondWhy
	}
	_, err = tx.Exec(`UPDATE setting_change SET state = 'applied', second_by = ?, second_why = ?, applied_at = ? WHERE id = ?`,
		a.Second, a.SecondWhy, a.AppliedAt.UnixMicro(), a.ID)
	for _, c := range a.Changes {
		if err != nil {
			return a, err
		}
		_, err = tx.Exec(`INSERT INTO setting (key, value, change) VALUES (?1, ?2, ?3) ON CONFLICT (key) DO UPDATE SET value = ?2, change = ?3`, c.Key, c.Now, a.ID)
	}
	if err != nil {
		return a, err
	}
	return a, s.parts.Journal.Append(tx, "setting.changed", body)
}

// take writes an act, and makes what was applied take effect. A caller that goes
// away in between changes nothing about that.
func (s *Settings) take(ctx context.Context, make func(tx *store.Tx) (Act, error)) (a Act, err error) {
	ctx = context.WithoutCancel(ctx)
	err = s.parts.DB.Update(ctx, func(tx *store.Tx) error {
		if a, err = make(tx); err != nil {
			return err
		}
		a, err = s.put(tx, a)
		return err
	})
	if err != nil {
		return Act{}, err
	}
	if err := s.refresh(ctx); err != nil {
		return a, fmt.Errorf("recorded, but the settings cannot be read, and take effect at the next start: %w", err)
	}
	return a, nil
}

// Revert puts back what was before an act, unless it was set to something else
// since. What weakens waits for a second person here too.
func (s *Settings) Revert(ctx context.Context, id int64, rq custody.Request) (Act, error) {
	rq, err := rq.Check()
	if err != nil {
		return Act{}, err
	}
	return s.take(ctx, func(tx *store.Tx) (a Act, err error) {
		was, err := act(tx, id)
		if err != nil {
			return a, err
		}
		if was.State != Applied {
			return a, fmt.Errorf("%w: change %d was never applied", ErrState, id)
		}
		var back []Change
		for _, c := range was.Changes {
			back = append(back, Change{Key: c.Key, Now: c.Was})
		}
		if back, err = s.check(tx, back); err != nil {
			return a, fmt.Errorf("%w: undoing change %d: %w", ErrState, id, err)
		}
		for i, c := range back {
			if at := slices.IndexFunc(was.Changes, func(o Change) bool { return o.Key == c.Key }); was.Changes[at].Now != back[i].Was {
				return a, fmt.Errorf("%w: %s was changed again since, to %s: undo that first", ErrState, c.Key, c.Was)
			}
		}
		a = Act{State: Applied, Changes: back, Reverts: id, By: rq.By, Reason: rq.Reason, At: time.Now().UTC()}
		return s.second(tx, a, rq)
	})
}

// second decides whether an act is applied now. One that weakens waits for a second
// person, unless it is what another has asked for already.
func (s *Settings) second(tx *store.Tx, a Act, rq custody.Request) (Act, error) {
	a.AppliedAt = a.At
	if !weakens(a.Changes) {
		return a, nil
	}
	waiting, err := acts(tx, `WHERE state = 'waiting' ORDER BY id DESC`)
	if err != nil {
		return a, err
	}
	for _, w := range waiting {
		if w.Expired(a.At) || !slices.Equal(w.Changes, a.Changes) {
			continue
		}
		if custody.FoldName(w.By) == custody.FoldName(rq.By) {
			return a, fmt.Errorf("%w: %s has asked for this already", ErrSecond, w.By)
		}
		w.State, w.Second, w.SecondWhy, w.AppliedAt, w.Preview = Applied, rq.By, rq.Reason, a.At, a.Preview
		return w, nil
	}
	a.State, a.AppliedAt = Waiting, time.Time{}
	return a, nil
}

// Withdraw ends a change that waits for a second person. Anybody who may change
// settings may do so.
func (s *Settings) Withdraw(ctx context.Context, id int64, rq custody.Request) (a Act, err error) {
	if rq, err = rq.Check(); err != nil {
		return a, err
	}
	err = s.parts.DB.Update(ctx, func(tx *store.Tx) error {
		if a, err = act(tx, id); err != nil {
			return err
		}
		if a.State != Waiting {
			return fmt.Errorf("%w: change %d does not wait for anybody", ErrState, id)
		}
		a.State = Withdrawn
		if _, err := tx.Exec(`UPDATE setting_change SET state = 'withdrawn' WHERE id = ?`, id); err != nil {
			return err
		}
		return s.parts.Journal.Append(tx, "setting.withdrawn", map[string]any{"id": id, "by": []string{rq.By}, "reason": rq.Reason, "changes": a.Changes})
	})
	return a, err
}

// History returns the last acts, the newest first.
func (s *Settings) History(ctx context.Context, most int) (out []Act, err error) {
	err = s.parts.DB.View(ctx, func(tx *store.Tx) error {
		out, err = acts(tx, `ORDER BY id DESC LIMIT ?`, most)
		return err
	})
	return out, err
}

func act(tx *store.Tx, id int64) (Act, error) {
	all, err := acts(tx, `WHERE id = ?`, id)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("%w: no change %d", ErrNotFound, id)
	}
	if err != nil {
		return Act{}, err
	}
	return all[0], nil
}

func acts(tx *store.Tx, rest string, args ...any) (out []Act, err error) {
	found, err := tx.Query(`SELECT id, state, changes, preview, reverts, asked_by, reason, asked_at, second_by, second_why, applied_at,
		(SELECT COALESCE(MAX(u.id), 0) FROM setting_change u WHERE u.reverts = c.id AND u.state = 'applied') FROM setting_change c `+rest, args...)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	for found.Next() {
		a, err := scanAct(found)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, found.Err()
}

func scanAct(found *sql.Rows) (a Act, err error) {
	var changes, preview []byte
	var at, applied int64
	if err := found.Scan(&a.ID, &a.State, &changes, &preview, &a.Reverts, &a.By, &a.Reason, &at, &a.Second, &a.SecondWhy, &applied, &a.UndoneBy); err != nil {
		return a, err
	}
	a.At = time.UnixMicro(at).UTC()
	if applied != 0 {
		a.AppliedAt = time.UnixMicro(applied).UTC()
	}
	return a, errors.Join(json.Unmarshal(changes, &a.Changes), json.Unmarshal(preview, &a.Preview))
}

// generation is the last act that was applied.
func generation(tx *store.Tx) (id int64, err error) {
	err = tx.QueryRow(`SELECT COALESCE(MAX(change), 0) FROM setting`).Scan(&id)
	return id, err
}
