// Package review looks back over what happened, regularly: the activity review
// that the HIPAA Security Rule asks for (45 CFR 164.308(a)(1)(ii)(D)).
//
// Ordinary use:
//
//	r, err := review.Open(review.Config{Owner: "A. Able", Days: 7}, review.Parts{DB: db, Ledger: ledger, Log: log})
//	go r.Run(ctx)                                       // makes each review when its period is over
//	all, err := r.List(ctx)                             // the latest first
//	one, err := r.Sign(ctx, id, custody.Request{By: "A. Able", Reason: "the new CT; known"})
//
// What is unusual is what the rules say (rules.go): data that people can read, and
// from which docs/review.md is made. A review is computed from the ledger alone,
// so the same ledger makes the same review. It reads the ledger as a stream, in
// memory that depends on how many devices there are, within bounds, and not on
// how much happened.
//
// The life of a review: its period ends; Run makes it, a row and a record on the
// ledger in one transaction. Periods follow one another by the numbers of the
// records, without a gap, so that every record belongs to exactly one, however
// the clock went. It waits for a person, who signs it with a note, once. One that
// is not signed before the next is made is overdue, until it is signed. Reviews
// that were due while Cordon was not running are made at the next start.
//
// It will not judge people: it says where to look.
package review

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"cordon/custody"
	"cordon/ledger"
	"cordon/store"
)

var (
	// ErrNotFound means that there is no review of that id.
	ErrNotFound = errors.New("no such review")
	// ErrState means that the review has been signed.
	ErrState = errors.New("not possible now")
	// ErrOwn means that the review names whoever would sign it.
	ErrOwn = errors.New("nobody signs what they did themselves")
)

// Config is what a site chooses.
type Config struct {
	Days  int            // length of a period, in days; 7 if 0
	Every func() int     // the same, asked for each period; nil: Days
	Owner string         // who is to sign; "" if nobody is named
	Zone  *time.Location // where days begin and hours are counted; UTC if nil
}

// Parts are what Reviews work with; all are required.
type Parts struct {
	DB     *store.DB
	Ledger *ledger.Ledger
	Log    *slog.Logger
}

// Content is what a review says. It depends on the ledger and its bounds alone.
type Content struct {
	From    time.Time `json:"from"` // of the period
	To      time.Time `json:"to"`
	First   int64     `json:"first_record"` // by its number on the ledger
	End     int64     `json:"end_record"`   // excluded
	Compare int       `json:"compared_with"`
	Items   []Item    `json:"items"`
	Devices []Device  `json:"devices"`
	People  []Person  `json:"people"`
}

// Review is one review.
type Review struct {
	ID     string    `json:"id"`
	MadeAt time.Time `json:"made_at"`
	Due    time.Time `json:"due"`
	Owner  string    `json:"owner,omitempty"` // who is to sign now
	// Unusual is how many items there are; List gives their number alone.
	Unusual int `json:"unusual"`
	Content
	SHA256   string    `json:"sha256"` // of the content, as on the ledger
	SignedBy string    `json:"signed_by,omitempty"`
	SignedAt time.Time `json:"signed_at,omitzero"`
	Note     string    `json:"note,omitempty"`
}

// Overdue reports whether it should have been signed by now.
func (r Review) Overdue(now time.Time) bool { return r.SignedAt.IsZero() && now.After(r.Due) }

// Of are the items that name a person. Names are compared as those of two people
// who decide are.
func (r Review) Of(name string) (out []Item) {
	for _, i := range r.Items {
		if i.About == "person" && custody.FoldName(i.Name) == custody.FoldName(name) {
			out = append(out, i)
		}
	}
	return out
}

// Reviews are those of one data directory. The methods may be called from any
// goroutine.
type Reviews struct {
	config Config
	parts  Parts

	making sync.Mutex // held while reviews are made
	mu     sync.Mutex
	err    error // why the next one cannot be made
}

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes this package's table.
func Migrations() store.Migrations { return store.Embedded("review", migrations) }

// New returns the reviews of a data directory.
func New(c Config, p Parts) *Reviews {
	if c.Days == 0 {
		c.Days = 7
	}
	if c.Zone == nil {
		c.Zone = time.UTC
	}
	return &Reviews{config: c, parts: p}
}

// days is how long the next period is.
func (r *Reviews) days() int {
	if r.config.Every == nil {
		return r.config.Days
	}
	return r.config.Every()
}

// Status is how things stand with reviews.
type Status struct {
	Waiting int       `json:"waiting"` // for a signature
	Overdue int       `json:"overdue"` // of these
	Oldest  string    `json:"oldest,omitempty"`
	Owner   string    `json:"owner,omitempty"`
	Next    time.Time `json:"next,omitzero"` // when the next is made
	Error   string    `json:"error,omitempty"`
}

// lateMaking is how long after the end of its period a review may be made.
const lateMaking = 24 * time.Hour

// Status counts what waits. A review that could not be made is overdue too, and so
// is one that will not be made for long, since the clock was ahead once.
func (r *Reviews) Status(ctx context.Context, now time.Time) (Status, error) {
	s := Status{Owner: r.config.Owner}
	err := r.parts.DB.View(ctx, func(tx *store.Tx) error {
		err := tx.QueryRow(`SELECT COUNT(*), COUNT(CASE WHEN due_at < ? THEN 1 END), COALESCE(MIN(id), '') FROM review WHERE signed_at = 0`, now.UnixMicro()).
			Scan(&s.Waiting, &s.Overdue, &s.Oldest)
		if err != nil {
			return err
		}
		p, err := r.next(tx)
		s.Next = p.to
		return err
	})
	if err != nil {
		return s, fmt.Errorf("reading reviews: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !s.Next.IsZero() && now.Sub(s.Next) > lateMaking {
		s.Overdue++
		s.Error = "it was not made in time"
	}
	if s.Next.After(now.AddDate(0, 0, 2*r.days())) {
		s.Overdue++
		s.Error = "the clock was ahead when the last one was made: nothing is reviewed until " + s.Next.Format(time.DateOnly) + "; look at the ledger yourself"
	}
	if r.err != nil {
		s.Error = r.err.Error()
	}
	return s, nil
}

// List returns all reviews, the latest first, without what they say: Get has
// that.
func (r *Reviews) List(ctx context.Context) (all []Review, err error) {
	err = r.parts.DB.View(ctx, func(tx *store.Tx) error {
		all, err = query(tx, outline, `ORDER BY ends_at DESC`)
		return err
	})
	for i := range all {
		all[i].Owner = r.config.Owner
	}
	return all, err
}

// Get returns a review, or ErrNotFound.
func (r *Reviews) Get(ctx context.Context, id string) (one Review, err error) {
	err = r.parts.DB.View(ctx, func(tx *store.Tx) error {
		one, err = get(tx, id)
		return err
	})
	one.Owner = r.config.Owner
	return one, err
}

// Sign records that a person has looked at a review, and what they say of it. It
// is signed once, and by nobody whom one of its items names.
func (r *Reviews) Sign(ctx context.Context, id string, rq custody.Request) (one Review, err error) {
	if rq, err = rq.Check(); err != nil {
		return one, err
	}
	now := time.Now()
	err = r.parts.DB.Update(ctx, func(tx *store.Tx) error {
		if one, err = get(tx, id); err != nil {
			return err
		}
		if !one.SignedAt.IsZero() {
			return fmt.Errorf("%w: review %s was signed by %s", ErrState, id, one.SignedBy)
		}
		if own := one.Of(rq.By); len(own) > 0 {
			return fmt.Errorf("%w: review %s says: %s Another person signs it", ErrOwn, id, own[0].Says)
		}
		_, err := tx.Exec(`UPDATE review SET signed_by = ?, signed_at = ?, note = ? WHERE id = ?`, rq.By, now.UnixMicro(), rq.Reason, id)
		if err != nil {
			return err
		}
		return r.parts.Ledger.Append(tx, "review.signed", map[string]any{
			"id": id, "by": rq.By, "reason": rq.Reason, "late": one.Overdue(now), "sha256": one.SHA256,
			"first_record": one.First, "end_record": one.End,
		})
	})
	if err != nil {
		return Review{}, err
	}
	return r.Get(ctx, id)
}

// marshal writes a content in its one form.
func (c Content) marshal() ([]byte, error) { return json.Marshal(c) }
