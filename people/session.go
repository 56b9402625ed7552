package people

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cordon/custody"
	"cordon/store"
)

// Session is somebody's, signed in.
type Session struct {
	ID       string    `json:"id"`
	How      How       `json:"how"`
	Created  time.Time `json:"created"`
	Used     time.Time `json:"used"`
	SignedIn time.Time `json:"signed_in"` // last proved who they are
	Address  string    `json:"address"`
	Agent    string    `json:"agent"`
}

// From where somebody signs in.
type Origin struct {
	Address string // of the connection; "" at the control socket
	Agent   string // the browser, as it calls itself
	Browser string // the secret of a browser in which somebody has signed in before
}

// Grant of a session: its secret, and that by which the browser is known again.
type Entry struct {
	Secret  string
	Browser string // for the person's browser to keep for half a year
	Account Account
}

// maxSessions is how many one person may have at a time; the least used ends.
const maxSessions = 20

// maxAgent bounds what is kept of a browser's name.
const maxAgent = 200

// enter makes a session for somebody who proved at a time who they are, and records
// that they signed in.
func (a *Accounts) enter(tx *store.Tx, v Account, how How, at time.Time, o Origin) (Entry, error) {
	now := a.now()
	e := Entry{Secret: newSecret(), Account: v}
	_, err := tx.Exec(`INSERT INTO people_session (hash, id, account, how, created_at, used_at, signed_in_at, address, agent) VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7, ?8)`,
		digest(e.Secret), newID(), v.ID, string(how), now.UnixMicro(), toMicros(at), o.Address, clip(o.Agent, maxAgent))
	if err != nil {
		return e, err
	}
	_, err = tx.Exec(`DELETE FROM people_session WHERE account = ?1 AND hash NOT IN (SELECT hash FROM people_session WHERE account = ?1 ORDER BY used_at DESC LIMIT ?2)`, v.ID, maxSessions)
	if err != nil {
		return e, err
	}
	if e.Browser, err = a.meet(tx, v, o.Browser); err != nil {
		return e, err
	}
	if _, err := tx.Exec(`UPDATE people_account SET signed_in_at = ? WHERE id = ?`, now.UnixMicro(), v.ID); err != nil {
		return e, err
	}
	return e, a.journal.Append(tx, "person.signed_in", map[string]any{"by": v.Name, "how": how, "address": o.Address})
}

// Session is who a session's secret belongs to. Quiet requests, such as those that
// a page makes by itself, do not keep it from ending.
func (a *Accounts) Session(ctx context.Context, secret string, quiet bool) (Identity, error) {
	var id Identity
	var used, created, signedIn int64
	now := a.now()
	err := a.db.View(ctx, func(tx *store.Tx) error {
		err := tx.QueryRow(`SELECT account, id, how, created_at, used_at, signed_in_at FROM people_session WHERE hash = ?`, digest(secret)).
			Scan(&id.Account, &id.Session, &id.How, &created, &used, &signedIn)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrDenied
		}
		if err != nil {
			return err
		}
		v, err := byID(tx, id.Account)
		if err != nil {
			return err
		}
		if v.State != Active {
			return ErrDenied
		}
		id.Name, id.Roles, id.Products = v.Name, v.Roles, v.Products
		extra, err := a.glassOf(tx, v.ID, now)
		id.Roles = append(slices.Clone(id.Roles), extra...)
		return err
	})
	if err != nil {
		return Identity{}, err
	}
	id.SignedIn = fromMicros(signedIn)
	id.Until = earlier(fromMicros(used).Add(a.options.Idle), fromMicros(created).Add(a.options.Absolute))
	if !now.Before(id.Until) {
		return Identity{}, fmt.Errorf("%w: the session has ended", ErrDenied)
	}
	if !quiet && now.Sub(fromMicros(used)) > a.options.Idle/15 {
		a.db.Later(func(tx *store.Tx) error {
			_, err := tx.Exec(`UPDATE people_session SET used_at = ? WHERE hash = ?`, now.UnixMicro(), digest(secret))
			return err
		}, func(error) {}) // it ends sooner than it should, then
	}
	return id, nil
}

// Leave ends a session.
func (a *Accounts) Leave(ctx context.Context, id Identity) error {
	return a.db.Update(ctx, func(tx *store.Tx) error {
		if err := remove(tx, `DELETE FROM people_session WHERE id = ? AND account = ?`, id.Session, id.Account); err != nil {
			return err
		}
		return a.journal.Append(tx, "person.signed_out", map[string]any{"by": id.Name, "how": id.How})
	})
}

// Sessions are somebody's, the last used first.
func (a *Accounts) Sessions(ctx context.Context, account string) (all []Session, err error) {
	now := a.now()
	all = []Session{}
	err = a.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT id, how, created_at, used_at, signed_in_at, address, agent FROM people_session
			WHERE account = ? AND used_at > ? AND created_at > ? ORDER BY used_at DESC`, account, now.Add(-a.options.Idle).UnixMicro(), now.Add(-a.options.Absolute).UnixMicro())
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var s Session
			var created, used, signedIn int64
			if err := rows.Scan(&s.ID, &s.How, &created, &used, &signedIn, &s.Address, &s.Agent); err != nil {
				return err
			}
			s.Created, s.Used, s.SignedIn = fromMicros(created), fromMicros(used), fromMicros(signedIn)
			all = append(all, s)
		}
		return rows.Err()
	})
	return all, err
}

// EndSession ends one of somebody's sessions, for whoever asks.
func (a *Accounts) EndSession(ctx context.Context, name, id string, r custody.Request) error {
	return a.take(ctx, name, r, "person.session_ended", `DELETE FROM people_session WHERE account = ? AND id = ?`, id)
}

// take removes a row of somebody's, with its record.
func (a *Accounts) take(ctx context.Context, name string, r custody.Request, kind, statement, id string) error {
	r, err := r.Check()
	if err != nil {
		return err
	}
	return a.db.Update(ctx, func(tx *store.Tx) error {
		v, err := byName(tx, name)
		if err != nil {
			return err
		}
		if err := remove(tx, statement, v.ID, id); err != nil {
			return err
		}
		return a.journal.Append(tx, kind, map[string]any{"by": r.By, "reason": r.Reason, "person": v.Name, "id": id})
	})
}

// remove deletes just one row.
func remove(tx *store.Tx, statement string, args ...any) error {
	result, err := tx.Exec(statement, args...)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errors.Join(err, fmt.Errorf("%w: it is gone already", ErrNotFound))
	}
	return nil
}

// again says that somebody has proved again who they are, and gives the session a
// new secret.
func (a *Accounts) again(tx *store.Tx, id Identity, how How, at time.Time) (Entry, error) {
	e := Entry{Secret: newSecret()}
	v, err := byID(tx, id.Account)
	if err != nil {
		return e, err
	}
	e.Account = v
	result, err := tx.Exec(`UPDATE people_session SET hash = ?, signed_in_at = ?, used_at = ? WHERE id = ? AND account = ?`, digest(e.Secret), toMicros(at), a.now().UnixMicro(), id.Session, id.Account)
	if err != nil {
		return e, err
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return e, errors.Join(err, ErrDenied)
	}
	return e, a.journal.Append(tx, "person.signed_in", map[string]any{"by": v.Name, "how": how, "again": true})
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "")
}
