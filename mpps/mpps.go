// Package mpps keeps messages about performed procedure steps (Modality Performed
// Procedure Step, PS3.4 annex F) while the system that they are for is away, and
// delivers them in order.
//
// Ordinary use:
//
//	s, err := mpps.Open(ctx, mpps.Config{}, mpps.Parts{DB: db, Custody: custody, Journal: ledger, Log: log})
//	if s.Waiting("ris", instance) || upstreamIsAway {
//		err = s.Keep(ctx, mpps.Message{Upstream: "ris", Create: true, SOPInstanceUID: instance, Data: data, …}) // durable on nil
//	}
//	err = s.Run(ctx, network) // delivers until ctx ends
//
// # Life of a message
//
// Keep commits it, its data set encrypted to custody's key, together with its
// record; only then may the modality be answered with success. A message that
// waits makes every later one of the same step wait behind it, whether or not the
// upstream is back, so that an N-SET never overtakes its N-CREATE. Run sends the
// first of each step. Success or a warning removes it, with its record. An
// upstream that cannot be reached is tried again for ever, with growing pauses; a
// message that it refuses, or that breaks eight associations, needs a person: it
// stays, and so does what waits behind it, until somebody tries it again or drops
// it. After an attempt whose answer was lost, 0111H (duplicate SOP instance) to
// an N-CREATE says that the attempt had succeeded.
//
// It will not read data sets, and it knows no association.
package mpps

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"sync"
	"time"

	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/metric"
	"cordon/store"
)

var (
	// ErrAway means that an upstream could not be reached, or takes no such
	// association now: the message is not to blame.
	ErrAway = errors.New("upstream is away")
	// ErrNotKept means that a message cannot be kept as it is.
	ErrNotKept = errors.New("message cannot be kept")
	// ErrNotFound means that no message of that number waits.
	ErrNotFound = errors.New("no such message about a procedure step")
)

// MaxData bounds the data set of one message, in bytes.
const MaxData = 1 << 20

// Message is an N-CREATE or N-SET request.
type Message struct {
	Upstream          string // its configured name
	Association       string // the one that it came on
	Device            string // "" if it has no name
	Calling, Called   dicom.AETitle
	Address           netip.Addr
	Create            bool // N-CREATE, else N-SET
	Uncertain         bool // it was sent before, and no answer was heard
	SOPInstanceUID    dicom.UID
	TransferSyntaxUID dicom.UID
	Data              []byte // the data set, at most MaxData
}

func (m Message) operation() string {
	if m.Create {
		return "N-CREATE"
	}
	return "N-SET"
}

// Network sends messages. The gateway is one.
type Network interface {
	// Send sends a message to its upstream as the modality would, and returns the
	// status of the response. The error is ErrAway if the message was not sent.
	Send(ctx context.Context, m Message) (dimse.Status, error)
}

// Journal records in the transaction that it is given. A ledger is one.
type Journal interface {
	Append(tx *store.Tx, kind string, body any) error
}

// Config bounds what is kept and says how patient to be. A zero field means the
// default beside it.
type Config struct {
	MaxWaiting int           // messages; 100,000
	RetryMin   time.Duration // first pause after a failure; 2 s
	RetryMax   time.Duration // longest pause; 1 min
	Poll       time.Duration // how often Run looks for what is due; 1 s
}

func (c Config) withDefaults() Config {
	if c.MaxWaiting == 0 {
		c.MaxWaiting = 100_000
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&c.RetryMin, 2 * time.Second}, {&c.RetryMax, time.Minute}, {&c.Poll, time.Second}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return c
}

// Parts are what a Spool works with.
type Parts struct {
	DB      *store.DB
	Custody *custody.Custody // seals
	Journal Journal
	Log     *slog.Logger
	Metrics *metric.Metrics // may be nil
}

// Spool holds the messages of one data directory. Its methods may be called from
// any goroutine.
type Spool struct {
	config Config
	parts  Parts
	wake   chan struct{} // holds at most one token

	mu      sync.Mutex
	waiting map[lane]int // how many of each step
	total   int
	away    map[string]*outage // by upstream
	busy    map[string]bool    // upstreams that are delivered to now
}

// lane is one procedure step at one upstream.
type lane struct {
	upstream string
	instance dicom.UID
}

// outage is an upstream that could not be reached lately.
type outage struct {
	failures int
	until    time.Time
	says     string
}

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes this package's table.
func Migrations() store.Migrations { return store.Embedded("mpps", migrations) }

// Kept counts the messages that a database holds. They cannot be read without
// custody's key.
func Kept(ctx context.Context, db *store.DB) (n int, err error) {
	err = db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT COUNT(*) FROM mpps_messages`).Scan(&n)
	})
	return n, err
}

// Open reads what waits. Of an attempt that was under way when the last run ended
// nobody knows whether it succeeded.
func Open(ctx context.Context, config Config, p Parts) (*Spool, error) {
	s := &Spool{config: config.withDefaults(), parts: p, wake: make(chan struct{}, 1), waiting: map[lane]int{}, away: map[string]*outage{}, busy: map[string]bool{}}
	err := p.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE mpps_messages SET sending = 0, uncertain = 1 WHERE sending = 1`)
		return err
	})
	if err == nil {
		err = p.DB.View(ctx, s.load)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the procedure step spool: %w", err)
	}
	return s, nil
}

func (s *Spool) load(tx *store.Tx) error {
	rows, err := tx.Query(`SELECT upstream, sop_instance_uid, COUNT(*) FROM mpps_messages GROUP BY upstream, sop_instance_uid`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var l lane
		var instance string
		var n int
		if err := rows.Scan(&l.upstream, &instance, &n); err != nil {
			return err
		}
		l.instance = dicom.UID(instance)
		s.waiting[l] = n
		s.total += n
	}
	return rows.Err()
}

// Waiting reports whether something about the step is kept for the upstream, so
// that what comes now has to queue behind it.
func (s *Spool) Waiting(upstream string, instance dicom.UID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting[lane{upstream, instance}] > 0
}

// Keep makes a message ours to deliver: when it returns nil, the message survives
// a power failure. It is ErrNotKept if it names no instance or is too long, and
// store.ErrFull if too many wait.
func (s *Spool) Keep(ctx context.Context, m Message) error {
	switch {
	case m.SOPInstanceUID == "" || len(m.SOPInstanceUID) > 64:
		return fmt.Errorf("%w: it names no SOP instance", ErrNotKept)
	case len(m.Data) > MaxData:
		return fmt.Errorf("%w: data set of %d bytes, at most %d are kept", ErrNotKept, len(m.Data), MaxData)
	}
	sealed, err := s.parts.Custody.Seal(m.Data)
	if err != nil {
		return err
	}
	if err := s.take(m); err != nil {
		return err
	}
	now := time.Now().UnixMicro()
	err = s.parts.DB.Update(ctx, func(tx *store.Tx) error {
		r, err := tx.Exec(`INSERT INTO mpps_messages (upstream, device, calling_ae, called_ae, address, association, operation,
			sop_instance_uid, transfer_syntax_uid, bytes, sealed, kept_at, uncertain, next_attempt) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			m.Upstream, m.Device, string(m.Calling), string(m.Called), m.Address.String(), m.Association, m.operation(),
			string(m.SOPInstanceUID), string(m.TransferSyntaxUID), len(m.Data), sealed, now, m.Uncertain, now)
		if err != nil {
			return err
		}
		id, err := r.LastInsertId()
		if err != nil {
			return err
		}
		return s.parts.Journal.Append(tx, "step.kept", m.body(id, nil))
	})
	if err != nil {
		s.leave(m)
		return fmt.Errorf("keeping a message about a procedure step: %w", err)
	}
	s.parts.Metrics.Count(metric.Steps, 1, "kept")
	s.Wake()
	return nil
}

// take makes room for a message before it is there, so that a later one already
// queues behind it; leave gives it back.
func (s *Spool) take(m Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.total >= s.config.MaxWaiting {
		return fmt.Errorf("%d messages about procedure steps wait already: %w", s.total, store.ErrFull)
	}
	s.waiting[lane{m.Upstream, m.SOPInstanceUID}]++
	s.total++
	return nil
}

func (s *Spool) leave(m Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := lane{m.Upstream, m.SOPInstanceUID}
	if s.waiting[l]--; s.waiting[l] <= 0 {
		delete(s.waiting, l)
	}
	s.total--
}

// Wake makes Run look now.
func (s *Spool) Wake() {
	select {
	case s.wake <- struct{}{}:
	default: // a token is there already
	}
}

// body is what a record says of a message: nothing of its data set.
func (m Message) body(id int64, more map[string]any) map[string]any {
	body := map[string]any{
		"message": id, "operation": m.operation(), "archive": m.Upstream, "sop_instance_uid": string(m.SOPInstanceUID),
		"calling_ae": string(m.Calling), "called_ae": string(m.Called), "address": m.Address.String(), "bytes": len(m.Data),
	}
	for key, value := range map[string]string{"association": m.Association, "device": m.Device} {
		if value != "" {
			body[key] = value
		}
	}
	maps.Copy(body, more)
	return body
}
