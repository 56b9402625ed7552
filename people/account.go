package people

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"cordon/custody"
	"cordon/store"
)

var (
	// ErrNotFound means that there is no account, session, token or link of that name.
	ErrNotFound = errors.New("no such person")
	// ErrRequest means that a request lacks something, or asks for what cannot be.
	ErrRequest = errors.New("request is not complete")
	// ErrState means that it is not possible now.
	ErrState = errors.New("not possible now")
	// ErrDenied means that somebody is not who they say, or nobody says so any more.
	ErrDenied = errors.New("not signed in")
	// ErrRole means that somebody's roles do not include it.
	ErrRole = errors.New("not with these roles")
)

// State says where an account is in its life.
type State string

const (
	Invited  State = "invited"  // has a link, and has not used it
	Active   State = "active"   //
	Disabled State = "disabled" // may not sign in; what was decided under the name stays
)

// Account is somebody who may sign in.
type Account struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	State    State     `json:"state"`
	Roles    []Role    `json:"roles"`
	Products []string  `json:"products,omitempty"` // of a vendor
	Issuer   string    `json:"issuer,omitempty"`   // signs in there, by OpenID Connect
	Created  time.Time `json:"created"`
	By       string    `json:"by"` // who made it
	SignedIn time.Time `json:"signed_in,omitzero"`
	Password bool      `json:"password"` // has one
	Passkeys int       `json:"passkeys"`

	subject string
	hash    string // of the password
}

// Options are how Accounts are to be.
type Options struct {
	Idle     time.Duration // a session nobody uses ends; 0: DefaultIdle
	Absolute time.Duration // so does every session; 0: DefaultAbsolute
	Cost     Cost          // of a password; zero: DefaultCost
	Notice   func(Notice)  // of what should be loud; may be nil; must not block
}

// The limits of sessions, where nobody says otherwise.
const (
	DefaultIdle     = 15 * time.Minute
	DefaultAbsolute = 12 * time.Hour
)

// Notice is something that others should hear of at once.
type Notice struct {
	Kind    string // of an alarm, such as "people.break_glass"
	Subject string // whom it is about
	Text    string // a sentence
}

// Accounts are everybody's of one data directory. The methods may be called from
// any goroutine.
type Accounts struct {
	db      *store.DB
	journal custody.Journal
	options Options
	now     func() time.Time
	exist   atomic.Bool
	hasher  *hasher
	delays  *delays
	failed  *failures
	dummy   string // a hash that no password fits, so that unknown names take as long
}

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes this package's tables.
func Migrations() store.Migrations { return store.Embedded("people", migrations) }

// Open reads whether there are accounts. Run then keeps house.
func Open(ctx context.Context, db *store.DB, j custody.Journal, o Options) (*Accounts, error) {
	if o.Idle == 0 {
		o.Idle = DefaultIdle
	}
	if o.Absolute == 0 {
		o.Absolute = DefaultAbsolute
	}
	if o.Cost == (Cost{}) {
		o.Cost = DefaultCost
	}
	a := &Accounts{db: db, journal: j, options: o, now: time.Now, hasher: newHasher(), delays: newDelays(), failed: newFailures()}
	var n int
	err := db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT COUNT(*) FROM (SELECT 1 FROM people_account WHERE state <> 'invited' LIMIT 1)`).Scan(&n)
	})
	if err == nil {
		a.exist.Store(n > 0)
		a.dummy, err = o.Cost.hash(newSecret())
	}
	if err != nil {
		return nil, fmt.Errorf("opening accounts: %w", err)
	}
	return a, nil
}

// Exist reports whether anybody has an account, and so must sign in.
func (a *Accounts) Exist() bool { return a != nil && a.exist.Load() }

func (a *Accounts) notice(n Notice) {
	if a.options.Notice != nil {
		a.options.Notice(n)
	}
}

const accountColumns = `id, name, state, roles, products, password, issuer, subject, created_at, created_by, signed_in_at,
	(SELECT COUNT(*) FROM people_passkey WHERE people_passkey.account = people_account.id)`

func scanAccount(row interface{ Scan(...any) error }) (v Account, err error) {
	var roles, products string
	var created, signedIn int64
	err = row.Scan(&v.ID, &v.Name, &v.State, &roles, &products, &v.hash, &v.Issuer, &v.subject, &created, &v.By, &signedIn, &v.Passkeys)
	if errors.Is(err, sql.ErrNoRows) {
		return v, ErrNotFound
	}
	if err == nil {
		err = errors.Join(json.Unmarshal([]byte(roles), &v.Roles), json.Unmarshal([]byte(products), &v.Products))
	}
	v.Created, v.SignedIn, v.Password = fromMicros(created), fromMicros(signedIn), v.hash != ""
	return v, err
}

// byName finds an account by a name as people type it.
func byName(tx *store.Tx, name string) (Account, error) {
	v, err := scanAccount(tx.QueryRow(`SELECT `+accountColumns+` FROM people_account WHERE folded = ?`, custody.FoldName(name)))
	if errors.Is(err, ErrNotFound) {
		return v, fmt.Errorf("%w: nobody is called %.80q; cordon person list shows all", ErrNotFound, name)
	}
	return v, err
}

func byID(tx *store.Tx, id string) (Account, error) {
	return scanAccount(tx.QueryRow(`SELECT `+accountColumns+` FROM people_account WHERE id = ?`, id))
}

// Get is the account of a name.
func (a *Accounts) Get(ctx context.Context, name string) (v Account, err error) {
	err = a.db.View(ctx, func(tx *store.Tx) error {
		v, err = byName(tx, name)
		return err
	})
	return v, err
}

// List is everybody, by name.
func (a *Accounts) List(ctx context.Context) (all []Account, err error) {
	err = a.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT `+accountColumns+` FROM people_account ORDER BY folded LIMIT ?`, maxAccounts)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			v, err := scanAccount(rows)
			if err != nil {
				return err
			}
			all = append(all, v)
		}
		return rows.Err()
	})
	return all, err
}

// maxAccounts bounds how many there may be.
const maxAccounts = 5000

// Change is what becomes of somebody's roles.
type Change struct {
	Roles    []Role
	Products []string // of a vendor: "VENDOR" or "VENDOR/MODEL"
}

func (c Change) check() error {
	if len(c.Roles) == 0 {
		return fmt.Errorf("%w: which role? write one of %s", ErrRequest, roleNames())
	}
	for _, r := range c.Roles {
		if !r.known() {
			return fmt.Errorf("%w: no role %.40q; write one of %s", ErrRequest, r, roleNames())
		}
	}
	vendor := slices.Contains(c.Roles, Vendor)
	switch {
	case vendor && len(c.Roles) > 1:
		return fmt.Errorf("%w: a vendor has no other role: it would see more than its own products", ErrRequest)
	case vendor && len(c.Products) == 0:
		return fmt.Errorf("%w: whose products? a vendor needs at least one, as VENDOR or VENDOR/MODEL of the register of devices", ErrRequest)
	case !vendor && len(c.Products) > 0:
		return fmt.Errorf("%w: products are of the role %s alone", ErrRequest, Vendor)
	case len(c.Products) > 100 || slices.ContainsFunc(c.Products, func(p string) bool { return strings.TrimSpace(p) == "" || len(p) > 200 }):
		return fmt.Errorf("%w: at most 100 products, of at most 200 bytes each", ErrRequest)
	}
	return nil
}

// insert makes an account in the caller's transaction.
func (a *Accounts) insert(tx *store.Tx, v Account) error {
	folded := custody.FoldName(v.Name)
	var other string
	err := tx.QueryRow(`SELECT name FROM people_account WHERE folded = ?`, folded).Scan(&other)
	if err == nil {
		return fmt.Errorf("%w: %q is too like %q, who has an account: choose another name, such as one with a middle initial", ErrState, v.Name, other)
	} else if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	var n int
	if err := tx.QueryRow(`SELECT COUNT(*) FROM people_account`).Scan(&n); err != nil {
		return err
	} else if n >= maxAccounts {
		return fmt.Errorf("%w: there are %d accounts, and no more can be made", ErrState, n)
	}
	_, err = tx.Exec(`INSERT INTO people_account (id, name, folded, state, roles, products, password, issuer, subject, created_at, created_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		v.ID, v.Name, folded, string(v.State), asJSON(v.Roles), asJSON(v.Products), v.hash, v.Issuer, v.subject, v.Created.UnixMicro(), v.By)
	return err
}

// Roles gives somebody other roles. Their sessions go on with the new ones under a
// new secret: see Renew.
func (a *Accounts) Roles(ctx context.Context, name string, c Change, r custody.Request) (v Account, err error) {
	if r, err = r.Check(); err != nil {
		return v, err
	}
	if err = c.check(); err != nil {
		return v, err
	}
	err = a.db.Update(ctx, func(tx *store.Tx) error {
		if v, err = byName(tx, name); err != nil {
			return err
		}
		if slices.Contains(v.Roles, Administrator) && !slices.Contains(c.Roles, Administrator) {
			if err := another(tx, v); err != nil {
				return err
			}
		}
		was := v.Roles
		v.Roles, v.Products = c.Roles, c.Products
		if _, err := tx.Exec(`UPDATE people_account SET roles = ?, products = ? WHERE id = ?`, asJSON(v.Roles), asJSON(v.Products), v.ID); err != nil {
			return err
		}
		if err := endSessions(tx, v.ID); err != nil { // whoever had them signs in again, with the new roles
			return err
		}
		return a.journal.Append(tx, "person.roles", map[string]any{"by": r.By, "reason": r.Reason, "person": v.Name, "roles": v.Roles, "was": was, "products": v.Products})
	})
	return v, err
}

// another is an error unless there is an active administrator beside v.
func another(tx *store.Tx, v Account) error {
	var n int
	err := tx.QueryRow(`SELECT COUNT(*) FROM people_account, json_each(people_account.roles) WHERE state = 'active' AND json_each.value = ? AND people_account.id <> ?`, string(Administrator), v.ID).Scan(&n)
	if err == nil && n == 0 && v.State == Active {
		return fmt.Errorf("%w: %q is the only administrator: make another one first", ErrState, v.Name)
	}
	return err
}

// Disable ends somebody's access: sessions and tokens too. Enable undoes it, except
// for these.
func (a *Accounts) Disable(ctx context.Context, name string, r custody.Request) (Account, error) {
	return a.turn(ctx, name, r, "person.disabled", func(tx *store.Tx, v *Account) error {
		if v.State == Disabled {
			return fmt.Errorf("%w: %q is disabled already", ErrState, v.Name)
		}
		if slices.Contains(v.Roles, Administrator) {
			if err := another(tx, *v); err != nil {
				return err
			}
		}
		v.State = Disabled
		return forget(tx, v.ID)
	})
}

// Enable lets somebody who was disabled sign in again.
func (a *Accounts) Enable(ctx context.Context, name string, r custody.Request) (Account, error) {
	return a.turn(ctx, name, r, "person.enabled", func(_ *store.Tx, v *Account) error {
		if v.State != Disabled {
			return fmt.Errorf("%w: %q is not disabled", ErrState, v.Name)
		}
		v.State = Active
		return nil
	})
}

// turn changes the state of an account, with its record.
func (a *Accounts) turn(ctx context.Context, name string, r custody.Request, kind string, change func(*store.Tx, *Account) error) (v Account, err error) {
	if r, err = r.Check(); err != nil {
		return v, err
	}
	err = a.db.Update(ctx, func(tx *store.Tx) error {
		if v, err = byName(tx, name); err != nil {
			return err
		}
		if err := change(tx, &v); err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE people_account SET state = ? WHERE id = ?`, string(v.State), v.ID); err != nil {
			return err
		}
		return a.journal.Append(tx, kind, map[string]any{"by": r.By, "reason": r.Reason, "person": v.Name, "roles": v.Roles})
	})
	return v, err
}

// forget ends all by which somebody is let in without saying who they are, or by a
// secret that another may have.
func forget(tx *store.Tx, id string) error {
	for _, table := range []string{"people_session", "people_token", "people_browser", "people_link"} {
		if _, err := tx.Exec(`DELETE FROM `+table+` WHERE account = ?`, id); err != nil {
			return err
		}
	}
	return nil
}

func endSessions(tx *store.Tx, id string) error {
	_, err := tx.Exec(`DELETE FROM people_session WHERE account = ?`, id)
	return err
}

func asJSON[T any](list []T) string {
	if list == nil {
		list = []T{}
	}
	text, _ := json.Marshal(list) // of strings
	return string(text)
}

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

func toMicros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}
