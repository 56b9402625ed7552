// Package engines is the console's view of the outside scanners: which answer, how
// old their signatures are, what they were asked and what they left unscanned, and
// what was delivered before it was found harmful.
//
//	all = append(all, engines.Routes(engines.Parts{States: states, Search: index, Settings: s, …})...)
//
// A scanner that has silently fallen behind looks exactly like one that works:
// that is what this page is for. It shows no patient.
package engines

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"cordon/console/answer"
	"cordon/console/route"
	"cordon/console/view"
	"cordon/engine"
	"cordon/judge"
	"cordon/ledger"
	"cordon/ledger/search"
	"cordon/people"
	"cordon/setting"
)

// Parts are what the routes work on; all are required.
type Parts struct {
	States   func(context.Context) []engine.State // of every engine of the configuration
	Asked    func() []judge.Asked                 // since the start
	Rescan   func(context.Context) (Rescan, error)
	Recalls  func(context.Context) ([]Recall, error) // that nobody has acknowledged, the oldest first
	Recalled func(ctx context.Context, id, by, reason string) error
	Search   *search.Index
	Settings *setting.Settings
	Hashes   string // the file or folder of the hash list; "" if there is none
	View     *view.View
}

// Engine is one scanner.
type Engine struct {
	Name         string      `json:"name"`
	Up           bool        `json:"up"`
	Error        string      `json:"error,omitempty"`
	Warning      string      `json:"warning,omitempty"` // what its operator should change
	Signatures   string      `json:"signatures,omitempty"`
	SignaturesAt time.Time   `json:"signatures_at,omitzero"` // zero if the engine does not say
	Old          bool        `json:"old"`                    // older than they may be
	Asked        judge.Asked `json:"asked"`
	UpShare      float64     `json:"up_share"` // of the time that it was watched, in the last 30 days
	Watched      float64     `json:"watched_hours"`
	Outages      []Outage    `json:"outages"` // of the last 30 days, the latest first
	Changes      []Change    `json:"signature_changes"`
}

// Outage is a while in which an engine did not answer.
type Outage struct {
	From  time.Time `json:"from"`
	Until time.Time `json:"until,omitzero"` // zero: it lasts
}

// Change is when an engine's signatures became others.
type Change struct {
	At         time.Time `json:"at"`
	Signatures string    `json:"signatures"`
}

// Health is the answer to "do the scanners work?".
type Health struct {
	Engines   []Engine  `json:"engines"`
	Limit     float64   `json:"signature_limit_hours"` // from which age signatures are an alarm
	Unscanned string    `json:"unscanned"`             // what becomes of what is not scanned: deliver or hold
	Hashes    string    `json:"hashes,omitempty"`
	Rescan    Rescan    `json:"rescan"`
	Since     time.Time `json:"since"` // of the history
}

// Rescan is how much was delivered unscanned or under a bypass.
type Rescan struct {
	Waiting        int   `json:"waiting"` // to be judged again
	WaitingBytes   int64 `json:"waiting_bytes"`
	Recalls        int   `json:"recalls"`         // found harmful, and nobody has acknowledged that
	NotRescannable int   `json:"not_rescannable"` // and will stay so
}

// Recall is an object that was delivered and then found harmful.
type Recall struct {
	ID       string
	FoundAt  time.Time
	Received time.Time
	Device   string
	Archive  string
	Study    string // its UID
	Instance string
	Reason   string
	VaultID  string // of the evidence
}

// Routes are the routes of the engines.
func Routes(p Parts) []route.Route {
	return append(pageRoutes(p), []route.Route{
		{Method: "GET", Pattern: "/api/v1/engines", May: people.EngineRead, Handler: p.list, Doc: route.Doc{
			Summary: "The outside scanners: state, signatures, history, and what was left unscanned", Response: Health{}}},
	}...)
}

func (p Parts) list(w http.ResponseWriter, r *http.Request) {
	h, err := p.health(r.Context(), time.Now())
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, h)
}

// history is how far back outages are shown.
const history = 30 * 24 * time.Hour

// health puts together what is known of the engines.
func (p Parts) health(ctx context.Context, now time.Time) (h Health, err error) {
	v := p.Settings.Now()
	h = Health{Limit: v.SignatureAge.Hours(), Unscanned: v.Rules.Unscanned.String(), Hashes: p.Hashes, Since: now.Add(-history).UTC(), Engines: []Engine{}}
	if h.Rescan, err = p.Rescan(ctx); err != nil {
		return h, err
	}
	past, err := p.past(ctx, h.Since, now)
	if err != nil {
		return h, fmt.Errorf("reading the engines' history: %w", err)
	}
	asked := map[string]judge.Asked{}
	for _, a := range p.Asked() {
		asked[a.Engine] = a
	}
	for _, s := range p.States(ctx) {
		e := Engine{Name: s.Name, Up: s.Up, Error: s.Error, Warning: s.Warning, Signatures: s.Signatures, SignaturesAt: s.SignaturesAt, Asked: asked[s.Name]}
		e.Old = !s.SignaturesAt.IsZero() && now.Sub(s.SignaturesAt) > v.SignatureAge
		past.of(s.Name).fill(&e)
		h.Engines = append(h.Engines, e)
	}
	return h, nil
}

// past is what the ledger says of the engines, by name.
type past map[string]*story

// story is one engine's.
type story struct {
	known   bool // between here and the last record, whether it is up is known
	up      bool
	since   time.Time
	upFor   time.Duration
	of      time.Duration
	outages []Outage
	changes []Change
	last    string // signatures
}

func (p past) of(name string) *story {
	s := p[name]
	if s == nil {
		s = &story{}
		p[name] = s
	}
	return s
}

// past reads the history from one time to another. While Cordon did not run nothing
// is known.
func (p Parts) past(ctx context.Context, from, now time.Time) (past, error) {
	all := past{}
	q := search.Query{Kinds: []string{"engine.state", "ledger.start", "ledger.stop"}, From: from, To: now}
	err := p.Search.Each(ctx, q, func(r ledger.Record) error {
		if r.Kind != "engine.state" {
			for _, s := range all {
				s.forget(r.Time)
			}
			return nil
		}
		var b struct {
			Engine, Signatures string
			Up                 bool
		}
		if json.Unmarshal(r.Body, &b) == nil {
			all.of(b.Engine).set(b.Up, b.Signatures, r.Time)
		}
		return nil
	})
	for _, s := range all {
		s.count(now)
	}
	return all, err
}

// set notes the state from now on.
func (s *story) set(up bool, signatures string, at time.Time) {
	s.count(at)
	if !up && (!s.known || s.up) {
		s.outages = append(s.outages, Outage{From: at})
	}
	if up {
		s.end(at)
	}
	if signatures != "" && signatures != s.last {
		s.last = signatures
		s.changes = append(s.changes, Change{at, signatures})
	}
	s.known, s.up, s.since = true, up, at
}

// count adds the time since the last record to what is known.
func (s *story) count(at time.Time) {
	if !s.known || at.Before(s.since) {
		return
	}
	d := at.Sub(s.since)
	s.of += d
	if s.up {
		s.upFor += d
	}
	s.since = at
}

// end ends an outage.
func (s *story) end(at time.Time) {
	if n := len(s.outages); n > 0 && s.outages[n-1].Until.IsZero() {
		s.outages[n-1].Until = at
	}
}

// forget says that nothing is known from now on.
func (s *story) forget(at time.Time) {
	s.count(at)
	s.end(at)
	s.known = false
}

// listed is how many outages and changes are shown.
const listed = 10

func (s *story) fill(e *Engine) {
	e.Watched = s.of.Hours()
	if s.of > 0 {
		e.UpShare = float64(s.upFor) / float64(s.of)
	}
	e.Outages, e.Changes = latest(s.outages), latest(s.changes)
}

// latest are the last ones, the latest first.
func latest[T any](all []T) []T {
	out := []T{}
	for i := len(all) - 1; i >= 0 && len(out) < listed; i-- {
		out = append(out, all[i])
	}
	return out
}
