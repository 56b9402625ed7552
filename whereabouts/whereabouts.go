// Package whereabouts knows where each instance of each study is, as the ledger
// tells it: delivered to which archive, spooled, held, refused, destroyed, or
// missing.
//
// Ordinary use:
//
//	x := whereabouts.New(db, ledger)
//	go x.Run(ctx, log)                                                    // follows the ledger
//	found, err := x.Find(ctx, whereabouts.Query{Accession: "A123"})       // the latest first
//	s, err := x.Study(ctx, uid)                                           // counted by series and archive
//	n, err := x.Instances(ctx, uids)                                      // how many each study has
//
// Studies are found by their UID, by patient ID and accession number, by device
// and by time. Patient IDs and accession numbers are on the ledger sealed; here
// are digests of them under the ledger's seal key, which tell nothing to who has
// the database alone, and which go when the patient is erased.
//
// # Life of an entry
//
// The index follows the ledger with a cursor of its own, a second behind it at
// most but while it is made for the first time. The last record about an instance
// and an archive says where it is; only a refusal does not undo a delivery. A row
// is about 30 bytes, the ledger's record fifteen times that; nothing is taken out,
// since a study is asked for years later.
//
// It will not ask an archive (see package reconcile), and it does not know what
// passed Cordon by.
package whereabouts

import (
	"context"
	"embed"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"cordon/ledger"
	"cordon/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations are the tables of this package.
func Migrations() store.Migrations { return store.Embedded("whereabouts", migrations) }

// State says where an instance is, as far as one archive is concerned.
type State int

const (
	Delivered State = iota + 1 // the archive has answered success
	Spooled                    // here, due for the archive
	Held                       // here, in the vault
	Refused                    // by Cordon, or by the archive: the sender has it
	Destroyed                  // by two people
	Missing                    // the archive answered success and does not have it
)

// names of the states.
var names = [...]string{Delivered: "delivered", Spooled: "spooled", Held: "held", Refused: "refused", Destroyed: "destroyed", Missing: "missing"}

// String is the state in a word.
func (s State) String() string {
	if s < Delivered || s > Missing {
		return "unknown"
	}
	return names[s]
}

// MarshalText writes the word.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (s *State) UnmarshalText(p []byte) error {
	i := slices.Index(names[1:], string(p))
	if i < 0 {
		return fmt.Errorf("%.40q: expected one of %s", p, names[1:])
	}
	*s = State(i + 1)
	return nil
}

// Index is where everything is. Its methods may be called from any goroutine.
type Index struct {
	db     *store.DB
	ledger *ledger.Ledger
}

// New returns the index that the tables in db hold.
func New(db *store.DB, l *ledger.Ledger) *Index { return &Index{db, l} }

// follower is the name of the ledger's cursor.
const follower = "whereabouts"

// gather is how long records may gather before they are taken up, so that the
// index costs one commit a second at most while images come in.
const gather = time.Second

// Run follows the ledger until ctx ends.
func (x *Index) Run(ctx context.Context, log *slog.Logger) error {
	for ctx.Err() == nil {
		err := x.ledger.Follow(ctx, follower, 0, x.learn)
		if err == nil || ctx.Err() != nil {
			return nil
		}
		log.Error("the index of studies is not kept: searches for studies are behind", "error", err)
		pause(ctx, 10*time.Second)
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// Behind is how many records of the ledger the index does not know yet.
func (x *Index) Behind(ctx context.Context) (n int64, err error) {
	size, err := x.ledger.Size(ctx)
	if err != nil {
		return 0, err
	}
	var next int64
	err = x.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT COALESCE(MAX(next), 0) FROM ledger_cursors WHERE name = ?`, follower).Scan(&next)
	})
	return max(0, size-next), err
}
