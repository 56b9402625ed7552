package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"cordon/alarm"
	"cordon/asset"
	"cordon/backup"
	"cordon/bypass"
	"cordon/commitment"
	"cordon/console"
	"cordon/console/guard"
	"cordon/console/held"
	"cordon/console/login"
	"cordon/console/view"
	"cordon/contain"
	"cordon/custody"
	"cordon/deadman"
	"cordon/evidence"
	"cordon/exception"
	"cordon/firewall"
	"cordon/gateway"
	"cordon/history"
	"cordon/incident"
	"cordon/judge"
	"cordon/ledger"
	"cordon/ledger/atna"
	"cordon/ledger/search"
	"cordon/ledger/witness"
	"cordon/metric"
	"cordon/mpps"
	"cordon/network"
	"cordon/notice"
	"cordon/people"
	"cordon/pki"
	"cordon/plan"
	"cordon/policy"
	"cordon/reconcile"
	"cordon/rescan"
	"cordon/review"
	"cordon/setting"
	"cordon/silence"
	"cordon/store"
	"cordon/ticket"
	"cordon/transparent"
	"cordon/webgate"
	"cordon/whereabouts"
)

// migrations are the tables of every package that has some, in the order in
// which they are made.
func migrations() []store.Migrations {
	return []store.Migrations{
		ledger.Migrations(),
		search.Migrations(),
		whereabouts.Migrations(),
		witness.Migrations(),
		atna.Migrations(),
		silence.Migrations(),
		custody.Migrations(),
		held.Migrations(),
		exception.Migrations(),
		asset.Migrations(),
		gateway.Migrations(),
		webgate.Migrations(),
		bypass.Migrations(),
		rescan.Migrations(),
		commitment.Migrations(),
		mpps.Migrations(),
		review.Migrations(),
		setting.Migrations(),
		pki.Migrations(),
		deadman.Migrations(),
		incident.Migrations(),
		history.Migrations(),
		reconcile.Migrations(),
		network.Migrations(),
		alarm.Migrations(),
		notice.Migrations(),
		people.Migrations(),
		ticket.Migrations(),
		plan.Migrations(),
		transparent.Migrations(),
		contain.Migrations(),
	}
}

// parts are what a data directory holds, open.
type parts struct {
	dir     string
	lock    *store.DirLock
	db      *store.DB
	ledger  *ledger.Ledger
	custody *custody.Custody
	bypass  *bypass.Bypasses
	rescan  *rescan.Rescan
	except  *exception.Exceptions
	commit  *commitment.Commitment
	steps   *mpps.Spool
	devices *asset.Register
	metrics *metric.Metrics
	reviews *review.Reviews
	packs   *evidence.Maker
	pki     *pki.PKI
	backup  *backup.Maker
	deadman *deadman.Past

	looks     looks
	incidents *incident.Incidents
	history   *history.History
	view      *view.View // of the console's pages
	alarms    *alarm.Alarms
	notices   *notice.Notices // nil until Cordon runs

	firewall    *firewall.Firewall // the rules of all that follow
	tickets     *ticket.Desk
	plan        *plan.Book
	transparent *transparent.Mode
	contained   *contain.Containments

	passUnscanned func(ctx context.Context, device string, rq custody.Request) (int, error) // of the daemon alone

	people *people.Accounts
	door   *login.Login // that people come in by
	guard  *guard.Guard // before the console's routes

	witness *witness.Witness // nil: it is none
	watch   watch

	audit   *atna.Audit
	silence *silence.Sources
	search  *search.Index // of the ledger

	settings *setting.Settings

	judge    *judge.Judge // of the daemon alone, as are the engines
	scanners []judge.Engine

	stopLedger func(why error) error // signs the last checkpoint; nil until the ledger runs
	why        error                 // of the stop
	stopAudit  func() error          // hands over what is left; nil until audit messages are sent
}

// openParts takes the data directory for this process and opens what is in it,
// making what is missing.
func openParts(ctx context.Context, c Config, log *slog.Logger) (*parts, error) {
	lock, err := store.Lock(c.Data)
	if err != nil {
		return nil, err
	}
	p := &parts{dir: c.Data, lock: lock, metrics: metric.New()}
	if err := p.open(ctx, c, log); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *parts) open(ctx context.Context, c Config, log *slog.Logger) error {
	err := unfinished(p.dir)
	if err != nil {
		return err
	}
	if p.db, err = store.OpenDB(ctx, filepath.Join(p.dir, "cordon.db"), migrations()); err != nil {
		return err
	}
	keys := filepath.Join(p.dir, "keys")
	if err := store.MakeDir(keys); err != nil {
		return err
	}
	if p.ledger, err = ledger.Open(ctx, p.db, filepath.Join(keys, "ledger.key"), c.Site); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	p.runLedger()
	p.search = search.Open(p.db)
	if p.settings, err = setting.Open(ctx, setting.Config{Declared: c.Declared}, setting.Parts{DB: p.db, Journal: p.ledger, Search: p.search}); err != nil {
		return err
	}
	p.silence = silence.Open(p.db, p.ledger, time.Local)
	if err = p.openWitness(ctx, c); err != nil {
		return err
	}
	kept, err := mpps.Kept(ctx, p.db)
	if err != nil {
		return err
	}
	documents, err := ticket.Kept(ctx, p.db)
	if err != nil {
		return err
	}
	if p.custody, err = custody.Open(ctx, p.db, p.dir, p.ledger, custody.Options{Shared: c.Shared, Sealed: kept + documents, Marks: c.Disk}); err != nil {
		return fmt.Errorf("custody: %w", err)
	}
	if p.bypass, err = bypass.Open(ctx, p.db, p.ledger); err != nil {
		return err
	}
	p.rescan, err = rescan.Open(ctx, rescan.Config{Dir: filepath.Join(p.dir, "rescan"), MaxBytes: c.Engines.Rescan, Live: func() policy.Rules { return p.settings.Now().Rules }},
		rescan.Parts{DB: p.db, Custody: p.custody, Ledger: p.ledger, Log: log})
	if err != nil {
		return err
	}
	if p.except, err = exception.Open(ctx, p.db, p.ledger); err != nil {
		return err
	}
	p.commit, err = commitment.Open(ctx, commitment.Config{Term: c.Gateway.Commitment.Term, Answer: c.Gateway.Commitment.Answer},
		commitment.Parts{DB: p.db, Custody: p.custody, Journal: p.ledger, Log: log, Metrics: p.metrics})
	if err != nil {
		return err
	}
	p.steps, err = mpps.Open(ctx, mpps.Config{}, mpps.Parts{DB: p.db, Custody: p.custody, Journal: p.ledger, Log: log, Metrics: p.metrics})
	if err != nil {
		return err
	}
	if p.devices, err = asset.Open(ctx, p.db, p.ledger, c.site()); err != nil {
		return err
	}
	p.reviews = review.New(review.Config{Every: func() int { return p.settings.Now().ReviewEvery }, Owner: c.Audit.Owner, Zone: time.Local}, review.Parts{DB: p.db, Ledger: p.ledger, Log: log})
	p.packs = evidence.New(evidence.Config{Site: c.Site, Version: version, Owner: c.Audit.Owner, Standing: func() []evidence.Exception { return c.standing(p.settings.Now().Rules) }},
		evidence.Parts{DB: p.db, Ledger: p.ledger, Custody: p.custody, Exceptions: p.except, Reviews: p.reviews})
	if p.pki, err = pki.Open(ctx, p.db, p.ledger, filepath.Join(p.dir, "pki")); err != nil {
		return err
	}
	p.backup = backup.New(c.backup(), backup.Parts{DB: p.db, Custody: p.custody, Ledger: p.ledger})
	p.deadman = deadman.Open(p.db, p.ledger, filepath.Join(p.dir, deadman.Folder))
	p.view = p.newView(c)
	p.history = history.Open(p.db)
	p.openLooks()
	if p.alarms, err = alarm.Open(ctx, p.db, p.ledger, alarm.Options{Changed: p.changed}); err != nil {
		return err
	}
	if p.incidents, err = incident.Open(ctx, p.db, p.ledger); err != nil {
		return err
	}
	if err := p.openNetwork(ctx, c, log); err != nil {
		return err
	}
	return p.openDoor(ctx, c, log)
}

// runLedger signs checkpoints until close.
func (p *parts) runLedger() {
	ctx, cancel := context.WithCancelCause(context.Background()) // the caller's may end long before the last record
	done := make(chan error, 1)
	go func() { done <- p.ledger.Run(ctx) }() // ends when stopLedger cancels
	p.stopLedger = func(why error) error {
		cancel(why)
		return <-done
	}
}

// errCommandEnded is why the ledger stops where nothing else is said.
var errCommandEnded = errors.New("the command has ended")

// close ends the ledger's run and gives the data directory back, the lock last.
func (p *parts) close() error {
	var errs []error
	if p.stopLedger != nil {
		errs = append(errs, p.stopLedger(cmp.Or(p.why, errCommandEnded)))
	}
	if p.stopAudit != nil {
		errs = append(errs, p.stopAudit())
	}
	if p.db != nil {
		errs = append(errs, p.db.Close())
	}
	return errors.Join(append(errs, p.lock.Unlock())...)
}

// consoleParts are those that the console shows and acts on.
func (p *parts) consoleParts(c Config) console.Parts {
	return console.Parts{Custody: p.custody, Ledger: p.ledger, Exceptions: p.except, Commitment: p.commit, Steps: p.steps, Devices: p.devices, Recalls: p.recalls(), Bypass: p.bypass, PKI: p.pki, Metrics: p.metrics, Reviews: p.reviews, Evidence: p.packs, WitnessKey: p.witnessKey(), Backup: p.backup, Deadman: p.deadman, Guard: p.guard, Features: p.features(c), Lost: p.noPage}
}
