package people

import (
	"context"
	"time"

	"cordon/store"
)

// BrowserTerm is how long a browser in which somebody signed in is known.
const BrowserTerm = 180 * 24 * time.Hour

// maxBrowsers is how many one person has.
const maxBrowsers = 10

// meet makes a browser one in which somebody signed in before.
func (a *Accounts) meet(tx *store.Tx, v Account, had string) (secret string, err error) {
	now := a.now().UnixMicro()
	result, err := tx.Exec(`UPDATE people_browser SET used_at = ? WHERE hash = ? AND account = ?`, now, digest(had), v.ID)
	if err != nil {
		return "", err
	}
	if n, err := result.RowsAffected(); err != nil || n == 1 {
		return had, err
	}
	secret = newSecret()
	if _, err = tx.Exec(`INSERT INTO people_browser (hash, account, used_at) VALUES (?, ?, ?)`, digest(secret), v.ID, now); err != nil {
		return "", err
	}
	_, err = tx.Exec(`DELETE FROM people_browser WHERE account = ?1 AND hash NOT IN (SELECT hash FROM people_browser WHERE account = ?1 ORDER BY used_at DESC LIMIT ?2)`, v.ID, maxBrowsers)
	return secret, err
}

// knows reports whether somebody has signed in in a browser before.
func (a *Accounts) knows(ctx context.Context, v Account, secret string) (known bool, err error) {
	if v.ID == "" || secret == "" {
		return false, nil
	}
	err = a.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT COUNT(*) FROM people_browser WHERE hash = ? AND account = ? AND used_at > ?`,
			digest(secret), v.ID, a.now().Add(-BrowserTerm).UnixMicro()).Scan(&known)
	})
	return known, err
}
