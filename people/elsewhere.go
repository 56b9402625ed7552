package people

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"cordon/custody"
	"cordon/store"
)

// Elsewhere is somebody whom an issuer of OpenID Connect vouches for.
type Elsewhere struct {
	Issuer, Subject string
	Name            string // as the issuer has it
	Roles           []Role // that the groups there have here; none: no access
	Products        []string
	At              time.Time // they last proved who they are there; zero: not known, and long ago
}

// EnterFrom makes a session for somebody who signed in elsewhere, and the first time
// an account; or, if id is signed in, says that they have done so again. Roles
// are those of now: an account from elsewhere has none of its own. The name is that
// of the first time, so that nobody becomes another by changing it there.
func (a *Accounts) EnterFrom(ctx context.Context, id Identity, w Elsewhere, o Origin) (e Entry, err error) {
	if len(w.Roles) == 0 {
		a.failed.add("", o.Address)
		return e, fmt.Errorf("%w: none of your groups has a role here: ask for one, or have the group added to console.oidc.groups", ErrDenied)
	}
	name, err := CleanName(w.Name)
	if err != nil {
		return e, fmt.Errorf("%w (the issuer says no name)", err)
	}
	err = a.db.Update(ctx, func(tx *store.Tx) error {
		v, err := scanAccount(tx.QueryRow(`SELECT `+accountColumns+` FROM people_account WHERE issuer = ? AND subject = ?`, w.Issuer, w.Subject))
		switch {
		case errors.Is(err, ErrNotFound):
			v, err = a.settle(tx, name, w)
		case err == nil && v.State != Active:
			err = fmt.Errorf("%w: the account is disabled here", ErrDenied)
		case err == nil && (!slices.Equal(v.Roles, w.Roles) || !slices.Equal(v.Products, w.Products)):
			err = a.moved(tx, &v, w)
		}
		if err != nil {
			return err
		}
		if id.Account != "" && id.Account != v.ID {
			return fmt.Errorf("%w: somebody else is signed in here, and that was %q: sign out first", ErrDenied, v.Name)
		}
		if id.Account != "" {
			e, err = a.again(tx, id, OIDC, w.At)
		}
		if id.Account == "" || errors.Is(err, ErrDenied) { // the session has ended meanwhile
			e, err = a.enter(tx, v, OIDC, w.At, o)
		}
		return err
	})
	return e, err
}

// settle makes an account for somebody from elsewhere.
func (a *Accounts) settle(tx *store.Tx, name string, w Elsewhere) (Account, error) {
	if !a.exist.Load() {
		return Account{}, fmt.Errorf("%w: the first account is made by the set-up link", ErrDenied)
	}
	v := Account{ID: newID(), Name: name, State: Active, Roles: w.Roles, Products: w.Products, Issuer: w.Issuer, subject: w.Subject, Created: a.now().UTC(), By: w.Issuer}
	if err := a.insert(tx, v); err != nil {
		return v, err
	}
	return v, a.journal.Append(tx, "person.joined", map[string]any{"by": v.Name, "how": OIDC, "issuer": w.Issuer, "roles": v.Roles})
}

// moved gives somebody the roles that their groups have now.
func (a *Accounts) moved(tx *store.Tx, v *Account, w Elsewhere) error {
	was := v.Roles
	v.Roles, v.Products = w.Roles, w.Products
	if _, err := tx.Exec(`UPDATE people_account SET roles = ?, products = ? WHERE id = ?`, asJSON(v.Roles), asJSON(v.Products), v.ID); err != nil {
		return err
	}
	return a.journal.Append(tx, "person.roles", map[string]any{"by": w.Issuer, "reason": "groups", "person": v.Name, "roles": v.Roles, "was": was, "products": v.Products})
}

// same reports whether two names are one person's.
func same(a, b string) bool { return custody.FoldName(a) == custody.FoldName(b) }
