// Package setting is what people may change while Cordon runs: what becomes of
// what is found, how long engines are waited for, when to be reminded.
//
// Ordinary use:
//
//	s, err := setting.Open(ctx, setting.Config{Declared: declared}, setting.Parts{DB: db, Journal: ledger, Search: index})
//	rules := s.Now().Rules                                            // for each object; asks no disk
//	p, err := s.Preview(ctx, []setting.Change{{Key: "policy.suspicious", Now: "deliver"}})
//	c, err := s.Apply(ctx, p.Digest, custody.Request{By: "A. Able", Reason: "…"})
//	c, err = s.Revert(ctx, c.ID, custody.Request{By: "A. Able", Reason: "…"})
//
// The life of a change: somebody asks what it would have changed in the last seven
// days, and is shown that. With the digest of what was shown, and a reason, it is
// applied: durable, and on the ledger, before the next object is judged by it. If
// the settings were changed in between, or something came in that the preview did
// not speak of, nothing is applied and there is another preview to look at. A
// change that lets something through which was kept back (Weakens) waits for a
// second person, who sees the same, for a day. Revert puts back what was.
//
// A key that the configuration file sets is the file's: nobody sets it here. Which
// keys there are is a table (keys.go). There is none that delivers what is
// malicious: for that there is the bypass, which ends by itself.
//
// It will not judge anything, and it knows no HTTP.
package setting

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"cordon/custody"
	"cordon/ledger/search"
	"cordon/policy"
	"cordon/store"
)

var (
	// ErrNotFound means that there is no such key, or no such change.
	ErrNotFound = errors.New("no such setting")
	// ErrDeclared means that the configuration file sets the key.
	ErrDeclared = errors.New("declared in the configuration, which decides: change it there")
	// ErrState means that something has happened since, or the change is done.
	ErrState = errors.New("not possible now")
	// ErrSecond means that the second person has to be another.
	ErrSecond = errors.New("a second person must decide")
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes this package's tables.
func Migrations() store.Migrations { return store.Embedded("setting", migrations) }

// Config is what is known at the start.
type Config struct {
	Declared map[string]string // what the configuration file sets, by key, as it is written here
}

// Parts are what Settings work with; all are required.
type Parts struct {
	DB      *store.DB
	Journal custody.Journal
	Search  *search.Index // of the ledger, for previews
}

// Values are the settings that are in effect.
type Values struct {
	Rules        policy.Rules
	PixelData    bool          // engines see uncompressed pixel data as well
	Deadline     time.Duration // for engines, after an object's last byte
	SignatureAge time.Duration // from which signatures are an alarm
	ReviewEvery  int           // days
}

// Settings are those of one data directory. The methods may be called from any
// goroutine.
type Settings struct {
	config Config
	parts  Parts
	now    atomic.Pointer[Values]

	mu       sync.Mutex
	previews []Preview // that may be applied, the oldest first
}

// Open reads what people have set. What is declared must be one of the values of
// its key.
func Open(ctx context.Context, c Config, p Parts) (*Settings, error) {
	s := &Settings{config: c, parts: p}
	for key, value := range c.Declared {
		k, ok := find(key)
		if !ok {
			return nil, fmt.Errorf("opening settings: %w: %.80q", ErrNotFound, key)
		}
		if _, err := k.parse(value); err != nil {
			return nil, fmt.Errorf("opening settings: %w", err)
		}
	}
	if err := s.refresh(ctx); err != nil {
		return nil, fmt.Errorf("opening settings: %w", err)
	}
	return s, nil
}

// Now returns what is in effect.
func (s *Settings) Now() Values { return *s.now.Load() }

// refresh makes what is in the database take effect.
func (s *Settings) refresh(ctx context.Context) error {
	return s.parts.DB.View(ctx, func(tx *store.Tx) error {
		all, err := s.texts(tx)
		if err != nil {
			return err
		}
		v, err := values(all)
		if err == nil {
			s.now.Store(&v)
		}
		return err
	})
}

// texts are the values of all keys, by key, as text.
func (s *Settings) texts(tx *store.Tx) (map[string]string, error) {
	set, err := rows(tx)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, k := range keys {
		out[k.Key] = k.Default
		if row, ok := set[k.Key]; ok {
			out[k.Key] = row.value
		}
		if declared, ok := s.config.Declared[k.Key]; ok {
			out[k.Key] = declared
		}
	}
	return out, nil
}

// Source says where a value comes from.
type Source string

const (
	Delivered Source = "default"       // nobody has set it
	Declared  Source = "configuration" // the file, which decides
	Set       Source = "people"        // here
)

// Setting is one key with its value.
type Setting struct {
	Kind
	Value  string `json:"value"`
	Source Source `json:"source"`
	Change int64  `json:"change,omitempty"` // that set it; 0: nobody did
	Unused string `json:"unused,omitempty"` // what people set, while the configuration decides
}

// List returns all settings, in the order of the table.
func (s *Settings) List(ctx context.Context) (out []Setting, err error) {
	err = s.parts.DB.View(ctx, func(tx *store.Tx) error {
		set, err := rows(tx)
		for _, k := range keys {
			one := Setting{Kind: k, Value: k.Default, Source: Delivered}
			row, isSet := set[k.Key]
			if isSet {
				one.Value, one.Source, one.Change = row.value, Set, row.change
			}
			if declared, ok := s.config.Declared[k.Key]; ok {
				one.Value, one.Source, one.Change, one.Unused = declared, Declared, 0, row.value
			}
			out = append(out, one)
		}
		return err
	})
	return out, err
}

type row struct {
	value  string
	change int64
}

// rows are what people have set, by key. A key that this version does not know
// stays, and has no effect.
func rows(tx *store.Tx) (map[string]row, error) {
	found, err := tx.Query(`SELECT key, value, change FROM setting`)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	out := map[string]row{}
	for found.Next() {
		var key string
		var r row
		if err := found.Scan(&key, &r.value, &r.change); err != nil {
			return nil, err
		}
		out[key] = r
	}
	return out, found.Err()
}
