// Package bypass is the emergency override: for a while that is said beforehand,
// inspection holds nothing back, for one device or for all.
//
// Ordinary use:
//
//	b, err := bypass.Open(ctx, db, ledger)
//	one, err := b.Start(ctx, bypass.Request{For: 30 * time.Minute, By: "Ada Ashe", Reason: "archive rejects every hold"})
//	if b.Covers("ct-1", "CT1") { … }   // asked for each object
//	go b.Run(ctx, log)                 // says every minute that it is on, and records its end
//	ended, err := b.Stop(ctx, "", "Ada Ashe")
//
// # Life of a bypass
//
// Start commits a row and the ledger's record of it together; only then does it
// take effect. It ends when its time is over, by the clock alone, whether or not
// anybody is there to record that, or earlier by Stop. After a restart Open reads
// what is still on, and records the end of what has run out meanwhile. A bypass
// cannot be made longer: another one can be started when it is over.
//
// It will not deliver or rescan anything (the gateway and rescan do), and it
// cannot be on without an end.
package bypass

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"cordon/store"
)

// Longest is how long a bypass may last.
const Longest = 8 * time.Hour

var (
	// ErrRequest means that a request lacks something, or asks for too much.
	ErrRequest = errors.New("request is not complete")
	// ErrState means that there is such a bypass already, or none to stop.
	ErrState = errors.New("not possible now")
)

// Journal records in the transaction that it is given. A ledger is one.
type Journal interface {
	Append(tx *store.Tx, kind string, body any) error
}

// Bypass is one that is on.
type Bypass struct {
	Device string    `json:"device"` // name or AE title; "" means every device
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"`
	By     string    `json:"by"` // as asserted
	Reason string    `json:"reason"`

	id int64
}

// Request asks for a bypass.
type Request struct {
	Device string        // name or calling AE title; "" means every device
	For    time.Duration // up to Longest; there is no default
	By     string        // who; recorded as asserted
	Reason string        // why; holds no patient data
}

// Bypasses are those of one data directory. It is safe for concurrent use.
type Bypasses struct {
	db      *store.DB
	journal Journal

	mu sync.Mutex
	on []Bypass
}

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes this package's table.
func Migrations() store.Migrations { return store.Embedded("bypass", migrations) }

// Open reads what is on, and records the end of what is not any more.
func Open(ctx context.Context, db *store.DB, j Journal) (*Bypasses, error) {
	b := &Bypasses{db: db, journal: j}
	err := db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT id, device, started_at, until, name, reason FROM bypass WHERE ended = 0 ORDER BY id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var one Bypass
			var since, until int64
			if err := rows.Scan(&one.id, &one.Device, &since, &until, &one.By, &one.Reason); err != nil {
				return err
			}
			one.Since, one.Until = time.UnixMicro(since).UTC(), time.UnixMicro(until).UTC()
			b.on = append(b.on, one)
		}
		return rows.Err()
	})
	if err == nil {
		err = b.expire(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("opening bypass: %w", err)
	}
	return b, nil
}

// Start begins a bypass: it is on the ledger before it takes effect.
func (b *Bypasses) Start(ctx context.Context, r Request) (Bypass, error) {
	if err := r.check(); err != nil {
		return Bypass{}, err
	}
	if err := b.expire(ctx); err != nil {
		return Bypass{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if slices.ContainsFunc(b.on, func(o Bypass) bool { return strings.EqualFold(o.Device, r.Device) }) {
		return Bypass{}, fmt.Errorf("%w: a bypass for %s is on already; switch it off first", ErrState, Scope(r.Device))
	}
	now := time.Now() // with its monotonic reading: setting the clock back makes it no longer
	one := Bypass{Device: r.Device, Since: now, Until: now.Add(r.For), By: r.By, Reason: r.Reason}
	err := b.db.Update(ctx, func(tx *store.Tx) error {
		if err := b.journal.Append(tx, "bypass.started", one.record()); err != nil {
			return err
		}
		result, err := tx.Exec(`INSERT INTO bypass (device, started_at, until, name, reason) VALUES (?, ?, ?, ?, ?)`,
			one.Device, one.Since.UnixMicro(), one.Until.UnixMicro(), one.By, one.Reason)
		if err == nil {
			one.id, err = result.LastInsertId()
		}
		return err
	})
	if err != nil {
		return Bypass{}, fmt.Errorf("bypass not recorded, so it is not on: %w", err)
	}
	b.on = append(b.on, one)
	return one, nil
}

// The longest texts of a request, in bytes.
const (
	maxName   = 200
	maxReason = 2000
)

func (r *Request) check() error {
	r.By, r.Reason = strings.Join(strings.Fields(r.By), " "), strings.TrimSpace(r.Reason)
	switch {
	case r.By == "":
		return fmt.Errorf("%w: who asks? a name is needed (--as NAME)", ErrRequest)
	case r.Reason == "":
		return fmt.Errorf("%w: why? a reason is needed (--reason TEXT)", ErrRequest)
	case len(r.By) > maxName, len(r.Device) > maxName, len(r.Reason) > maxReason:
		return fmt.Errorf("%w: a name has at most %d bytes, a reason %d", ErrRequest, maxName, maxReason)
	case strings.ContainsFunc(r.By+r.Device, unicode.IsControl):
		return fmt.Errorf("%w: the name has control characters in it", ErrRequest)
	case r.For <= 0 || r.For > Longest:
		return fmt.Errorf("%w: for how long? up to %s (--for 30m)", ErrRequest, "8h")
	}
	return nil
}

// Stop ends the bypass of a device, or with "" every one, and returns those
// that it ended. They are off at once, even if their end cannot be recorded:
// then they would be on again after a restart until their time is over, which the
// error says.
func (b *Bypasses) Stop(ctx context.Context, device, by string) ([]Bypass, error) {
	by = strings.Join(strings.Fields(by), " ")
	if by == "" || len(by) > maxName || strings.ContainsFunc(by, unicode.IsControl) {
		return nil, fmt.Errorf("%w: who asks? a name is needed (--as NAME)", ErrRequest)
	}
	ended := b.take(func(o Bypass) bool { return device == "" || strings.EqualFold(o.Device, device) })
	if len(ended) == 0 {
		return nil, fmt.Errorf("%w: no bypass is on for %s", ErrState, Scope(device))
	}
	if err := b.recordEnds(ctx, ended, by); err != nil {
		return ended, fmt.Errorf("bypass is off, but that could not be recorded, so after a restart it is on again until its end: %w", err)
	}
	return ended, nil
}

// take removes those chosen from what is on and returns them.
func (b *Bypasses) take(chosen func(Bypass) bool) []Bypass {
	b.mu.Lock()
	defer b.mu.Unlock()
	var taken, rest []Bypass
	for _, o := range b.on {
		if chosen(o) {
			taken = append(taken, o)
		} else {
			rest = append(rest, o)
		}
	}
	b.on = rest
	return taken
}

// expire records the end of those whose time is over. What could not be recorded
// is tried again by the next call.
func (b *Bypasses) expire(ctx context.Context) error {
	over := b.take(Bypass.over)
	err := b.recordEnds(ctx, over, "")
	if err != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.on = append(b.on, over...) // they cover nothing any more
	}
	return err
}

// recordEnds records who ended them, "" for their time.
func (b *Bypasses) recordEnds(ctx context.Context, ended []Bypass, by string) error {
	if len(ended) == 0 {
		return nil
	}
	return b.db.Update(ctx, func(tx *store.Tx) error {
		for _, o := range ended {
			body := o.record()
			body["ended_by"] = by
			if err := b.journal.Append(tx, "bypass.ended", body); err != nil {
				return err
			}
			if _, err := tx.Exec(`UPDATE bypass SET ended = 1 WHERE id = ?`, o.id); err != nil {
				return err
			}
		}
		return nil
	})
}

// record is what the ledger holds of a bypass.
func (o Bypass) record() map[string]any {
	return map[string]any{
		"device": o.Device, "by": o.By, "reason": o.Reason,
		"since": o.Since.UTC().Format(time.RFC3339), "until": o.Until.UTC().Format(time.RFC3339),
	}
}

func (o Bypass) over() bool { return time.Until(o.Until) <= 0 }

// On returns what is on now, the first started first.
func (b *Bypasses) On() []Bypass {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(b.on), Bypass.over)
}

// Covers reports whether a bypass is on for the device of that name, "" if it has
// none, that calls by that AE title.
func (b *Bypasses) Covers(device, calling string) bool {
	return slices.ContainsFunc(b.On(), func(o Bypass) bool {
		return o.Device == "" || strings.EqualFold(o.Device, device) || o.Device == calling
	})
}

// Scope is how a bypass's reach is said.
func Scope(device string) string {
	if device == "" {
		return "every device"
	}
	return device
}

// warnEvery is how often Run says that a bypass is on.
const warnEvery = time.Minute

// Run says every minute in the log that a bypass is on, and records the end of
// those that have run out, until ctx ends.
func (b *Bypasses) Run(ctx context.Context, log *slog.Logger) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var warned time.Time
	for {
		if err := b.expire(ctx); err != nil && ctx.Err() == nil {
			log.Error("the end of a bypass could not be recorded", "error", err)
		}
		on := b.On()
		if time.Since(warned) >= warnEvery {
			for _, o := range on {
				warned = time.Now()
				log.Warn("inspection is bypassed", "device", Scope(o.Device), "until", o.Until, "by", o.By)
			}
		}
		if len(on) == 0 {
			warned = time.Time{}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
