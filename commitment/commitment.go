// Package commitment is storage commitment that tells the truth (PS3.4 annex
// J). A device asks Cordon, Cordon asks the archives on its own behalf, and the
// device gets one answer, in which success means that every archive that has to
// keep an instance has committed to it.
//
// Ordinary use:
//
//	c, err := commitment.Open(ctx, commitment.Config{}, commitment.Parts{DB: db, Custody: cu, Journal: ledger, Log: log})
//	status, err := c.Action(ctx, who, message.Data, ts)                  // an N-ACTION of a device: durable on Success
//	status, err = c.Reported(ctx, "pacs", event, message.Data, ts)       // an N-EVENT-REPORT of an archive
//	err = c.Run(ctx, network)                                            // asks, waits, reports, until ctx ends
//
// # Life of a request
//
// Its references are written down, then the request is opened together with its
// record on the ledger; only then is it answered with success. Each reference is
// looked up in custody among what the same device sent: one that is held fails
// with reason 0110H, one that was destroyed with 0112H, one that its archive has
// refused for good with the reason of that; one in the spool waits until it has
// been delivered. All others, those that Cordon knows nothing of among them, are
// asked of the archive under a transaction UID of our own, which is committed
// before it is sent. An answer settles those of its instances that were asked for
// and nothing else. What an archive leaves open is asked again, after ten minutes
// first and a day at the most, and soon after a start.
// When all are settled, or the term is over, the request is reported: one
// N-EVENT-REPORT, tried until the device takes it or a second term is over; then
// it is given up, which is an alarm until a person tries it again or drops it.
//
// A crash at any point leaves a request where it was: a question whose answer
// nobody heard is void and asked anew, a report whose answer nobody heard is sent
// again. The device may hear the same report twice, never one that is not true.
//
// What another device sent is never looked up, so that nobody learns from the
// reason of a failure what Cordon holds of somebody else: the archive is asked,
// and says what it would have said without Cordon.
//
// It will not open associations (the gateway does), and it never commits on its
// own word.
package commitment

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/commit"
	"cordon/dicom/dimse"
	"cordon/metric"
	"cordon/store"
)

// ErrUnsupported means that an archive offers no storage commitment: it accepts
// no presentation context for it.
var ErrUnsupported = errors.New("archive offers no storage commitment")

// Requestor is who asked, and where the answer goes.
type Requestor struct {
	Association string // the one that it asked on
	Device      string // its configured name; "" if it has none
	Calling     dicom.AETitle
	Called      dicom.AETitle // the report comes from this title
	Address     netip.Addr    // that it called from
	Archives    []string      // that its objects go to and that take part in commitment
}

// owner is whose the transaction UID is.
func (r Requestor) owner() string {
	if r.Device != "" {
		return r.Device
	}
	return string(r.Calling) + "@" + r.Address.String()
}

// Network speaks to peers. The gateway is one.
type Network interface {
	// Ask sends N-ACTION requests to an archive on one association and stays on it
	// for a while, since some archives report there at once; no longer than until
	// settled is closed: then all have been reported on, wherever. answered is told
	// the status of each, from within the call.
	Ask(ctx context.Context, archive string, actions []commit.Action, settled <-chan struct{}, answered func(i int, s dimse.Status)) error
	// Report sends an N-EVENT-REPORT to the device, on an association that it has
	// open or on a new one, and returns the status of its answer.
	Report(ctx context.Context, to Requestor, r commit.Report) (dimse.Status, error)
}

// Journal records in the transaction that it is given. A ledger is one.
type Journal interface {
	Append(tx *store.Tx, kind string, body any) error
}

// Config says how patient to be. A zero field means the default beside it.
type Config struct {
	Term     time.Duration // how long a request may stay unresolved, and then how long its report is tried; 7 days
	Answer   time.Duration // longest wait for an archive's report before it is asked again; 24 h
	Again    time.Duration // shortest one, which a request's age doubles; 10 min
	Restart  time.Duration // the same after a start, since a report may have come while nobody listened; 15 s
	RetryMin time.Duration // first pause after a failure; 5 s
	RetryMax time.Duration // longest pause; 15 min
	Poll     time.Duration // how often the spool is looked at; 2 s
	Pause    time.Duration // from a request to the first look: its answer goes before its report; 250 ms
	Confirm  time.Duration // longest wait for the answer to a question of our own; 30 s
	Batch    int           // references in one N-ACTION to an archive; 1,000
	MaxOpen  int           // requests of one device that are not reported yet; 1,000
	MaxAll   int           // instances in the requests of all devices that are not reported yet; 5,000,000
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.Term, 7 * 24 * time.Hour},
		{&c.Answer, 24 * time.Hour},
		{&c.Again, 10 * time.Minute},
		{&c.Restart, 15 * time.Second},
		{&c.RetryMin, 5 * time.Second},
		{&c.RetryMax, 15 * time.Minute},
		{&c.Poll, 2 * time.Second},
		{&c.Pause, 250 * time.Millisecond},
		{&c.Confirm, 30 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.Batch == 0 {
		c.Batch = 1000
	}
	if c.MaxOpen == 0 {
		c.MaxOpen = 1000
	}
	if c.MaxAll == 0 {
		c.MaxAll = 5_000_000
	}
	return c
}

// Parts are what a Commitment works with.
type Parts struct {
	DB      *store.DB
	Custody *custody.Custody
	Journal Journal
	Log     *slog.Logger
	Metrics *metric.Metrics // may be nil
}

// Commitment is that of one data directory. Its methods may be called from any
// goroutine.
type Commitment struct {
	config  Config
	parts   Parts
	reading chan struct{} // full while as many long data sets as may be are in memory
	wake    chan struct{} // holds at most one token
	batches batches
	own     confirmations

	mu       sync.Mutex
	troubles map[string]*trouble // by archive
}

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes this package's tables.
func Migrations() store.Migrations { return store.Embedded("commitment", migrations) }

// Open puts right what a crash has left: requests that were never answered are
// dropped, questions that may not have been sent are void, and open requests are
// looked at again: the last answer to one may be durable, and that it was the last
// not yet.
func Open(ctx context.Context, config Config, p Parts) (*Commitment, error) {
	c := &Commitment{
		config:   config.withDefaults(),
		parts:    p,
		reading:  make(chan struct{}, maxReading),
		wake:     make(chan struct{}, 1),
		batches:  batches{of: map[dicom.UID]*batch{}},
		own:      confirmations{of: map[dicom.UID]*confirmation{}},
		troubles: map[string]*trouble{},
	}
	now := time.Now()
	err := p.DB.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(`UPDATE commitment_requests SET state = 'dropped', ended_at = ? WHERE state = 'arriving'`, micros(now)); err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE commitment_requests SET next_attempt = MIN(next_attempt, ?) WHERE state = 'open'`, micros(now)); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE commitment_questions SET deadline = MIN(deadline, ?) WHERE state = 'asked'`, micros(now.Add(c.config.Restart)))
		return err
	})
	if err == nil {
		err = c.voidUnsent(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("opening storage commitment: %w", err)
	}
	return c, nil
}

// Wake makes Run look again now: something was released or delivered, or a
// device that a report waits for is there.
func (c *Commitment) Wake() {
	select {
	case c.wake <- struct{}{}:
	default: // a token is there already
	}
}

// Run does the work until ctx ends; then it returns nil.
func (c *Commitment) Run(ctx context.Context, n Network) error {
	w := &work{Commitment: c, network: n, asking: map[string]bool{}, reporting: map[int64]bool{}}
	defer w.running.Wait()
	poll := time.NewTicker(c.config.Poll)
	defer poll.Stop()
	for {
		w.round(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-poll.C:
		case <-c.wake:
		}
	}
}

// work is one Run.
type work struct {
	*Commitment
	network Network
	running sync.WaitGroup // one goroutine for each archive that is asked, and for each report; they end with ctx

	busy      sync.Mutex
	asking    map[string]bool // archives, under way
	reporting map[int64]bool  // requests, under way
}

// round does what is due. Errors are logged: the next round tries again.
func (w *work) round(ctx context.Context) {
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"looking up instances", w.settle},
		{"questions without an answer", w.expire},
		{"asking archives", w.ask},
		{"reporting", w.report},
		{"clearing up", w.purge},
	} {
		if err := step.do(ctx); err != nil && ctx.Err() == nil {
			w.parts.Log.Error("storage commitment: "+step.what, "error", err)
		}
	}
}

// micros is a time as rows keep it.
func micros(t time.Time) int64 { return t.UnixMicro() }

// backOff doubles with each failure.
func (c Config) backOff(failures int) time.Duration {
	if failures > 16 {
		return c.RetryMax
	}
	return min(c.RetryMax, c.RetryMin<<failures)
}

// clip bounds an error that is kept.
func clip(err error) string {
	const most = 300
	text := err.Error()
	return text[:min(len(text), most)]
}
