// Package notice tells people outside this machine of alarms: by webhooks, mail
// and syslog, each recipient what it wants to hear, in a queue that survives.
//
// Ordinary use:
//
//	n, err := notice.Open(ctx, db, notice.Config{Site: "Example Hospital", Recipients: all, Known: isConfigured})
//	alarms, err := alarm.Open(ctx, db, ledger, alarm.Options{Changed: n.Changed})
//	go n.Run(ctx, alarms, log)
//	results := n.Test(ctx, "desk")
//
// # What leaves
//
// An Event says which alarm, of which kind, how bad, how often, since when, and
// what its kind's row says to do. It never has an alarm's text. It has the subject
// only if Config.Known says that this is a name of the configuration or a word of
// Cordon's own: AE titles, file names and UIDs that a peer made up stay here, and
// so does all patient data.
//
// # Life of a notice
//
// Changed writes an event in the transaction that writes the alarm. Each recipient
// has a cursor in that row of events. What is behind it, and fits the recipient's
// filter, is gathered for a moment and becomes one message: ten thousand alarms
// make one mail, which lists the worst and counts the rest. Where the message ends
// is durable before it is sent, so that one that has to be repeated is the same,
// under the same id; it has arrived once the recipient said so, and then the
// cursor moves. So a message may come twice, after a crash, and none is lost: one
// that cannot be delivered is tried again, ever more seldom up to every five
// minutes, and after five minutes that is an alarm itself.
//
// A recipient with After hears only of what nobody has acknowledged for so long:
// that is escalation. The heartbeat tells some recipients that Cordon is alive, so
// that its silence is heard.
//
// It will not tell what an alarm is about in words of a peer's, and it follows no
// redirect.
package notice

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"cordon/alarm"
	"cordon/store"
)

// Limits of the queue and of one message.
const (
	MaxEvents = 100_000 // that wait; older ones are dropped, and that is an alarm
	MaxListed = 50      // in one message
	perBatch  = 20_000  // events that one message is made of
)

// ErrUnknown means that there is no recipient of that name.
var ErrUnknown = errors.New("no such recipient")

// What an event is about, beyond those of package alarm.
const (
	Unacknowledged alarm.What = "unacknowledged" // for so long that somebody else must hear of it
	Alive          alarm.What = "alive"          // a sign of life
	Trial          alarm.What = "test"
)

// Event is one thing that a recipient is told.
type Event struct {
	What     alarm.What     `json:"what"`
	At       time.Time      `json:"at"`
	Alarm    int64          `json:"alarm,omitempty"` // its number
	Kind     string         `json:"kind,omitempty"`
	Severity alarm.Severity `json:"severity,omitempty"`
	Subject  string         `json:"subject,omitempty"` // a name of the configuration
	Means    string         `json:"means"`             // a sentence
	Do       string         `json:"do,omitempty"`
	Count    int64          `json:"count,omitempty"`
	First    time.Time      `json:"first,omitzero"`
	Last     time.Time      `json:"last,omitzero"`
}

// Message is what a recipient gets at a time.
type Message struct {
	ID     string         `json:"id"` // the same if it is repeated
	Site   string         `json:"site"`
	URL    string         `json:"url,omitempty"` // of the Alarms page
	Counts map[string]int `json:"counts"`        // of Events and More, by severity
	Events []Event        `json:"events"`        // the worst first
	More   int            `json:"more"`          // that are not listed
}

// Way is how messages get to a recipient. Send returns nil once the recipient has
// said that it has the message; an error says why not, and holds no secret.
type Way interface {
	Send(ctx context.Context, m Message) error
	Name() string // "webhook", "email", "syslog"
}

// Recipient is somebody who is told.
type Recipient struct {
	Name     string
	Way      Way
	Severity alarm.Severity // so bad or worse; 0 means warning
	Kinds    []string       // of these alone, by name or what it begins with; nil means all
	After    time.Duration  // only what nobody has acknowledged for so long; 0 means everything at once
	Gather   time.Duration  // how long events come together before a message; 0 means 2 s
	Pace     time.Duration  // between two messages, at the least
}

// Config is whom to tell.
type Config struct {
	Site       string
	URL        string // of the console, "" if nobody shall be sent there
	Recipients []Recipient
	Heartbeat  time.Duration // 0 means none
	Beats      []string      // recipients of it
	// Known reports whether a word may leave this machine: a name of the
	// configuration, or a word of Cordon's own. nil means none may.
	Known func(word string) bool
	// Retry is the first pause after a failure, Alarm how long deliveries must fail
	// before that is an alarm; 5 s and 5 min.
	Retry, Alarm time.Duration
}

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes this package's tables.
func Migrations() store.Migrations { return store.Embedded("notice", migrations) }

// Notices is the queue of one data directory. It is safe for concurrent use.
type Notices struct {
	db     *store.DB
	config Config

	mu   sync.Mutex
	wake []chan struct{} // one a recipient
}

// Open makes a place for each recipient. One that is new is told what happens from
// now on.
func Open(ctx context.Context, db *store.DB, c Config) (*Notices, error) {
	n := &Notices{db: db, config: c}
	for i := range n.config.Recipients {
		n.config.Recipients[i].defaults()
		n.wake = append(n.wake, make(chan struct{}, 1))
	}
	if n.config.Retry == 0 {
		n.config.Retry = 5 * time.Second
	}
	if n.config.Alarm == 0 {
		n.config.Alarm = 5 * time.Minute
	}
	err := db.Update(ctx, func(tx *store.Tx) error {
		for _, r := range n.config.Recipients {
			if _, err := tx.Exec(`INSERT OR IGNORE INTO notice_recipient VALUES (?, (SELECT coalesce(max(id), 0) FROM notice_event), 0, 0, 0, 0, '')`, r.Name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("opening notices: %w", err)
	}
	return n, nil
}

func (r *Recipient) defaults() {
	if r.Severity == 0 {
		r.Severity = alarm.Warning
	}
	if r.Gather == 0 {
		r.Gather = 2 * time.Second
	}
}

// Changed writes events of what happened to alarms, in the transaction that
// writes that.
func (n *Notices) Changed(tx *store.Tx, changes []alarm.Change) error {
	if len(n.config.Recipients) == 0 {
		return nil
	}
	for _, c := range changes {
		if err := put(tx, "", n.event(c.What, c.Item)); err != nil {
			return err
		}
	}
	tx.OnCommit(n.rouse)
	return nil
}

// rouse wakes all who send.
func (n *Notices) rouse() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, w := range n.wake {
		select {
		case w <- struct{}{}:
		default:
		}
	}
}

// event is what may be told of an alarm.
func (n *Notices) event(what alarm.What, i alarm.Item) Event {
	kind, _ := alarm.Lookup(i.Kind)
	return Event{
		What: what, At: time.Now().UTC().Truncate(time.Second), Alarm: i.ID, Kind: n.kind(i.Kind, kind), Severity: i.Severity, Subject: n.tell(i.Subject),
		Means: kind.Means, Do: kind.Do, Count: i.Count, First: i.First.Truncate(time.Second), Last: i.Last.Truncate(time.Second),
	}
}

// kind is the name of an alarm's kind, if it is in the table as it is or may be
// told; else that of its row.
func (n *Notices) kind(name string, row alarm.Kind) string {
	_, rest, _ := strings.Cut(name, ".")
	if row.Name == name || n.known(rest) {
		return name
	}
	return row.Name
}

// tell is of a subject what may leave.
func (n *Notices) tell(subject string) string {
	words := strings.Split(subject, alarm.Within)
	for i, w := range words {
		if !n.known(w) {
			return strings.Join(words[:i], alarm.Within)
		}
	}
	return subject
}

func (n *Notices) known(word string) bool {
	return word != "" && n.config.Known != nil && n.config.Known(word)
}

// wants reports whether a recipient is told of an event that is for all.
func (r Recipient) wants(e Event) bool {
	return r.After == 0 && e.Severity >= r.Severity && r.likes(e.Kind)
}

func (r Recipient) likes(kind string) bool {
	return len(r.Kinds) == 0 || slices.ContainsFunc(r.Kinds, func(k string) bool { return alarm.InKind(kind, strings.TrimSuffix(k, ".*")) })
}
