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

// A link of one use is how somebody comes to a password or a passkey: nobody else
// ever knows it. What the address of a page ends with is its secret.

// Purpose is what a link is for.
type Purpose string

const (
	Setup   Purpose = "setup"   // the first administrator
	Invite  Purpose = "invite"  // somebody new
	Recover Purpose = "recover" // somebody who cannot sign in any more
)

// How long links are good for.
const (
	SetupTerm   = 24 * time.Hour
	InviteTerm  = 72 * time.Hour
	RecoverTerm = time.Hour
)

// Link is one that was made.
type Link struct {
	Purpose Purpose   `json:"purpose"`
	Name    string    `json:"name,omitempty"`
	Account string    `json:"-"` // the account's id; of setup, the one that it will have
	Secret  string    `json:"secret"`
	Expires time.Time `json:"expires"`
}

// link makes one in the place of those for the same.
func (a *Accounts) link(tx *store.Tx, p Purpose, v Account, term time.Duration) (Link, error) {
	l := Link{Purpose: p, Name: v.Name, Secret: newSecret(), Expires: a.now().Add(term).UTC()}
	if _, err := tx.Exec(`DELETE FROM people_link WHERE account = ?`, v.ID); err != nil {
		return l, err
	}
	_, err := tx.Exec(`INSERT INTO people_link (hash, purpose, account, expires_at) VALUES (?, ?, ?, ?)`, digest(l.Secret), string(p), v.ID, l.Expires.UnixMicro())
	return l, err
}

// SetupLink makes the link for the first administrator. It is an error that matches
// ErrState once anybody has an account.
func (a *Accounts) SetupLink(ctx context.Context) (l Link, err error) {
	err = a.db.Update(ctx, func(tx *store.Tx) error {
		if a.exist.Load() {
			return fmt.Errorf("%w: there are accounts", ErrState)
		}
		if l, err = a.link(tx, Setup, Account{}, SetupTerm); err != nil {
			return err
		}
		return a.journal.Append(tx, "person.setup_link", map[string]any{"until": l.Expires.Format(time.RFC3339)})
	})
	return l, err
}

// Invite makes an account for somebody, and the link by which they take it.
func (a *Accounts) Invite(ctx context.Context, name string, c Change, r custody.Request) (v Account, l Link, err error) {
	if r, err = r.Check(); err != nil {
		return v, l, err
	}
	if err = c.check(); err != nil {
		return v, l, err
	}
	if name, err = CleanName(name); err != nil {
		return v, l, err
	}
	v = Account{ID: newID(), Name: name, State: Invited, Roles: c.Roles, Products: c.Products, Created: a.now().UTC(), By: r.By}
	err = a.db.Update(ctx, func(tx *store.Tx) error {
		if err := a.insert(tx, v); err != nil {
			return err
		}
		if l, err = a.link(tx, Invite, v, InviteTerm); err != nil {
			return err
		}
		return a.journal.Append(tx, "person.invited", map[string]any{"by": r.By, "reason": r.Reason, "person": v.Name, "roles": v.Roles, "products": v.Products, "until": l.Expires.Format(time.RFC3339)})
	})
	return v, l, err
}

// Recover makes a link for somebody who cannot sign in any more, or whose link has
// expired. Used, it ends everything by which they were let in before.
func (a *Accounts) Recover(ctx context.Context, name string, r custody.Request) (l Link, err error) {
	if r, err = r.Check(); err != nil {
		return l, err
	}
	err = a.db.Update(ctx, func(tx *store.Tx) error {
		v, err := byName(tx, name)
		if err != nil {
			return err
		}
		if v.State == Disabled {
			return fmt.Errorf("%w: %q is disabled: enable the account first", ErrState, v.Name)
		}
		if l, err = a.link(tx, Recover, v, RecoverTerm); err != nil {
			return err
		}
		tx.OnCommit(func() {
			a.notice(Notice{"people.recovered", v.Name, fmt.Sprintf("a link was made by which whoever has it becomes %s, for an hour", v.Name)})
		})
		return a.journal.Append(tx, "person.recovery", map[string]any{"by": r.By, "reason": r.Reason, "person": v.Name, "until": l.Expires.Format(time.RFC3339)})
	})
	return l, err
}

// Linked is what a link is for, if it is good.
func (a *Accounts) Linked(ctx context.Context, secret string) (l Link, err error) {
	err = a.db.View(ctx, func(tx *store.Tx) error {
		l, _, err = a.linked(tx, secret)
		return err
	})
	return l, err
}

func (a *Accounts) linked(tx *store.Tx, secret string) (l Link, v Account, err error) {
	var expires int64
	err = tx.QueryRow(`SELECT purpose, account, expires_at FROM people_link WHERE hash = ?`, digest(secret)).Scan(&l.Purpose, &v.ID, &expires)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return l, v, err
	}
	if err != nil || a.now().UnixMicro() >= expires || l.Purpose == Setup && a.exist.Load() {
		return l, v, fmt.Errorf("%w: the link was used, or has expired: ask an administrator for another one (cordon person recover NAME)", ErrDenied)
	}
	if l.Purpose != Setup {
		if v, err = byID(tx, v.ID); err == nil && v.State == Disabled {
			err = fmt.Errorf("%w: the account is disabled", ErrDenied)
		}
	}
	if l.Purpose == Setup {
		v.ID = newID()
	}
	l.Name, l.Account, l.Secret, l.Expires = v.Name, v.ID, secret, fromMicros(expires)
	return l, v, err
}

// Proof is by what somebody wants to be known from now on: a password or a passkey.
type Proof struct {
	Password string
	Key      *Key
}

// Join uses a link up: whoever has it chooses a password, or a passkey, and is
// signed in. name counts for the first administrator alone, whose account it makes.
func (a *Accounts) Join(ctx context.Context, secret, name string, proof Proof, o Origin) (e Entry, err error) {
	l, err := a.Linked(ctx, secret)
	if err != nil {
		return e, err
	}
	if l.Purpose != Setup {
		name = l.Name
	} else if name, err = CleanName(name); err != nil {
		return e, err
	}
	var hash string
	if proof.Key == nil {
		if hash, err = a.makeHash(ctx, name, proof.Password); err != nil {
			return e, err
		}
	}
	err = a.db.Update(ctx, func(tx *store.Tx) error {
		l, v, err := a.linked(tx, secret) // another may have been quicker
		if err != nil {
			return err
		}
		if l.Purpose == Setup {
			v = Account{ID: newID(), Name: name, State: Active, Roles: []Role{Administrator}, Created: a.now().UTC(), By: "setup"}
			if proof.Key != nil {
				v.ID = proof.Key.Account
			}
			if err := a.insert(tx, v); err != nil {
				return err
			}
		}
		e, err = a.join(tx, l.Purpose, v, hash, proof.Key, o)
		return err
	})
	if err == nil {
		a.exist.Store(true)
	}
	return e, err
}

func (a *Accounts) join(tx *store.Tx, p Purpose, v Account, hash string, key *Key, o Origin) (Entry, error) {
	if err := forget(tx, v.ID); err != nil { // the link as well
		return Entry{}, err
	}
	if _, err := tx.Exec(`DELETE FROM people_link WHERE purpose = 'setup'`); err != nil {
		return Entry{}, err
	}
	if _, err := tx.Exec(`DELETE FROM people_passkey WHERE account = ?`, v.ID); err != nil {
		return Entry{}, err
	}
	how := Password
	if key != nil {
		how = Passkey
		if key.Account != v.ID {
			return Entry{}, fmt.Errorf("%w: the passkey is of another account", ErrDenied)
		}
		if err := a.keep(tx, *key); err != nil {
			return Entry{}, err
		}
	}
	v.State = Active
	if _, err := tx.Exec(`UPDATE people_account SET state = 'active', password = ? WHERE id = ?`, hash, v.ID); err != nil {
		return Entry{}, err
	}
	err := a.journal.Append(tx, "person.joined", map[string]any{"by": v.Name, "how": how, "link": p, "roles": v.Roles, "address": o.Address})
	if err != nil {
		return Entry{}, err
	}
	return a.enter(tx, v, how, a.now(), o)
}

// CleanName is a person's name as it is kept.
func CleanName(name string) (string, error) {
	r, err := custody.Request{By: name, Reason: "-"}.Check()
	if err != nil {
		return "", fmt.Errorf("%w: a name with a letter or digit in it is needed, of at most 200 bytes: decisions are recorded under it", ErrRequest)
	}
	return r.By, nil
}
