// Package rescan judges again what was delivered although an engine had not
// scanned it, or under a bypass.
//
// Ordinary use:
//
//	r, err := rescan.Open(ctx, rescan.Config{Dir: dir, Rules: rules}, rescan.Parts{DB: db, Custody: c, Ledger: l, Log: log})
//	r.Keep(buffer, object, bypassed)     // after its delivery; leaves an encrypted copy
//	go r.Run(ctx, rescan.Work{Judge: j, Engines: engines, Paused: paused})
//	hits, err := r.Hits(ctx, false)      // delivered, then found harmful: to be recalled
//	err = r.Done(ctx, hits[0].ID, "Ada Ashe", "deleted in the archive")
//
// # Life of a copy
//
// Keep writes the object's bytes to a file of this package's directory,
// encrypted to custody's key, and notes a row within half a second. The file is
// not synced and the row is not waited for: the archive has the object, nobody
// was promised this copy, and delivery does not wait for the disk. A copy that a
// crash takes is counted as not rescannable at the next start.
//
// When every engine answers and no bypass is on, copies are judged again, one at
// a time. Clean: the copy is deleted. Not scanned this time either: it waits,
// longer each time, or until an engine has other signatures; after the last
// attempt it is not rescannable. Harmful: a late hit. What still waits for its
// archive is held instead of delivered; of what was delivered, the copy goes into
// the vault as evidence, and an alarm names device, archive and study until
// somebody acknowledges that the object was recalled.
//
// There is a quota. What does not fit is delivered all the same, and counted as
// not rescannable: on the ledger, and an alarm.
//
// It is not custody: nobody may rely on a copy being here. It will not take
// anything back from an archive.
package rescan

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"cordon/custody"
	"cordon/ledger"
	"cordon/policy"
	"cordon/store"
)

// Config is what a Rescan needs to know. Zero limits mean the defaults that are
// given beside them.
type Config struct {
	Dir        string              // of the copies, on custody's disk
	MaxBytes   int64               // of all copies; 2 GiB
	MaxObjects int                 // copies; 10,000
	Rules      policy.Rules        // what is harmful: whatever they would not deliver
	Live       func() policy.Rules // asked for each object; nil: Rules
	Poll       time.Duration       // how often engines are asked while something waits; 5 s
}

const (
	defaultBytes   = 2 << 30
	defaultObjects = 10_000
	defaultPoll    = 5 * time.Second
)

// Parts are what a Rescan works with. All are required.
type Parts struct {
	DB      *store.DB
	Custody *custody.Custody
	Ledger  *ledger.Ledger
	Log     *slog.Logger
}

// Rescan keeps copies and judges them again. It is safe for concurrent use.
type Rescan struct {
	config Config
	parts  Parts

	mu      sync.Mutex
	objects int // copies here
	bytes   int64
	lost    []loss // not yet on the ledger, of which maxLost are named
	more    int    // and more

	flushing sync.Mutex // each loss is recorded once
}

// loss is an object that will not be rescanned.
type loss struct {
	object custody.Object
	why    string
}

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes this package's tables.
func Migrations() store.Migrations { return store.Embedded("rescan", migrations) }

// Open reads what waits, and counts as not rescannable what a crash has taken.
func Open(ctx context.Context, c Config, p Parts) (*Rescan, error) {
	if c.MaxBytes == 0 {
		c.MaxBytes = defaultBytes
	}
	if c.MaxObjects == 0 {
		c.MaxObjects = defaultObjects
	}
	if c.Poll == 0 {
		c.Poll = defaultPoll
	}
	r := &Rescan{config: c, parts: p}
	err := store.MakeDir(c.Dir)
	if err == nil {
		err = r.sweep(ctx)
	}
	if err == nil {
		err = r.flush(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("opening rescan: %w", err)
	}
	return r, nil
}

// rules say what is harmful now.
func (r *Rescan) rules() policy.Rules {
	rules := r.config.Rules
	if r.config.Live != nil {
		rules = r.config.Live()
	}
	rules.Unscanned, rules.Monitor, rules.Bypass = policy.Deliver, false, false
	return rules
}

func (r *Rescan) path(id string) string { return filepath.Join(r.config.Dir, id) }

// idLen is the length of custody's ids, which name the files.
const idLen = 26

// sweep makes rows and files agree. Only files with a name that a row could have
// are ours to delete.
func (r *Rescan) sweep(ctx context.Context) error {
	rows := map[string]custody.Object{}
	err := r.parts.DB.View(ctx, func(tx *store.Tx) error {
		found, err := tx.Query(`SELECT id, object FROM rescan_copies`)
		if err != nil {
			return err
		}
		defer found.Close()
		for found.Next() {
			var id, text string
			var o custody.Object
			if err := found.Scan(&id, &text); err != nil {
				return err
			}
			if err := json.Unmarshal([]byte(text), &o); err != nil {
				return err
			}
			rows[id] = o
		}
		return found.Err()
	})
	if err != nil {
		return err
	}
	files, err := os.ReadDir(r.config.Dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		if len(f.Name()) != idLen || !f.Type().IsRegular() {
			continue // not ours
		}
		o, ok := rows[f.Name()]
		if !ok {
			if err := os.Remove(r.path(f.Name())); err != nil {
				return err
			}
			r.lose(custody.Object{ID: f.Name()}, "its copy has no record, after a crash")
			continue
		}
		delete(rows, f.Name())
		r.objects++
		r.bytes += o.Bytes
	}
	for _, o := range rows {
		if err := r.forget(ctx, o.ID); err != nil {
			return err
		}
		r.lose(o, "its copy is missing")
	}
	return nil
}

// Keep leaves a copy of an object that was delivered unscanned or bypassed, or
// will be: o is what is known of it, under the buffer's id. It never fails:
// without a copy, the object is counted as not rescannable.
func (r *Rescan) Keep(b *custody.Buffer, o custody.Object, bypassed bool) {
	o.ID = b.ID()
	if o.ReceivedAt.IsZero() {
		o.ReceivedAt = time.Now().UTC()
	}
	if err := r.keep(b, o, bypassed); err != nil {
		r.lose(o, err.Error())
	}
}

var errQuota = errors.New("the quota for copies is used up (engines.rescan_quota_mib)")

func (r *Rescan) keep(b *custody.Buffer, o custody.Object, bypassed bool) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if !r.take(o.Bytes) {
		return errQuota
	}
	if err := b.SealTo(r.path(o.ID)); err != nil {
		r.give(o.Bytes)
		return err
	}
	r.parts.DB.Later(func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO rescan_copies (id, bytes, object, bypassed) VALUES (?, ?, ?, ?)`, o.ID, o.Bytes, string(text), bypassed)
		return err
	}, func(err error) {
		os.Remove(r.path(o.ID))
		r.give(o.Bytes)
		r.lose(o, err.Error())
	})
	return nil
}

// take reserves room within the quota.
func (r *Rescan) take(n int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.objects >= r.config.MaxObjects || n > r.config.MaxBytes-r.bytes {
		return false
	}
	r.objects++
	r.bytes += n
	return true
}

func (r *Rescan) give(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.objects--
	r.bytes -= n
}

// waiting is how many copies are here.
func (r *Rescan) waiting() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.objects
}

// lose notes that an object will not be rescanned; flush records it. It may be
// called from the database's writer, so it does not call the database.
func (r *Rescan) lose(o custody.Object, why string) {
	r.parts.Log.Warn("object was delivered unscanned and is not rescannable", "id", o.ID, "archive", o.Archive, "error", why)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.lost) >= maxLost {
		r.more++
		return
	}
	r.lost = append(r.lost, loss{o, why})
}

const (
	maxLost  = 10_000 // losses kept by name while nothing can be recorded
	maxFlush = 500    // losses recorded in one transaction
)

// flush records losses. Those that cannot be recorded stay for the next time.
func (r *Rescan) flush(ctx context.Context) error {
	r.flushing.Lock()
	defer r.flushing.Unlock()
	for {
		r.mu.Lock()
		some, more := r.lost[:min(len(r.lost), maxFlush)], r.more
		r.mu.Unlock()
		if len(some) == 0 && more > 0 {
			return r.recordMore(ctx, more)
		}
		if len(some) == 0 {
			return nil
		}
		if err := r.recordLosses(ctx, some); err != nil {
			return err
		}
		r.mu.Lock()
		r.lost = r.lost[len(some):]
		r.mu.Unlock()
	}
}

func (r *Rescan) recordLosses(ctx context.Context, some []loss) error {
	return r.parts.DB.Update(ctx, func(tx *store.Tx) error {
		for _, l := range some {
			body := record(l.object)
			body["reason"] = l.why
			if err := r.parts.Ledger.Append(tx, "object.not_rescannable", body); err != nil {
				return err
			}
		}
		_, err := tx.Exec(`UPDATE rescan_lost SET objects = objects + ?`, len(some))
		return err
	})
}

// recordMore counts losses that were too many to be named.
func (r *Rescan) recordMore(ctx context.Context, n int) error {
	err := r.parts.DB.Update(ctx, func(tx *store.Tx) error {
		if err := r.parts.Ledger.Append(tx, "object.not_rescannable", map[string]any{"objects": n, "reason": "too many at a time to be named"}); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE rescan_lost SET objects = objects + ?`, n)
		return err
	})
	if err == nil {
		r.mu.Lock()
		r.more -= n
		r.mu.Unlock()
	}
	return err
}

// record is what the ledger holds of an object.
func record(o custody.Object) map[string]any {
	return map[string]any{
		"id": o.ID, "device": o.Device, "calling_ae": o.CallingAE, "archive": o.Archive,
		"sop_class_uid": o.SOPClassUID, "sop_instance_uid": o.SOPInstanceUID,
		"study_instance_uid": o.StudyInstanceUID, "series_instance_uid": o.SeriesInstanceUID,
		"bytes": o.Bytes, "sha256": o.SHA256,
	}
}

// forget deletes a copy's row.
func (r *Rescan) forget(ctx context.Context, id string) error {
	return r.parts.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`DELETE FROM rescan_copies WHERE id = ?`, id)
		return err
	})
}

// drop deletes a copy whose row is gone. A file that stays is deleted by the next
// start.
func (r *Rescan) drop(o custody.Object) {
	os.Remove(r.path(o.ID))
	r.give(o.Bytes)
}
