// Package reconcile accounts for what was acknowledged. Every instance that a
// sender was told is stored is in an archive, in custody (spooled or held), or
// was destroyed by two people; the ledger says which, and this package asks
// whether it is true: custody for its blobs and rows, each archive for what it
// has answered success for (C-FIND, PS3.4 annex C, or storage commitment, PS3.4
// annex J).
//
// Ordinary use:
//
//	r := reconcile.New(reconcile.Config{Calling: "CORDON", Archives: archives}, reconcile.Parts{DB: db, Ledger: l, Custody: c, Find: gateway, Log: log})
//	go r.Run(ctx)             // now, and every hour
//	report, err := r.Now(ctx) // on demand; waits for its turn
//	report.Well()             // nothing is missing, nothing is to be asked again
//
// # Life of an instance's accounting
//
// A delivery is a record on the ledger. Each archive has a cursor in it, which
// is durable and begins seven days back: a run reads on from there, in windows of at most 10,000 records,
// and asks the archive for each series that they name. What it has is accounted
// for and not asked about again. What it lacks is written down, asked about once
// more after a pause, and then due again, if the same bytes are still here for
// whatever reason; else it is an alarm on the ledger and in the status, until
// the archive has it or a person gives it up.
//
// An association without an end was cut by a crash, and the records of its last
// second may be missing. Its studies are on the ledger, durable before the first
// object of each was acknowledged. The archive is asked what it has of them, and
// what no record names is recorded then: it may have been acknowledged.
//
// # Bounds
//
// Memory does not depend on how many instances there are, but on a window and
// on what one crash cut short. One question at a time is asked of all archives,
// and after each as long a pause is made as it took, so that nobody's work
// suffers. A run that is not done in ten minutes goes on in the next.
//
// It will not compare bytes in an archive with what was sent, it deletes
// nothing, and it does not take an archive's silence for a loss: one that is
// away is asked in the next run.
package reconcile

import (
	"context"
	"embed"
	"log/slog"
	"sync"
	"time"

	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/commit"
	"cordon/dicom/dimse"
	"cordon/ledger"
	"cordon/store"
)

// Finder performs a C-FIND of ours with an archive: the identifier is in
// Explicit VR Little Endian, match is called with each match and its transfer
// syntax, and the final response is returned. The gateway is one.
type Finder interface {
	Find(ctx context.Context, archive string, calling dicom.AETitle, class dicom.UID, identifier []byte, match func(data []byte, ts dicom.UID) error) (dimse.Command, error)
}

// Confirmer asks an archive for storage commitment and returns the instances
// that it does not commit to. Commitment is one.
type Confirmer interface {
	Confirm(ctx context.Context, archive string, refs []commit.Reference) (failed []commit.Failure, err error)
}

// Archive is one that objects go to, and how it may be asked what it has.
type Archive struct {
	Name   string
	Query  bool // by C-FIND
	Commit bool // by storage commitment
}

// Config says whom to ask, and how patiently. A zero field means the default
// beside it.
type Config struct {
	Calling  dicom.AETitle // under which archives are asked
	Archives []Archive
	Every    time.Duration // between two runs of Run; 1 h
	Limit    time.Duration // of one run; 10 min
	Settle   time.Duration // what an archive lacks is asked about once more after this; 10 s
	Window   int64         // ledger records in memory at a time; 10,000
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.Every, time.Hour},
		{&c.Limit, 10 * time.Minute},
		{&c.Settle, 10 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.Window == 0 {
		c.Window = 10_000
	}
	return c
}

// Parts are what a Reconciler works with.
type Parts struct {
	DB      *store.DB
	Ledger  *ledger.Ledger
	Custody *custody.Custody
	Find    Finder       // nil: nobody can be asked by C-FIND
	Confirm Confirmer    // nil: nobody can be asked for commitment
	Wake    func(string) // something is due for that archive; may be nil
	Log     *slog.Logger
}

// Reconciler accounts for one data directory. Its methods may be called from
// any goroutine.
type Reconciler struct {
	config Config
	parts  Parts
	turn   chan struct{} // full while a run is under way

	windows map[string]int64 // of archives that were too slow for Config.Window; the run's that is under way

	mu   sync.Mutex
	last *Report
}

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes this package's tables.
func Migrations() store.Migrations { return store.Embedded("reconcile", migrations) }

// New returns a Reconciler.
func New(c Config, p Parts) *Reconciler {
	return &Reconciler{config: c.withDefaults(), parts: p, turn: make(chan struct{}, 1), windows: map[string]int64{}}
}

// Run accounts now and every hour, until ctx ends; then it returns nil.
func (r *Reconciler) Run(ctx context.Context) error {
	tick := time.NewTicker(r.config.Every)
	defer tick.Stop()
	for {
		if report, err := r.Now(ctx); err != nil && ctx.Err() == nil {
			r.parts.Log.Error("accounting for what was acknowledged", "error", err)
		} else if err == nil && !report.Well() {
			r.parts.Log.Warn("accounting for what was acknowledged", "says", report.Says())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Last is the report of the last run that came to its end since the start; nil
// before.
func (r *Reconciler) Last() *Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// Now accounts for what has been acknowledged since the last accounting, after
// a run that is under way. The error is ours or the context's: an archive that
// cannot be asked is in the report.
func (r *Reconciler) Now(ctx context.Context) (Report, error) {
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return Report{}, ctx.Err()
	}
	defer func() { <-r.turn }()
	limited, cancel := context.WithTimeout(ctx, r.config.Limit)
	defer cancel()
	w := &work{Reconciler: r, report: Report{Began: time.Now().UTC()}}
	err := w.account(limited)
	if limited.Err() != nil && ctx.Err() == nil {
		w.report.Unfinished, err = true, nil
	}
	if err == nil {
		err = w.end(ctx)
	}
	if err != nil {
		return w.report, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = &w.report
	return w.report, nil
}

// work is one run.
type work struct {
	*Reconciler
	report Report
}

// account does all of a run but its record. Custody is first: what it finds cut
// short is asked of the archives.
func (w *work) account(ctx context.Context) error {
	for _, step := range []func(context.Context) error{w.custody, w.archives, w.cutShort, w.missing} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// end records the run, if there was anything to account for, and what is still
// open.
func (w *work) end(ctx context.Context) error {
	if err := w.standing(ctx); err != nil {
		return err
	}
	w.report.Took = time.Since(w.report.Began).Round(time.Millisecond)
	body := w.report.record()
	if body == nil {
		return nil
	}
	return w.parts.Ledger.Record(ctx, "reconcile.done", body)
}
