package people

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"cordon/custody"
	"cordon/store"
)

// Key is a passkey: a public key whose private half never leaves its owner's
// device. What it is, package people/passkey knows.
type Key struct {
	ID         []byte    `json:"id"`
	Account    string    `json:"-"`
	Label      string    `json:"label"`
	Credential []byte    `json:"-"` // JSON
	Created    time.Time `json:"created"`
	Used       time.Time `json:"used,omitzero"`
}

// Ref names it in addresses.
func (k Key) Ref() string { return base64.RawURLEncoding.EncodeToString(k.ID) }

// maxKeys is how many one person may have.
const maxKeys = 20

// keep writes a new passkey down.
func (a *Accounts) keep(tx *store.Tx, k Key) error {
	label := strings.Join(strings.Fields(k.Label), " ")
	if label == "" || len(label) > 100 {
		return fmt.Errorf("%w: what is the passkey called? a label of at most 100 bytes is needed", ErrRequest)
	}
	var n int
	if err := tx.QueryRow(`SELECT COUNT(*) FROM people_passkey WHERE account = ?`, k.Account).Scan(&n); err != nil {
		return err
	} else if n >= maxKeys {
		return fmt.Errorf("%w: you have %d passkeys: remove some first", ErrState, n)
	}
	result, err := tx.Exec(`INSERT OR IGNORE INTO people_passkey (id, account, label, credential, created_at) VALUES (?, ?, ?, ?, ?)`,
		k.ID, k.Account, label, string(k.Credential), a.now().UnixMicro())
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errors.Join(err, fmt.Errorf("%w: this passkey is known already", ErrState))
	}
	return nil
}

// AddKey gives whoever is signed in another passkey.
func (a *Accounts) AddKey(ctx context.Context, id Identity, k Key) error {
	k.Account = id.Account
	return a.db.Update(ctx, func(tx *store.Tx) error {
		if err := a.keep(tx, k); err != nil {
			return err
		}
		return a.journal.Append(tx, "person.passkey", map[string]any{"by": id.Name, "label": k.Label})
	})
}

// RemoveKey takes one of the passkeys of whoever is signed in away.
func (a *Accounts) RemoveKey(ctx context.Context, id Identity, key []byte, r custody.Request) error {
	r, err := r.Check()
	if err != nil {
		return err
	}
	return a.db.Update(ctx, func(tx *store.Tx) error {
		v, err := byID(tx, id.Account)
		if err != nil {
			return err
		}
		if !v.Password && v.Passkeys == 1 && v.Issuer == "" {
			return fmt.Errorf("%w: it is all that you sign in with: make another passkey or a password first", ErrState)
		}
		if err := remove(tx, `DELETE FROM people_passkey WHERE account = ? AND id = ?`, id.Account, key); err != nil {
			return err
		}
		return a.journal.Append(tx, "person.passkey_removed", map[string]any{"by": id.Name, "reason": r.Reason})
	})
}

// Keys are the passkeys of an account.
func (a *Accounts) Keys(ctx context.Context, account string) (all []Key, err error) {
	all = []Key{}
	err = a.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT id, label, credential, created_at, used_at FROM people_passkey WHERE account = ? ORDER BY created_at`, account)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			k := Key{Account: account}
			var created, used int64
			var credential string
			if err := rows.Scan(&k.ID, &k.Label, &credential, &created, &used); err != nil {
				return err
			}
			k.Credential, k.Created, k.Used = []byte(credential), fromMicros(created), fromMicros(used)
			all = append(all, k)
		}
		return rows.Err()
	})
	return all, err
}

// ByKey is the account that a passkey belongs to.
func (a *Accounts) ByKey(ctx context.Context, key []byte) (v Account, err error) {
	err = a.db.View(ctx, func(tx *store.Tx) error {
		err := tx.QueryRow(`SELECT account FROM people_passkey WHERE id = ?`, key).Scan(&v.ID)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("%w: the passkey is not known here", ErrDenied)
		}
		if err == nil {
			v, err = byID(tx, v.ID)
		}
		return err
	})
	return v, err
}

// EnterByKey makes a session for whoever has shown a passkey, whose counter has
// moved on; or, if id is signed in already, says that they have done so again.
func (a *Accounts) EnterByKey(ctx context.Context, id Identity, k Key, o Origin) (e Entry, err error) {
	err = a.db.Update(ctx, func(tx *store.Tx) error {
		v, err := byID(tx, k.Account)
		if err == nil && (v.State != Active || id.Account != "" && id.Account != v.ID) {
			err = fmt.Errorf("%w: the passkey is another's, or the account is disabled", ErrDenied)
		}
		if err != nil {
			return err
		}
		result, err := tx.Exec(`UPDATE people_passkey SET credential = ?, used_at = ? WHERE id = ? AND account = ?`, string(k.Credential), a.now().UnixMicro(), k.ID, k.Account)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n != 1 {
			return errors.Join(err, ErrDenied)
		}
		if id.Account != "" {
			e, err = a.again(tx, id, Passkey, a.now())
			return err
		}
		e, err = a.enter(tx, v, Passkey, a.now(), o)
		return err
	})
	return e, err
}
