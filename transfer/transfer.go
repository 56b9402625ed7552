// Package transfer gathers what moved between Cordon and its peers, study by
// study, for the ledger, from which audit messages are made (PS3.15 §A.5.3.3,
// §A.5.3.7).
//
//	t := transfer.New(transfer.Parts{DB: db, Ledger: l, Log: log}, map[string]string{"association": id})
//	t.Begin(way, patient)                             // an object is about to be sent
//	t.Add(way, patient, class, status, "")            // it was, or was not
//	t.Durable(ctx, way)                               // that the study goes there is on disk: success may be answered
//	t.End()                                           // once the last one is answered
//
// It will not say what became of one object: those have records of their own.
package transfer

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/judge"
	"cordon/ledger"
	"cordon/store"
)

// Transfers gathers what one association, or one visit over the web, moved, study by study and way by way,
// for the ledger: transfer.begin when we begin to send a study somewhere,
// transfer.end when it is over. Nothing waits for either but Durable; what an object costs is
// a few words in memory.
//
// Life of a transfer: the first object of a study that is received, or sent to
// somebody, opens it; each counts as stored or failed under its SOP class; it is
// recorded when nothing has come for a minute, when there are too many, and at the
// association's end.
type Transfers struct {
	parts Parts
	under map[string]string // what the records name: the association or visit; empty of a delivery from the spool

	mu    sync.Mutex
	open  []*transfer // the one begun first is the first
	timer *time.Timer // looks for those that are over; nil without any
	ended bool
}

const (
	maxTransfers  = 64          // of one association at a time; then the oldest is recorded
	maxClasses    = 64          // of one transfer by name; more are counted together
	transferQuiet = time.Minute // after which a transfer is over
)

// Way says between whom an object moved. We are the other one.
type Way struct {
	Study     string
	Direction string // "received" or "sent"
	Peer      string // name of the device or archive, "" if it has none
	Title     string // its AE title
	Address   string // of its socket
	Own       string // AE title that we were called or called by
}

const (
	Received = "received"
	Sent     = "sent"
)

// transfer is one study on one way.
type transfer struct {
	Way
	patient        judge.Patient
	stored, failed map[string]int // instances, by SOP class
	reason         string         // why the first one failed
	last           time.Time
	begun          chan struct{} // closed once transfer.begin is on disk, or counted as missed; nil where nobody may wait
}

// Parts are what Transfers work with.
type Parts struct {
	DB     *store.DB
	Ledger *ledger.Ledger
	Log    *slog.Logger
}

// New returns Transfers whose records have what under names, such as the id of
// an association, in them.
func New(p Parts, under map[string]string) *Transfers {
	return &Transfers{parts: p, under: under}
}

// Begin notes that an object is about to be sent.
func (t *Transfers) Begin(w Way, p judge.Patient) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.of(w, p)
}

// Add counts an object that was stored, or was not for a reason.
func (t *Transfers) Add(w Way, p judge.Patient, class dicom.UID, status dimse.Status, reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tr := t.of(w, p)
	counts := tr.stored
	if status.Class() == dimse.ClassFailure {
		counts = tr.failed
		if tr.reason == "" {
			tr.reason = strings.TrimSpace(fmt.Sprintf("status %04X %s", uint16(status), reason))
		}
	}
	uid := clip(string(class), maxUID)
	if _, ok := counts[uid]; !ok && len(counts) >= maxClasses {
		uid = "other"
	}
	counts[uid]++
}

// of returns the transfer on a way, and opens it if need be.
func (t *Transfers) of(w Way, p judge.Patient) *transfer {
	now := time.Now()
	for _, tr := range t.open {
		if tr.Way == w {
			tr.last = now
			return tr
		}
	}
	if len(t.open) >= maxTransfers {
		t.record(t.open[0])
		t.open = t.open[1:]
	}
	tr := &transfer{Way: w, patient: p, stored: map[string]int{}, failed: map[string]int{}, last: now}
	t.open = append(t.open, tr)
	if w.Direction == Sent {
		t.began(tr)
	}
	if t.timer == nil && !t.ended {
		t.timer = time.AfterFunc(transferQuiet, t.quiet) // ends at end, or when nothing is open
	}
	return tr
}

// quiet records the transfers in which nothing has moved for a while.
func (t *Transfers) quiet() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open = slices.DeleteFunc(t.open, func(tr *transfer) bool {
		over := time.Since(tr.last) >= transferQuiet
		if over {
			t.record(tr)
		}
		return over
	})
	t.timer = nil
	if len(t.open) > 0 && !t.ended {
		t.timer = time.AfterFunc(transferQuiet/2, t.quiet)
	}
}

// End records the rest. It is called once the last object is answered.
func (t *Transfers) End() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	if t.timer != nil {
		t.timer.Stop()
	}
	for _, tr := range t.open {
		t.record(tr)
	}
	t.open = nil
}

// record puts a transfer that is over on the ledger, unless nothing moved.
func (t *Transfers) record(tr *transfer) {
	more := map[string]any{}
	for key, counts := range map[string]map[string]int{"stored": tr.stored, "failed": tr.failed} {
		if len(counts) > 0 {
			more[key] = counts
		}
	}
	if len(more) == 0 {
		return
	}
	if tr.reason != "" {
		more["reason"] = clip(tr.reason, maxWhy)
	}
	t.note("transfer.end", tr, more)
}

// began records that a study begins to go somewhere: at once under an
// association or visit, whose crash leaves nothing else to ask the archive by.
// What comes from the spool has rows.
func (t *Transfers) began(tr *transfer) {
	write := t.writing("transfer.begin", tr, nil)
	if !t.isVisit() {
		t.parts.DB.Later(write, t.missed)
		return
	}
	tr.begun = make(chan struct{})
	go func() { // ends with the commit
		defer close(tr.begun)
		if err := t.parts.DB.Update(context.Background(), write); err != nil {
			t.missed(err)
		}
	}()
}

// isVisit reports whether the records name an association or a visit.
func (t *Transfers) isVisit() bool {
	for _, id := range t.under {
		if id != "" {
			return true
		}
	}
	return false
}

// Durable waits until it is on disk that objects of this study go this way, or
// that could not be written and is counted as missed. Before that no success is
// answered for one of them: after a crash whose last records are lost, the
// archive is asked what it has of the study.
func (t *Transfers) Durable(ctx context.Context, w Way) {
	t.mu.Lock()
	var begun chan struct{}
	for _, tr := range t.open {
		if tr.Way == w {
			begun = tr.begun
		}
	}
	t.mu.Unlock()
	if begun == nil {
		return
	}
	select {
	case <-begun:
	case <-ctx.Done():
	}
}

// note records a transfer within a second.
func (t *Transfers) note(kind string, tr *transfer, more map[string]any) {
	t.parts.DB.Later(t.writing(kind, tr, more), t.missed)
}

// missed counts a record that could not be written.
func (t *Transfers) missed(err error) {
	t.parts.Ledger.Missed(err)
	t.parts.Log.Error("transfer not recorded", "error", err)
}

// writing is what puts a transfer on the ledger, the patient sealed.
func (t *Transfers) writing(kind string, tr *transfer, more map[string]any) func(*store.Tx) error {
	body := map[string]any{"direction": tr.Direction, "peer_ae": tr.Title, "peer_address": tr.Address, "own_ae": tr.Own}
	for key, value := range map[string]string{"study": tr.Study, "peer": tr.Peer} {
		if value != "" {
			body[key] = value
		}
	}
	for key, value := range t.under {
		if value != "" {
			body[key] = value
		}
	}
	maps.Copy(body, more)
	p := tr.patient.Reveal()
	l := t.parts.Ledger
	return func(tx *store.Tx) error {
		if p != (judge.PatientData{}) {
			sealed, err := l.Seal(tx, ledger.Subject(p.ID, p.Issuer, tr.Study), map[string]string{
				"id": p.ID, "issuer": p.Issuer, "name": p.Name, "accession": p.Accession,
			})
			if err != nil {
				return err
			}
			body["patient"] = sealed
		}
		return l.Append(tx, kind, body)
	}
}

const (
	maxWhy = 300 // bytes of a reason on the ledger
	maxUID = 128 // bytes of a UID there
)

// clip cuts text to at most n bytes of valid UTF-8.
func clip(text string, n int) string { return strings.ToValidUTF8(text[:min(len(text), n)], "") }
