// Package custody keeps every object that Cordon answers for: one blob, one
// row, one state. Blobs are encrypted at rest with age (X25519).
//
// Ordinary use:
//
//	c, err := custody.Open(ctx, db, dir, ledger, custody.Options{})
//	b := c.NewBuffer()                       // receives; memory first, then an encrypted file without a name
//	defer b.Discard()                        // nothing, once the object is kept
//	o, err := c.Keep(ctx, b, custody.Object{State: custody.Held, …}) // from here on it survives a power failure
//	r, err := c.OpenBlob(ctx, o.ID)          // the same bytes, or an error before the last of them
//	d, err := c.Release(ctx, o.ID, custody.Request{By: "A. Able", Reason: "…"}) // and once more by another person
//
// The life of an object: it is received into a Buffer, about which nothing is
// durable and nothing has been promised; what memory does not hold of it is in a
// scratch file under a key that only this process has. Keep writes and syncs its file in
// DIR/spill, syncs the directory, and commits its row together with the
// journal's record; only then may success be answered. The file then moves to
// DIR/objects. From there people release or destroy it, or the deliverer
// delivers it; each change of state is one commit with its journal record, and
// the blob is deleted only after that commit. After a crash Open deletes files
// in DIR/spill without a row, which were never acknowledged, and blobs whose
// row says that they are gone, and moves those whose row says that they are
// here. A blob in DIR/objects without a row cannot come from a crash, only from
// a database older than the blobs: it is kept, and an alarm. So is a row whose
// blob is missing.
//
// No file name comes from a peer: names are our own ids. It will not judge,
// deliver or talk to anyone, and it deletes no row but those of old deliveries
// (Prune).
package custody

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cordon/store"

	"filippo.io/age"
)

var (
	// ErrNotFound means that there is no object of that id.
	ErrNotFound = errors.New("no such object")
	// ErrState means that the object is not in a state in which this can happen.
	ErrState = errors.New("not possible in the object's state")
	// ErrSamePerson means that the second of two people is the first one.
	ErrSamePerson = errors.New("the same person asked already: a second person must agree")
	// ErrNotEmergency means that one person may not release this object alone.
	ErrNotEmergency = errors.New("a malicious object is never released by one person: a second person must agree")
	// ErrRequest means that a person's request lacks a name or a reason.
	ErrRequest = errors.New("request is not complete")
	// ErrDamaged means that a blob is not what was kept.
	ErrDamaged = errors.New("blob is damaged")
)

// Journal is told of every change of state, in the transaction that makes it.
// A ledger is one.
type Journal interface {
	Append(tx *store.Tx, kind string, body any) error
}

// Options of Open; the zero value means the defaults.
type Options struct {
	Memory int        // bytes of memory that one Buffer has for itself; 1 MiB
	Shared int        // bytes of memory that all Buffers have together, beyond that, before they go to disk; 64 MiB, or none if negative
	Marks  Watermarks // of the disk
	Sealed int        // texts of Seal that others keep: without the key they are lost
}

const (
	defaultMemory = 1 << 20
	defaultShared = 64 << 20
)

// Custody is open custody. Its methods may be called from any goroutine.
type Custody struct {
	db       *store.DB
	journal  Journal
	identity *age.X25519Identity
	memory   int
	pool     sync.Pool // of *[]byte with room for memory bytes
	shared   *shared
	disks    []disk
	sealed   int
	spill    string // directory of objects being received
	objects  string // directory of objects with a row
	found    Found
	pins     pins

	names    *store.DirSyncer // of spill, for all who keep an object at a time
	blocks   sync.Pool        // of *[]byte, each a store.NewDirectBuffer
	buffered atomic.Bool      // the file system takes no direct writes

	scratches sync.Pool // of *[]byte, each with room for a block of a scratch file
}

// Open opens custody in the data directory dir, which the caller has locked,
// and puts right what a crash has left: see Found.
func Open(ctx context.Context, db *store.DB, dir string, j Journal, o Options) (*Custody, error) {
	c := &Custody{
		db: db, journal: j, memory: o.Memory, sealed: o.Sealed,
		spill:   filepath.Join(dir, "spill"),
		objects: filepath.Join(dir, "objects"),
	}
	c.names = store.NewDirSyncer(c.spill)
	if c.memory == 0 {
		c.memory = defaultMemory
	}
	if o.Shared == 0 {
		o.Shared = defaultShared
	}
	c.shared = newShared(max(0, o.Shared))
	for _, d := range []string{c.spill, c.objects} {
		if err := store.MakeDir(d); err != nil {
			return nil, fmt.Errorf("opening custody: %w", err)
		}
	}
	if err := c.tryMove(); err != nil {
		return nil, fmt.Errorf("opening custody: %w", err)
	}
	if err := c.makeShards(); err != nil {
		return nil, fmt.Errorf("opening custody: %w", err)
	}
	if err := c.watchDisks(dir, o.Marks); err != nil {
		return nil, fmt.Errorf("opening custody: %w", err)
	}
	if err := c.regroup(); err != nil {
		return nil, fmt.Errorf("opening custody: %w", err)
	}
	c.tryDirect()
	if err := c.openKey(ctx, filepath.Join(dir, "keys", "custody.key")); err != nil {
		return nil, fmt.Errorf("opening custody: %w", err)
	}
	if err := c.sweep(ctx); err != nil {
		return nil, fmt.Errorf("opening custody: %w", err)
	}
	return c, nil
}

// Found returns what Open had to put right.
func (c *Custody) Found() Found { return c.found }

// Get returns an object, or ErrNotFound.
func (c *Custody) Get(ctx context.Context, id string) (o Object, err error) {
	err = c.db.View(ctx, func(tx *store.Tx) error {
		o, err = get(tx, id)
		return err
	})
	return o, err
}

// Filter chooses objects; a zero field chooses all.
type Filter struct {
	States           []State
	Vault            bool // only those that were held at some time
	NeedsAttention   bool // only those that an archive has refused for good
	Alarm            bool // only those whose blob is missing or damaged
	ReviewDue        bool // only those released in an emergency that nobody has reviewed
	Asked            bool // only those about which one of two people has decided
	Archive          string
	Device           string
	StudyInstanceUID string
	SOPInstanceUID   string
	After            string // only those accepted after the object of this id
	Limit            int    // 1,000 if zero
}

const defaultLimit = 1000

// List returns the objects chosen, in the order in which they were accepted.
func (c *Custody) List(ctx context.Context, f Filter) (all []Object, err error) {
	where, args := f.sql()
	err = c.db.View(ctx, func(tx *store.Tx) error {
		all, err = query(tx, `SELECT `+columns+` FROM custody_objects WHERE `+where+` ORDER BY seq LIMIT ?`, args...)
		return err
	})
	return all, err
}

func (f Filter) sql() (where string, args []any) {
	terms := []string{"1 = 1"}
	add := func(chosen bool, term string, values ...any) {
		if chosen {
			terms, args = append(terms, term), append(args, values...)
		}
	}
	var states []any
	for _, s := range f.States {
		states = append(states, string(s))
	}
	add(len(states) > 0, "state IN (?"+strings.Repeat(", ?", max(0, len(states)-1))+")", states...)
	add(f.Vault, "held_at > 0")
	add(f.NeedsAttention, "needs_attention = 1")
	add(f.Alarm, "alarm <> ''")
	add(f.ReviewDue, "review_due > 0")
	add(f.Asked, "id IN (SELECT object_id FROM custody_requests)")
	add(f.Archive != "", "archive = ?", f.Archive)
	add(f.Device != "", "device = ?", f.Device)
	add(f.StudyInstanceUID != "", "study_instance_uid = ?", f.StudyInstanceUID)
	add(f.SOPInstanceUID != "", "sop_instance_uid = ?", f.SOPInstanceUID)
	add(f.After != "", "seq > (SELECT seq FROM custody_objects WHERE id = ?)", f.After)
	limit := f.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	return strings.Join(terms, " AND "), append(args, limit)
}

// get returns an object, or ErrNotFound.
func get(tx *store.Tx, id string) (Object, error) {
	o, err := scan(tx.QueryRow(`SELECT `+columns+` FROM custody_objects WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return o, fmt.Errorf("%w: %.40q", ErrNotFound, id)
	}
	return o, err
}

// move changes an object's state. Every change of a row's state goes through
// here, and so does its journal record. It returns the object as it was before.
func (c *Custody) move(tx *store.Tx, id string, to State, who actor, more map[string]any) (Object, error) {
	o, err := get(tx, id)
	if err != nil {
		return o, err
	}
	t, err := change(o.State, to, who)
	if err != nil {
		return o, err
	}
	if _, err := tx.Exec(`UPDATE custody_objects SET state = ?, in_flight = 0 WHERE id = ?`, string(to), id); err != nil {
		return o, err
	}
	return o, c.journal.Append(tx, t.kind, o.entry(t, more))
}

// now is the present as rows keep it.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// takeMemory returns an empty slice with room for what a Buffer keeps in memory.
func (c *Custody) takeMemory() []byte {
	if p, ok := c.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 0, c.memory)
}

// giveMemory takes back what takeMemory returned.
func (c *Custody) giveMemory(p []byte) {
	if cap(p) == c.memory {
		p = p[:0]
		c.pool.Put(&p)
	}
}

// takeBlock returns memory for one direct write.
func (c *Custody) takeBlock() []byte {
	if p, ok := c.blocks.Get().(*[]byte); ok {
		return *p
	}
	return store.NewDirectBuffer()
}

func (c *Custody) giveBlock(p []byte) { c.blocks.Put(&p) }

// tryDirect finds out whether files can be written past the page cache here; if
// that is not to be known now, they are not.
func (c *Custody) tryDirect() {
	path := c.spillPath(newID())
	d, err := store.CreateDirect(path, 0o600, c.takeBlock())
	if err == nil {
		_, err = d.Write(make([]byte, store.DirectBuffer))
		err = errors.Join(err, d.File().Close(), os.Remove(path))
	}
	c.buffered.Store(err != nil)
}

// notDirect reports whether an error means that files cannot be written past the
// page cache after all; then none is any more.
func (c *Custody) notDirect(err error) bool {
	if !errors.Is(err, store.ErrNotDirect) {
		return false
	}
	c.buffered.Store(true)
	return true
}
