// Package custody keeps every object that Cordon answers for.
package custody

import (
	"context"
	"errors"
	"io"
	"time"

	"cordon/store"
)

var (
	ErrNotFound = errors.New("no such object")
	ErrState    = errors.New("not possible in the object's state")
)

// Journal is told of every change of state, in the transaction that makes it.
// A ledger is one.
type Journal interface {
	Append(tx *store.Tx, kind string, body any) error
}

// Options; the zero value is the default.
type Options struct {
	Memory int // bytes that one Buffer keeps in memory before it spills to disk; 1 MiB if zero
}

type Custody struct{}

func Open(ctx context.Context, db *store.DB, dir string, j Journal, o Options) (*Custody, error) {
	return nil, nil
}

type Buffer struct{}

func (c *Custody) NewBuffer() *Buffer          { return nil }
func (b *Buffer) ID() string                   { return "" }
func (b *Buffer) Write(p []byte) (int, error)  { return 0, nil }
func (b *Buffer) Len() int64                   { return 0 }
func (b *Buffer) SHA256() Digest               { return Digest{} }
func (b *Buffer) Open() (io.ReadCloser, error) { return nil, nil }
func (b *Buffer) Discard()                     {}

func (c *Custody) Keep(ctx context.Context, b *Buffer, o Object) (Object, error) { return o, nil }
func (c *Custody) Get(ctx context.Context, id string) (Object, error)            { return Object{}, nil }

// Filter chooses objects; zero fields choose all.
type Filter struct {
	States           []State
	Vault            bool // only objects that were ever held
	NeedsAttention   bool
	Archive          string
	StudyInstanceUID string
	After            string // only ids after this one
	Limit            int    // 1,000 if zero
}

func (c *Custody) List(ctx context.Context, f Filter) ([]Object, error)           { return nil, nil }
func (c *Custody) OpenBlob(ctx context.Context, id string) (io.ReadCloser, error) { return nil, nil }
func (c *Custody) Due(ctx context.Context, archive string, now time.Time, limit int) ([]Object, error) {
	return nil, nil
}
func (c *Custody) Following(ctx context.Context, o Object, limit int) ([]Object, error) {
	return nil, nil
}
func (c *Custody) InFlight(ctx context.Context, id string) error                 { return nil }
func (c *Custody) Delivered(ctx context.Context, id string, status uint16) error { return nil }

// Failure is how one attempt to deliver ended.
type Failure struct {
	Err       error
	RetryAt   time.Time
	Permanent bool
}

func (c *Custody) Failed(ctx context.Context, id string, f Failure) error { return nil }

// Request is what a person asks for.
type Request struct {
	By        string
	Reason    string
	Emergency bool
}

// Decision is what became of a Request.
type Decision struct {
	Done      bool      `json:"done"`
	Waiting   string    `json:"waiting,omitempty"`
	By        []string  `json:"by"`
	ReviewDue time.Time `json:"review_due,omitzero"`
}

func (c *Custody) Release(ctx context.Context, id string, r Request) (Decision, error) {
	return Decision{}, nil
}
func (c *Custody) Destroy(ctx context.Context, id string, r Request) (Decision, error) {
	return Decision{}, nil
}
func (c *Custody) Review(ctx context.Context, id string, r Request) error              { return nil }
func (c *Custody) Retry(ctx context.Context, id string, r Request) error               { return nil }
func (c *Custody) Export(ctx context.Context, id string, r Request, w io.Writer) error { return nil }

// Stats counts the objects.
type Stats struct {
	Groups                                                         []Group
	Held, Spooled, NeedsAttention, Alarms, ReviewsDue, ReviewsLate int
	OldestSpooled                                                  time.Time
}
type Group struct {
	State   State
	Archive string
	Objects int
	Bytes   int64
}

func (c *Custody) Stats(ctx context.Context) (Stats, error) { return Stats{}, nil }
