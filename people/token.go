package people

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cordon/custody"
	"cordon/store"
)

// TokenPrefix begins every API token, so that a token in the wrong place is known
// for one.
const TokenPrefix = "cordon_"

// MaxToken is the longest that an API token lasts.
const MaxToken = 366 * 24 * time.Hour

// maxTokens is how many one person may have.
const maxTokens = 50

// APIToken is one of somebody's, by which programs ask in their name.
type APIToken struct {
	ID      string       `json:"id"`
	Label   string       `json:"label"`
	Scopes  []Permission `json:"scopes"`
	Created time.Time    `json:"created"`
	Expires time.Time    `json:"expires"`
	Used    time.Time    `json:"used,omitzero"` // to the hour
}

// MakeToken makes a token for whoever is signed in, and returns its secret, which is
// nowhere else. Its scopes are permissions that they have.
func (a *Accounts) MakeToken(ctx context.Context, id Identity, label string, scopes []Permission, term time.Duration) (t APIToken, secret string, err error) {
	label = strings.Join(strings.Fields(label), " ")
	switch {
	case id.Account == "" || id.Session == "":
		return t, "", fmt.Errorf("%w: a token is made by who is signed in, not by a token", ErrRequest)
	case label == "" || len(label) > 100:
		return t, "", fmt.Errorf("%w: what is the token for? a label of at most 100 bytes is needed", ErrRequest)
	case len(scopes) == 0:
		return t, "", fmt.Errorf("%w: what may it do? at least one scope is needed, such as %s", ErrRequest, MetricsRead)
	case term <= 0 || term > MaxToken:
		return t, "", fmt.Errorf("%w: how long does it last? 1 to 366 days", ErrRequest)
	}
	now := a.now()
	t = APIToken{ID: newID(), Label: label, Created: now.UTC(), Expires: now.Add(term).UTC()}
	secret = TokenPrefix + newSecret()
	err = a.db.Update(ctx, func(tx *store.Tx) error {
		v, err := byID(tx, id.Account)
		if err != nil {
			return err
		}
		own := Identity{Name: v.Name, Roles: v.Roles} // not those of an emergency
		for _, p := range scopes {
			if p == PeopleChange || p == SignedIn || p == Anybody || !own.May(p) {
				return fmt.Errorf("%w: %.40q cannot be a token's: your roles do not have it, or it is for people alone", ErrRequest, p)
			}
		}
		t.Scopes = slices.Compact(slices.Sorted(slices.Values(scopes)))
		var n int
		if err := tx.QueryRow(`SELECT COUNT(*) FROM people_token WHERE account = ?`, v.ID).Scan(&n); err != nil {
			return err
		} else if n >= maxTokens {
			return fmt.Errorf("%w: you have %d tokens: end some first", ErrState, n)
		}
		_, err = tx.Exec(`INSERT INTO people_token (hash, id, account, label, scopes, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			digest(secret), t.ID, v.ID, t.Label, asJSON(t.Scopes), t.Created.UnixMicro(), t.Expires.UnixMicro())
		if err != nil {
			return err
		}
		return a.journal.Append(tx, "person.token", map[string]any{"by": v.Name, "id": t.ID, "label": t.Label, "scopes": t.Scopes, "until": t.Expires.Format(time.RFC3339)})
	})
	return t, secret, err
}

// Token is who a token's secret belongs to.
func (a *Accounts) Token(ctx context.Context, secret string) (id Identity, err error) {
	var scopes string
	var expires, used int64
	now := a.now()
	err = a.db.View(ctx, func(tx *store.Tx) error {
		err := tx.QueryRow(`SELECT account, scopes, expires_at, used_at FROM people_token WHERE hash = ?`, digest(secret)).Scan(&id.Account, &scopes, &expires, &used)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("%w: the token is not known, or was ended", ErrDenied)
		}
		if err != nil {
			return err
		}
		v, err := byID(tx, id.Account)
		if err == nil && v.State != Active {
			err = fmt.Errorf("%w: the token's owner is disabled", ErrDenied)
		}
		id.Name, id.Roles, id.Products, id.How = v.Name, v.Roles, v.Products, Token
		return err
	})
	if err == nil && now.UnixMicro() >= expires {
		err = fmt.Errorf("%w: the token has expired: make another one", ErrDenied)
	}
	if err == nil {
		id.Scopes = []Permission{}
		err = json.Unmarshal([]byte(scopes), &id.Scopes)
	}
	if err != nil {
		return Identity{}, err
	}
	id.Until = fromMicros(expires)
	if now.Sub(time.UnixMicro(used)) > time.Hour {
		a.db.Later(func(tx *store.Tx) error {
			_, err := tx.Exec(`UPDATE people_token SET used_at = ? WHERE hash = ?`, now.UnixMicro(), digest(secret))
			return err
		}, func(error) {}) // it is for people to look at
	}
	return id, nil
}

// Tokens are somebody's, the last made first.
func (a *Accounts) Tokens(ctx context.Context, account string) (all []APIToken, err error) {
	all = []APIToken{}
	err = a.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT id, label, scopes, created_at, expires_at, used_at FROM people_token WHERE account = ? ORDER BY created_at DESC`, account)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var t APIToken
			var scopes string
			var created, expires, used int64
			if err := rows.Scan(&t.ID, &t.Label, &scopes, &created, &expires, &used); err != nil {
				return err
			}
			if err := json.Unmarshal([]byte(scopes), &t.Scopes); err != nil {
				return err
			}
			t.Created, t.Expires, t.Used = fromMicros(created), fromMicros(expires), fromMicros(used)
			all = append(all, t)
		}
		return rows.Err()
	})
	return all, err
}

// EndToken ends one of somebody's tokens, for whoever asks.
func (a *Accounts) EndToken(ctx context.Context, name, id string, r custody.Request) error {
	return a.take(ctx, name, r, "person.token_ended", `DELETE FROM people_token WHERE account = ? AND id = ?`, id)
}
