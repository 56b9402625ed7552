package people

import (
	"context"
	"errors"
	"fmt"

	"cordon/custody"
	"cordon/store"
)

// errWrong says no more to somebody who guesses than that it was wrong.
var errWrong = fmt.Errorf("%w: the name or the password is wrong", ErrDenied)

// SignIn makes a session for who knows a password. An error that matches ErrDenied
// is the same for everything that was wrong; a *Wait says when to try again.
func (a *Accounts) SignIn(ctx context.Context, name, password string, o Origin) (e Entry, err error) {
	v, err := a.prove(ctx, name, password, o)
	if err != nil {
		return e, err
	}
	err = a.db.Update(ctx, func(tx *store.Tx) error {
		if v, err = byID(tx, v.ID); err == nil && v.State != Active {
			err = errWrong
		}
		if err != nil {
			return err
		}
		e, err = a.enter(tx, v, Password, a.now(), o)
		return err
	})
	return e, err
}

// Again says that who is signed in knows the password, now. The session has a new
// secret then.
func (a *Accounts) Again(ctx context.Context, id Identity, password string, o Origin) (e Entry, err error) {
	if _, err := a.prove(ctx, id.Name, password, o); err != nil {
		return e, err
	}
	err = a.db.Update(ctx, func(tx *store.Tx) error {
		e, err = a.again(tx, id, Password, a.now())
		return err
	})
	return e, err
}

// prove tries a password. How long it takes does not tell whether there is such a
// name.
func (a *Accounts) prove(ctx context.Context, name, password string, o Origin) (v Account, err error) {
	if len(password) > maxPassword || len(name) > maxPassword {
		return v, errWrong
	}
	hash := a.dummy
	err = a.db.View(ctx, func(tx *store.Tx) error {
		v, err = byName(tx, name)
		if err == nil && v.State == Active && v.hash != "" {
			hash = v.hash
		}
		return err
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		return v, err
	}
	known, err := a.knows(ctx, v, o.Browser)
	if err != nil {
		return v, err
	}
	keys := delayKeys(custody.FoldName(name), o, known)
	if err := a.delays.take(a.now(), keys); err != nil {
		return v, err
	}
	var good bool
	var cost Cost
	err = a.hasher.do(ctx, func() error {
		good, cost, err = fits(password, hash)
		return err
	})
	if err != nil {
		return v, err
	}
	if !good || hash == a.dummy {
		a.delays.wrong(a.now(), keys)
		a.failed.add(v.Name, o.Address)
		return v, errWrong
	}
	a.delays.right(keys)
	a.renewHash(ctx, v, cost, password)
	return v, nil
}

// renewHash makes the hash of a password anew that cost less than it does now. If it
// cannot be, the old one stays.
func (a *Accounts) renewHash(ctx context.Context, v Account, was Cost, password string) {
	if was == a.options.Cost {
		return
	}
	var hash string
	err := a.hasher.do(ctx, func() (err error) {
		hash, err = a.options.Cost.hash(password)
		return err
	})
	if err != nil {
		return
	}
	a.db.Later(func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE people_account SET password = ? WHERE id = ? AND password = ?`, hash, v.ID, v.hash)
		return err
	}, func(error) {})
}

// SetPassword gives whoever is signed in another password, or their first. Other
// sessions end; this one has a new secret.
func (a *Accounts) SetPassword(ctx context.Context, id Identity, password string) (e Entry, err error) {
	hash, err := a.makeHash(ctx, id.Name, password)
	if err != nil {
		return e, err
	}
	err = a.db.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(`UPDATE people_account SET password = ? WHERE id = ?`, hash, id.Account); err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM people_session WHERE account = ? AND id <> ?`, id.Account, id.Session); err != nil {
			return err
		}
		if err := a.journal.Append(tx, "person.password", map[string]any{"by": id.Name}); err != nil {
			return err
		}
		e, err = a.again(tx, id, Password, a.now())
		return err
	})
	return e, err
}
